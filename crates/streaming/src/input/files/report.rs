//! [`Report`]: what of one batch has to be said and counted. One sentence for each reason, however many files there are.
use super::options::FileCounts;
use std::{collections::BTreeMap, fmt::Write as _};

/// How many paths of a batch its description has.
const MOST_PATHS: usize = 100;

/// Why a file is not read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Reason {
    Before,
    TooOld,
    Changed,
    Refused,
    Vanished,
    Early,
    FailedListing,
    Skipped,
}
impl Reason {
    /// What it is, in a few words; and what helps.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Reason::Before => ("there before the stream began", "`existing_too` reads such files"),
            Reason::TooOld => (
                "older than the stream looks back",
                "raise spark.streaming.fileStream.minRememberDuration, or set `remember`, to have such files read",
            ),
            Reason::Changed => (
                "changed after being read",
                "write files elsewhere and move them in when they are complete; `read_changed` reads them again as a whole",
            ),
            Reason::Refused => ("not readable", "it is tried again"),
            Reason::Vanished => ("gone before being read", "nothing of it was read"),
            Reason::Early => ("ahead of the clock", "it is read when the clock gets there"),
            Reason::FailedListing => ("directories that cannot be listed", "it is tried again at each batch"),
            Reason::Skipped => {
                ("not readable when its batch was run", "`skip_unreadable` leaves such files out for good")
            }
        }
    }
    fn count(self, counts: &mut FileCounts) -> &mut u64 {
        match self {
            Reason::Before => &mut counts.before,
            Reason::TooOld => &mut counts.too_old,
            Reason::Changed => &mut counts.changed,
            Reason::Refused => &mut counts.refused,
            Reason::Vanished => &mut counts.vanished,
            Reason::Early => &mut counts.early,
            Reason::FailedListing => &mut counts.failed_listings,
            Reason::Skipped => &mut counts.skipped,
        }
    }
}

struct Note {
    files: u64,
    /// The first of them, and why.
    first: String,
}
/// What was left out, by reason.
#[derive(Default)]
pub(super) struct Report(BTreeMap<Reason, Note>);
impl Report {
    pub(super) fn add(&mut self, reason: Reason, path: impl FnOnce() -> String) {
        self.0.entry(reason).or_insert_with(|| Note { files: 0, first: path() }).files += 1;
    }
    /// Adds it to the totals.
    pub(super) fn count(&self, counts: &mut FileCounts) {
        for (reason, note) in &self.0 {
            *reason.count(counts) += note.files;
        }
    }
    /// Says it in the log of the program.
    pub(super) fn say(&self, stream: &str) {
        for (reason, Note { files, first }) in &self.0 {
            let (what, help) = reason.words();
            match reason {
                // Asked for, by not asking for more.
                Reason::Before => tracing::info!("file stream {stream}: {what}: {files}, the first {first}; {help}"),
                _ => tracing::warn!("file stream {stream}: {what}: {files}, the first {first}; {help}"),
            }
        }
    }
    /// For people: the paths of a batch, one a line, and what was left out.
    pub(super) fn describe<'a>(&self, paths: impl ExactSizeIterator<Item = &'a str>) -> String {
        let files = paths.len();
        let mut text = format!("{files} file(s)");
        for path in paths.take(MOST_PATHS) {
            let _ = write!(text, "\n{path}");
        }
        if files > MOST_PATHS {
            let _ = write!(text, "\nand {} more", files - MOST_PATHS);
        }
        for (reason, Note { files, first }) in &self.0 {
            let _ = write!(text, "\nleft out, {}: {files}, the first {first}", reason.words().0);
        }
        text
    }
}
