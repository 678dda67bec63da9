//! [`Bits`]: a set of slot numbers, one bit each.

#[derive(Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Makes room for the numbers below n.
    pub(super) fn cover(&mut self, n: usize) {
        if self.0.len() * 64 < n {
            self.0.resize(n.div_ceil(64), 0);
        }
    }
    #[inline]
    pub(super) fn has(&self, i: u32) -> bool {
        self.0[i as usize / 64] >> (i % 64) & 1 == 1
    }
    /// As `has`, also for numbers for which there is no room.
    #[inline]
    pub(super) fn holds(&self, i: u32) -> bool {
        self.0.get(i as usize / 64).is_some_and(|word| word >> (i % 64) & 1 == 1)
    }
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }
    /// The lowest number in the set that is not below i.
    #[inline]
    pub(super) fn from(&self, i: u32) -> Option<u32> {
        let mut w = i as usize / 64;
        let mut word = self.0.get(w)? & (u64::MAX << (i % 64));
        while word == 0 {
            w += 1;
            word = *self.0.get(w)?;
        }
        Some(w as u32 * 64 + word.trailing_zeros())
    }
    #[inline]
    pub(super) fn set(&mut self, i: u32) {
        self.0[i as usize / 64] |= 1 << (i % 64);
    }
    #[inline]
    pub(super) fn unset(&mut self, i: u32) {
        self.0[i as usize / 64] &= !(1 << (i % 64));
    }
    /// Unsets the number and up to 63 of its neighbours: enough where all that are set are unset in turn.
    #[inline]
    pub(super) fn unset_around(&mut self, i: u32) {
        self.0[i as usize / 64] = 0;
    }
    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }
    /// Sets the numbers below n and no other; there is room for them.
    pub(super) fn set_below(&mut self, n: usize) {
        self.clear();
        self.0[..n / 64].fill(u64::MAX);
        if !n.is_multiple_of(64) {
            self.0[n / 64] = (1 << (n % 64)) - 1;
        }
    }
    /// The numbers in the set, ascending.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().enumerate().flat_map(|(w, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                (bit < 64).then_some(w as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_set() {
        let mut bits = Bits::default();
        bits.cover(200);
        [0, 63, 64, 130, 199].into_iter().for_each(|i| bits.set(i));
        bits.unset(64);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 130, 199]);
        assert!(bits.has(63) && !bits.has(64) && !bits.has(198));
        bits.unset_around(10);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [130, 199]);
        for n in [0, 1, 64, 130, 200] {
            bits.set_below(n);
            assert!(bits.iter().eq(0..n as u32));
        }
        bits.clear();
        assert!(bits.is_empty());
        [3, 64, 199].into_iter().for_each(|i| bits.set(i));
        for (from, expect) in [(0, Some(3)), (3, Some(3)), (4, Some(64)), (65, Some(199)), (200, None), (900, None)] {
            assert_eq!(bits.from(from), expect);
        }
        assert!(bits.holds(199) && !bits.holds(198) && !bits.holds(256) && !bits.is_empty());
        assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 64, 199]);
    }
}
