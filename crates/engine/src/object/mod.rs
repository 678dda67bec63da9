//! Records of our own in files: postcard, in frames with checksums.
//!
//! ```text
//! file   := header frame … end
//! header := "WBOBJECT", version u16 = 1, length u32, so many bytes of postcard (type: str, kind: str), CRC-32 u32
//! frame  := length u32, records u32, kind u32, CRC-32 u32, then so many bytes: records in postcard, one after the other
//! end    := frame of no length and no records
//! ```
//!
//! All numbers are little-endian. A CRC-32 covers what stands before it in its header or frame, and the bytes of the frame.
//! A *kind* is what a record looks like through serde ([`kind`]); the file has that of its first record, for messages, and
//! each frame the CRC-32 of its first record's: what is read as another type is told from damage, and from what happens to
//! decode. The type's name is for messages only.
//!
//! A frame has about 256 KiB, and belongs to the split in which it starts. Compression is around the file as a whole.
mod kind;
mod read;
mod write;

use crate::{Output, Rdd, Result, Site, Wire, job::Action};

const MAGIC: [u8; 8] = *b"WBOBJECT";
const VERSION: u16 = 1;
/// Magic, version and length of a header.
const START: usize = 14;
/// Length, records, kind and checksum of a frame.
const HEAD: usize = 16;
/// The bytes after which a frame ends, and the records.
const FRAME: usize = 256 << 10;
const FRAME_RECORDS: u32 = 4096;
/// No split is shorter: as for Hadoop's sequence files, in which Spark keeps objects.
const LEAST_SPLIT: u64 = 100 << 10;
/// The most that a header or a frame may have.
const LARGEST_HEADER: usize = 64 << 10;
const LARGEST_FRAME: usize = 1 << 30;

impl<T: Wire> Rdd<T> {
    /// Writes the records so that [`object_file`](crate::SparkContext::object_file) reads them again: a file for each
    /// partition, in a format of our own with checksums. Directory, packing, and what happens if something fails are as
    /// for [`save_as_text_file`](Rdd::save_as_text_file).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-object-{}", std::process::id()));
    /// sc.parallelize([("a".to_owned(), 1.5), ("b".to_owned(), 2.5)], 2).save_as_object_file(&dir)?;
    /// let again = sc.object_file::<(String, f64)>(dir.to_str().unwrap(), 1);
    /// assert_eq!(again.collect()?, [("a".into(), 1.5), ("b".into(), 2.5)]);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`save_as_text_file`](Rdd::save_as_text_file); [`Error::Unwritable`](crate::Error::Unwritable) if serde refuses a
    /// record, or one has more than 1 GiB.
    #[doc(alias = "saveAsObjectFile")]
    #[track_caller]
    pub fn save_as_object_file(&self, output: impl Into<Output>) -> Result<()> {
        self.save_as_object_file_at(Site::caller(), output)
    }
    /// [`save_as_object_file`](Rdd::save_as_object_file) on behalf of `site`.
    ///
    /// # Errors
    /// As there.
    pub fn save_as_object_file_at(&self, site: Site, output: impl Into<Output>) -> Result<()> {
        self.save_at(Action { name: "save_as_object_file", site }, output.into(), move |flow, part| {
            write::records(flow, part, site)
        })
    }
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|p| hasher.update(p));
    hasher.finalize()
}
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
