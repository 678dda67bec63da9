//! What jobs started by this thread belong to: a group, a scheduler pool. Spark's thread properties as scopes: a guard
//! sets them, nothing is inherited by other threads.
use std::{cell::RefCell, marker::PhantomData, sync::Arc};

/// The properties of a job.
#[derive(Clone, Default)]
pub(crate) struct Properties {
    pub(crate) group: Option<Arc<str>>,
    pub(crate) pool: Option<Arc<str>>,
}

thread_local! { static NOW: RefCell<Properties> = RefCell::default(); }

/// The properties of a job started by this thread now.
pub(crate) fn now() -> Properties {
    NOW.with_borrow(Clone::clone)
}

/// While it lives, the jobs this thread starts have a property; made by
/// [`SparkContext::job_group`](crate::SparkContext::job_group) and
/// [`SparkContext::scheduler_pool`](crate::SparkContext::scheduler_pool). Scopes nest; drop them in reverse order.
#[must_use = "the scope ends when the guard is dropped"]
pub struct JobScope {
    before: Properties,
    /// It restores values of its own thread.
    not_send: PhantomData<*const ()>,
}
impl JobScope {
    /// The properties of another thread.
    pub(crate) fn adopt(properties: Properties) -> Self {
        JobScope::enter(|p| *p = properties)
    }
    pub(crate) fn enter(change: impl FnOnce(&mut Properties)) -> Self {
        let before = now();
        NOW.with_borrow_mut(change);
        JobScope { before, not_send: PhantomData }
    }
}
impl Drop for JobScope {
    fn drop(&mut self) {
        NOW.replace(std::mem::take(&mut self.before));
    }
}
