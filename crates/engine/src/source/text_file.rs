//! Text files as RDDs of lines.
use super::{
    lines::{LineCut, LineCutter, Want},
    open::{Input, shrunk},
    splits::{Pieces, Split},
};
use crate::{Chunk, Codec, Counters, Error, Flow, Rdd, Result, Site, SparkContext, Text};

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
    /// A name that ends in `.gz`, `.deflate`, `.bz2`, `.zst`, `.lz4`, `.snappy` or `.sz` is unpacked ([`Codec`]), each in
    /// one partition; several archives in a row are one file. Names that tell of another compression (`.xz`, `.lzo`, `.br`,
    /// `.zip`) are refused.
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
        let site = Site::caller();
        let splits = Pieces::cut(path.into(), min_partitions, 1, site);
        self.leaf("text_file", site, splits.count.clone(), move |p, task| {
            let mut reader = Reader::open(splits.get(p)?.clone(), site)?;
            let counters = task.around.counters.clone();
            Ok(Flow::splittable(task, move || {
                let Some(cut) = reader.next_block()? else { return Ok(None) };
                Counters::add(&counters.invalid_utf8, cut.invalid_utf8);
                Ok(Some(Chunk::Own(cut.lines)))
            }))
        })
    }
}

/// Reads the lines that start within a split: skips up to the first line end, finishes its last line.
pub(super) struct Reader {
    split: Split,
    /// The file from byte `at` on, unpacked.
    file: Input,
    cutter: LineCutter,
    /// Offset of the next byte to read.
    at: u64,
    /// Bytes of a byte-order mark. They belong to the first line, which starts at 0 all the same.
    mark: u64,
    /// The line in progress started in the split before.
    skip_first: bool,
    ended: bool,
    /// The file has at least this many bytes, packed or not.
    least: u64,
}
impl Reader {
    pub(super) fn open(mut split: Split, site: Site) -> Result<Self> {
        let mut least = split.size.unwrap_or(0);
        // One byte earlier: if it ends a line, the first line of this split is whole.
        let at = split.from.saturating_sub(1);
        if Codec::of(&split.path).is_some() {
            // How long it is unpacked nobody knows before its end.
            split.to = u64::MAX;
            least = 0;
        }
        let file = Input::open(&split.path, at, split.size, site)?;
        let skip_first = split.from > 0;
        let cutter = LineCutter::new(LONGEST_LINE);
        Ok(Reader { split, file, cutter, at, mark: 0, skip_first, ended: false, least })
    }
    pub(super) fn next_block(&mut self) -> Result<Option<LineCut>> {
        while !self.ended {
            let start = self.at - self.cutter.pending() as u64; // of the line in progress
            // A line from an earlier split that is still open at the end of this one leaves no line to start in it.
            if line_start(start, self.mark) >= self.split.to || self.skip_first && self.at >= self.split.to {
                break;
            }
            let mut buf = self.cutter.buffer(BLOCK);
            let have = buf.len() - BLOCK;
            let got = self.file.read(&mut buf[have..])?;
            buf.truncate(have + got);
            let mark =
                if start == 0 && have == 0 && buf.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            buf.drain(..mark);
            self.mark += mark as u64;
            self.at += got as u64;
            self.ended = got == 0;
            if self.ended && self.at < self.least {
                return Err(self.file.failed("reading", shrunk(self.at, self.least)));
            }
            let cut = self.cut(buf, start + mark as u64)?;
            if !cut.lines.is_empty() {
                return Ok(Some(cut));
            }
        }
        Ok(None)
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
            return Err(Error::LineTooLong { path, offset: start, limit: LONGEST_LINE, site: self.file.site() });
        }
        Ok(cut)
    }
}
/// Where the line at `offset` starts, a byte-order mark before it counted in.
fn line_start(offset: u64, mark: u64) -> u64 {
    if offset == mark { 0 } else { offset }
}
