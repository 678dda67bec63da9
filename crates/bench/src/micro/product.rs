//! `cartesian` of two ranges, against two nested loops.
use super::Duel;
use crate::{Result, words::context};
use std::hint::black_box;

pub(super) fn duel(n: u64) -> Result<Duel> {
    let side = n.isqrt().max(1);
    let sc = context(1)?;
    let ours = move || {
        let pairs = sc.range(0..side, 1).cartesian(&sc.range(0..side, 1));
        Ok(pairs.aggregate(0, |sum, (x, y)| weigh(sum, x, y), u64::wrapping_add)?)
    };
    let hand = move || {
        let mut sum = 0;
        for x in 0..black_box(side) {
            for y in 0..black_box(side) {
                sum = weigh(sum, x, y);
            }
        }
        Ok(sum)
    };
    Ok(Duel { name: "product", records: side * side, ours: Box::new(ours), hand: Box::new(hand) })
}

fn weigh(sum: u64, x: u64, y: u64) -> u64 {
    sum.wrapping_add(x.wrapping_mul(y) ^ y)
}
