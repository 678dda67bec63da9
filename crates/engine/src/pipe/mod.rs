//! `pipe`: each partition through a process of its own, as lines to its standard input and lines from its output.
//!
//! The task's own thread feeds and reads it, whichever is possible, so neither side can wait for the other for ever; what
//! is upstream is pulled only while the process takes it. It asks ten times a second whether the job was cancelled.
mod run;

use crate::{Data, Error, Flow, Rdd, Show, Site, Text, show::show_to};
use run::Run;
use std::{io, sync::Arc};

/// Writes the lines of records; an error is what the `Serialize` of one says.
type Print<T> = Arc<dyn Fn(&[T], &mut String) -> Result<(), String> + Send + Sync>;
/// Writes the lines before the first record.
type Context = Arc<dyn Fn(&mut dyn FnMut(&str)) + Send + Sync>;

/// The process of a [`pipe`](Rdd::pipe): a command, and how it is run. A text alone is one too, cut at white space: there
/// is no shell, so quotes and `$` mean nothing. An array or a vector is the program and its arguments.
///
/// ```
/// use winterbourne_engine::Pipe;
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let shell = Pipe::new(["sh", "-c", "echo $GREETING; cat"])
///     .env("GREETING", "hello")
///     .print_pipe_context(|line| line("first line"));
/// assert_eq!(sc.range(0..2, 1).pipe(shell).collect()?, ["hello", "first line", "0", "1"]);
///
/// let fields = Pipe::printing(["cat"], |(name, n): &(&str, u32), line| {
///     line(name);
///     line(&n.to_string());
/// });
/// assert_eq!(sc.parallelize([("a", 1)], 1).pipe(fields).collect()?, ["a", "1"]);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[must_use = "a Pipe is handed to Rdd::pipe"]
pub struct Pipe<T> {
    command: Vec<String>,
    env: Vec<(String, String)>,
    own_dir: bool,
    context: Option<Context>,
    print: Print<T>,
}
impl<T: Data> Pipe<T> {
    /// A program with its arguments. Each record is a line: its text form ([`show`](crate::show)).
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self
    where
        T: Show,
    {
        let print = |records: &[T], lines: &mut String| {
            records.iter().try_for_each(|record| {
                show_to(lines, record).map_err(|e| e.to_string())?;
                lines.push('\n');
                Ok(())
            })
        };
        Self::made(command, Arc::new(print))
    }
    /// The same, with a function that writes the lines of a record: it calls what it is handed once for each, without a
    /// line end.
    #[doc(alias = "printRDDElement")]
    pub fn printing<S: Into<String>>(
        command: impl IntoIterator<Item = S>,
        print: impl Fn(&T, &mut dyn FnMut(&str)) + Send + Sync + 'static,
    ) -> Self {
        let print = move |records: &[T], lines: &mut String| {
            records.iter().for_each(|record| print(record, &mut |line| put_line(lines, line)));
            Ok(())
        };
        Self::made(command, Arc::new(print))
    }
    fn made<S: Into<String>>(command: impl IntoIterator<Item = S>, print: Print<T>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Pipe { command, env: Vec::new(), own_dir: false, context: None, print }
    }
    /// An environment variable of the process, beside those of this program.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
    /// Lines that each process gets before the records; `print` calls what it is handed once for each.
    #[doc(alias = "printPipeContext")]
    pub fn print_pipe_context(mut self, print: impl Fn(&mut dyn FnMut(&str)) + Send + Sync + 'static) -> Self {
        self.context = Some(Arc::new(print));
        self
    }
    /// Runs each process in a new directory, which is removed afterwards. In it are links to everything in the working
    /// directory of this program.
    ///
    /// ```
    /// # use winterbourne_engine::{Pipe, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let shell = Pipe::new(["sh", "-c", "cat > records; wc -l < records"]).separate_working_dir();
    /// assert_eq!(sc.range(0..10, 2).pipe(shell).map(|n| n.trim().to_string()).collect()?, ["5", "5"]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "separateWorkingDir")]
    pub fn separate_working_dir(mut self) -> Self {
        self.own_dir = true;
        self
    }
}
fn put_line(lines: &mut String, line: &str) {
    lines.push_str(line);
    lines.push('\n');
}

impl<T: Data + Show> From<&str> for Pipe<T> {
    fn from(command: &str) -> Self {
        Pipe::new(command.split_whitespace())
    }
}
impl<T: Data + Show> From<String> for Pipe<T> {
    fn from(command: String) -> Self {
        Pipe::from(command.as_str())
    }
}
impl<T: Data + Show, S: Into<String>, const N: usize> From<[S; N]> for Pipe<T> {
    fn from(command: [S; N]) -> Self {
        Pipe::new(command)
    }
}
impl<T: Data + Show, S: Into<String>> From<Vec<S>> for Pipe<T> {
    fn from(command: Vec<S>) -> Self {
        Pipe::new(command)
    }
}

impl<T: Data> Rdd<T> {
    /// Each partition through a process: records are lines of its standard input, lines of its standard output are the
    /// records of the result. One process for each partition, also for those without records; the partitioner is gone.
    ///
    /// A process that ends otherwise than with status 0 fails its task; the error has the end of its standard error, all
    /// of which goes to that of this program. One that stops reading, like `head`, is fed no more, and that is fine. When
    /// the job is cancelled or fails, it is killed together with what it started. Input is UTF-8; lines of the output are
    /// cut and repaired as those of [`text_file`](crate::SparkContext::text_file).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sorted = sc.parallelize(["b", "c", "a", "d"], 2).pipe("sort -r");
    /// assert_eq!(sorted.collect()?, ["c", "b", "d", "a"]);
    /// let failing = sc.parallelize([1], 1).pipe("false").collect().unwrap_err().to_string();
    /// assert!(failing.contains("Subprocess exited with status 1. Command ran: false"), "{failing}");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors of the action
    /// [`Error::Pipe`] if the program cannot be run, [`Error::PipeStatus`] if it fails.
    #[track_caller]
    pub fn pipe(&self, pipe: impl Into<Pipe<T>>) -> Rdd<Text> {
        let (site, pipe) = (Site::caller(), pipe.into());
        if pipe.command.is_empty() {
            return self.sc.wrong("pipe", site, move || {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "the command is empty");
                Error::Pipe { doing: "starting it", program: String::new(), site, source }
            });
        }
        let pipe = Arc::new(pipe);
        self.narrow("pipe", site, false, move |_, flow, task| {
            let mut run = Run::start(&pipe, flow, task, site)?;
            Ok(Flow::new(move || run.next_lines()))
        })
    }
}
