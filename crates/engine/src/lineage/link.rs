//! [`Link`]: an edge to a parent that does not recurse when dropped.
use super::{Node, Op};
use crate::Data;
use std::{cell::RefCell, ops::Deref, sync::Arc};

/// An edge to a parent. Every parent reference is one, those inside closures too: dropping a lineage of a million
/// operators must not recurse a million deep, so the outermost drop on a thread frees the rest in a loop.
pub struct Link<N: ?Sized + Send + Sync + 'static>(Option<Arc<N>>, fn(Arc<N>) -> Arc<dyn Node>);

impl<N: ?Sized + Send + Sync + 'static> Deref for Link<N> {
    type Target = Arc<N>;
    fn deref(&self) -> &Arc<N> {
        self.0.as_ref().expect("taken only in drop")
    }
}
impl<N: ?Sized + Send + Sync + 'static> Clone for Link<N> {
    fn clone(&self) -> Self {
        Link(self.0.clone(), self.1)
    }
}
impl<T: Data> Link<Op<T>> {
    /// An edge that knows the record type, for the closure that reads the parent.
    pub fn typed(op: &Arc<Op<T>>) -> Self {
        Link(Some(op.clone()), |a| a)
    }
}
impl Link<dyn Node> {
    /// An edge for the planner.
    pub fn erased<T: Data>(op: &Arc<Op<T>>) -> Self {
        Link(Some(op.clone()), |a| a)
    }
}

thread_local! { static DYING: RefCell<Option<Vec<Arc<dyn Node>>>> = const { RefCell::new(None) }; }

impl<N: ?Sized + Send + Sync + 'static> Drop for Link<N> {
    fn drop(&mut self) {
        let Some(a) = self.0.take() else { return };
        // SUBTLE: two threads may both see more than one owner and the last one then drops by recursion: one level,
        // because that node's own links pass here again.
        if Arc::strong_count(&a) > 1 {
            return;
        }
        let mut last = Some((self.1)(a));
        let outermost = DYING.try_with(|d| match &mut *d.borrow_mut() {
            Some(queue) => {
                queue.extend(last.take());
                false
            }
            none => {
                *none = Some(Vec::new());
                true
            }
        });
        drop(last);
        if outermost == Ok(true) {
            while let Some(a) = DYING.with(|d| d.borrow_mut().as_mut().and_then(Vec::pop)) {
                drop(a);
            }
            DYING.with(|d| *d.borrow_mut() = None);
        }
    }
}
