//! The feature `failpoints`: counting, listing, dying.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use signal_hook::consts::SIGKILL;

/// What the environment asked for.
#[derive(Debug, Default)]
struct Orders {
    /// Where to die, and at the how manyth hit.
    die: Option<(String, u64)>,
    report: Option<OsString>,
    list: Option<OsString>,
    fault: Option<String>,
    lose_unsynced: bool,
    small_sizes: bool,
}

static ORDERS: OnceLock<Orders> = OnceLock::new();

/// How often each name was hit.
static HITS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// Dies here, by SIGKILL, if a test asked for it.
///
/// # Panics
///
/// If the environment asks for something that cannot be done: a test that is not run as meant must not pass.
///
/// ```
/// use winterbourne_base::failpoint;
/// failpoint::hit("example.before_write");
/// ```
pub fn hit(name: &str) {
    let orders = orders();
    if orders.die.is_none() && orders.list.is_none() {
        return;
    }
    // Held until the end, so that the list has no name twice and nothing overtakes the dying thread.
    let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
    let count = hits.entry(name.to_owned()).or_default();
    *count += 1;
    if *count == 1
        && let Some(list) = &orders.list
    {
        add_line(Path::new(list), name);
    }
    if orders.die.as_ref().is_some_and(|(die, at)| die == name && *at == *count) {
        if let Some(report) = &orders.report {
            add_line(Path::new(report), &format!("{name}@{count}"));
        }
        // Both never return; the second is for a system that would refuse the first.
        let _ = signal_hook::low_level::raise(SIGKILL);
        std::process::abort();
    }
}

/// Whether the fault `name` was asked for.
///
/// ```
/// use winterbourne_base::failpoint;
/// assert!(!failpoint::seeded("example.sum-off-by-one"));
/// ```
#[must_use]
pub fn seeded(name: &str) -> bool {
    orders().fault.as_deref() == Some(name)
}

/// Whether what was not synced is to die with the process.
#[must_use]
pub fn lose_unsynced() -> bool {
    orders().lose_unsynced
}

/// `usual`, or `small` if a test wants to see often what happens seldom.
///
/// ```
/// use winterbourne_base::failpoint;
/// assert_eq!(failpoint::size(8 << 20, 4 << 10), 8 << 20);
/// ```
#[must_use]
pub fn size(usual: u64, small: u64) -> u64 {
    if orders().small_sizes { small } else { usual }
}

fn orders() -> &'static Orders {
    ORDERS.get_or_init(|| {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Orders {
            die: text("WINTERBOURNE_FAILPOINT").map(|value| {
                parse(&value).unwrap_or_else(|| panic!("WINTERBOURNE_FAILPOINT is name@n with n from 1: {value:?}"))
            }),
            report: std::env::var_os("WINTERBOURNE_FAILPOINT_REPORT"),
            list: std::env::var_os("WINTERBOURNE_FAILPOINT_LIST"),
            fault: text("WINTERBOURNE_SEEDED_FAULT"),
            lose_unsynced: text("WINTERBOURNE_LOSE_UNSYNCED").is_some_and(|value| value == "1"),
            small_sizes: text("WINTERBOURNE_SMALL_SIZES").is_some_and(|value| value == "1"),
        }
    })
}

fn parse(value: &str) -> Option<(String, u64)> {
    let (name, count) = value.rsplit_once('@')?;
    let count = count.parse().ok().filter(|count| *count > 0)?;
    (!name.is_empty()).then(|| (name.to_owned(), count))
}

/// Appends a line, durably.
fn add_line(path: &Path, line: &str) {
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    };
    if let Err(error) = write() {
        panic!("a failpoint cannot write to {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_name_a_place_and_a_count() {
        for (value, expect) in [
            ("journal.append.before_sync@3", Some(("journal.append.before_sync", 3))),
            ("a@b@1", Some(("a@b", 1))),
            ("a@0", None),
            ("a", None),
            ("@1", None),
            ("a@x", None),
        ] {
            assert_eq!(parse(value), expect.map(|(name, count)| (name.to_owned(), count)), "{value}");
        }
    }
}
