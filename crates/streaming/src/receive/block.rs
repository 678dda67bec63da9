//! [`BlockId`] and [`BlockMeta`]: what names and describes a block. Refuses to hold its records.

use std::fmt;

use winterbourne_base::Time;

/// Names a block: the stream that received it and its number there, counted from 0 in the order of arrival.
///
/// ```
/// use winterbourne_streaming::receive::BlockId;
/// assert_eq!(BlockId { stream: 0, number: 7 }.to_string(), "input-0-7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// The id of the input stream.
    pub stream: usize,
    /// The number of the block in its stream.
    pub number: u64,
}

/// `input-<stream>-<number>`.
impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input-{}-{}", self.stream, self.number)
    }
}

/// Describes a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockMeta {
    /// Its name.
    pub id: BlockId,
    /// How many records it holds; never 0.
    pub records: u64,
    /// Its size in bytes, as far as the receiver knew it.
    pub bytes: u64,
    /// The boundary that cut it: all its records came before. A block cut early, because a batch took all there was,
    /// carries the time of that batch. Never decreases from one block of a stream to the next.
    pub cut_at: Time,
}

/// A block was asked for that is not held: it was never allocated, or is released already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {0} is gone: it was released, or never allocated; trying again will not bring it back")]
pub struct Gone(pub BlockId);
