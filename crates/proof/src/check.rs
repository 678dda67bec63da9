//! What must hold at the end, whatever happened.

use std::collections::BTreeMap;

/// Everything that is wrong, in words; `input`, `copies` and `changes` are the values that readers of committed records see.
pub(crate) fn check(input: &[String], copies: &[String], changes: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (given, copied) = (count(input), count(copies));
    for (value, n) in &given {
        let seen = copied.get(value).copied().unwrap_or(0);
        if seen != *n {
            wrong.push(format!("{value:?} was given {n} time(s) and is seen {seen} time(s)"));
        }
    }
    wrong.extend(copied.keys().filter(|v| !given.contains_key(*v)).map(|v| format!("{v:?} was never given")));

    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    let mut steps: Vec<(&str, u64, u64)> = Vec::new();
    for line in changes {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            [key, before, after] => match (before.parse(), after.parse()) {
                (Ok(before), Ok(after)) => steps.push((key, before, after)),
                _ => wrong.push(format!("a change without numbers: {line:?}")),
            },
            _ => wrong.push(format!("a change of another form: {line:?}")),
        }
    }
    // Changes of a key come in the order of batches within a partition; a reader may mix partitions.
    steps.sort_unstable();
    for (key, before, after) in steps {
        let total = totals.entry(key).or_default();
        if *total != before {
            wrong.push(format!("the total of {key} goes from {before} to {after}, but it was {total}"));
        }
        *total = after;
    }
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for value in input {
        *expected.entry(value.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    if totals != expected {
        wrong.push(format!("the totals are {totals:?}, and a calm run gives {expected:?}"));
    }
    wrong
}

fn count(values: &[String]) -> BTreeMap<&str, usize> {
    values.iter().fold(BTreeMap::new(), |mut all, v| {
        *all.entry(v.as_str()).or_default() += 1;
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(input: &[&str], copies: &[&str], changes: &[&str]) -> Vec<String> {
        let own = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        check(&own(input), &own(copies), &own(changes))
    }
    const INPUT: &[&str] = &["a 0", "b 1", "a 2"];

    #[test]
    fn all_of_it_once_is_right_in_any_order() {
        assert_eq!(wrong(INPUT, &["a 2", "a 0", "b 1"], &["a 1 2", "b 0 1", "a 0 1"]), [""; 0]);
    }
    #[test]
    fn what_is_lost_twice_or_invented_is_found() {
        let right = ["a 0 1", "b 0 1", "a 1 2"];
        for (copies, changes, expect) in [
            (&["a 0", "b 1"][..], &right[..], "\"a 2\" was given 1 time(s) and is seen 0 time(s)"),
            (&["a 0", "b 1", "a 2", "a 2"], &right, "seen 2 time(s)"),
            (&["a 0", "b 1", "a 2", "c 9"], &right, "\"c 9\" was never given"),
            (INPUT, &["a 0 1", "b 0 1"], "a calm run gives"),
            (INPUT, &["a 0 1", "b 0 1", "a 1 2", "a 1 2"], "the total of a goes from 1 to 2, but it was 2"),
            (INPUT, &["a 0 1", "b 0 1", "a 2 3"], "the total of a goes from 2 to 3, but it was 1"),
            (INPUT, &["a 0 1", "b 0 x", "a 1 2"], "without numbers"),
        ] {
            let found = wrong(INPUT, copies, changes).join("; ");
            assert!(found.contains(expect), "{expect}: {found}");
        }
    }
}
