//! Where a record is.

use serde::{Deserialize, Serialize};

/// The place of a record in a journal: positions are ordered as their records are.
///
/// `Position::default()` comes before every record.
///
/// ```
/// use winterbourne_base::journal::Position;
/// let earlier = Position { segment: 3, offset: 900 };
/// assert!(earlier < Position { segment: 4, offset: 32 });
/// assert_eq!(earlier.to_string(), "3:900");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// The number of the segment.
    pub segment: u64,
    /// The byte in the segment's file at which the record begins.
    pub offset: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}
