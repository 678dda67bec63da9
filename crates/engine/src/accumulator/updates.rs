//! What a running task has added: parts on its thread, one for each accumulator it used.
//!
//! A part belongs to one attempt at one partition and is met by no other thread while it grows. Chunks that may be
//! computed elsewhere have parts of their own (see [`apart`]), wherever they are computed, so that nobody can tell from a
//! sum of floats which thread it was.
use super::{Accumulate, handle::Shared, part::Part, registry::Owner};
use std::{cell::Cell, mem, sync::Arc};

thread_local! {
    static HERE: Cell<Updates> = const { Cell::new(Updates(None)) };
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
}

impl Updates {
    /// Takes what this thread's task has added.
    pub(crate) fn take() -> Self {
        HERE.take()
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
    parts.push(Update { key: Arc::as_ptr(owner).addr(), owner: owner.clone(), part: Part::new(owner.begin()) });
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
    HERE.with(|here| f(&mut Borrowed(here, here.take()).1));
}
#[cold]
fn again(meanwhile: Updates) {
    // A second panic would end the process; after the first one the attempt has failed and counts nothing.
    if !std::thread::panicking() {
        meanwhile.absorb();
    }
}

/// Runs `f`, and returns beside its result what it added, which the running task has not added yet.
#[inline]
pub(crate) fn apart<R>(f: impl FnOnce() -> R) -> (R, Updates) {
    struct Outer(Updates);
    impl Drop for Outer {
        fn drop(&mut self) {
            drop(HERE.replace(mem::take(&mut self.0)));
        }
    }
    let outer = Outer(HERE.take());
    let result = f();
    let added = HERE.take();
    drop(outer);
    (result, added)
}
