//! The fixed-seed hash: equal in every process and every run. It decides partitions and drives the hash tables.
//!
//! Each word is folded into the state by a 64 x 64 -> 128 bit multiplication whose halves are xored: a few cycles per
//! word and good bits everywhere. It is not meant to resist an attacker who chooses keys.
//! `derive(Hash)` may differ between compilers, so partition numbers are used within a run and between equal binaries
//! and are never trusted from disk: what is loaded is partitioned again by key.
use std::hash::{BuildHasher, Hash, Hasher};

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const SEED: u64 = 0xD6E8_FEB8_6659_FD93;

#[inline(always)]
fn fold(x: u64, y: u64) -> u64 {
    let p = u128::from(x) * u128::from(y);
    (p as u64) ^ ((p >> 64) as u64)
}

/// The hasher: one word of state.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(u64);

impl Hasher for Fixed {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        for w in words {
            self.write_u64(u64::from_le_bytes(*w));
        }
        if !tail.is_empty() {
            let mut w = [0; 8];
            w[..tail.len()].copy_from_slice(tail);
            // The length tells `"ab"` from `"ab\0"` where the type itself writes no terminator.
            self.write_u64(u64::from_le_bytes(w) ^ (tail.len() as u64) << 56);
        }
    }
    #[inline]
    fn write_u8(&mut self, x: u8) {
        self.write_u64(x.into());
    }
    #[inline]
    fn write_u16(&mut self, x: u16) {
        self.write_u64(x.into());
    }
    #[inline]
    fn write_u32(&mut self, x: u32) {
        self.write_u64(x.into());
    }
    #[inline]
    fn write_u64(&mut self, x: u64) {
        self.0 = fold(self.0 ^ x, MULTIPLIER);
    }
    #[inline]
    fn write_usize(&mut self, x: usize) {
        self.write_u64(x as u64);
    }
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Builds [`Fixed`] hashers, for maps whose iteration order must not depend on the process.
#[derive(Clone, Copy, Default, Debug)]
pub struct FixedState;
impl BuildHasher for FixedState {
    type Hasher = Fixed;
    #[inline]
    fn build_hasher(&self) -> Fixed {
        Fixed(SEED)
    }
}

/// The hash of a key.
///
/// ```
/// use winterbourne_engine::hash;
/// assert_eq!(hash::of("spring"), hash::of(&String::from("spring")));
/// ```
#[inline]
pub fn of<K: Hash + ?Sized>(key: &K) -> u64 {
    FixedState.hash_one(key)
}

/// The partition, of `n`, of a key with this hash.
///
/// SUBTLE: it must not use the bits the hash tables use (low ones pick the bucket, the top seven are the tag), or every
/// table behind a shuffle would hold keys that agree in them. Hence one more multiplication before high bits are taken.
///
/// ```
/// use winterbourne_engine::hash;
/// assert!(hash::partition(hash::of("spring"), 7) < 7);
/// ```
#[inline]
pub fn partition(hash: u64, n: usize) -> usize {
    (((hash.wrapping_mul(SEED) >> 32) * n as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_even_and_cover_all() {
        for n in [1, 2, 3, 8, 200] {
            let mut seen = vec![0u32; n];
            (0..100_000u64).for_each(|i| seen[partition(of(&i), n)] += 1);
            let (least, most) = (*seen.iter().min().unwrap(), *seen.iter().max().unwrap());
            assert!(least > 0 && f64::from(most) < 1.4 * 100_000.0 / n as f64, "{n}: {least}..{most}");
        }
    }
    #[test]
    fn keys_of_one_partition_differ_in_the_bits_tables_use() {
        let here: Vec<u64> = (0..4096u64).map(|i| of(&i)).filter(|h| partition(*h, 4) == 1).collect();
        let low: std::collections::HashSet<u64> = here.iter().map(|h| h & 255).collect();
        let top: std::collections::HashSet<u64> = here.iter().map(|h| h >> 57).collect();
        assert!(low.len() > 240 && top.len() > 120, "{} {}", low.len(), top.len());
    }
    #[test]
    fn short_strings_do_not_collide() {
        let all: std::collections::HashSet<u64> = ["", "a", "a\0", "ab", "b", "\0"].into_iter().map(of).collect();
        assert_eq!(all.len(), 6);
    }
}
