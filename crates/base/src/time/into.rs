//! [`IntoDuration`]: what public methods accept where they need a [`Duration`]. Refuses to round silently.

use super::Duration;

/// A duration that cannot be one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The standard library's duration has a part below a millisecond.
    #[error("{duration:?} is not a whole number of milliseconds: round it up or down first")]
    NotWholeMillis {
        /// What was given.
        duration: std::time::Duration,
    },
    /// The duration does not fit into 64 bits of milliseconds.
    #[error("{duration:?} is too long: durations end at {} ms", u64::MAX)]
    TooLong {
        /// What was given.
        duration: std::time::Duration,
    },
}

/// Anything that is exactly a [`Duration`]: ours, or the standard library's in whole milliseconds.
///
/// ```
/// use winterbourne_base::{Duration, IntoDuration};
/// use winterbourne_base::time::{TimeError, seconds};
///
/// fn window(length: impl IntoDuration) -> Result<Duration, TimeError> {
///     length.into_duration()
/// }
///
/// assert_eq!(window(seconds(30)), Ok(seconds(30)));
/// assert_eq!(window(std::time::Duration::from_secs(30)), Ok(seconds(30)));
/// assert!(window(std::time::Duration::from_micros(1)).is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a duration",
    note = "use `seconds(n)`, `milliseconds(n)` or a `std::time::Duration` of whole milliseconds"
)]
pub trait IntoDuration {
    /// The same length in whole milliseconds.
    ///
    /// # Errors
    ///
    /// [`TimeError`] if the length has a part below a millisecond or does not fit. The caller chose the value; trying
    /// again does not help.
    fn into_duration(self) -> Result<Duration, TimeError>;
}

impl IntoDuration for Duration {
    fn into_duration(self) -> Result<Duration, TimeError> {
        Ok(self)
    }
}

impl IntoDuration for std::time::Duration {
    fn into_duration(self) -> Result<Duration, TimeError> {
        if !self.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(TimeError::NotWholeMillis { duration: self });
        }
        let millis = u64::try_from(self.as_millis()).map_err(|_| TimeError::TooLong { duration: self })?;
        Ok(Duration::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_it_would_have_to_round() {
        type Std = std::time::Duration;
        let cases = [
            (Std::ZERO, Ok(Duration::ZERO)),
            (Std::from_millis(1_001), Ok(Duration::from_millis(1_001))),
            (Std::from_nanos(1), Err(TimeError::NotWholeMillis { duration: Std::from_nanos(1) })),
            (Std::from_secs(u64::MAX), Err(TimeError::TooLong { duration: Std::from_secs(u64::MAX) })),
        ];
        for (given, expect) in cases {
            assert_eq!(given.into_duration(), expect);
        }
    }
}
