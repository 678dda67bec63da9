//! [`Running`]: what the batches in a window come to for one key, and how batches enter and leave.
//!
//! A value is taken off a key only while it has one that was put on; when its last one has left, what enters next begins
//! anew. Each entering and leaving rounds once where values are floating-point numbers; after n of either, the value is
//! off by at most about n times the rounding of the largest sum on the way. [`Part::begin_anew`] sets the error back.
use super::Part;
use serde::{Deserialize, Serialize};
use winterbourne_base::Time;
use winterbourne_engine::{Flow, Hashed, Key, Result, Wire};

/// A key's value in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running<V> {
    pub(crate) value: V,
    /// How many of the batches in the window have the key.
    pub(crate) batches: u32,
}

impl<K: Key, V: Wire> Part<K, Running<V>> {
    fn each(
        &mut self,
        flow: Flow<Hashed<K, V>>,
        now: Time,
        mut next: impl FnMut(Option<&Running<V>>, V) -> Option<Running<V>>,
    ) -> Result<()> {
        let mut slots = Vec::new();
        flow.each(|rows| {
            let rows = rows.as_slice();
            self.find_all(rows.iter().map(|row| (row.hash, &row.key)), &mut slots);
            for (row, &i) in rows.iter().zip(&slots) {
                if let Some(new) = next(self.get(i), row.value.clone()) {
                    self.state(i, now).replace(Some(new));
                }
            }
            Ok(())
        })
    }
    /// Adds a batch, one record for each of its keys.
    pub(crate) fn enter(&mut self, flow: Flow<Hashed<K, V>>, now: Time, f: &impl Fn(V, V) -> V) -> Result<()> {
        self.each(flow, now, |old, v| {
            Some(match old {
                Some(Running { value, batches }) if *batches > 0 => {
                    Running { value: f(value.clone(), v), batches: batches + 1 }
                }
                _ => Running { value: v, batches: 1 },
            })
        })
    }
    /// Takes a batch away that was added.
    pub(crate) fn leave(&mut self, flow: Flow<Hashed<K, V>>, now: Time, inverse: &impl Fn(V, V) -> V) -> Result<()> {
        self.each(flow, now, |old, v| {
            let Running { value, batches } = old.filter(|old| old.batches > 0)?;
            Some(Running { value: inverse(value.clone(), v), batches: batches - 1 })
        })
    }
    /// Makes the values of all keys from these batches, which are all that the window has, after what left it has left. A
    /// key with none of them keeps its value.
    pub(crate) fn begin_anew(
        &mut self,
        batches: impl Iterator<Item = Result<Flow<Hashed<K, V>>>>,
        now: Time,
        f: &impl Fn(V, V) -> V,
    ) -> Result<()> {
        let mut sums: Vec<Option<Running<V>>> = Vec::new();
        let mut slots = Vec::new();
        for flow in batches {
            flow?.each(|rows| {
                let rows = rows.as_slice();
                self.find_all(rows.iter().map(|row| (row.hash, &row.key)), &mut slots);
                sums.resize(self.slots() as usize, None);
                for (row, &i) in rows.iter().zip(&slots) {
                    let sum = &mut sums[i as usize];
                    *sum = Some(match sum.take() {
                        Some(Running { value, batches }) => {
                            Running { value: f(value, row.value.clone()), batches: batches + 1 }
                        }
                        None => Running { value: row.value.clone(), batches: 1 },
                    });
                }
                Ok(())
            })?;
        }
        sums.resize(self.slots() as usize, None);
        for (sum, i) in sums.into_iter().zip(0..) {
            let new = match (sum, self.get(i)) {
                (Some(sum), _) => sum,
                (None, Some(Running { value, batches: 1.. })) => Running { value: value.clone(), batches: 0 },
                _ => continue,
            };
            self.state(i, now).replace(Some(new));
        }
        Ok(())
    }
    /// Drops the keys that this batch left without any batch in the window, unless they are to be kept.
    pub(crate) fn drop_empty(&mut self, now: Time, keep: &(impl Fn(&K, &V) -> bool + ?Sized)) {
        for at in 0..self.changes.old.len() {
            let i = self.changes.old[at].0;
            if self.get(i).is_some_and(|Running { value, batches }| *batches == 0 && !keep(self.key(i), value)) {
                self.state(i, now).replace(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use winterbourne_base::time::milliseconds;
    use winterbourne_engine::hash;

    /// A hundred thousand slides of a window of ten batches; the largest error of its sum, in units of the rounding of
    /// the largest value.
    fn largest_error(recompute_every: Option<u64>) -> f64 {
        let mut part = Part::<u64, Running<f64>>::default();
        let (mut window, mut now, mut worst) = (VecDeque::new(), Time::default(), 0.0f64);
        let rows = |v: f64| Flow::from_records(std::iter::once(Hashed { hash: hash::of(&1u64), key: 1, value: v }));
        for n in 1..=100_000u64 {
            now += milliseconds(1);
            // Large and small ones take turns.
            let v = (hash::of(&n) as f64 / u64::MAX as f64) * if n % 7 == 0 { 1e6 } else { 1.0 };
            window.push_back(v);
            if window.len() > 10 {
                let old = window.pop_front().unwrap();
                part.leave(rows(old), now, &|a, b| a - b).unwrap();
            }
            if recompute_every.is_some_and(|every| n % every == 0) {
                part.begin_anew(window.iter().map(|v| Ok(rows(*v))), now, &|a, b| a + b).unwrap();
            } else {
                part.enter(rows(v), now, &|a, b| a + b).unwrap();
            }
            part.commit();
            let Running { value, batches } = part.get(0).unwrap();
            assert_eq!(*batches as usize, window.len());
            let exact: f64 = window.iter().sum();
            worst = worst.max((value - exact).abs() / (2e6 * f64::EPSILON));
        }
        worst
    }
    #[test]
    fn roundings_do_not_add_up_over_many_slides() {
        let (never, every_100) = (largest_error(None), largest_error(Some(100)));
        assert!(every_100 <= 200.0 && every_100 < never, "{every_100} roundings, {never} without");
    }
}
