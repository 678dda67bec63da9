//! [`Broadcast`]: a value that all tasks read.
use crate::{Error, Result, Site, SparkContext, flow::Carried, task};
use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
};

struct Inner<T> {
    id: u64,
    made: Site,
    value: T,
    /// Set, though the value lives on until the last handle is gone: a task may be reading it.
    destroyed: OnceLock<Site>,
}

/// A value that is made once and read by all tasks; a handle, cheap to clone, that derefs to it. Made by
/// [`SparkContext::broadcast`].
///
/// In one process a closure may as well capture an `Arc`. A broadcast has a number and can be destroyed, which finds
/// uses after its end; and it will be sent once to each process where there are several. Closures of streams capture
/// one like any others: they are made again when a stream recovers, so the lazily made singletons of Spark's guide are
/// not needed.
///
/// ```
/// use std::collections::HashMap;
/// use winterbourne_engine::{SparkConf, SparkContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let names = sc.broadcast(HashMap::from([(1, "one"), (2, "two")]));
/// let of = names.clone();
/// let known = sc.parallelize([1, 2, 3], 2).map(move |n| of.get(&n).copied().unwrap_or("many"));
/// assert_eq!(known.collect()?, ["one", "two", "many"]);
/// assert_eq!(names.to_string(), "Broadcast(0)");
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
pub struct Broadcast<T>(Arc<Inner<T>>);
impl<T> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Broadcast(self.0.clone())
    }
}
impl<T> Broadcast<T> {
    /// Its number in the context.
    pub fn id(&self) -> u64 {
        self.0.id
    }
    /// The value, or why there is none any more.
    ///
    /// # Errors
    /// [`Error::BroadcastDestroyed`], naming both places.
    #[inline]
    pub fn try_value(&self) -> Result<&T> {
        match self.0.destroyed.get() {
            None => Ok(&self.0.value),
            Some(&destroyed) => Err(Error::BroadcastDestroyed { id: self.0.id, made: self.0.made, destroyed }),
        }
    }
    /// The value; also by deref.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let limit = sc.broadcast(3);
    /// let l = limit.clone();
    /// assert_eq!(sc.range(0..10, 2).filter(move |x| x < l.value()).count()?, 3);
    /// limit.unpersist(); // it may still be used
    /// assert_eq!(*limit.value(), 3);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Panics
    /// After [`destroy`](Broadcast::destroy). In a task that is no panic but its failure, with
    /// [`Error::BroadcastDestroyed`]; the driver asks [`try_value`](Broadcast::try_value) if it does not know.
    #[inline]
    #[track_caller]
    pub fn value(&self) -> &T {
        match self.try_value() {
            Ok(value) => value,
            Err(e) => gone(e),
        }
    }
    /// Says that tasks will not need it for a while. It may be used again; with one process this changes nothing.
    pub fn unpersist(&self) {}
    /// Ends it: what uses it later fails. The memory is free when the last handle is gone, those in closures included.
    /// Calling it again does nothing.
    ///
    /// ```
    /// use winterbourne_engine::{Error, SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let offset = sc.broadcast(10);
    /// let of = offset.clone();
    /// let moved = sc.range(0..3, 1).map(move |x| x + *of);
    /// assert_eq!(moved.collect()?, [10, 11, 12]);
    /// offset.destroy();
    /// let e = moved.collect().unwrap_err();
    /// assert!(e.to_string().contains("Attempted to use Broadcast(0)"), "{e}");
    /// assert!(matches!(offset.try_value(), Err(Error::BroadcastDestroyed { id: 0, .. })));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn destroy(&self) {
        let _ = self.0.destroyed.set(Site::caller());
    }
}
#[cold]
#[track_caller]
fn gone(e: Error) -> ! {
    if task::is_inside() {
        // Unwinds to the task, which reports it as what it is.
        std::panic::resume_unwind(Box::new(Carried(e)));
    }
    panic!("{e}");
}
impl<T> Deref for Broadcast<T> {
    type Target = T;
    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        self.value()
    }
}
impl<T> fmt::Display for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broadcast({})", self.0.id)
    }
}
impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SparkContext {
    /// Gives a value to all tasks. An RDD cannot be one: it is not `Sync`; collect it first.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let stop_words = sc.broadcast(vec!["the", "a"]);
    /// let s = stop_words.clone();
    /// let words = sc.parallelize(["the", "rain"], 1).filter(move |word| !s.contains(word));
    /// assert_eq!(words.collect()?, ["rain"]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn broadcast<T: Send + Sync + 'static>(&self, value: T) -> Broadcast<T> {
        let (id, made) = (self.inner.ids.broadcasts.fetch_add(1, Relaxed), Site::caller());
        Broadcast(Arc::new(Inner { id, made, value, destroyed: OnceLock::new() }))
    }
}
