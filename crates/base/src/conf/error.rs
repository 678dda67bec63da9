//! [`ConfError`]: what can be wrong with a configuration. Refuses to show a secret or a line that may hold one.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What is wrong with a configuration. Every kind is for whoever wrote the value to correct; a retry does not help.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfError {
    /// A key that begins with `spark.` and that nobody knows.
    #[error("unknown configuration key `{key}`{}", Hint(*nearest))]
    UnknownKey {
        /// The key as it was written.
        key: String,
        /// The known key that looks most like it, if one does.
        nearest: Option<&'static str>,
    },
    /// An environment variable that begins as those for keys do, but names none.
    #[error("environment variable `{variable}` names no configuration key{}", Hint(nearest.as_deref()))]
    UnknownVariable {
        /// The variable's name.
        variable: String,
        /// The variable that looks most like it, if one does.
        nearest: Option<String>,
    },
    /// An environment variable whose value is not UTF-8 text.
    #[error("environment variable `{variable}` is not valid UTF-8")]
    NotUnicode {
        /// The variable's name.
        variable: String,
    },
    /// A value that cannot be read as its key's type, or lies outside what the key allows.
    #[error("configuration key `{key}` is set to `{value}`, but expects {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// The value as it was written, redacted if the key looks like a secret's.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// The configuration file could not be read.
    #[error("cannot read the configuration file {} named by WINTERBOURNE_CONF: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A line of the configuration file is not a setting. The line itself is not shown: it may hold a secret.
    #[error("{}:{line}: {problem}", path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Several problems at once, each worth correcting.
    #[error("{} problems with the configuration:{}", .0.len(), Listed(.0))]
    Several(
        /// The problems, those of loading first, the others by key.
        Vec<ConfError>,
    ),
}

impl ConfError {
    /// One error for however many there are.
    pub(super) fn all(mut problems: Vec<Self>) -> Result<(), Self> {
        match problems.len() {
            0 => Ok(()),
            1 => Err(problems.remove(0)),
            _ => Err(Self::Several(problems)),
        }
    }
}

/// `; did you mean …?`, or nothing.
struct Hint<'a>(Option<&'a str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

struct Listed<'a>(&'a [ConfError]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
