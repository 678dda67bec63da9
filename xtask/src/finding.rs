//! Something a check has to say about a place in the repository.

use std::fmt;

/// A complaint; `line` is zero when it is about the whole file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Finding {
    /// About one line, counted from one.
    pub(crate) fn at(path: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, message: message.into() }
    }

    /// About the whole file.
    pub(crate) fn whole(path: &str, message: impl Into<String>) -> Finding {
        Finding::at(path, 0, message)
    }

    /// About the line that holds the byte `offset` of `text`.
    pub(crate) fn inside(path: &str, text: &str, offset: usize, message: impl Into<String>) -> Finding {
        let line = text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
        Finding::at(path, line, message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_place() {
        assert_eq!(Finding::inside("a.rs", "x\ny\nz", 4, "bad").to_string(), "a.rs:3: bad");
        assert_eq!(Finding::whole("a.rs", "bad").to_string(), "a.rs: bad");
    }
}
