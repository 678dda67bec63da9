//! Checking a whole configuration. Refuses to stop at the first problem.

use super::nearest::nearest;
use super::spark_conf::bad_value;
use super::{ConfError, SparkConf, parse, registry};

impl SparkConf {
    /// Checks everything: that the environment and the file could be read, that every key beginning with `spark.` is
    /// known or under an open prefix, and that every known key's value is one it accepts.
    ///
    /// Keys that do not begin with `spark.` are the application's own and are not looked at.
    ///
    /// # Errors
    ///
    /// The problem, or [`ConfError::Several`] with all of them: those of loading first, the others by key.
    pub fn validate(&self) -> Result<(), ConfError> {
        let settings = self.get_all().filter_map(|(key, value)| check(key, value).err());
        ConfError::all(self.problems.iter().cloned().chain(settings).collect())
    }

    /// The settings that are accepted but change nothing here, each with the reason, by key: for the start-up log.
    ///
    /// ```
    /// let conf = winterbourne_base::SparkConf::empty().set("spark.executor.memory", "4g");
    /// let (key, reason) = conf.without_effect().next().unwrap();
    /// assert_eq!((key, reason), ("spark.executor.memory", "there is no JVM to size"));
    /// ```
    pub fn without_effect(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.get_all().filter_map(|(key, _)| {
            let reason = match registry::lookup(key) {
                Some(entry) => entry.no_effect,
                None => registry::open_prefix(key)?.no_effect,
            };
            Some((key, reason?))
        })
    }
}

fn check(key: &str, value: &str) -> Result<(), ConfError> {
    match registry::lookup(key) {
        Some(entry) if parse::value(entry, value).is_some() => Ok(()),
        Some(entry) => Err(bad_value(key, value, parse::expected(entry))),
        None if !key.starts_with("spark.") || registry::open_prefix(key).is_some() => Ok(()),
        None => Err(ConfError::UnknownKey { key: key.to_owned(), nearest: nearest(key, registry::names()) }),
    }
}
