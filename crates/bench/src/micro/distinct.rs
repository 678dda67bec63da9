//! `distinct` of numbers in one partition, against a hash set of the standard library with the same hash.
use super::Duel;
use crate::{Result, words::context};
use std::collections::HashSet;
use winterbourne::engine::hash::FixedState;

fn number(i: u64, keys: u64) -> u64 {
    i.wrapping_mul(2_654_435_761) % keys
}

pub(super) fn duel(n: u64, keys: u64) -> Result<Duel> {
    let sc = context(1)?;
    let ours = move || {
        let once = sc.range(0..n, 1).map(move |i| number(i, keys)).distinct();
        Ok(once.fold(0, u64::wrapping_add)?)
    };
    let hand = move || {
        let mut once: HashSet<u64, FixedState> = HashSet::default();
        for i in 0..n {
            once.insert(number(i, keys)); // `collect` would make room for n
        }
        Ok(once.into_iter().fold(0, u64::wrapping_add))
    };
    Ok(Duel { name: "distinct", records: n, ours: Box::new(ours), hand: Box::new(hand) })
}
