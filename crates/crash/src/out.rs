//! Outputs: a file for each batch and kind. A batch that is run again writes the same file again; if it does not, that is
//! kept beside it for the harness to find.

use std::fmt::Arguments;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use winterbourne::engine::Data;
use winterbourne::{BoxError, DStream, Time};

/// A directory of outputs. A clone writes to the same.
#[derive(Clone)]
pub(crate) struct Out(PathBuf);

impl Out {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Out(directory)
    }

    /// Writes the records of each batch, a line each.
    pub(crate) fn each<T: Data>(
        &self,
        kind: &'static str,
        stream: &DStream<T>,
        line: impl Fn(&T) -> String + Send + 'static,
    ) {
        let out = self.clone();
        stream.foreach_rdd(move |rdd, time| out.write(kind, time, rdd.collect()?.iter().map(&line).collect()));
    }

    /// Writes one batch, in an order that does not depend on threads.
    pub(crate) fn write(&self, kind: &str, time: Time, mut lines: Vec<String>) -> Result<(), BoxError> {
        lines.sort_unstable();
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let name = format!("{}.{kind}", time.as_millis());
        let place = self.0.join(&name);
        match fs::read_to_string(&place) {
            Ok(before) if before == text => return Ok(()),
            Ok(_) => fs::write(self.0.join(format!("{name}.differs")), &text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let aside = self.0.join(format!(".{name}"));
        fs::write(&aside, text)?;
        Ok(fs::rename(aside, place)?)
    }
}

/// A line for the harness. If nobody listens any more, the harness is gone, and it does not matter.
pub(crate) fn say(line: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
