//! [`Helper`]: this program once more, as a child that ends when its parent does.
//!
//! The child has a pipe as standard input that nobody writes to; it ends when the pipe does, so it outlives no parent,
//! however that one ends. What it says on standard output is read line by line.
use crate::{Result, process::Process};
use std::{
    io::{self, BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

pub(crate) struct Helper {
    child: Child,
    said: BufReader<ChildStdout>,
}
impl Helper {
    /// Starts it with these arguments.
    pub(crate) fn start(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).arg("--helper").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let said = BufReader::new(child.stdout.take().ok_or("a child without standard output")?);
        Ok(Helper { child, said })
    }
    /// The rest of the next line it says, which must begin with `word`.
    pub(crate) fn hear(&mut self, word: &str) -> Result<String> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        let rest = line.strip_prefix(word).ok_or(format!("expected `{word}` of the child process, not `{line}`"))?;
        Ok(rest.trim().to_owned())
    }
    pub(crate) fn process(&self) -> Process {
        Process::of(self.child.id())
    }
}
impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the child: ends this process when standard input ends.
pub(crate) fn end_with_parent() -> Result {
    let watch = || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0)
    };
    thread::Builder::new().name("parent-watch".into()).spawn(watch)?;
    Ok(())
}
