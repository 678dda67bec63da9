//! [`Site`]: the place in the user's source where an operator or action was called.
use std::{fmt, panic::Location};

/// A call site: `src/main.rs:12:8`. Every operator and action keeps the one of its caller; it names stages, errors and
/// divergences between processes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site(&'static Location<'static>);

impl Site {
    /// The caller of the function that calls this, if that is `#[track_caller]`.
    ///
    /// ```
    /// assert!(winterbourne_engine::Site::caller().to_string().contains(".rs:"));
    /// ```
    #[track_caller]
    pub fn caller() -> Self {
        Site(Location::caller())
    }
    /// The source file as the compiler saw it.
    ///
    /// ```
    /// let here = winterbourne_engine::Site::caller();
    /// assert!(here.file().ends_with(".rs") && here.line() > 0);
    /// ```
    pub fn file(&self) -> &'static str {
        self.0.file()
    }
    /// The line, counted from one.
    pub fn line(&self) -> u32 {
        self.0.line()
    }
}
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.0.file(), self.0.line(), self.0.column())
    }
}
impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
