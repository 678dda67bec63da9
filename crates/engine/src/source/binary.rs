//! Files as bytes: each as something to open, or cut into records of one length.
use super::{
    open::{Input, shrunk, too_long},
    splits::{self, Pieces},
    whole,
};
use crate::{CHUNK, Chunk, Codec, Error, Flow, Rdd, Site, SparkContext, Text};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};
use winterbourne_base::conf::keys;

/// About how many bytes of records are read at once.
const BLOCK: usize = 256 << 10;

/// A file that is not open yet: it can be sent, kept and shuffled, and read when it is wanted. What is read are the bytes
/// as they are; nothing is unpacked.
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// use std::io::Read;
/// # let file = std::env::temp_dir().join(format!("winterbourne-doc-stream-{}", std::process::id()));
/// std::fs::write(&file, b"\x89PNG and more")?;
/// let (name, stream) = sc.binary_files(file.to_str().unwrap(), 1).first()?;
/// assert_eq!(stream.path().to_str(), Some(&*name));
/// let mut head = [0; 4];
/// stream.open()?.read_exact(&mut head)?; // no more than is wanted
/// assert_eq!(&head, b"\x89PNG");
/// assert_eq!(stream.to_array()?.len(), 13);
/// # std::fs::remove_file(file)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PortableDataStream {
    path: PathBuf,
    /// What `to_array` reads at most.
    most: u64,
}
impl PortableDataStream {
    /// The path of the file.
    #[doc(alias = "getPath")]
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Opens the file.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn open(&self) -> io::Result<impl Read + use<>> {
        File::open(&self.path).map_err(|e| self.about("opening", e))
    }
    /// All bytes of the file.
    ///
    /// # Errors
    /// What the system says, with the path; and if there are more than `spark.files.maxWholeSize`.
    pub fn to_array(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let read = self.open()?.take(self.most.saturating_add(1)).read_to_end(&mut all);
        read.map_err(|e| self.about("reading", e))?;
        if all.len() as u64 > self.most { Err(self.about("reading", too_long(self.most))) } else { Ok(all) }
    }
    fn about(&self, doing: &str, e: io::Error) -> io::Error {
        io::Error::new(e.kind(), format!("{doing} {}: {e}", self.path.display()))
    }
}

impl SparkContext {
    /// Files of any kind: a record is the path of a file and a [`PortableDataStream`], with which it can be read. Paths and
    /// hidden names are as for [`text_file`](SparkContext::text_file); empty files are records too. Nothing is opened
    /// before a record is, and nothing is unpacked.
    ///
    /// Small files share partitions, by Spark's arithmetic: a partition takes files until they have
    /// `spark.files.maxPartitionBytes` or the share of one of the threads, each file counted with
    /// `spark.files.openCostInBytes` for that share.
    ///
    /// ```
    /// use winterbourne_engine::OnBadRecord;
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-binary-{}", std::process::id()));
    /// # std::fs::create_dir(&dir).unwrap();
    /// std::fs::write(dir.join("a.png"), b"\x89PNG").unwrap();
    /// let files = sc.binary_files(dir.to_str().unwrap(), 1);
    /// let sizes = files.try_map(OnBadRecord::Fail, |(_, file)| file.to_array().map(|bytes| bytes.len()));
    /// assert_eq!(sizes.collect()?, [4]);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "binaryFiles")]
    #[track_caller]
    pub fn binary_files(&self, path: impl Into<String>, min_partitions: usize) -> Rdd<(Text, PortableDataStream)> {
        let (site, most) = (Site::caller(), self.most_of_a_file());
        let checked = "checked when the context was made";
        let largest = self.conf().value(keys::FILES_MAX_PARTITION_BYTES).expect(checked).0;
        let opening = self.conf().value(keys::FILES_OPEN_COST).expect(checked).0;
        let threads = self.default_parallelism().max(min_partitions).max(1) as u64;
        let enough = move |sizes: &[u64]| {
            let total = sizes.iter().fold(0u64, |sum, n| sum.saturating_add(*n).saturating_add(opening));
            largest.min(opening.max(total / threads))
        };
        let groups = whole::groups(path.into(), site, enough);
        self.leaf("binary_files", site, groups.count.clone(), move |group, task| {
            let mut files = groups.get(group)?.clone().into_iter();
            Ok(Flow::splittable(task, move || {
                let Some(path) = files.next() else { return Ok(None) };
                let name = Text::new(&path.to_string_lossy());
                Ok(Some(Chunk::Own(vec![(name, PortableDataStream { path, most })])))
            }))
        })
    }
    /// The bytes of files, cut into records of `record_length`. Paths, hidden names and packed files are as for
    /// [`text_file`](SparkContext::text_file). Large files are cut, at records; an empty file has no partition. A file
    /// whose length is no multiple of `record_length` fails the task that reads its end.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let file = std::env::temp_dir().join(format!("winterbourne-doc-records-{}", std::process::id()));
    /// std::fs::write(&file, [1, 0, 0, 1]).unwrap();
    /// let numbers = sc.binary_records(file.to_str().unwrap(), 2).map(|r| u16::from_le_bytes([r[0], r[1]]));
    /// assert_eq!(numbers.collect()?, [1, 256]);
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "binaryRecords")]
    #[track_caller]
    pub fn binary_records(&self, path: impl Into<String>, record_length: usize) -> Rdd<Vec<u8>> {
        let (site, path, each) = (Site::caller(), path.into(), record_length);
        let most = self.most_of_a_file();
        if each == 0 || each as u64 > most {
            let wrong = move || Error::RecordLength { operator: "binary_records", site, asked: each, most };
            return self.wrong("binary_records", site, wrong);
        }
        let cut = move || Ok(splits::cut_records(splits::list(&path, site)?, each as u64, |p| Codec::of(p).is_some()));
        let splits = Pieces::of(cut);
        self.leaf("binary_records", site, splits.count.clone(), move |p, task| {
            let split = splits.get(p)?;
            let mut input = Input::open(&split.path, split.from, None, site)?;
            // How long it is unpacked nobody knows before its end.
            let packed = Codec::of(&split.path).is_some();
            let (mut left, len) = (if packed { u64::MAX } else { split.to - split.from }, split.to);
            let block = (BLOCK / each).clamp(1, CHUNK) * each;
            Ok(Flow::splittable(task, move || {
                let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(block)];
                let got = input.fill(&mut bytes)?;
                left -= got as u64;
                if got < bytes.len() && !packed {
                    return Err(input.failed("reading", shrunk(len - left, len)));
                }
                if got % each != 0 {
                    return Err(input.failed("reading", cut_record(got % each, each)));
                }
                let records: Vec<Vec<u8>> = bytes[..got].chunks_exact(each).map(<[u8]>::to_vec).collect();
                Ok((!records.is_empty()).then_some(Chunk::Own(records)))
            }))
        })
    }
}

fn cut_record(have: usize, each: usize) -> io::Error {
    let why = format!("it is no whole number of records of {each} bytes: the last one has {have}");
    io::Error::new(io::ErrorKind::UnexpectedEof, why)
}
