//! Reading settings by name, for keys that are the application's own. Refuses to know the defaults and units of
//! registered keys: for those there is [`SparkConf::value`].

use super::spark_conf::bad_value;
use super::{Bytes, ConfError, SparkConf, Unit, parse};
use crate::time::Duration;

/// Typed getters by name. Each returns [`ConfError::BadValue`] if the value (or a default given as text, when it is
/// used) cannot be read.
///
/// ```
/// use winterbourne_base::SparkConf;
///
/// let conf = SparkConf::empty().set("my.limit", 3).set("my.pause", "2min").set("my.buffer", "64k");
/// assert_eq!(conf.get_int("my.limit", 10)?, 3);
/// assert_eq!(conf.get_time_as_seconds("my.pause", "10s")?, 120);
/// assert_eq!(conf.get_size_as_bytes("my.buffer", "1m")?, 65_536);
/// assert_eq!(conf.get_bool("my.switch", true)?, true);
/// assert!(conf.get_bool("my.limit", true).is_err());
/// # Ok::<(), winterbourne_base::conf::ConfError>(())
/// ```
impl SparkConf {
    /// The value as a whole number of 32 bits, or `default` if it is not set.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_int(&self, key: &str, default: i32) -> Result<i32, ConfError> {
        self.read(key, "a whole number of 32 bits", |text| text.parse().ok()).unwrap_or(Ok(default))
    }

    /// The value as a whole number of 64 bits, or `default` if it is not set.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_long(&self, key: &str, default: i64) -> Result<i64, ConfError> {
        self.read(key, "a whole number of 64 bits", |text| text.parse().ok()).unwrap_or(Ok(default))
    }

    /// The value as a finite number, or `default` if it is not set.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_double(&self, key: &str, default: f64) -> Result<f64, ConfError> {
        self.read(key, "a number", parse::float).unwrap_or(Ok(default))
    }

    /// The value as `true` or `false`, or `default` if it is not set.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    #[doc(alias = "getBoolean")]
    pub fn get_bool(&self, key: &str, default: bool) -> Result<bool, ConfError> {
        self.read(key, "true or false", parse::boolean).unwrap_or(Ok(default))
    }

    /// The value, or `default`, as a time in milliseconds; a bare number is milliseconds.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_time_as_ms(&self, key: &str, default: &str) -> Result<u64, ConfError> {
        self.time(key, default, Unit::Millis).map(Duration::as_millis)
    }

    /// The value, or `default`, as a time in whole seconds, rounded down; a bare number is seconds.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_time_as_seconds(&self, key: &str, default: &str) -> Result<u64, ConfError> {
        self.time(key, default, Unit::Seconds).map(|time| time.as_millis() / 1_000)
    }

    /// The value, or `default`, as a size in bytes; a bare number is bytes.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_size_as_bytes(&self, key: &str, default: &str) -> Result<u64, ConfError> {
        self.size(key, default, Unit::Bytes).map(|size| size.0)
    }

    /// The value, or `default`, as a size in whole KiB, rounded down; a bare number is KiB.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_size_as_kb(&self, key: &str, default: &str) -> Result<u64, ConfError> {
        self.size(key, default, Unit::KiB).map(|size| size.0 >> 10)
    }

    /// The value, or `default`, as a size in whole MiB, rounded down; a bare number is MiB.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_size_as_mb(&self, key: &str, default: &str) -> Result<u64, ConfError> {
        self.size(key, default, Unit::MiB).map(|size| size.0 >> 20)
    }

    /// The value, or `default`, as a size in whole GiB, rounded down; a bare number is GiB.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`].
    pub fn get_size_as_gb(&self, key: &str, default: &str) -> Result<u64, ConfError> {
        self.size(key, default, Unit::GiB).map(|size| size.0 >> 30)
    }

    fn time(&self, key: &str, default: &str, plain: Unit) -> Result<Duration, ConfError> {
        let text = self.get(key).unwrap_or(default);
        parse::time(text, plain).ok_or_else(|| bad_value(key, text, "a time such as 200ms, 30s or 2min"))
    }

    fn size(&self, key: &str, default: &str, plain: Unit) -> Result<Bytes, ConfError> {
        let text = self.get(key).unwrap_or(default);
        parse::size(text, plain).ok_or_else(|| bad_value(key, text, "a size such as 64k, 256m or 1g"))
    }

    fn read<T>(&self, key: &str, expected: &str, parse: fn(&str) -> Option<T>) -> Option<Result<T, ConfError>> {
        let text = self.get(key)?;
        Some(parse(text.trim()).ok_or_else(|| bad_value(key, text, expected)))
    }
}
