//! Map, filter, map over chunks, against one fused loop.
use super::Duel;
use crate::Result;
use std::hint::black_box;
use winterbourne::engine::{CHUNK, Chunk, Flow};

pub(super) fn duel(n: u64) -> Duel {
    Duel { name: "chain", records: n, ours: Box::new(move || ours(n)), hand: Box::new(move || Ok(by_hand(n))) }
}

fn ours(n: u64) -> Result<u64> {
    let mut at = 0;
    let numbers = Flow::new(move || {
        let to = n.min(at + CHUNK as u64);
        let chunk: Vec<u64> = (at..to).collect();
        at = to;
        Ok((!chunk.is_empty()).then_some(Chunk::Own(chunk)))
    });
    let mut flow = numbers
        .map_chunks(|c| c.map(|x: u64| x.wrapping_mul(3).wrapping_add(1)))
        .map_chunks(|c| c.filter(|y| y % 7 != 0))
        .map_chunks(|c| c.map(|y| y ^ (y >> 3)));
    let mut sum = 0u64;
    while let Some(chunk) = flow.next_chunk()? {
        sum = chunk.fold(sum, u64::wrapping_add);
    }
    Ok(sum)
}

fn by_hand(n: u64) -> u64 {
    let mut sum = 0u64;
    for x in 0..black_box(n) {
        let y = x.wrapping_mul(3).wrapping_add(1);
        if y % 7 != 0 {
            sum = sum.wrapping_add(y ^ (y >> 3));
        }
    }
    sum
}
