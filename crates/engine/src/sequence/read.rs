//! Reading pairs of a split. A length is believed only as far as there are bytes.
use super::{ESCAPE, LARGEST, MAGIC, MARKER, SYNC_INTERVAL, Writable, vint};
use crate::{
    CHUNK, Chunk, Codec, Error, Flow, Rdd, Result, Site, SparkContext, at,
    source::{
        open::Input,
        splits::{Pieces, Split},
    },
};
use std::{
    io::{self, Read},
    mem::take,
};

/// How much is read at once.
const BUFFER: usize = 64 << 10;
/// The most pairs of metadata.
const METADATA: i32 = 1024;

impl SparkContext {
    /// The pairs of Hadoop's sequence files, in the order of files and of pairs in them: not packed, packed record by
    /// record, or in blocks, with the codecs of [`Codec`]. Paths and hidden names are as for
    /// [`text_file`](SparkContext::text_file); files are cut into about `min_partitions` splits.
    ///
    /// The types say which classes the file must have ([`Writable`]); other classes are an error that names them, and so
    /// is damage, with file and offset. Records are values: nothing need be copied before it is cached.
    ///
    /// See [`save_as_sequence_file`](Rdd::save_as_sequence_file) for an example.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-sequence-{}", std::process::id()));
    /// let pairs = sc.parallelize([(1, "tea".to_string()), (2, "cup".to_string())], 1);
    /// pairs.save_as_sequence_file(dir.to_str().unwrap())?;
    /// assert_eq!(sc.sequence_file::<i32, String>(dir.to_str().unwrap(), 1).collect()?, pairs.collect()?);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors of the action
    /// [`Error::Damaged`]; [`Error::Input`].
    #[doc(alias = "sequenceFile")]
    #[track_caller]
    pub fn sequence_file<K: Writable, V: Writable>(
        &self,
        path: impl Into<String>,
        min_partitions: usize,
    ) -> Rdd<(K, V)> {
        let site = Site::caller();
        let splits = Pieces::cut(path.into(), min_partitions, SYNC_INTERVAL as u64, site);
        self.leaf("sequence_file", site, splits.count.clone(), move |p, task| {
            let mut reader = Reader::open::<K, V>(splits.get(p)?, site)?;
            Ok(Flow::splittable(task, move || {
                at(site);
                let mut pairs = Vec::new();
                while pairs.len() < CHUNK && reader.pairs(&mut pairs)? {}
                Ok((!pairs.is_empty()).then_some(Chunk::Own(pairs)))
            }))
        })
    }
}

/// Bytes of a file, as many as are asked for at a time.
struct Bytes {
    input: Input,
    buffer: Vec<u8>,
    /// How far the buffer was read, and where in the file it begins.
    at: usize,
    start: u64,
}
impl Bytes {
    fn new(input: Input, start: u64) -> Self {
        Bytes { input, buffer: Vec::new(), at: 0, start }
    }
    fn offset(&self) -> u64 {
        self.start + self.at as u64
    }
    /// Sees to it that so many bytes are there; whether they are.
    fn have(&mut self, count: usize) -> Result<bool> {
        let missing = count.saturating_sub(self.buffer.len() - self.at);
        if missing > 0 {
            self.buffer.drain(..self.at);
            self.start += take(&mut self.at) as u64;
            let more = self.input.next(missing.max(BUFFER) as u64)?;
            self.buffer.extend_from_slice(&more);
        }
        Ok(self.buffer.len() - self.at >= count)
    }
    fn next(&mut self, count: usize) -> Result<&[u8]> {
        if count > LARGEST {
            return Err(self.damage("a length in it is out of bounds"));
        }
        if !self.have(count)? {
            return Err(self.damage("it is cut short"));
        }
        self.at += count;
        Ok(&self.buffer[self.at - count..self.at])
    }
    fn int(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.next(4)?.try_into().expect("four bytes")))
    }
    fn byte(&mut self) -> Result<u8> {
        Ok(self.next(1)?[0])
    }
    fn vint(&mut self) -> Result<usize> {
        if !self.have(1)? {
            return Err(self.damage("it is cut short"));
        }
        let len = vint::len(self.buffer[self.at]);
        let (n, _) = vint::take(self.next(len)?).expect("so many bytes");
        usize::try_from(n).map_err(|_| self.damage("a length in it is negative"))
    }
    fn text(&mut self) -> Result<String> {
        let len = self.vint()?;
        Ok(String::from_utf8_lossy(self.next(len)?).into_owned())
    }
    /// Goes on after the next of these markers; where its sync began, if there is one.
    fn find(&mut self, marker: &[u8; MARKER]) -> Result<Option<u64>> {
        while self.have(MARKER)? {
            match memchr::memmem::find(&self.buffer[self.at..], marker) {
                Some(i) => {
                    self.at += i + MARKER;
                    return Ok(Some(self.offset() - (MARKER + 4) as u64));
                }
                // It may lie across what was read.
                None => self.at = self.buffer.len() - (MARKER - 1),
            }
        }
        Ok(None)
    }
    fn damage(&self, why: &str) -> Error {
        let (path, site) = (self.input.path().to_owned(), self.input.site());
        Error::Damaged { path, offset: self.offset(), why: why.to_owned(), site }
    }
}

struct Reader {
    bytes: Bytes,
    marker: [u8; MARKER],
    /// How the pairs are packed, and whether in blocks.
    packed: Option<Codec>,
    blocks: bool,
    /// A sync that starts here or later ends the split.
    to: u64,
    ended: bool,
    /// The marker of the next block was read already.
    synced: bool,
    block: Block,
}
/// What is left of a block.
#[derive(Default)]
struct Block {
    records: usize,
    key_lens: Rest,
    keys: Rest,
    value_lens: Rest,
    values: Rest,
}
/// A buffer, read from the front.
#[derive(Default)]
struct Rest {
    bytes: Vec<u8>,
    at: usize,
}
impl Rest {
    fn length(&mut self) -> Option<usize> {
        let left = &self.bytes[self.at..];
        let (n, rest) = vint::take(left)?;
        self.at += left.len() - rest.len();
        usize::try_from(n).ok()
    }
    fn next(&mut self, count: usize) -> Option<&[u8]> {
        let bytes = self.bytes[self.at..].get(..count)?;
        self.at += count;
        Some(bytes)
    }
}

impl Reader {
    fn open<K: Writable, V: Writable>(split: &Split, site: Site) -> Result<Self> {
        let mut bytes = Bytes::new(Input::open(&split.path, 0, None, site)?, 0);
        if !bytes.have(4)? || bytes.buffer[..3] != MAGIC[..3] {
            return Err(bytes.damage("it does not begin as a sequence file does"));
        }
        let version = bytes.next(4)?[3];
        if version != MAGIC[3] {
            return Err(bytes.damage(&format!("it has version {version} of the format, and only version 6 is read")));
        }
        for (what, wanted, rust) in
            [("keys", K::CLASS, std::any::type_name::<K>()), ("values", V::CLASS, std::any::type_name::<V>())]
        {
            let class = bytes.text()?;
            if class != wanted {
                let why = format!("its {what} are of the class {class}, and `{rust}` reads {wanted}");
                return Err(bytes.damage(&why));
            }
        }
        let (is_packed, blocks) = (bytes.byte()? != 0, bytes.byte()? != 0);
        let packed = if is_packed {
            let class = bytes.text()?;
            let codec = class.parse::<Codec>();
            Some(codec.map_err(|_| bytes.damage(&format!("it is packed with {class}, which is not read")))?)
        } else {
            None
        };
        let metadata = bytes.int()?;
        if !(0..=METADATA).contains(&metadata) {
            return Err(bytes.damage("the size of its metadata is out of bounds"));
        }
        for _ in 0..metadata * 2 {
            bytes.text()?;
        }
        let marker: [u8; MARKER] = bytes.next(MARKER)?.try_into().expect("so many bytes");
        let is_whole = Codec::of(&split.path).is_some();
        let to = if is_whole { u64::MAX } else { split.to };
        let mut reader =
            Reader { bytes, marker, packed, blocks, to, ended: false, synced: false, block: Block::default() };
        // What comes before the first sync belongs to the split that begins with the file.
        if !is_whole && split.from > 0 {
            if split.from > reader.bytes.offset() {
                reader.bytes = Bytes::new(Input::open(&split.path, split.from, None, site)?, split.from);
            }
            reader.ended = !reader.find_first(split.from)?;
            reader.synced = true;
        }
        Ok(reader)
    }
    /// Goes to the first sync that starts at `from` or later; whether it is of this split.
    fn find_first(&mut self, from: u64) -> Result<bool> {
        loop {
            match self.bytes.find(&self.marker)? {
                Some(at) if at < from => {}
                found => return Ok(found.is_some_and(|at| at < self.to)),
            }
        }
    }
    /// Reads a pair, or those of a block as far as a chunk wants them; whether there was something.
    fn pairs<K: Writable, V: Writable>(&mut self, into: &mut Vec<(K, V)>) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.blocks {
            if self.block.records == 0 && !self.next_block()? {
                self.ended = true;
                return Ok(false);
            }
            while self.block.records > 0 && into.len() < CHUNK {
                into.push(self.of_block()?);
            }
            return Ok(true);
        }
        let (len, key_len) = match self.head()? {
            Some(head) => head,
            None => {
                self.ended = true;
                return Ok(false);
            }
        };
        let packed = self.packed;
        let record = self.bytes.next(len)?;
        let (key, value) = record.split_at(key_len);
        let pair = match packed {
            None => K::read_from(key).zip(V::read_from(value)),
            Some(codec) => {
                let value = unpack(codec, value).map_err(|e| self.bytes.damage(&format!("a value of it: {e}")))?;
                // The borrow of the buffer ended with the error path: the record is still there.
                let at = self.bytes.at - len;
                K::read_from(&self.bytes.buffer[at..at + key_len]).zip(V::read_from(&value))
            }
        };
        into.push(pair.ok_or_else(|| self.bytes.damage(&not_of::<K, V>()))?);
        Ok(true)
    }
    /// The lengths of the next record and of its key; none at the end of the split.
    fn head(&mut self) -> Result<Option<(usize, usize)>> {
        self.synced = false;
        loop {
            let at = self.bytes.offset();
            if !self.bytes.have(1)? {
                return Ok(None);
            }
            let len = self.bytes.int()?;
            if len != ESCAPE {
                let key_len = self.bytes.int()?;
                let (Ok(len), Ok(key_len)) = (usize::try_from(len), usize::try_from(key_len)) else {
                    return Err(self.bytes.damage("the length of a record is negative"));
                };
                if key_len > len {
                    return Err(self.bytes.damage("a key is longer than its record"));
                }
                return Ok(Some((len, key_len)));
            }
            self.marker_follows()?;
            if at >= self.to {
                return Ok(None);
            }
        }
    }
    fn marker_follows(&mut self) -> Result<()> {
        if self.bytes.next(MARKER)? == self.marker {
            return Ok(());
        }
        Err(self.bytes.damage("a sync marker is not that of its header"))
    }
    fn next_block(&mut self) -> Result<bool> {
        if !take(&mut self.synced) {
            let at = self.bytes.offset();
            if !self.bytes.have(1)? {
                return Ok(false);
            }
            if self.bytes.int()? != ESCAPE {
                return Err(self.bytes.damage("a block does not begin with a sync"));
            }
            self.marker_follows()?;
            if at >= self.to {
                return Ok(false);
            }
        }
        let records = self.bytes.vint()?;
        let codec = self.packed.ok_or_else(|| self.bytes.damage("it has blocks that are not packed"))?;
        let mut buffers = [const { Vec::new() }; 4];
        for buffer in &mut buffers {
            let len = self.bytes.vint()?;
            let unpacked = unpack(codec, self.bytes.next(len)?);
            *buffer = unpacked.map_err(|e| self.bytes.damage(&format!("a block of it: {e}")))?;
        }
        let [key_lens, keys, value_lens, values] = buffers.map(|bytes| Rest { bytes, at: 0 });
        // A pair has a byte for each of its lengths.
        if records > key_lens.bytes.len() {
            return Err(self.bytes.damage("a block has fewer lengths than records"));
        }
        self.block = Block { records, key_lens, keys, value_lens, values };
        Ok(true)
    }
    fn of_block<K: Writable, V: Writable>(&mut self) -> Result<(K, V)> {
        let block = &mut self.block;
        block.records -= 1;
        let key = block.key_lens.length().and_then(|len| K::read_from(block.keys.next(len)?));
        let value = block.value_lens.length().and_then(|len| V::read_from(block.values.next(len)?));
        key.zip(value).ok_or_else(|| self.bytes.damage(&not_of::<K, V>()))
    }
}

fn not_of<K: Writable, V: Writable>() -> String {
    format!("the bytes of a pair are none of {} and {}", K::CLASS, V::CLASS)
}
/// Unpacks at most as much as a buffer may have.
fn unpack(codec: Codec, packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    codec.reader(packed)?.take(LARGEST as u64 + 1).read_to_end(&mut out)?;
    if out.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it unpacks to more than {LARGEST} bytes")));
    }
    Ok(out)
}
