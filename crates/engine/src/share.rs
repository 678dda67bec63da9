//! Sharing a straggler: the chunks of a long partition that is left over are computed by idle threads too.
//!
//! A partition whose source can be read by any thread, and the operators above it that treat every chunk by itself
//! (`map`, `filter`, `emit`, `map_values`), form [`Parts`]. When such a partition has run for a while and helpers are
//! idle, its chunks are handed out in order, computed anywhere, and consumed *in order* by the task they belong to: what
//! comes out is the same for any number of threads. What looks at a whole partition (`flat_map`, `map_partitions`,
//! aggregation) stays on the task's own thread.
use crate::{
    Chunk, Data, Error, Result, Site, Task,
    accumulator::{Apart, Updates},
    pool::{Helpers, Lent},
    task::{self, Current, Inside},
};
use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// A chunk of whatever the source yields.
pub(crate) type Piece = Box<dyn Any + Send>;
pub(crate) type Source = Box<dyn FnMut() -> Result<Option<Piece>> + Send>;
type Apply<T> = Arc<dyn Fn(Piece) -> Result<Chunk<T>> + Send + Sync>;

/// Chunks consumed alone before a partition counts as long: small jobs are over by then and never pay for sharing.
const PATIENCE: usize = 8;
/// Chunks that may be out or waiting at once: bounds memory, and how far helpers may run ahead of the consumer.
const WINDOW: u64 = 32;

/// A flow that can be shared: where pieces come from, and what makes a chunk of one.
pub(crate) struct Parts<T> {
    source: Source,
    apply: Apply<T>,
    helpers: Helpers,
    /// Without any operator there is nothing to compute elsewhere.
    operators: usize,
}

impl<T: Data> Parts<T> {
    /// A source of chunks that any thread may be asked for.
    pub(crate) fn new(mut source: impl FnMut() -> Result<Option<Chunk<T>>> + Send + 'static, helpers: Helpers) -> Self {
        let source = Box::new(move || Ok(source()?.map(|c| Box::new(c) as Piece)));
        let apply = Arc::new(|p: Piece| Ok(*p.downcast().expect("the source's own chunks")));
        Parts { source, apply, helpers, operators: 0 }
    }
    /// One more operator, which treats each chunk by itself.
    pub(crate) fn then<U: Data>(self, f: impl Fn(Chunk<T>) -> Vec<U> + Send + Sync + 'static) -> Parts<U> {
        let Parts { source, apply, helpers, operators } = self;
        let apply = Arc::new(move |p: Piece| {
            let chunk = apply(p)?;
            // An operator is not called for nothing, as in a flow that skips empty chunks.
            Ok(Chunk::Own(if chunk.is_empty() { Vec::new() } else { f(chunk) }))
        });
        Parts { source, apply, helpers, operators: operators + 1 }
    }
    pub(crate) fn next(&mut self) -> Result<Option<Chunk<T>>> {
        while let Some(piece) = (self.source)()? {
            let chunk = if self.operators == 0 {
                (self.apply)(piece)?
            } else {
                let apart = Apart::begin();
                let chunk = (self.apply)(piece)?;
                apart.end().absorb();
                chunk
            };
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }
    /// Hands every chunk to `f`, in order; shares the work once that is worth it.
    pub(crate) fn each(mut self, mut f: impl FnMut(Chunk<T>) -> Result<()>) -> Result<()> {
        let mut alone = 0;
        while let Some(chunk) = self.next()? {
            f(chunk)?;
            alone += 1;
            if alone % PATIENCE == 0 && self.operators > 0 && self.helpers.are_idle() {
                return self.share(f);
            }
        }
        Ok(())
    }

    fn share(self, mut f: impl FnMut(Chunk<T>) -> Result<()>) -> Result<()> {
        let of = task::of_thread();
        let line = Arc::new(Line {
            state: Mutex::new(State { source: self.source, ended: false, first: 0, next: 0, out: VecDeque::new() }),
            moved: Condvar::new(),
            apply: self.apply,
            of,
        });
        let theirs = line.clone();
        let lent = self.helpers.lend(move |_| theirs.help());
        // Whatever ends the loop below, a panic of `f` included: helpers are told, and waited for, before the task ends.
        let end = EndOfLine { line: &line, lent: Some(lent) };
        let result = line.consume(&mut f);
        drop(end);
        result
    }
}

/// What came of one piece.
enum Made<T> {
    /// With what its operators added to accumulators: counted when the chunk is consumed.
    Chunk(Chunk<T>, Updates),
    Failed(Error, Option<Site>),
    Panicked(Box<dyn Any + Send>, Option<Site>),
}
struct State<T> {
    source: Source,
    /// No more pieces: the source ended or failed, or the consumer is gone.
    ended: bool,
    /// Number of the piece at the front of `out`.
    first: u64,
    /// Number of the next piece to hand out.
    next: u64,
    /// By number from `first`: none while somebody computes it.
    out: VecDeque<Option<Made<T>>>,
}
/// The chunks of one shared partition, on their way.
struct Line<T> {
    /// SUBTLE: the source is read under this lock; it is one source, and whoever reads it must know which number its
    /// piece has. No user code runs under it.
    state: Mutex<State<T>>,
    moved: Condvar,
    apply: Apply<T>,
    /// The task it belongs to, and the operator that reads.
    of: Option<(Task, Site)>,
}

impl<T: Data> Line<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no user code runs under this lock")
    }
    /// Takes the next piece, if there is one and there is room.
    fn take(s: &mut State<T>) -> Option<(u64, Piece)> {
        if s.ended || s.next - s.first >= WINDOW {
            return None;
        }
        match (s.source)() {
            Ok(Some(piece)) => {
                s.out.push_back(None);
                s.next += 1;
                return Some((s.next - 1, piece));
            }
            Ok(None) => {}
            Err(e) => {
                s.out.push_back(Some(Made::Failed(e, None)));
                s.next += 1;
            }
        }
        s.ended = true;
        None
    }
    fn make(&self, piece: Piece) -> Made<T> {
        let apart = Apart::begin();
        match catch_unwind(AssertUnwindSafe(|| (self.apply)(piece))) {
            Ok(Ok(chunk)) => Made::Chunk(chunk, apart.end()),
            Ok(Err(e)) => Made::Failed(e, task::current()),
            Err(payload) => Made::Panicked(payload, task::current()),
        }
    }
    fn put(&self, number: u64, made: Made<T>) -> MutexGuard<'_, State<T>> {
        let mut s = self.lock();
        if number >= s.first {
            let at = (number - s.first) as usize;
            s.out[at] = Some(made);
        }
        self.moved.notify_all();
        s
    }
    /// A helper's share: computes pieces until there are no more.
    fn help(&self) {
        match self.of.clone() {
            Some((task, site)) => drop(Inside::run(&Current::new(task), site, || self.work())),
            None => self.work(),
        }
    }
    fn work(&self) {
        let mut s = self.lock();
        loop {
            match Self::take(&mut s) {
                Some((number, piece)) => {
                    drop(s);
                    let made = self.make(piece);
                    s = self.put(number, made);
                }
                None if s.ended => {
                    self.moved.notify_all();
                    return;
                }
                None => s = self.moved.wait(s).expect("no user code runs under this lock"),
            }
        }
    }
    /// The task's own share: consumes in order, and computes when the next chunk is not there yet.
    fn consume(&self, f: &mut impl FnMut(Chunk<T>) -> Result<()>) -> Result<()> {
        let mut s = self.lock();
        loop {
            if let Some(Some(_)) = s.out.front() {
                let made = s.out.pop_front().flatten().expect("looked at just now");
                s.first += 1;
                self.moved.notify_all();
                drop(s);
                match made {
                    Made::Chunk(chunk, added) => {
                        added.absorb();
                        if !chunk.is_empty() {
                            f(chunk)?;
                        }
                    }
                    Made::Failed(e, site) => {
                        site.into_iter().for_each(task::at);
                        return Err(e);
                    }
                    Made::Panicked(payload, site) => {
                        site.into_iter().for_each(task::at);
                        resume_unwind(payload);
                    }
                }
                s = self.lock();
                continue;
            }
            match Self::take(&mut s) {
                Some((number, piece)) => {
                    drop(s);
                    let made = self.make(piece);
                    s = self.put(number, made);
                }
                None if s.out.is_empty() => {
                    self.moved.notify_all();
                    return Ok(());
                }
                None if matches!(s.out.front(), Some(Some(_))) => {}
                None => s = self.moved.wait(s).expect("no user code runs under this lock"),
            }
        }
    }
}

/// Ends a line when dropped.
struct EndOfLine<'a, T: Data> {
    line: &'a Line<T>,
    lent: Option<Lent>,
}
impl<T: Data> Drop for EndOfLine<'_, T> {
    fn drop(&mut self) {
        self.line.lock().ended = true;
        self.line.moved.notify_all();
        drop(self.lent.take()); // waits for the helpers
    }
}
