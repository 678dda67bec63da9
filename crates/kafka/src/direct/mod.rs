//! The direct stream: no receiver; the driver plans a range of offsets for each partition, tasks read them.
//!
//! `input` asks the cluster and feeds `plan` and `limit`, which decide and know no client. `offsets` is what a program can
//! ask beside the records, `options` what it can say.
mod input;
mod limit;
mod offsets;
mod options;
mod plan;

pub(crate) use input::DirectInput;
pub use offsets::Offsets;
pub use options::{DirectStreamOptions, OutOfRange};

use crate::ConsumerRecord;
use std::ops::Deref;
use winterbourne_engine::Data;
use winterbourne_streaming::DStream;

/// A stream of a topic's records, and what it knows of their offsets. It is the [`DStream`] of its records.
#[must_use = "a DStream is lazy: nothing runs without an output operation"]
pub struct DirectStream<K: Data, V: Data> {
    pub(crate) stream: DStream<ConsumerRecord<K, V>>,
    pub(crate) offsets: Offsets,
}
impl<K: Data, V: Data> DirectStream<K, V> {
    /// What it knows of offsets: to be taken into closures.
    #[doc(alias = "HasOffsetRanges")]
    #[doc(alias = "CanCommitOffsets")]
    pub fn offsets(&self) -> Offsets {
        self.offsets.clone()
    }
}
impl<K: Data, V: Data> Deref for DirectStream<K, V> {
    type Target = DStream<ConsumerRecord<K, V>>;
    fn deref(&self) -> &Self::Target {
        &self.stream
    }
}
