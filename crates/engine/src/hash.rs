//! The fixed-seed hash: equal in every process and every run. It decides partitions and drives the hash tables.
//!
//! Each word is folded into the state by a 64 x 64 -> 128 bit multiplication whose halves are xored: a few cycles per
//! word and good bits everywhere. It is not meant to resist an attacker who chooses keys.
//! `derive(Hash)` may differ between compilers, so partition numbers are used within a run and between equal binaries
//! and are never trusted from disk: what is loaded is partitioned again by key.
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher},
};

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const SEED: u64 = 0xD6E8_FEB8_6659_FD93;

#[inline(always)]
fn fold(x: u64, y: u64) -> u64 {
    let p = u128::from(x) * u128::from(y);
    (p as u64) ^ ((p >> 64) as u64)
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}
#[inline(always)]
fn half(bytes: &[u8]) -> u64 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes")).into()
}

/// The hasher: one word of state.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(u64);

impl Hasher for Fixed {
    /// Two words a multiplication; the last ones overlap what was read before instead of being padded, so that no length
    /// needs a copy.
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let n = bytes.len();
        // The length is spread over all bits: next to the bytes, `b` alone would meet `a` before `b`.
        let (mut rest, mut state) = (bytes, self.0 ^ (n as u64).wrapping_mul(SEED));
        while let (Some((first, after)), true) = (rest.split_first_chunk::<16>(), rest.len() > 16) {
            state = fold(word(&first[..8]) ^ state, word(&first[8..]) ^ MULTIPLIER);
            rest = after;
        }
        let (a, b) = match n {
            16.. => (word(&bytes[n - 16..n - 8]), word(&bytes[n - 8..])),
            8..16 => (word(&bytes[..8]), word(&bytes[n - 8..])),
            4..8 => (half(&bytes[..4]), half(&bytes[n - 4..])),
            1..4 => (u64::from(bytes[0]), u64::from(bytes[n / 2]) << 8 | u64::from(bytes[n - 1])),
            0 => (0, 0),
        };
        self.0 = fold(a ^ state, b ^ MULTIPLIER);
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

/// The maps that actions give: those of the standard library, iterated in the same order in every run and process.
pub type KeyMap<K, V> = HashMap<K, V, FixedState>;

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
        // Every length up to three blocks, every single byte of it changed.
        let mut seen = std::collections::HashSet::new();
        for n in 0..49 {
            let mut text = vec![b'a'; n];
            assert!(seen.insert(of(&text[..])), "{n}");
            for i in 0..n {
                text[i] = b'b';
                assert!(seen.insert(of(&text[..])), "byte {i} of {n}");
                text[i] = b'a';
            }
        }
    }
}
