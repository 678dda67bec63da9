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
    /// Sets what is set in the other, for which there is room.
    pub(super) fn set_all(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, more)| *mine |= more);
    }
    /// The numbers in the set, ascending.
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
        let mut more = Bits::default();
        more.cover(200);
        [3, 199].into_iter().for_each(|i| more.set(i));
        bits.set_below(2);
        bits.set_all(&more);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 1, 3, 199]);
        bits.clear();
        assert_eq!(bits.iter().count(), 0);
    }
}
