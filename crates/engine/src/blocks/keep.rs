//! Computing, keeping and reading one partition, with its type.
use super::{AnyBlock, Blocks, Damage, Found, Frames, Growing, InMemory, Keeping, Key, OnDisk, Put, RecordCodec, size};
use crate::{
    Chunk, Data, Error, Flow, Result, Task, accumulator::Apart, blocks::frames::Encoder, detach::Pins, flow::Carried,
    flow::Run,
};
use std::sync::Arc;

/// Records in memory, as runs of shared vectors.
type Runs<T> = Arc<Vec<Run<T>>>;

/// Where a partition grows while it is computed.
enum Place<T: Data> {
    Records(Vec<Run<T>>),
    Bytes(Encoder),
    File(Growing),
}

impl<T: Data> Keeping<T> {
    /// The block of a partition, if it is kept and whole.
    pub(super) fn read(&self, blocks: &Blocks, key: Key, term: u64, task: &Task) -> Result<Option<Flow<T>>> {
        let file = match blocks.get(key) {
            None => return Ok(None),
            Some(Found::Memory(held)) => return Ok(Some(self.flow(held, task))),
            Some(Found::Disk(file)) => file,
        };
        let codec = self.codec.expect("what lies on disk was written with it");
        let whole = file.check().and_then(|()| self.promoted(blocks, key, term, &file, task));
        let opened = match whole {
            Ok(Some(held)) => return Ok(Some(self.flow(held, task))),
            Ok(None) => file.frames(),
            Err(e) => Err(e),
        };
        match opened {
            Ok(frames) => {
                let path = file.path().to_owned();
                // The file lives until the last reader is done.
                let frames = WithFile(frames, file);
                Ok(Some(decoded(frames, codec, task, move |e| Error::damaged(path.clone(), &e))))
            }
            Err(e) => {
                blocks.lost(key, &file, &e);
                Ok(None)
            }
        }
    }
    /// Brings a block back from disk to memory, if the level wants that and it fits.
    fn promoted(
        &self,
        blocks: &Blocks,
        key: Key,
        term: u64,
        file: &Arc<OnDisk>,
        task: &Task,
    ) -> Result<Option<InMemory>, Damage> {
        let most = blocks.most(key.0);
        if !self.level.use_memory() || file.len > most {
            return Ok(None);
        }
        let (held, bytes) = if self.level.is_deserialized() {
            let codec = self.codec.expect("what lies on disk was written with it");
            let (mut frames, mut runs, mut bytes) = (file.frames()?, Vec::new(), 0);
            while let Some(frame) = frames.next()? {
                if task.check().is_err() {
                    return Ok(None);
                }
                let records = frame.records(&codec).map_err(|why| Damage::new(0, why))?;
                let chunk = Chunk::Own(records);
                bytes += size::of(&chunk, self.heap);
                if bytes > most {
                    return Ok(None);
                }
                runs.push(chunk.into_shared());
            }
            (InMemory::Records(Arc::new(runs)), bytes)
        } else {
            let bytes = file.bytes().map_err(|e| Damage::io(0, e))?;
            let len = bytes.len() as u64;
            (InMemory::Bytes(Arc::new(bytes), file.records), len)
        };
        match blocks.put(key, term, &held, bytes) {
            Put::Kept => Ok(Some(held)),
            Put::NoRoom | Put::Unwanted => Ok(None),
        }
    }
    fn flow(&self, held: InMemory, task: &Task) -> Flow<T> {
        match held {
            InMemory::Records(any) => {
                let runs: Runs<T> = any.downcast().expect("an rdd id has one record type");
                Flow::shared(runs, task)
            }
            InMemory::Bytes(bytes, _) => {
                let codec = self.codec.expect("bytes were written with it");
                // What was written here is what is read: a record that does not come back is to blame itself.
                decoded(super::frames::InMemory::new(bytes), codec, task, |e| Error::Unstorable { why: e.why })
            }
        }
    }

    /// Keeps a partition that is computed now, if there is room, and hands it over. What was added to accumulators since
    /// `apart` began belongs to the block.
    pub(super) fn keep(
        &self,
        blocks: &Blocks,
        key: Key,
        term: u64,
        task: &Task,
        mut flow: Flow<T>,
        apart: Apart,
    ) -> Result<Flow<T>> {
        let most = (!self.pinned).then(|| blocks.most(key.0));
        let mut growing = self.begin(blocks)?;
        let mut bytes = 0;
        match most {
            Some(most) if !self.level.use_disk() => {
                while let Some(c) = flow.next_chunk()? {
                    self.grow(&mut growing, &mut bytes, c)?;
                    if bytes > most {
                        // It will not fit: the rest goes through, and nothing is kept.
                        apart.end().absorb();
                        let first = self.unkept(growing, task)?;
                        return Ok(Flow::chain([Ok(first), Ok(flow)].into_iter()));
                    }
                }
            }
            _ => flow.each(|c| {
                self.grow(&mut growing, &mut bytes, c)?;
                if most.is_some_and(|most| bytes > most) && !matches!(growing, Place::File(_)) {
                    let there = std::mem::replace(&mut growing, Place::Records(Vec::new()));
                    growing = Place::File(self.moved(blocks, there)?);
                }
                Ok(())
            })?,
        }
        let (kept, flow) = self.finish(blocks, key, term, growing, bytes, task)?;
        match kept {
            true => {
                task.block_updated(key.0, key.1);
                apart.end().keep();
            }
            false => apart.end().absorb(),
        }
        Ok(flow)
    }
    fn begin(&self, blocks: &Blocks) -> Result<Place<T>> {
        Ok(match (self.level.use_memory(), self.level.is_deserialized()) {
            (true, true) => Place::Records(Vec::new()),
            (true, false) => Place::Bytes(Encoder::new(blocks.compress)),
            (false, _) => Place::File(blocks.grow()?),
        })
    }
    fn codec(&self) -> &RecordCodec<T> {
        self.codec.as_ref().expect("a level that serialises has it")
    }
    /// Adds a chunk; counts the bytes that lie in memory.
    #[inline]
    fn grow(&self, place: &mut Place<T>, bytes: &mut u64, chunk: Chunk<T>) -> Result<()> {
        match place {
            Place::Records(runs) => {
                *bytes += size::of(&chunk, self.heap);
                push(runs, chunk);
                Ok(())
            }
            Place::Bytes(encoder) => {
                (self.codec().encode)(chunk.as_slice(), encoder).map_err(super::disk::unstorable)?;
                *bytes = encoder.out.len() as u64;
                Ok(())
            }
            Place::File(file) => file.push(self.codec(), chunk.as_slice()),
        }
    }
    /// What grew in memory, on disk instead.
    fn moved(&self, blocks: &Blocks, place: Place<T>) -> Result<Growing> {
        let mut file = blocks.grow()?;
        match place {
            Place::Records(runs) => {
                for (records, range) in runs {
                    file.push(self.codec(), &records[range])?;
                }
            }
            Place::Bytes(encoder) => file.continue_with(encoder)?,
            Place::File(file) => return Ok(file),
        }
        Ok(file)
    }
    /// What grew in memory, for this reader only.
    fn unkept(&self, place: Place<T>, task: &Task) -> Result<Flow<T>> {
        match place {
            Place::Records(runs) => Ok(Flow::source(runs, task)),
            Place::Bytes(mut encoder) => {
                encoder.end().map_err(super::disk::unstorable)?;
                Ok(self.flow(InMemory::Bytes(Arc::new(encoder.out), encoder.records), task))
            }
            Place::File(_) => unreachable!("what grows on disk stays there"),
        }
    }
    /// Keeps what has grown, wherever there is room; whether it is kept.
    fn finish(
        &self,
        blocks: &Blocks,
        key: Key,
        term: u64,
        place: Place<T>,
        mut bytes: u64,
        task: &Task,
    ) -> Result<(bool, Flow<T>)> {
        let held = match place {
            Place::Records(mut runs) => {
                bytes = self.compact(&mut runs, bytes);
                InMemory::Records(Arc::new(runs))
            }
            Place::Bytes(mut encoder) => {
                encoder.end().map_err(super::disk::unstorable)?;
                encoder.out.shrink_to_fit();
                bytes = encoder.out.len() as u64;
                InMemory::Bytes(Arc::new(encoder.out), encoder.records)
            }
            Place::File(file) => {
                let file = file.end()?;
                blocks.put_file(key, term, file.clone());
                return self.written(file, task).map(|flow| (true, flow));
            }
        };
        match blocks.put(key, term, &held, bytes) {
            Put::Kept => Ok((true, self.flow(held, task))),
            Put::NoRoom if self.level.use_disk() => {
                let mut file = blocks.grow()?;
                let file = match &held {
                    InMemory::Records(any) => {
                        spill(any, self.codec(), &mut file)?;
                        file.end()?
                    }
                    InMemory::Bytes(bytes, records) => {
                        file.raw(bytes)?;
                        file.end_raw(*records)
                    }
                };
                blocks.put_file(key, term, file);
                Ok((true, self.flow(held, task)))
            }
            Put::NoRoom | Put::Unwanted => Ok((false, self.flow(held, task))),
        }
    }
    /// What was written just now, read again.
    fn written(&self, file: Arc<OnDisk>, task: &Task) -> Result<Flow<T>> {
        let path = file.path().to_owned();
        let frames = file.frames().map_err(|e| Error::damaged(path.clone(), &e))?;
        Ok(decoded(WithFile(frames, file), *self.codec(), task, move |e| Error::damaged(path.clone(), &e)))
    }
    /// Lets go of read buffers that are more than twice as long as what is used of them; what the block weighs with those
    /// that stay.
    fn compact(&self, runs: &mut Vec<Run<T>>, bytes: u64) -> u64 {
        if !std::mem::needs_drop::<T>() {
            return bytes;
        }
        let mut pins = Pins::default();
        for (records, range) in &*runs {
            let records = &records[range.clone()];
            if !pins.add_texts(records) {
                match &self.codec {
                    // A few of each chunk are looked at; if they hold no buffer, the others are taken not to.
                    Some(codec) => {
                        let mut few = Pins::default();
                        records
                            .iter()
                            .step_by(records.len().div_ceil(16).max(1))
                            .for_each(|x| (codec.pins)(std::slice::from_ref(x), &mut few));
                        if few.held > 0 {
                            (codec.pins)(records, &mut pins);
                        }
                    }
                    None => return bytes,
                }
            }
        }
        if pins.held <= pins.live.saturating_mul(2) {
            return bytes + pins.held.saturating_sub(pins.live);
        }
        let detach = self.codec.map_or(crate::detach::text as fn(T) -> T, |codec| codec.detach);
        for (records, range) in runs {
            let own: Vec<T> = records[range.clone()].iter().cloned().map(detach).collect();
            (*records, *range) = (Arc::new(own), 0..range.len());
        }
        bytes
    }
}

/// Adds a chunk to runs: slices of one vector that follow each other become one run, and a vector that lost most of its
/// records to a filter loses the room for them too.
fn push<T: Data>(runs: &mut Vec<Run<T>>, chunk: Chunk<T>) {
    let (records, range) = match chunk {
        Chunk::Own(mut v) => {
            if v.capacity() / 2 > v.len() {
                v.shrink_to_fit();
            }
            Chunk::Own(v).into_shared()
        }
        shared => shared.into_shared(),
    };
    match runs.last_mut() {
        Some((last, r)) if r.end == range.start && Arc::ptr_eq(last, &records) => r.end = range.end,
        _ => runs.push((records, range)),
    }
}

/// Writes the records of a block.
pub(super) fn spill<T: Data>(block: &AnyBlock, codec: &RecordCodec<T>, to: &mut Growing) -> Result<()> {
    let runs = block.downcast_ref::<Vec<Run<T>>>().expect("an rdd id has one record type");
    runs.iter().try_for_each(|(records, range)| to.push(codec, &records[range.clone()]))
}

/// Frames as records, decoded by whoever takes part in the work. What cannot be read ends the task.
pub(crate) fn decoded<T: Data>(
    mut frames: impl Frames,
    codec: RecordCodec<T>,
    task: &Task,
    damaged: impl Fn(Damage) -> Error + Clone + Send + Sync + 'static,
) -> Flow<T> {
    let wrong = damaged.clone();
    Flow::splittable(task, move || Ok(frames.next().map_err(&damaged)?.map(|f| Chunk::Own(vec![f])))).then(move |c| {
        let mut out = Vec::new();
        for frame in c.as_slice() {
            match frame.records(&codec) {
                Ok(mut records) if out.is_empty() => std::mem::swap(&mut out, &mut records),
                Ok(mut records) => out.append(&mut records),
                // As in `Records`: ending here would look like the end of the data.
                Err(why) => std::panic::resume_unwind(Box::new(Carried(wrong(Damage::new(0, why))))),
            }
        }
        out
    })
}

/// Frames of a file that goes with its last reader.
struct WithFile<F>(F, #[expect(dead_code, reason = "held, not read")] Arc<OnDisk>);
impl<F: Frames> Frames for WithFile<F> {
    fn next(&mut self) -> Result<Option<super::frames::Frame>, Damage> {
        self.0.next()
    }
}
