//! [`PutAway`]: records of somebody outside of the engine that found no room in memory.
use super::run::refused;
use crate::{
    Error, Result, Wire,
    blocks::{Damage, Frames, OnDisk, RecordCodec},
    memory::Memory,
};
use serde::Serialize;
use std::sync::Arc;

/// Records in a file, which goes with this. Made by [`MemoryHold::put_away`](crate::MemoryHold::put_away).
pub struct PutAway<T> {
    file: Arc<OnDisk>,
    codec: RecordCodec<T>,
}
impl<T: Wire> PutAway<T> {
    pub(crate) fn write(memory: &Arc<Memory>, records: impl IntoIterator<Item = impl Serialize>) -> Result<Self> {
        let mut file = memory.spill_file().map_err(|e| refused(e, 0, memory))?;
        for record in records {
            file.push_one(&record).map_err(|e| refused(e, file.written(), memory))?;
        }
        let written = file.written();
        let file = file.end().map_err(|e| refused(e, written, memory))?;
        memory.has_spilled(file.len);
        Ok(PutAway { file, codec: RecordCodec::of() })
    }
    /// The records, some at a time, in the order in which they were written. Their checksums are looked at.
    ///
    /// ```
    /// # use winterbourne_engine::{MemoryUse, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let away = sc.hold_memory(MemoryUse::State).put_away::<u64>(0..5000u64)?;
    /// let mut sum = 0;
    /// for some in away.read()? {
    ///     sum += some?.iter().sum::<u64>();
    /// }
    /// assert_eq!(sum, 4999 * 5000 / 2);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The file is gone, or holds something else than was written; both name it.
    pub fn read(&self) -> Result<impl Iterator<Item = Result<Vec<T>>> + use<T>> {
        let (path, codec) = (self.file.path().to_owned(), self.codec);
        let mut frames = self.file.frames().map_err(|e| Error::damaged(path.clone(), &e))?;
        Ok(std::iter::from_fn(move || {
            let next = frames.next().map_err(|e| Error::damaged(path.clone(), &e));
            let decode = |frame: crate::blocks::Frame| {
                frame.records(&codec).map_err(|why| Error::damaged(path.clone(), &Damage::new(0, why)))
            };
            next.map(|frame| frame.map(decode)).transpose().map(|records| records.and_then(|r| r))
        }))
    }
    /// How long the file is.
    ///
    /// ```
    /// # use winterbourne_engine::{MemoryUse, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let zeros = sc.hold_memory(MemoryUse::State).put_away::<u64>(std::iter::repeat_n(0u64, 100_000))?;
    /// assert!(zeros.bytes_on_disk() < 10_000, "compressed");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.file.len
    }
}
