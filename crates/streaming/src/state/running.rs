//! [`Running`]: what the batches in a window come to for one key, and how batches enter and leave.
//!
//! A value is taken off a key only while it has one that was put on; when its last one has left, what enters next begins
//! anew. Each entering and leaving rounds once where values are floating-point numbers; after n of either, the value is
//! off by at most about n times the rounding of the largest sum on the way. [`Part::begin_anew`] sets the error back.
use super::Part;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::num::NonZeroU32;
use winterbourne_base::Time;
use winterbourne_engine::{self as engine, Flow, Hashed, Key, Wire};

/// A key's value in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running<V> {
    pub(crate) value: V,
    /// How many of the batches in the window have the key.
    batches: Batches,
}
impl<V> Running<V> {
    fn new(value: V, batches: u32) -> Self {
        Running { value, batches: Batches(NonZeroU32::MIN.saturating_add(batches)) }
    }
    pub(crate) fn batches(&self) -> u32 {
        self.batches.0.get() - 1
    }
}
/// A number, kept as the one after it and written as it is: so no value at all has a bit pattern to spare, and a slot of
/// the state is 32 bytes instead of 64 where key and value are numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Batches(NonZeroU32);
impl Serialize for Batches {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(self.0.get() - 1)
    }
}
impl<'de> Deserialize<'de> for Batches {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Batches(NonZeroU32::MIN.saturating_add(u32::deserialize(from)?)))
    }
}

impl<K: Key, V: Wire> Part<K, Running<V>> {
    fn each(
        &mut self,
        flow: Flow<Hashed<K, V>>,
        now: Time,
        mut next: impl FnMut(Option<&Running<V>>, V) -> Option<Running<V>>,
    ) -> engine::Result<()> {
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
    pub(crate) fn enter(&mut self, flow: Flow<Hashed<K, V>>, now: Time, f: &impl Fn(V, V) -> V) -> engine::Result<()> {
        self.each(flow, now, |old, v| {
            Some(match old {
                Some(old) if old.batches() > 0 => Running::new(f(old.value.clone(), v), old.batches() + 1),
                _ => Running::new(v, 1),
            })
        })
    }
    /// Takes a batch away that was added.
    pub(crate) fn leave(
        &mut self,
        flow: Flow<Hashed<K, V>>,
        now: Time,
        inverse: &impl Fn(V, V) -> V,
    ) -> engine::Result<()> {
        self.each(flow, now, |old, v| {
            let old = old.filter(|old| old.batches() > 0)?;
            Some(Running::new(inverse(old.value.clone(), v), old.batches() - 1))
        })
    }
    /// Makes the values of all keys from these batches, which are all that the window has, after what left it has left. A
    /// key that has none of them, although not all of its batches left, lost those that nobody knows any more: what it
    /// has is taken from itself, which is what they would have left.
    pub(crate) fn begin_anew(
        &mut self,
        batches: impl Iterator<Item = engine::Result<Flow<Hashed<K, V>>>>,
        now: Time,
        f: &impl Fn(V, V) -> V,
        inverse: &impl Fn(V, V) -> V,
    ) -> engine::Result<()> {
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
                        Some(old) => {
                            let batches = old.batches() + 1;
                            Running::new(f(old.value, row.value.clone()), batches)
                        }
                        None => Running::new(row.value.clone(), 1),
                    });
                }
                Ok(())
            })?;
        }
        sums.resize(self.slots() as usize, None);
        for (sum, i) in sums.into_iter().zip(0..) {
            let new = match (sum, self.get(i)) {
                (Some(sum), _) => sum,
                (None, Some(old)) if old.batches() > 0 => {
                    Running::new(inverse(old.value.clone(), old.value.clone()), 0)
                }
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
            if self.get(i).is_some_and(|old| old.batches() == 0 && !keep(self.key(i), &old.value)) {
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

    const BATCHES: usize = 10;
    /// So many slides of a window of ten batches, made anew every so many; the largest error of its sum, in roundings of
    /// the largest sum on the way.
    fn largest_error(slides: u64, recompute_every: Option<u64>) -> f64 {
        let mut part = Part::<u64, Running<f64>>::default();
        let (mut window, mut now, mut worst) = (VecDeque::new(), Time::default(), 0.0f64);
        let rows = |v: f64| Flow::from_records(std::iter::once(Hashed { hash: hash::of(&1u64), key: 1, value: v }));
        // Of ten in a row at most two are large.
        let rounding = 2e6 * f64::EPSILON / 2.0;
        for n in 1..=slides {
            now += milliseconds(1);
            let v = (hash::of(&n) as f64 / u64::MAX as f64) * if n % 7 == 0 { 1e6 } else { 1.0 };
            window.push_back(v);
            if window.len() > BATCHES {
                let old = window.pop_front().unwrap();
                part.leave(rows(old), now, &|a, b| a - b).unwrap();
            }
            if recompute_every.is_some_and(|every| n % every == 0) {
                part.begin_anew(window.iter().map(|v| Ok(rows(*v))), now, &|a, b| a + b, &|a, b| a - b).unwrap();
            } else {
                part.enter(rows(v), now, &|a, b| a + b).unwrap();
            }
            part.commit();
            let state = part.get(0).unwrap();
            assert_eq!(state.batches() as usize, window.len());
            let exact: f64 = window.iter().sum();
            worst = worst.max((state.value - exact).abs() / rounding);
        }
        worst
    }
    #[test]
    fn roundings_do_not_add_up_over_a_million_slides() {
        // As documented at the setting: the slides since the last time round twice each, and the sum anew once a batch. What
        // we compare with has roundings of its own.
        let bound = |every: u64| (2 * every) as f64 + 2.0 * BATCHES as f64;
        let every_100 = largest_error(1_000_000, Some(100));
        assert!(every_100 <= bound(100), "{every_100} roundings");
        let never = largest_error(100_000, None);
        assert!(never > 3.0 * every_100, "{never} roundings without, {every_100} with");
    }
}
