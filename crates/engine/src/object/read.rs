//! Reading: frames to records. A length is believed only as far as there are bytes.
use super::{HEAD, LARGEST_FRAME, LARGEST_HEADER, LEAST_SPLIT, MAGIC, START, VERSION, crc, kind, word};
use crate::{
    Chunk, Codec, Error, Flow, Rdd, Result, Site, SparkContext, Wire, at,
    source::{
        open::Input,
        splits::{Pieces, Split},
    },
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
};

impl SparkContext {
    /// The records that [`save_as_object_file`](Rdd::save_as_object_file) wrote, in the order of files and of records in
    /// them. Paths, hidden names and packed files are as for [`text_file`](SparkContext::text_file); large files that are
    /// not packed are cut into about `min_partitions` splits.
    ///
    /// The type is the one that was written, or one that looks the same through serde: names may differ. Anything else is
    /// an error that says what the file has, and so is damage, with file and offset.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-objects-{}", std::process::id()));
    /// let pairs = sc.parallelize([(1, "tea".to_string()), (2, "cup".to_string())], 2);
    /// pairs.save_as_object_file(dir.to_str().unwrap())?;
    /// let again = sc.object_file::<(i32, String)>(dir.to_str().unwrap(), 1);
    /// assert_eq!(again.collect()?, pairs.collect()?);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors of the action
    /// [`Error::Damaged`]; [`Error::Input`].
    #[doc(alias = "objectFile")]
    #[track_caller]
    pub fn object_file<T: Wire>(&self, path: impl Into<String>, min_partitions: usize) -> Rdd<T> {
        let site = Site::caller();
        let splits = Pieces::cut(path.into(), min_partitions, LEAST_SPLIT, site);
        self.leaf("object_file", site, splits.count.clone(), move |p, task| {
            let mut reader = Reader::open(splits.get(p)?, site)?;
            Ok(Flow::splittable(task, move || {
                at(site);
                reader.next_frame::<T>()
            }))
        })
    }
}

struct Reader {
    input: Input,
    /// Offset of the next frame.
    at: u64,
    /// Frames that start before this are read.
    to: u64,
    ended: bool,
    type_name: String,
    kind: String,
}
impl Reader {
    fn open(split: &Split, site: Site) -> Result<Self> {
        let mut input = Input::open(&split.path, 0, None, site)?;
        let start = input.next(START as u64)?;
        if start.len() < START || start[..8] != MAGIC {
            return Err(damage(&input, 0, "it does not begin as an object file does"));
        }
        let version = u16::from_le_bytes([start[8], start[9]]);
        if version != VERSION {
            let why = format!("it has version {version} of the format, and this program reads version {VERSION}");
            return Err(damage(&input, 8, &why));
        }
        let length = word(&start, 10) as usize;
        if length > LARGEST_HEADER {
            return Err(damage(&input, 10, "its header is too long"));
        }
        let body = input.next(length as u64 + 4)?;
        let is_whole = body.len() == length + 4 && crc(&[&start, &body[..length]]) == word(&body, length);
        let read = is_whole.then(|| postcard::from_bytes::<(String, String)>(&body[..length]).ok()).flatten();
        let Some((type_name, kind)) = read else {
            return Err(damage(&input, 0, "the checksum of its header is wrong"));
        };
        let mut at = (START + length + 4) as u64;
        let packed = Codec::of(&split.path).is_some();
        let len = fs::metadata(&*split.path).map_err(|e| input.failed("looking at", e))?.len();
        // The last split goes on until the end that the file says it has.
        let to = if packed || split.to >= len { u64::MAX } else { split.to };
        if split.from > at && !packed {
            at = first_frame(split, at).map_err(|e| input.failed("reading", e))?;
            if at < to {
                input = Input::open(&split.path, at, None, site)?;
            }
        }
        Ok(Reader { input, at, to, ended: false, type_name, kind })
    }
    fn next_frame<T: Wire>(&mut self) -> Result<Option<Chunk<T>>> {
        if self.ended || self.at >= self.to {
            return Ok(None);
        }
        let head = self.input.next(HEAD as u64)?;
        if head.len() < HEAD {
            return Err(self.damage("it is cut short: there is no end"));
        }
        let (length, count, kind) = (word(&head, 0) as usize, word(&head, 4), word(&head, 8));
        if length > LARGEST_FRAME {
            return Err(self.damage("a frame is too long"));
        }
        let bytes = self.input.next(length as u64)?;
        if bytes.len() < length {
            return Err(self.damage("it is cut short within a frame"));
        }
        if crc(&[&head[..12], &bytes]) != word(&head, 12) {
            return Err(self.damage("the checksum of a frame is wrong"));
        }
        if length == 0 && count == 0 {
            self.ended = true;
            self.at += HEAD as u64;
            return match self.input.next(1)?.is_empty() {
                true => Ok(None),
                false => Err(self.damage("something follows its end")),
            };
        }
        let records = self.decode(&bytes, count, kind)?;
        self.at += (HEAD + length) as u64;
        Ok(Some(Chunk::Own(records)))
    }
    fn decode<T: Wire>(&self, mut bytes: &[u8], count: u32, kind: u32) -> Result<Vec<T>> {
        let mut records: Vec<T> = Vec::with_capacity((count as usize).min(bytes.len()));
        for _ in 0..count {
            let (record, rest) = postcard::take_from_bytes(bytes).map_err(|e| self.mismatch::<T>(&e.to_string()))?;
            if records.is_empty() && crc(&[kind::of(&record).as_bytes()]) != kind {
                return Err(self.mismatch::<T>(&format!("that would be records like {}", kind::of(&record))));
            }
            records.push(record);
            bytes = rest;
        }
        if bytes.is_empty() { Ok(records) } else { Err(self.mismatch::<T>("bytes are left over")) }
    }
    /// The checksum is right, so it is not damage.
    fn mismatch<T>(&self, why: &str) -> Error {
        let (written, kind, wanted) = (&self.type_name, &self.kind, std::any::type_name::<T>());
        self.damage(&format!("its records were written as `{written}`, like {kind}, and are read as `{wanted}`: {why}"))
    }
    fn damage(&self, why: &str) -> Error {
        damage(&self.input, self.at, why)
    }
}

/// The first frame that starts in a split: heads are read, one after the other, from the first frame of the file on.
fn first_frame(split: &Split, mut at: u64) -> io::Result<u64> {
    let file = File::open(&*split.path)?;
    let mut head = [0; HEAD];
    while at < split.from {
        if file.read_exact_at(&mut head, at).is_err() {
            // Cut short: the split that has the frame before says so.
            return Ok(u64::MAX);
        }
        at += HEAD as u64 + u64::from(word(&head, 0));
    }
    Ok(at)
}
fn damage(input: &Input, offset: u64, why: &str) -> Error {
    Error::Damaged { path: input.path().to_owned(), offset, why: why.to_owned(), site: input.site() }
}
