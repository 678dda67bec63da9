//! The contexts of this process, for those who look for one: [`SparkContext::get_or_create`].
use super::{Inner, SparkContext};
use crate::Result;
use std::{
    marker::PhantomData,
    sync::{Mutex, Weak},
};
use winterbourne_base::SparkConf;

/// Oldest first.
static LIVING: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

pub(super) fn enter(sc: &SparkContext) {
    let mut living = LIVING.lock().expect("plain list");
    living.retain(|inner| inner.strong_count() > 0);
    living.push(std::sync::Arc::downgrade(&sc.inner));
}

impl SparkContext {
    /// The oldest context of this process that has not been stopped, or else a new one. The configuration is only used
    /// for a new one.
    ///
    /// Several contexts may live here, unlike in Spark; hand over the one you mean where there are several.
    ///
    /// ```
    /// use winterbourne_engine::{SparkConf, SparkContext};
    /// let conf = SparkConf::empty().set_app_name("doc");
    /// let first = SparkContext::get_or_create(conf.clone())?;
    /// let second = SparkContext::new(conf.clone())?;
    /// assert!(SparkContext::get_or_create(conf.clone())?.same(&first));
    /// first.stop();
    /// assert!(SparkContext::get_or_create(conf)?.same(&second));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](SparkContext::new).
    #[doc(alias = "getOrCreate")]
    pub fn get_or_create(conf: impl Into<SparkConf>) -> Result<Self> {
        // Handles are made, and dropped, without the lock: the last one ends a context.
        let living: Vec<_> = {
            let living = LIVING.lock().expect("plain list");
            living.iter().filter_map(Weak::upgrade).collect()
        };
        match living.into_iter().find(|inner| !inner.is_stopped()) {
            Some(inner) => Ok(SparkContext { inner, driver_only: PhantomData }),
            None => SparkContext::new(conf),
        }
    }
}
