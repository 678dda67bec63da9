//! `count_by_key` of numbers in one partition, against a hash map of the standard library with the same hash.
use super::{
    Duel,
    table::{key, weigh},
};
use crate::{Result, words::context};
use std::collections::HashMap;
use winterbourne::engine::hash::FixedState;

pub(super) fn duel(n: u64, keys: u64) -> Result<Duel> {
    let sc = context(1)?;
    let ours = move || {
        let counts = sc.range(0..n, 1).map(move |i| (key(i, keys), i)).count_by_key()?;
        Ok(counts.into_iter().fold(0, |a, (k, v)| weigh(a, k, v)))
    };
    let hand = move || {
        let mut counts: HashMap<u64, u64, FixedState> = HashMap::default();
        for i in 0..n {
            *counts.entry(key(i, keys)).or_default() += 1;
        }
        Ok(counts.into_iter().fold(0, |a, (k, v)| weigh(a, k, v)))
    };
    Ok(Duel { name: "count_by_key", records: n, ours: Box::new(ours), hand: Box::new(hand) })
}
