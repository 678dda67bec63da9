//! [`SparkConf`]: the settings of one program. Refuses to check them while they are being made (see `validate`).

use std::collections::BTreeMap;
use std::fmt;

use super::key::Key;
use super::value::Value;
use super::{ConfError, parse, redact, registry};

/// The settings of one program: keys and values, each knowing where it came from.
///
/// What code sets wins over the environment, which wins over the file. Nothing is checked while a configuration is
/// made; [`validate`](Self::validate) reports everything wrong at once.
///
/// ```
/// use winterbourne_base::SparkConf;
/// use winterbourne_base::conf::keys;
/// use winterbourne_base::time::milliseconds;
///
/// let conf = SparkConf::empty()
///     .set_app_name("word count")
///     .set_master("local[4]")
///     .set("spark.streaming.blockInterval", "50ms");
/// conf.validate()?;
/// assert_eq!(conf.value(keys::BLOCK_INTERVAL)?, Some(milliseconds(50)));
///
/// let wrong = conf.set("spark.streaming.blokInterval", "50ms");
/// assert!(wrong.validate().unwrap_err().to_string().contains("did you mean `spark.streaming.blockInterval`?"));
/// # Ok::<(), winterbourne_base::conf::ConfError>(())
/// ```
#[derive(Clone)]
pub struct SparkConf {
    pub(super) settings: BTreeMap<String, Setting>,
    /// What went wrong while the environment and the file were read, kept for `validate`.
    pub(super) problems: Vec<ConfError>,
}

#[derive(Clone)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The program set it.
    Code,
    /// An environment variable.
    Environment,
    /// The configuration file.
    File,
}

impl SparkConf {
    /// No settings, and nothing read from the outside: for tests.
    #[must_use]
    pub fn empty() -> Self {
        Self { settings: BTreeMap::new(), problems: Vec::new() }
    }

    /// Sets a key, over whatever it was. An older name sets the key it now belongs to.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.put(&key.into(), value.to_string(), Origin::Code);
        self
    }

    /// Sets each of the keys.
    #[must_use]
    pub fn set_all<K: Into<String>, V: fmt::Display>(self, settings: impl IntoIterator<Item = (K, V)>) -> Self {
        settings.into_iter().fold(self, |conf, (key, value)| conf.set(key, value))
    }

    /// Sets a key unless it is set already, wherever that came from.
    #[must_use]
    pub fn set_if_missing(self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        let key = key.into();
        if self.contains(&key) { self } else { self.set(key, value) }
    }

    /// Names the program, as the UI and the logs show it.
    #[must_use]
    pub fn set_app_name(self, name: impl fmt::Display) -> Self {
        self.set(super::keys::APP_NAME, name)
    }

    /// Says where to run: `local`, `local[4]`, `local[*]`, `local[4,3]` (each task up to 3 attempts).
    #[must_use]
    pub fn set_master(self, master: impl fmt::Display) -> Self {
        self.set(super::keys::MASTER, master)
    }

    /// Takes a setting away, wherever it came from: the default holds again.
    #[must_use]
    pub fn remove(mut self, key: &str) -> Self {
        self.settings.remove(registry::canonical(key));
        self
    }

    /// The value a key was set to. Defaults are not looked at: for those ask [`value`](Self::value).
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings.get(registry::canonical(key)).map(|setting| setting.value.as_str())
    }

    /// The value a key was set to, or `default`.
    #[must_use]
    pub fn get_or(&self, key: &str, default: impl fmt::Display) -> String {
        self.get(key).map_or_else(|| default.to_string(), str::to_owned)
    }

    /// Every setting, by key. Secrets are *not* redacted here.
    pub fn get_all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, setting)| (key.as_str(), setting.value.as_str()))
    }

    /// The settings whose keys begin with `prefix`, without it. Secrets are *not* redacted here.
    ///
    /// ```
    /// use winterbourne_base::SparkConf;
    ///
    /// let conf = SparkConf::empty().set("spark.app.colour", "blue").set("spark.master", "local");
    /// assert_eq!(conf.get_all_with_prefix("spark.app.").collect::<Vec<_>>(), [("colour", "blue")]);
    /// ```
    pub fn get_all_with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.get_all().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value)))
    }

    /// Whether a key was set.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Where the value of a key came from; none if it was not set.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<Origin> {
        self.settings.get(registry::canonical(key)).map(|setting| setting.origin)
    }

    /// The value that holds for a key: what it was set to, else its default.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadValue`] if what it was set to is not a value of the key. [`validate`](Self::validate) finds the
    /// same, for all keys at once.
    pub fn value<T: Value>(&self, key: Key<T>) -> Result<T, ConfError> {
        let entry = key.entry();
        let Some(text) = self.get(entry.name).or(entry.default) else {
            return Ok(T::unset().expect("`Key::new` admits no key without a default unless it is optional"));
        };
        let value = parse::value(entry, text).and_then(T::from_parsed);
        value.ok_or_else(|| bad_value(entry.name, text, parse::expected(entry)))
    }

    /// One `key=value` line per setting, by key, secrets redacted.
    #[must_use]
    pub fn to_debug_string(&self) -> String {
        let line = |(key, value)| format!("{key}={}\n", redact::shown(key, value));
        self.get_all().map(line).collect()
    }

    pub(super) fn put(&mut self, key: &str, value: String, origin: Origin) {
        self.settings.insert(registry::canonical(key).to_owned(), Setting { value, origin });
    }
}

pub(super) fn bad_value(key: &str, value: &str, expected: impl Into<String>) -> ConfError {
    ConfError::BadValue { key: key.to_owned(), value: redact::shown(key, value).to_owned(), expected: expected.into() }
}

/// As [`SparkConf::new`].
impl Default for SparkConf {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings with their origins, secrets redacted.
impl fmt::Debug for SparkConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (key, setting) in &self.settings {
            map.entry(key, &(redact::shown(key, &setting.value), setting.origin));
        }
        map.finish()
    }
}
