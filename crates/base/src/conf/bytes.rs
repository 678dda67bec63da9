//! [`Bytes`]: an amount of memory or disk. Refuses to be a bare integer.

use std::fmt;

/// A number of bytes, as configuration values name it: `64k`, `256m`, `1g` (powers of 1024).
///
/// ```
/// use winterbourne_base::conf::Bytes;
///
/// assert_eq!(Bytes(256 << 20).to_string(), "256m");
/// assert_eq!(Bytes(1000).to_string(), "1000b");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The number of bytes as a length in memory; the largest length if it does not fit.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// In the largest unit that divides it, readable as a configuration value again.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 5] = [(50, "p"), (40, "t"), (30, "g"), (20, "m"), (10, "k")];
        let unit = UNITS.into_iter().find(|(bits, _)| self.0 != 0 && self.0.trailing_zeros() >= *bits);
        match unit {
            Some((bits, name)) => write!(f, "{}{name}", self.0 >> bits),
            None => write!(f, "{}b", self.0),
        }
    }
}
