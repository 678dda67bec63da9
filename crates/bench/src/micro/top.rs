//! `top` of numbers in one partition, against a bounded heap of the standard library.
use super::Duel;
use crate::{Result, words::context};
use std::{cmp::Reverse, collections::BinaryHeap};

/// How many are asked for.
const N: usize = 100;

/// Numbers in no order.
fn number(i: u64) -> u64 {
    let x = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ x >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

pub(super) fn duel(n: u64) -> Result<Duel> {
    let sc = context(1)?;
    let ours = move || Ok(weigh(sc.range(0..n, 1).map(number).top(N)?));
    let hand = move || {
        let mut heap = BinaryHeap::with_capacity(N + 1);
        for x in (0..n).map(number) {
            if heap.len() < N {
                heap.push(Reverse(x));
            } else if let Some(mut least) = heap.peek_mut()
                && x > least.0
            {
                *least = Reverse(x);
            }
        }
        Ok(weigh(heap.into_sorted_vec().into_iter().map(|x| x.0).collect()))
    };
    Ok(Duel { name: "top", records: n, ours: Box::new(ours), hand: Box::new(hand) })
}

/// Depends on the order.
fn weigh(all: Vec<u64>) -> u64 {
    all.into_iter().fold(0, |sum, x| sum.wrapping_mul(31).wrapping_add(x))
}
