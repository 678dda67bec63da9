//! Text files as RDDs of lines.
use super::{
    lines::{LineCut, LineCutter, Want},
    splits::{self, Split},
    zlib::ZlibReader,
};
use crate::{Chunk, Counters, Error, Flow, Rdd, Result, Site, SparkContext, Text, lineage::Count};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::{Arc, OnceLock},
};

/// How much is read at once: small enough that the allocator hands the same warm pages back again and again.
const BLOCK: usize = 64 << 10;
/// The longest line of a file. Beyond it the file is not text.
const LONGEST_LINE: usize = 1 << 30;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl SparkContext {
    /// The lines of text files. `path` is a file, a directory (not recursive), a glob, or several between commas; names
    /// that begin with `.` or `_` are left out. Lines end at `\n`, `\r\n` or `\r`; a leading byte-order mark is
    /// dropped; bytes that are not UTF-8 become U+FFFD and are counted ([`SparkContext::counts`]).
    ///
    /// A name that ends in `.gz` is read as gzip, one in `.deflate` as zlib, each in one partition; several archives in a
    /// row are one file. Names that tell of another compression (`.bz2`, `.zst`, `.lz4`, `.snappy`) are refused.
    ///
    /// Files are cut into about `min_partitions` splits (of at most 128 MiB, by Hadoop's arithmetic: a tiny file asked
    /// for in two may come in three) and read in parallel; a line belongs to the split in which it starts. An empty
    /// file has no partition. A line is a slice of the read buffer, see [`Text`].
    ///
    /// Nothing is opened here: a missing file is an error of the action, naming this call.
    ///
    /// ```
    /// # use winterbourne_engine::{Error, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let file = std::env::temp_dir().join(format!("winterbourne-doc-{}.txt", std::process::id()));
    /// let lines = sc.text_file(file.to_str().unwrap(), 2);
    /// assert!(matches!(lines.count(), Err(Error::NoInput { .. })));
    /// std::fs::write(&file, "3\n1\n2").unwrap();
    /// assert_eq!(lines.collect()?, ["3", "1", "2"]);
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn text_file(&self, path: impl Into<String>, min_partitions: usize) -> Rdd<Text> {
        let (site, path) = (Site::caller(), path.into());
        let splits = Arc::new(OnceLock::new());
        let found = splits.clone();
        let partitions = Count::later(move || {
            let listed = splits::cut(splits::list(&path, site)?, min_partitions, |p| Packed::by_name(p).is_some());
            Ok(found.get_or_init(|| listed).len())
        });
        let counted = partitions.clone();
        self.leaf("text_file", site, partitions, move |p, task| {
            counted.get()?;
            let split: &Split = &splits.get().expect("found by counting")[p];
            let mut reader = Reader::open(split.clone(), site)?;
            let counters = task.around.counters.clone();
            Ok(Flow::splittable(task, move || {
                let Some(cut) = reader.next_block()? else { return Ok(None) };
                Counters::add(&counters.invalid_utf8, cut.invalid_utf8);
                Ok(Some(Chunk::Own(cut.lines)))
            }))
        })
    }
}

/// How a file is compressed, by the ending of its name. Such a file cannot be cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packed {
    Gzip,
    Zlib,
    /// Known, and not read by this build.
    Other(&'static str),
}
impl Packed {
    fn by_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "gz" => Some(Packed::Gzip),
            "deflate" => Some(Packed::Zlib),
            "bz2" => Some(Packed::Other("bzip2")),
            "zst" => Some(Packed::Other("zstd")),
            "lz4" => Some(Packed::Other("lz4")),
            "snappy" => Some(Packed::Other("snappy")),
            _ => None,
        }
    }
}

/// Reads the lines that start within a split: skips up to the first line end, finishes its last line.
struct Reader {
    split: Split,
    site: Site,
    /// The file from byte `at` on, unpacked.
    file: Box<dyn Read + Send>,
    cutter: LineCutter,
    /// Offset of the next byte to read.
    at: u64,
    /// Bytes of a byte-order mark. They belong to the first line, which starts at 0 all the same.
    mark: u64,
    /// The line in progress started in the split before.
    skip_first: bool,
    ended: bool,
}
impl Reader {
    fn open(mut split: Split, site: Site) -> Result<Self> {
        let failed = |doing, source| Error::Input { doing, path: split.path.to_path_buf(), site, source };
        let mut file = File::open(&*split.path).map_err(|e| failed("opening", e))?;
        // One byte earlier: if it ends a line, the first line of this split is whole.
        let at = split.from.saturating_sub(1);
        let packed = Packed::by_name(&split.path);
        if packed.is_some() {
            // How long it is unpacked nobody knows before its end.
            split.to = u64::MAX;
        }
        let file: Box<dyn Read + Send> = match packed {
            None => {
                file.seek(SeekFrom::Start(at)).map_err(|e| failed("seeking in", e))?;
                Box::new(file)
            }
            Some(Packed::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BLOCK, file))),
            Some(Packed::Zlib) => Box::new(ZlibReader::new(BufReader::with_capacity(BLOCK, file))),
            Some(Packed::Other(format)) => {
                let why = format!("{format} files are not read yet: unpack it, or use gzip");
                return Err(failed("unpacking", io::Error::new(io::ErrorKind::Unsupported, why)));
            }
        };
        let skip_first = split.from > 0;
        Ok(Reader { split, site, file, cutter: LineCutter::new(LONGEST_LINE), at, mark: 0, skip_first, ended: false })
    }
    fn next_block(&mut self) -> Result<Option<LineCut>> {
        while !self.ended {
            let start = self.at - self.cutter.pending() as u64; // of the line in progress
            // A line from an earlier split that is still open at the end of this one leaves no line to start in it.
            if line_start(start, self.mark) >= self.split.to || self.skip_first && self.at >= self.split.to {
                break;
            }
            let mut buf = self.cutter.buffer(BLOCK);
            let have = buf.len() - BLOCK;
            let got = self.read(&mut buf[have..])?;
            buf.truncate(have + got);
            let mark =
                if start == 0 && have == 0 && buf.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            buf.drain(..mark);
            self.mark += mark as u64;
            self.at += got as u64;
            self.ended = got == 0;
            let cut = self.cut(buf, start + mark as u64)?;
            if !cut.lines.is_empty() {
                return Ok(Some(cut));
            }
        }
        Ok(None)
    }
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read(into) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let path = self.split.path.to_path_buf();
                    return Err(Error::Input { doing: "reading", path, site: self.site, source });
                }
            }
        }
    }
    /// Cuts a buffer whose first byte is the file's byte `start`.
    fn cut(&mut self, buf: Vec<u8>, start: u64) -> Result<LineCut> {
        let (to, end, mark) = (self.split.to, self.ended, self.mark);
        let (skip_first, stopped) = (&mut self.skip_first, &mut self.ended);
        let cut = self.cutter.cut_wanted(buf, end, |at| {
            if std::mem::take(skip_first) {
                Want::Skip
            } else if line_start(start + at as u64, mark) >= to {
                *stopped = true;
                Want::Stop
            } else {
                Want::Take
            }
        });
        if cut.oversized > 0 {
            let path = self.split.path.to_path_buf();
            return Err(Error::LineTooLong { path, offset: start, limit: LONGEST_LINE, site: self.site });
        }
        Ok(cut)
    }
}
/// Where the line at `offset` starts, a byte-order mark before it counted in.
fn line_start(offset: u64, mark: u64) -> u64 {
    if offset == mark { 0 } else { offset }
}
