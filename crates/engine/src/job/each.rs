//! [`Handing`]: results handed over one by one, as their tasks end.
use crate::{Error, Result, guard_driver};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

type Handler<R> = Box<dyn FnMut(usize, R) + Send>;

/// A handler that is called for one result at a time, by whichever thread brought one; the others go on with their
/// tasks. No lock is held meanwhile.
pub(super) struct Handing<R>(Mutex<Queue<R>>);
struct Queue<R> {
    waiting: VecDeque<(usize, R)>,
    /// Taken out by who calls it.
    handler: Option<Handler<R>>,
    /// It panicked, and is not called any more.
    failed: Option<Error>,
}
impl<R> Handing<R> {
    pub(super) fn new(handler: impl FnMut(usize, R) + Send + 'static) -> Self {
        Handing(Mutex::new(Queue { waiting: VecDeque::new(), handler: Some(Box::new(handler)), failed: None }))
    }
    fn queue(&self) -> MutexGuard<'_, Queue<R>> {
        self.0.lock().expect("no user code runs under this lock")
    }
    /// Hands over a result, and what others bring meanwhile. Whether the handler still can.
    pub(super) fn hand(&self, index: usize, result: R) -> bool {
        let mut queue = self.queue();
        if queue.failed.is_some() {
            return false;
        }
        queue.waiting.push_back((index, result));
        // Somebody else is calling it, and looks again before it gives it back.
        let Some(mut handler) = queue.handler.take() else { return true };
        while let Some((index, result)) = queue.waiting.pop_front() {
            drop(queue);
            let called = guard_driver(|| {
                handler(index, result);
                Ok(())
            });
            queue = self.queue();
            if let Err(e) = called {
                queue.failed = Some(e);
                let lost = std::mem::take(&mut queue.waiting);
                drop(queue);
                drop((lost, handler));
                return false;
            }
        }
        queue.handler = Some(handler);
        true
    }
    /// What the handler met. Not before all tasks have ended.
    pub(super) fn end(&self) -> Result<()> {
        let (handler, failed) = {
            let mut queue = self.queue();
            (queue.handler.take(), queue.failed.take())
        };
        drop(handler);
        failed.map_or(Ok(()), Err)
    }
}
