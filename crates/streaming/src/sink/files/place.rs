//! Where a record goes: a path below the directory of the sink, made of what its levels say.
use std::{
    fmt::{self, Display, Write as _},
    path::{Component, Path, PathBuf},
    sync::Arc,
};
use winterbourne_base::Time;
use winterbourne_engine::BoxError;

/// What a column without a value is called; as Hive and Spark do.
const NOTHING: &str = "__HIVE_DEFAULT_PARTITION__";

/// How long the time is whose records go into one directory. Times are UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Period {
    /// `date=2026-11-29`
    Day,
    /// `date=2026-11-29/hour=07`
    Hour,
    /// `date=2026-11-29/hour=07/minute=30`
    Minute,
}

/// Part of the path of a record of a batch.
pub(super) type Level<T> = Arc<dyn Fn(&T, Time, &mut String) -> fmt::Result + Send + Sync>;

/// Puts the path of a record into `path`.
///
/// # Errors
/// A `Display` of the user's that fails.
pub(super) fn find<T>(levels: &[Level<T>], x: &T, batch: Time, path: &mut String) -> Result<(), BoxError> {
    path.clear();
    for level in levels {
        if !path.is_empty() {
            path.push('/');
        }
        level(x, batch, path)?;
    }
    // SUBTLE: a directory has one name, or a task would write two files over each other.
    if path.contains("//") || path.contains("/.") || path.ends_with('/') {
        let straight: PathBuf = Path::new(path.as_str()).components().collect();
        *path = straight.to_string_lossy().into_owned();
    }
    Ok(())
}

/// `column=value`, both escaped.
pub(super) fn column(path: &mut String, column: &str, value: impl Display) -> fmt::Result {
    write!(Escaped(path), "{column}")?;
    path.push('=');
    let before = path.len();
    write!(Escaped(path), "{value}")?;
    if path.len() == before {
        path.push_str(NOTHING);
    }
    Ok(())
}

/// What file systems and readers of such directories take for something else becomes `%` and its number, as in Hive and
/// Spark.
struct Escaped<'a>(&'a mut String);
impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for c in s.chars() {
            match c {
                '\0'..='\u{1f}'
                | '\u{7f}'
                | '"'
                | '#'
                | '%'
                | '\''
                | '*'
                | '/'
                | ':'
                | '='
                | '?'
                | '\\'
                | '{'
                | '['
                | ']'
                | '^' => {
                    write!(self.0, "%{:02X}", u32::from(c))?;
                }
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

pub(super) fn period(path: &mut String, period: Period, time: Time) -> fmt::Result {
    let minutes = time.as_millis() / 60_000;
    let (year, month, day) = date(minutes / (24 * 60));
    write!(path, "date={year:04}-{month:02}-{day:02}")?;
    if period != Period::Day {
        write!(path, "/hour={:02}", minutes / 60 % 24)?;
    }
    if period == Period::Minute {
        write!(path, "/minute={:02}", minutes % 60)?;
    }
    Ok(())
}

/// The date so many days after the first of January 1970. Years are taken to begin in March, so that a leap day is the
/// last one; 400 of them have 146,097 days.
fn date(days: u64) -> (u64, u64, u64) {
    // From the first of March of the year 0.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March on have 153 days, wherever one begins to count.
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// # Errors
/// A place that is not below the sink's directory, or that readers pass over.
pub(super) fn check(below: &str) -> Result<(), BoxError> {
    let fine = |c: Component<'_>| match c {
        Component::Normal(name) => {
            !name.as_encoded_bytes().starts_with(b"_") && !name.as_encoded_bytes().starts_with(b".")
        }
        _ => false,
    };
    if Path::new(below).components().all(fine) {
        return Ok(());
    }
    Err(format!("{below:?} is no place for a record: give a path below the directory, without .. and names that begin with _ or a dot").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_escaped_as_hive_does() {
        for (name, value, expect) in [
            ("country", "de", "country=de"),
            ("a b", "x/y", "a b=x%2Fy"),
            ("c", "", "c=__HIVE_DEFAULT_PARTITION__"),
            ("c", "..", "c=.."),
            ("a=b", "100%", "a%3Db=100%25"),
            ("c", "\u{1}\n\u{7f}\"'#*:?\\{[]^", "c=%01%0A%7F%22%27%23%2A%3A%3F%5C%7B%5B%5D%5E"),
            ("stadt", "Köln }~", "stadt=Köln }~"),
        ] {
            let mut path = String::new();
            column(&mut path, name, value).expect("a string");
            assert_eq!(path, expect);
            check(&path).expect("it is one name below the directory");
        }
    }
    #[test]
    fn periods_are_utc() {
        let at = |of, ms| {
            let mut path = String::new();
            period(&mut path, of, Time::from_millis(ms)).expect("a string");
            path
        };
        assert_eq!(at(Period::Day, 0), "date=1970-01-01");
        assert_eq!(at(Period::Minute, 86_399_999), "date=1970-01-01/hour=23/minute=59");
        assert_eq!(at(Period::Hour, 951_782_400_000), "date=2000-02-29/hour=00");
        assert_eq!(at(Period::Hour, 951_868_800_000), "date=2000-03-01/hour=00");
        assert_eq!(at(Period::Day, 1_709_251_199_999), "date=2024-02-29");
        assert_eq!(at(Period::Day, 4_107_542_399_000), "date=2100-02-28", "no leap year");
        assert_eq!(at(Period::Day, 4_107_542_400_000), "date=2100-03-01");
        assert_eq!(at(Period::Minute, 1_795_988_134_000), "date=2026-11-29/hour=21/minute=35");
    }
    #[test]
    fn days_follow_each_other() {
        let lengths = |year: u64| {
            let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
            [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let mut expect = (1970, 1, 1);
        for day in 0..200_000 {
            assert_eq!(date(day), expect);
            let (y, m, d) = expect;
            expect = if d < lengths(y)[m as usize - 1] {
                (y, m, d + 1)
            } else if m < 12 {
                (y, m + 1, 1)
            } else {
                (y + 1, 1, 1)
            };
        }
    }
}
