//! Hadoop's sequence files: pairs of writables, as Java programs write and read them.
//!
//! ```text
//! file     := header (record | sync)…           or, packed in blocks:  header (sync block)…
//! header   := "SEQ" 6, key class, value class, packed u8, in blocks u8, [codec class], metadata, marker
//! metadata := count i32, then so many pairs of text
//! sync     := -1 i32, marker
//! record   := length of key and value i32, length of the key i32, key, value (packed, if it is so and not in blocks)
//! block    := records vint, then four packed buffers, each after its length as vint:
//!             lengths of the keys as vints, keys, lengths of the values as vints, values
//! text     := length vint, UTF-8
//! ```
//!
//! Integers are big-endian; a *vint* is Hadoop's, of one to nine bytes. The marker is 16 bytes, random for each file, so
//! that a reader that begins anywhere finds a record: what follows a sync belongs to the split in which the sync starts.
//! There are no checksums: damage is seen where it breaks the form.
mod read;
mod vint;
mod writable;
mod write;

pub use writable::Writable;

use crate::{Error, Output, Rdd, Result, Site, job::Action};
use std::io;

const MAGIC: [u8; 4] = *b"SEQ\x06";
const MARKER: usize = 16;
/// Bytes between two syncs of a file that is not packed; no split is shorter.
const SYNC_INTERVAL: usize = 100 << 10;
/// Instead of the length of a record: a marker follows.
const ESCAPE: i32 = -1;
/// The most that a record or a buffer of a block may have.
const LARGEST: usize = 1 << 30;

impl<K: Writable, V: Writable> Rdd<(K, V)> {
    /// Writes the pairs as Hadoop's sequence files, which Spark and Hadoop read: a file for each partition, named
    /// `part-00000` also if it is packed. With a codec, the pairs are packed in blocks of about a megabyte. Directory, and
    /// what happens if something fails, are as for [`save_as_text_file`](Rdd::save_as_text_file).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-sequence-{}", std::process::id()));
    /// sc.parallelize([("to".to_owned(), 2i64), ("be".to_owned(), 2)], 1).save_as_sequence_file(&dir)?;
    /// let again = sc.sequence_file::<String, i64>(dir.to_str().unwrap(), 1);
    /// assert_eq!(again.collect()?, [("to".into(), 2), ("be".into(), 2)]);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`save_as_text_file`](Rdd::save_as_text_file); [`Error::Output`] for a codec that Hadoop does not have
    /// ([`Codec::SnappyFramed`](crate::Codec::SnappyFramed)).
    #[doc(alias = "saveAsSequenceFile")]
    #[track_caller]
    pub fn save_as_sequence_file(&self, output: impl Into<Output>) -> Result<()> {
        let (site, mut output) = (Site::caller(), output.into());
        // Packed inside; a file that is packed as a whole cannot be cut.
        let codec = output.codec.take();
        if let Some(codec) = codec.filter(|c| c.class().is_none()) {
            let source = io::Error::new(io::ErrorKind::InvalidInput, format!("Hadoop has no codec for {codec}"));
            return Err(Error::Output { doing: "packing", path: output.path, site, source });
        }
        self.save_at(Action { name: "save_as_sequence_file", site }, output, move |flow, part| {
            write::pairs(flow, part, codec, site)
        })
    }
}
