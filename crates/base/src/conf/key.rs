//! [`Key`] and [`Entry`]: one configuration key, typed for code and described for people. Refuses to hold a value.

use std::fmt;
use std::marker::PhantomData;

use super::Value;

/// A configuration key whose value is a `T`. The known ones are in [`keys`](super::keys).
///
/// ```
/// use winterbourne_base::SparkConf;
/// use winterbourne_base::conf::{ConfError, keys};
///
/// let conf = SparkConf::empty().set(keys::SOCKET_RECONNECT, false);
/// assert_eq!(keys::SOCKET_RECONNECT.name(), "spark.streaming.socket.reconnect");
/// assert_eq!(conf.value(keys::SOCKET_RECONNECT)?, false);
/// # Ok::<(), ConfError>(())
/// ```
pub struct Key<T> {
    entry: &'static Entry,
    kind: PhantomData<fn() -> T>,
}

/// What the registry knows about one key.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The key's name.
    pub name: &'static str,
    /// One sentence: what it sets.
    pub summary: &'static str,
    /// How its values are written.
    pub kind: Kind,
    /// What its numbers count, and how a number without a unit is read.
    pub unit: Unit,
    /// Which values of that kind are accepted.
    pub rule: Rule,
    /// The value it has when nobody sets it, as it would be written.
    pub default: Option<&'static str>,
    /// Without a default: what happens when nobody sets it.
    pub unset: &'static str,
    /// Older names that mean the same key.
    pub aliases: &'static [&'static str],
    /// For keys that are accepted but change nothing here: why.
    pub no_effect: Option<&'static str>,
}

/// How the values of a key are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// A time: `10ms`, `3s`, `2min`, `1h`, `1d`.
    Time,
    /// A size: `64k`, `256m`, `1g`.
    Size,
    /// Any text.
    Text,
}

/// What the numbers of a key count. For times and sizes: how a number without a unit is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing in particular.
    None,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Units of 1024 bytes.
    KiB,
    /// Units of 1024² bytes.
    MiB,
    /// Units of 1024³ bytes.
    GiB,
    /// Whatever this says, such as `records/s`.
    Of(&'static str),
}

/// Which values of its kind a key accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All of them.
    Any,
    /// Above zero.
    Positive,
    /// Zero or above.
    NotNegative,
    /// From 0 to 1.
    Fraction,
    /// A limit that zero or a negative number switches off.
    Limit,
    /// One of these, in any case.
    OneOf(&'static [&'static str]),
}

impl Entry {
    /// A key of type `T` without default and rule; the declarations of [`keys`](super::keys) fill in the rest.
    pub(super) const fn new<T: Value>(name: &'static str) -> Self {
        Self {
            name,
            summary: "",
            kind: T::KIND,
            unit: match T::KIND {
                Kind::Time => Unit::Millis,
                Kind::Size => Unit::Bytes,
                _ => Unit::None,
            },
            rule: Rule::Any,
            default: None,
            unset: "none",
            aliases: &[],
            no_effect: None,
        }
    }
}

impl<T: Value> Key<T> {
    /// Checks, while compiling, that every value the entry allows has a meaning as a `T`.
    pub(super) const fn new(entry: &'static Entry) -> Self {
        assert!(T::OPTIONAL || entry.default.is_some(), "a key without a default must be optional");
        assert!(T::OPTIONAL || !matches!(entry.rule, Rule::Limit), "a limit that can be off must be optional");
        Self { entry, kind: PhantomData }
    }
}

impl<T> Key<T> {
    /// The key's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.entry.name
    }

    /// What the registry knows about it.
    #[must_use]
    pub const fn entry(&self) -> &'static Entry {
        self.entry
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name())
    }
}

/// The name, as messages show it.
impl<T> fmt::Display for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name, so that a key can stand wherever a name is taken.
impl<T> From<Key<T>> for String {
    fn from(key: Key<T>) -> Self {
        key.name().to_owned()
    }
}
