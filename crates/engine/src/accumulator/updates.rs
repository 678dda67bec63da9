//! What a running task has added: parts on its thread, one for each accumulator it used.
//!
//! A part belongs to one attempt at one partition and is met by no other thread while it grows. Chunks that may be
//! computed elsewhere have parts of their own (see [`Apart`]), wherever they are computed, so that nobody can tell from a
//! sum of floats which thread it was.
use super::{Accumulate, handle::Shared, part::Part, registry::Owner};
use std::{cell::Cell, mem, sync::Arc};

/// What the attempt that runs on this thread has added.
struct Attempt {
    /// Counts if the attempt succeeds.
    open: Cell<Updates>,
    /// Belongs to blocks that it computed and that stay in the cache, whatever becomes of it.
    kept: Cell<Updates>,
}
thread_local! {
    static HERE: Attempt = const { Attempt { open: Cell::new(Updates(None)), kept: Cell::new(Updates(None)) } };
}

/// Parts, in the order of their first additions. One word, because it is taken out and put back for every addition; most
/// tasks have none.
#[derive(Default)]
pub(crate) struct Updates(Option<Box<Parts>>);
/// Not empty.
struct Parts(Vec<Update>);
struct Update {
    /// The address of what `owner` points to, to compare: found in one step.
    key: usize,
    owner: Arc<dyn Owner>,
    part: Part,
    /// Belongs to a cached block.
    kept: bool,
}

impl Updates {
    /// Takes what this thread's task has added, cached blocks first.
    pub(crate) fn take() -> Self {
        HERE.with(|here| {
            let mut all = here.kept.take();
            all.append(here.open.take());
            all
        })
    }
    /// Without what counts only if the task has succeeded.
    pub(crate) fn only_kept(self) -> Self {
        let Some(mut parts) = self.0 else { return self };
        parts.0.retain(|u| u.kept);
        Updates((!parts.0.is_empty()).then_some(parts))
    }
    /// Both, without merging: that would run the user's code.
    pub(crate) fn append(&mut self, more: Self) {
        match (&mut self.0, more.0) {
            (Some(parts), Some(mut more)) => parts.0.append(&mut more.0),
            (None, more) => self.0 = more,
            (_, None) => {}
        }
    }
    /// Says that a block for which this was added is in the cache: it will be read and not computed again.
    pub(crate) fn keep(mut self) {
        if let Some(parts) = &mut self.0 {
            parts.0.iter_mut().for_each(|u| u.kept = true);
            HERE.with(|here| {
                let mut all = here.kept.take();
                all.append(self);
                here.kept.set(all);
            });
        }
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
    /// The accumulators with what was added to them.
    pub(super) fn into_parts(self) -> impl Iterator<Item = (Arc<dyn Owner>, Part)> {
        self.0.into_iter().flat_map(|parts| parts.0).map(|u| (u.owner, u.part))
    }
    /// Adds this to what the task of this thread has added so far.
    pub(crate) fn absorb(self) {
        let Some(added) = self.0 else { return };
        borrow(|here| {
            let Some(known) = &mut here.0 else {
                here.0 = Some(added);
                return;
            };
            for new in added.0 {
                match known.0.iter_mut().find(|old| old.key == new.key) {
                    Some(old) => new.owner.merge_into(&mut old.part, new.part),
                    None => known.0.push(new),
                }
            }
        });
    }
    #[inline]
    fn part<A: Accumulate>(&mut self, owner: &Arc<Shared<A>>) -> &mut A {
        let wanted = Arc::as_ptr(owner).addr();
        let parts = &mut self.0.get_or_insert_with(|| Box::new(Parts(Vec::new()))).0;
        let at = match parts.iter().position(|u| u.key == wanted) {
            Some(at) => at,
            None => begin(parts, owner),
        };
        parts[at].part.as_mut()
    }
}

#[cold]
fn begin<A: Accumulate>(parts: &mut Vec<Update>, owner: &Arc<Shared<A>>) -> usize {
    parts.push(Update {
        key: Arc::as_ptr(owner).addr(),
        owner: owner.clone(),
        part: Part::new(owner.begin()),
        kept: false,
    });
    parts.len() - 1
}

/// Lets `f` change this task's part of an accumulator.
#[inline]
pub(super) fn with_part<A: Accumulate>(owner: &Arc<Shared<A>>, f: impl FnOnce(&mut A)) {
    borrow(|here| f(here.part(owner)));
}

/// Hands what this thread has added to `f`. It is taken out meanwhile and put back after, also if `f` panics; what `f`
/// itself adds, to other accumulators, is not lost.
#[inline]
fn borrow(f: impl FnOnce(&mut Updates)) {
    struct Borrowed<'a>(&'a Cell<Updates>, Updates);
    impl Drop for Borrowed<'_> {
        #[inline]
        fn drop(&mut self) {
            let meanwhile = self.0.replace(mem::take(&mut self.1));
            if !meanwhile.is_empty() {
                again(meanwhile);
            }
        }
    }
    HERE.with(|here| f(&mut Borrowed(&here.open, here.open.take()).1));
}
#[cold]
fn again(meanwhile: Updates) {
    // A second panic would end the process; after the first one the attempt has failed and counts nothing.
    if !std::thread::panicking() {
        meanwhile.absorb();
    }
}

/// While it lives, what this thread adds is apart from what its task has added before. Dropped, it takes the additions
/// made meanwhile with it.
pub(crate) struct Apart(Updates);
impl Apart {
    pub(crate) fn begin() -> Self {
        Apart(HERE.with(|here| here.open.take()))
    }
    /// What was added meanwhile.
    pub(crate) fn end(self) -> Updates {
        HERE.with(|here| here.open.take())
    }
}
impl Drop for Apart {
    fn drop(&mut self) {
        let outer = mem::take(&mut self.0);
        drop(HERE.with(|here| here.open.replace(outer)));
    }
}
