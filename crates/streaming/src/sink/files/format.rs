//! What a record is in a file: a line, a JSON object, a row of CSV.
use super::{csv, json};
use serde::Serialize;
use std::sync::Arc;
use winterbourne_engine::BoxError;

/// Appends to `out`, with the end of the line.
type Put<T> = Arc<dyn Fn(&T, &mut Vec<u8>) -> Result<(), BoxError> + Send + Sync>;

/// How records are written.
pub(super) struct Format<T> {
    /// What a file begins with, as its first record tells.
    pub(super) head: Option<Put<T>>,
    pub(super) record: Put<T>,
    /// What names end in.
    pub(super) ending: &'static str,
}
impl<T> Clone for Format<T> {
    fn clone(&self) -> Self {
        Format { head: self.head.clone(), record: self.record.clone(), ending: self.ending }
    }
}

pub(super) fn lines<T>(line: impl Fn(&T) -> Result<String, BoxError> + Send + Sync + 'static) -> Format<T> {
    let record = move |x: &T, out: &mut Vec<u8>| {
        out.extend_from_slice(line(x)?.as_bytes());
        out.push(b'\n');
        Ok(())
    };
    Format { head: None, record: Arc::new(record), ending: "txt" }
}

pub(super) fn json<T: Serialize>() -> Format<T> {
    let record = |x: &T, out: &mut Vec<u8>| {
        json::write(x, out)?;
        out.push(b'\n');
        Ok(())
    };
    Format { head: None, record: Arc::new(record), ending: "jsonl" }
}

pub(super) fn csv<T: Serialize>(options: CsvOptions) -> Format<T> {
    let CsvOptions { delimiter, header } = options;
    let head = move |x: &T, out: &mut Vec<u8>| Ok(csv::header(x, delimiter, out)?);
    let record = move |x: &T, out: &mut Vec<u8>| Ok(csv::row(x, delimiter, out)?);
    Format { head: if header { Some(Arc::new(head)) } else { None }, record: Arc::new(record), ending: "csv" }
}

/// How CSV is written.
#[derive(Clone, Copy, Debug)]
pub struct CsvOptions {
    delimiter: char,
    header: bool,
}
impl Default for CsvOptions {
    /// Commas, and a header in each file.
    fn default() -> Self {
        CsvOptions { delimiter: ',', header: true }
    }
}
impl CsvOptions {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }
    /// What stands between two columns: `;`, a tab.
    ///
    /// # Panics
    /// It is a quote or the end of a line.
    #[must_use]
    pub fn delimiter(mut self, delimiter: char) -> Self {
        assert!(!['"', '\n', '\r'].contains(&delimiter), "{delimiter:?} cannot stand between columns");
        self.delimiter = delimiter;
        self
    }
    /// Files begin with their first record.
    #[must_use]
    pub fn without_header(mut self) -> Self {
        self.header = false;
        self
    }
}
