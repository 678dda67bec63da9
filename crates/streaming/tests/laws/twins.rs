//! What windowed and stateful operators should give, by the dullest means: loops over all batches so far. Knows nothing of
//! ours. `t` counts batches from 1; a batch that is `None` has no RDD.
use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Pair = (u64, i64);
pub(crate) type Batch = Option<Vec<Pair>>;
/// What comes out, by batch; those that are not there have no RDD.
pub(crate) type Out<T> = BTreeMap<usize, Vec<T>>;
type States<S> = BTreeMap<u64, S>;

/// The batches of the window that ends with t; none if not one of them has an RDD.
fn inside(all: &[Batch], t: usize, window: usize) -> Option<Vec<Pair>> {
    let batches: Vec<_> = all[t.saturating_sub(window)..t].iter().flatten().collect();
    (!batches.is_empty()).then(|| batches.into_iter().flatten().copied().collect())
}
fn every(all: &[Batch], slide: usize) -> impl Iterator<Item = usize> + use<> {
    (1..=all.len()).filter(move |t| t % slide == 0)
}
fn sum(of: &[Pair]) -> States<i64> {
    let mut sums = BTreeMap::new();
    of.iter().for_each(|(k, v)| *sums.entry(*k).or_default() += v);
    sums
}

pub(crate) fn windows(all: &[Batch], window: usize, slide: usize) -> Out<Pair> {
    every(all, slide).filter_map(|t| Some((t, inside(all, t, window)?))).collect()
}
/// The windows as batches of a stream that has one for each slide.
pub(crate) fn slower(all: &[Batch], window: usize, slide: usize) -> Vec<Batch> {
    every(all, slide).map(|t| inside(all, t, window)).collect()
}
pub(crate) fn sums(all: &[Batch], window: usize, slide: usize) -> Out<Pair> {
    let sums = |(t, records): (usize, Vec<Pair>)| (t, sum(&records).into_iter().collect());
    windows(all, window, slide).into_iter().map(sums).collect()
}
pub(crate) fn groups(all: &[Batch], window: usize, slide: usize) -> Out<(u64, Vec<i64>)> {
    let mut out = Out::new();
    for (t, records) in windows(all, window, slide) {
        let mut groups: States<Vec<i64>> = BTreeMap::new();
        records.iter().for_each(|(k, v)| groups.entry(*k).or_default().push(*v));
        out.insert(t, groups.into_iter().collect());
    }
    out
}
/// One number, none of an empty window.
pub(crate) fn totals(all: &[Batch], window: usize, slide: usize) -> Out<i64> {
    let total = |(t, records): (usize, Vec<Pair>)| {
        (t, if records.is_empty() { vec![] } else { vec![records.iter().map(|r| r.1).sum()] })
    };
    windows(all, window, slide).into_iter().map(total).collect()
}
/// By inverse: every key that was ever in a window, with 0 where it is no more; from the first RDD in a window on.
pub(crate) fn running_sums(all: &[Batch], window: usize, slide: usize) -> Out<Pair> {
    let (mut out, mut ever, mut begun) = (Out::new(), BTreeSet::new(), false);
    for t in every(all, slide) {
        let now = inside(all, t, window);
        begun |= now.is_some();
        let now = sum(&now.unwrap_or_default());
        ever.extend(now.keys().copied());
        if begun {
            out.insert(t, ever.iter().map(|k| (*k, now.get(k).copied().unwrap_or(0))).collect());
        }
    }
    out
}
/// By inverse, with the filter that drops zeros.
pub(crate) fn running_sums_but_zeros(all: &[Batch], window: usize, slide: usize) -> Out<Pair> {
    let mut out = running_sums(all, window, slide);
    out.values_mut().for_each(|sums| sums.retain(|(_, n)| *n != 0));
    out
}
/// By inverse: one number from the first record in a window on.
pub(crate) fn running_totals(all: &[Batch], window: usize, slide: usize, each: impl Fn(i64) -> i64) -> Out<i64> {
    let (mut out, mut seen) = (Out::new(), false);
    for (t, _) in running_sums(all, window, slide) {
        let records = inside(all, t, window).unwrap_or_default();
        seen |= !records.is_empty();
        out.insert(t, if seen { vec![records.iter().map(|r| each(r.1)).sum()] } else { vec![] });
    }
    out
}
/// How often each value is in the window.
pub(crate) fn value_counts(all: &[Batch], window: usize, slide: usize) -> Out<(i64, u64)> {
    let mut out = Out::new();
    for (t, _) in running_sums(all, window, slide) {
        let mut counts = BTreeMap::new();
        inside(all, t, window).iter().flatten().for_each(|(_, v)| *counts.entry(*v).or_default() += 1);
        out.insert(t, counts.into_iter().collect());
    }
    out
}

/// A function for every key that has a state or values, in each batch from the first RDD on.
pub(crate) fn updated<S: Clone>(
    all: &[Batch],
    initial: impl IntoIterator<Item = (u64, S)>,
    f: impl Fn(usize, Vec<i64>, Option<S>) -> Option<S>,
) -> Out<(u64, S)> {
    let (mut out, mut states, mut begun) = (Out::new(), States::from_iter(initial), false);
    for (t, batch) in (1..).zip(all) {
        begun |= batch.is_some();
        if !begun {
            continue;
        }
        let mut values: States<Vec<i64>> = states.keys().map(|k| (*k, Vec::new())).collect();
        batch.iter().flatten().for_each(|(k, v)| values.entry(*k).or_default().push(*v));
        for (k, values) in values {
            if let Some(state) = f(t, values, states.remove(&k)) {
                states.insert(k, state);
            }
        }
        out.insert(t, states.clone().into_iter().collect());
    }
    out
}
/// Versions of a state beside each other: those of the window that ends with t.
pub(crate) fn versions<T: Clone>(states: &Out<T>, batches: usize, window: usize) -> Out<T> {
    let of = |t: usize| states.range(t.saturating_sub(window - 1)..=t).flat_map(|(_, s)| s.clone()).collect();
    let last = |t: usize| states.range(t.saturating_sub(window - 1)..=t).next().is_some();
    (1..=batches).filter(|t| last(*t)).map(|t| (t, of(t))).collect()
}
/// What a state with sums tells: for each record the sum behind it, and -1 for a key that times out. A 9 drops the key.
/// The first is what is told, the second the state after each batch.
pub(crate) fn mapped(all: &[Batch], timeout: usize, initial: &[Pair]) -> (Out<(u64, i64, i64)>, Out<Pair>) {
    let (mut told, mut after) = (Out::new(), Out::new());
    let mut states: States<(i64, usize)> = initial.iter().map(|(k, n)| (*k, (*n, 1))).collect();
    for (t, batch) in (1..).zip(all) {
        let mut out = Vec::new();
        for &(k, v) in batch.iter().flatten() {
            let sum = states.get(&k).map_or(0, |s| s.0) + v;
            if v == 9 {
                states.remove(&k);
            } else {
                states.insert(k, (sum, t));
            }
            out.push((k, v, sum));
        }
        let is_due = |touched: usize| touched + timeout < t;
        out.extend(states.iter().filter(|(_, s)| is_due(s.1)).map(|(k, s)| (*k, -1, s.0)));
        states.retain(|_, s| !is_due(s.1));
        told.insert(t, out);
        after.insert(t, states.iter().map(|(k, s)| (*k, s.0)).collect());
    }
    (told, after)
}
