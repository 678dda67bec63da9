//! What must hold after a story: what came out against what went in. Decides only; reads what the program left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::life::{Life, Outcome, STDERR};
use super::world::Allowed;
use crate::Result;

/// Between batches, in milliseconds, and batches in a window: as the program has them.
const INTERVAL: u64 = 20;
const WINDOW: u64 = 5;
const LATELY: u64 = 3;
/// Batches in a file.
const PERIOD: u64 = 4;

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) check: &'static str,
    pub(crate) what: String,
}

fn violation(check: &'static str, what: impl Into<String>) -> Violation {
    Violation { check, what: what.into() }
}

/// Outputs of a kind, by batch.
type Outputs = BTreeMap<u64, Vec<String>>;

/// The violations that make the others meaningless, else all.
pub(crate) fn story(directory: &Path, lives: &[Life], allowed: &BTreeMap<String, Allowed>) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for (number, life) in lives.iter().enumerate() {
        if let Outcome::Failed(why) = &life.outcome {
            found.push(violation("starts and goes on", format!("life {number}: {why}")));
        }
    }
    found.extend(log(&fs::read_to_string(directory.join(STDERR)).unwrap_or_default()));
    let (outputs, differing) = outputs(directory)?;
    found.extend(differing.into_iter().map(|name| violation("a batch run again is the same", name)));
    found.extend(chain(lives));
    if lives.iter().any(|life| matches!(life.outcome, Outcome::Failed(_))) {
        return Ok(found);
    }
    let none = Outputs::new();
    let [all, window, counts, sums, totals, lately] =
        ["all", "window", "counts", "sums", "totals", "lately"].map(|kind| outputs.get(kind).unwrap_or(&none));
    found.extend(gaps(&outputs));
    found.extend(windows(all, window, WINDOW));
    found.extend(windows(totals, lately, LATELY));
    found.extend(states(all, counts, sums));
    found.extend(ledger(all, allowed));
    found.extend(files("files come with their batch", all, &sink(directory, "sink")?));
    found.extend(files("files have every batch of their period", &periods(all), &periods(&sink(directory, "rolls")?)));
    if let Some((sequence, _)) = lives.last().and_then(|life| life.end)
        && sequence != all.len() as u64
    {
        let what = format!("{sequence} completions, {} batches came out", all.len());
        found.push(violation("completions are counted", what));
    }
    Ok(found)
}

fn outputs(directory: &Path) -> Result<(BTreeMap<String, Outputs>, Vec<String>)> {
    let (mut outputs, mut differing) = (BTreeMap::<String, Outputs>::new(), Vec::new());
    for entry in fs::read_dir(directory.join("out"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((time, kind)) = name.split_once('.').filter(|(time, _)| !time.is_empty()) else { continue };
        if kind.ends_with(".differs") {
            differing.push(name);
            continue;
        }
        let lines = fs::read_to_string(entry.path())?.lines().map(str::to_owned).collect();
        outputs.entry(kind.to_owned()).or_default().insert(time.parse()?, lines);
    }
    differing.sort();
    Ok((outputs, differing))
}

/// What readers see of the files of a sink, by the batch in their names.
fn sink(directory: &Path, name: &str) -> Result<Outputs> {
    let mut batches = Outputs::new();
    let mut directories = vec![directory.join(name)];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next)? {
            let (path, name) = entry.map(|e| (e.path(), e.file_name().to_string_lossy().into_owned()))?;
            if name.starts_with('_') {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let time = name.split('-').next().unwrap_or_default().parse()?;
            for line in fs::read_to_string(path)?.lines() {
                batches.entry(time).or_default().push(serde_json::from_str(line)?);
            }
        }
    }
    batches.values_mut().for_each(|ids| ids.sort_unstable());
    Ok(batches)
}

/// The batches of a period as if they were one.
fn periods(batches: &Outputs) -> Outputs {
    let mut periods = Outputs::new();
    for (time, ids) in batches {
        periods.entry(time - time % (INTERVAL * PERIOD)).or_default().extend(ids.iter().cloned());
    }
    periods.values_mut().for_each(|ids| ids.sort_unstable());
    periods
}

/// The files hold each batch as a whole and once.
fn files(law: &'static str, all: &Outputs, sink: &Outputs) -> Vec<Violation> {
    let times: BTreeSet<u64> = all.keys().chain(sink.keys()).copied().collect();
    let of = |from: &Outputs, time: u64| from.get(&time).cloned().unwrap_or_default();
    let wrong = |time: u64| {
        let (expect, got) = (of(all, time), of(sink, time));
        (expect != got).then(|| violation(law, format!("{time}: {} records, not {}", got.len(), expect.len())))
    };
    times.into_iter().filter_map(wrong).take(3).collect()
}

/// A kill is no reason for an error or a panic: nothing that was made durable is damaged, nothing is lost.
fn log(text: &str) -> Vec<Violation> {
    let bad = |line: &&str| line.contains(" ERROR ") || line.contains("panicked at");
    text.lines().filter(bad).take(3).map(|line| violation("no errors are logged", line)).collect()
}

/// Each completion has the next number, and a batch that is run again continues the same receipt.
fn chain(lives: &[Life]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut known = BTreeMap::new();
    for (number, life) in lives.iter().enumerate() {
        for pair in life.said.windows(2) {
            if pair[1].sequence != pair[0].sequence + 1 || pair[1].time <= pair[0].time {
                let what = format!("life {number}: {:?} follows {:?}", pair[1], pair[0]);
                found.push(violation("completions are counted", what));
            }
        }
        for said in &life.said {
            let before = known.insert(said.time, (said.sequence, said.receipt));
            if before.is_some_and(|before| before != (said.sequence, said.receipt)) {
                let what = format!("life {number}: {said:?}, but before {before:?}");
                found.push(violation("receipts continue", what));
            }
        }
    }
    found.truncate(3);
    found
}

fn gaps(outputs: &BTreeMap<String, Outputs>) -> Vec<Violation> {
    let times: BTreeSet<u64> = outputs.values().flat_map(BTreeMap::keys).copied().collect();
    let Some((first, last)) = times.first().zip(times.last()) else {
        return vec![violation("every batch came out", "there is no output at all")];
    };
    let mut found = Vec::new();
    for time in (*first..=*last).step_by(INTERVAL as usize) {
        for (kind, batches) in outputs {
            if !batches.contains_key(&time) {
                found.push(violation("every batch came out", format!("{time}.{kind} is missing")));
            }
        }
    }
    found.truncate(3);
    found
}

fn windows(all: &Outputs, window: &Outputs, length: u64) -> Vec<Violation> {
    let wrong = |(time, got): (&u64, &Vec<String>)| {
        let since = time.saturating_sub(INTERVAL * (length - 1));
        let mut expect: Vec<&String> = all.range(since..=*time).flat_map(|(_, ids)| ids).collect();
        expect.sort_unstable();
        let differs = !expect.iter().copied().eq(got);
        differs.then(|| {
            violation("windows hold their batches", format!("{time}: {} records, not {}", got.len(), expect.len()))
        })
    };
    window.iter().filter_map(wrong).take(3).collect()
}

/// After each batch, the state of both operators is what all batches up to it make.
fn states(all: &Outputs, counts: &Outputs, sums: &Outputs) -> Vec<Violation> {
    let mut found = Vec::new();
    let (mut each, mut keys) = (BTreeMap::<&str, u64>::new(), BTreeMap::<String, (u64, u64)>::new());
    for (time, ids) in all {
        for id in ids {
            *each.entry(id).or_default() += 1;
            let number: u64 = id.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
            let sum = keys.entry(format!("{}{}", id.get(..1).unwrap_or("?"), number % 10)).or_default();
            *sum = (sum.0 + 1, sum.1 + number);
        }
        let lines = each.iter().map(|(id, n)| format!("{id} {n}"));
        found.extend(same("update_state_by_key counts", *time, lines, counts));
        let lines = keys.iter().map(|(key, (n, sum))| format!("{key} {n} {sum}"));
        found.extend(same("map_with_state sums", *time, lines, sums));
        if found.len() > 2 {
            break;
        }
    }
    found
}

fn same(check: &'static str, time: u64, expect: impl Iterator<Item = String>, got: &Outputs) -> Option<Violation> {
    let mut expect: Vec<String> = expect.collect();
    expect.sort_unstable();
    let got = got.get(&time)?;
    let (mine, theirs): (BTreeSet<_>, BTreeSet<_>) = (expect.iter().collect(), got.iter().collect());
    let (wrong, missing) = (theirs.difference(&mine).next(), mine.difference(&theirs).next());
    (expect != *got).then(|| violation(check, format!("{time}: {wrong:?} where {missing:?} should be")))
}

/// What went in, against what came out of all batches together.
fn ledger(all: &Outputs, allowed: &BTreeMap<String, Allowed>) -> Vec<Violation> {
    let mut counts = BTreeMap::<&str, u64>::new();
    all.values().flatten().for_each(|id| *counts.entry(id).or_default() += 1);
    let mut found = Vec::new();
    for (id, Allowed { least, most }) in allowed {
        let n = counts.remove(id.as_str()).unwrap_or(0);
        if n < *least {
            found.push(violation("nothing is lost", format!("{id} came out {n} times, not {least}")));
        } else if n > *most {
            found.push(violation("nothing comes twice", format!("{id} came out {n} times, not {most}")));
        }
    }
    found.extend(counts.keys().map(|id| violation("nothing is invented", format!("{id} was never given"))));
    found.truncate(3);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(lines: &[(u64, &[&str])]) -> Outputs {
        lines.iter().map(|(time, ids)| (*time, ids.iter().map(|id| (*id).to_owned()).collect())).collect()
    }

    #[test]
    fn a_record_counts_as_often_as_it_may() {
        let allowed = |least, most| BTreeMap::from([("r1".to_owned(), Allowed { least, most })]);
        for (ids, least, most, expect) in [
            (&["r1"][..], 1, 1, None),
            (&[], 1, 1, Some("nothing is lost")),
            (&["r1", "r1"], 1, 1, Some("nothing comes twice")),
            (&["r1", "r1"], 1, 2, None),
            (&["r1", "r2"], 1, 1, Some("nothing is invented")),
        ] {
            let found = ledger(&batches(&[(20, ids)]), &allowed(least, most));
            assert_eq!(found.first().map(|v| v.check), expect, "{ids:?}");
        }
    }

    #[test]
    fn windows_and_states_follow_from_batches() {
        let all = batches(&[(20, &["r1"]), (40, &["r11"])]);
        assert!(windows(&all, &batches(&[(20, &["r1"]), (40, &["r1", "r11"])]), 2).is_empty());
        assert_eq!(windows(&all, &batches(&[(40, &["r11"])]), 2).len(), 1);
        let counts = batches(&[(20, &["r1 1"]), (40, &["r1 1", "r11 1"])]);
        let sums = batches(&[(20, &["r1 1 1"]), (40, &["r1 2 12"])]);
        assert!(states(&all, &counts, &sums).is_empty());
        assert_eq!(states(&all, &counts, &batches(&[(40, &["r1 2 11"])])).len(), 1);
    }

    #[test]
    fn files_hold_each_batch_once() {
        let all = batches(&[(20, &["r1", "r2"]), (40, &[])]);
        assert!(files("law", &all, &batches(&[(20, &["r1", "r2"])])).is_empty());
        for sink in [&[][..], &[(20, &["r1"][..])], &[(20, &["r1", "r1", "r2"])], &[(20, &["r1", "r2"]), (40, &["r1"])]]
        {
            assert_eq!(files("law", &all, &batches(sink)).len(), 1, "{sink:?}");
        }
    }

    #[test]
    fn periods_have_the_batches_up_to_the_next_one() {
        let all = batches(&[(60, &["b"]), (80, &["d"]), (140, &["c"]), (160, &["a"])]);
        assert_eq!(periods(&all), batches(&[(0, &["b"]), (80, &["c", "d"]), (160, &["a"])]));
    }

    #[test]
    fn a_batch_that_is_missing_is_seen() {
        let outputs = |times: &[(u64, &[&str])]| BTreeMap::from([("all".to_owned(), batches(times))]);
        assert!(gaps(&outputs(&[(20, &[]), (40, &[])])).is_empty());
        assert_eq!(gaps(&outputs(&[(20, &[]), (60, &[])])).len(), 1);
        assert_eq!(gaps(&BTreeMap::new()).len(), 1);
    }

    #[test]
    fn errors_in_the_log_count_and_warnings_do_not() {
        let text = "2026 ERROR a: b\n2026  WARN c\nthread 'x' panicked at y";
        assert_eq!(log(text).len(), 2);
    }
}
