//! `reduce_by_key` of numbers in one partition, against a hash map of the standard library with the same hash.
use super::Duel;
use crate::{Result, words::context};
use std::collections::HashMap;
use winterbourne::engine::hash::FixedState;

pub(super) fn key(i: u64, keys: u64) -> u64 {
    i.wrapping_mul(2_654_435_761) % keys
}

pub(super) fn duel(n: u64, keys: u64) -> Result<Duel> {
    let sc = context(1)?;
    let ours = move || {
        let sums = sc.range(0..n, 1).map(move |i| (key(i, keys), 1u64)).reduce_by_key(|a, b| a + b);
        Ok(sums.aggregate(0, |a, (k, v)| weigh(a, k, v), u64::wrapping_add)?)
    };
    let hand = move || {
        let mut sums: HashMap<u64, u64, FixedState> = HashMap::default();
        for i in 0..n {
            *sums.entry(key(i, keys)).or_default() += 1;
        }
        Ok(sums.into_iter().fold(0, |a, (k, v)| weigh(a, k, v)))
    };
    Ok(Duel { name: "table", records: n, ours: Box::new(ours), hand: Box::new(hand) })
}

/// Does not depend on the order of the entries.
pub(super) fn weigh(sum: u64, key: u64, value: u64) -> u64 {
    sum.wrapping_add((key + 1).wrapping_mul(value))
}
