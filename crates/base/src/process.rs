//! Processes: a command and its three pipes, fed and read by one thread that never waits for only one of them.
//!
//! The only place that asks the system for pipes that do not block, for waiting on several, and for ending a process
//! together with what it started. It refuses to know what is written and read.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running process. Dropped before it has ended, it is killed, with all of its process group.
///
/// ```
/// use std::{process::Command, time::Duration};
/// use winterbourne_base::process::Process;
///
/// let mut process = Process::start(&mut Command::new("cat"))?;
/// let (mut out, mut err, mut got) = ([0; 10], [0; 10], Vec::new());
/// let mut input = &b"to be"[..];
/// while process.has_output() {
///     let moved = process.exchange(input, &mut out, &mut err, Duration::from_secs(1))?;
///     input = &input[moved.taken..];
///     if input.is_empty() {
///         process.close_input();
///     }
///     got.extend_from_slice(&out[..moved.out]);
/// }
/// assert_eq!(got, b"to be");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Each until it is closed, by either side.
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    ended: Option<ExitStatus>,
}

/// What went to and fro in one [`exchange`](Process::exchange), in bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Moved {
    /// So much of the input was taken.
    pub taken: usize,
    /// So much came from the standard output.
    pub out: usize,
    /// So much came from the standard error.
    pub err: usize,
}

impl Process {
    /// Starts a command, in a process group of its own, with pipes for its standard input, output and error.
    ///
    /// # Errors
    ///
    /// What the system says: there is no such program, it may not be run, there are too many processes.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Self { child, stdin, stdout, stderr, ended: None };
        for pipe in process.pipes().into_iter().flatten() {
            do_not_block(pipe)?;
        }
        Ok(process)
    }

    /// Whether it may still read what is written to it.
    #[must_use]
    pub fn takes_input(&self) -> bool {
        self.stdin.is_some()
    }

    /// Whether its standard output is still open.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.stdout.is_some()
    }

    /// Tells it that nothing follows.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Writes what it takes of `input`, reads what there is; waits, but no longer than `wait`, until it can do one of
    /// them. That the process has closed its input is no error: it then [takes none](Self::takes_input).
    ///
    /// # Errors
    ///
    /// What the system says of a pipe.
    pub fn exchange(&mut self, input: &[u8], out: &mut [u8], err: &mut [u8], wait: Duration) -> io::Result<Moved> {
        self.wait_for_pipes(!input.is_empty(), !out.is_empty(), !err.is_empty(), wait)?;
        let mut moved = Moved::default();
        if let Some(pipe) = self.stdin.as_mut().filter(|_| !input.is_empty()) {
            match pipe.write(input) {
                Ok(count) => moved.taken = count,
                Err(error) if is_later(&error) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.stdin = None,
                Err(error) => return Err(error),
            }
        }
        moved.out = read(&mut self.stdout, out)?;
        moved.err = read(&mut self.stderr, err)?;
        Ok(moved)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    fn pipes(&self) -> [Option<BorrowedFd<'_>>; 3] {
        [
            self.stdin.as_ref().map(AsFd::as_fd),
            self.stdout.as_ref().map(AsFd::as_fd),
            self.stderr.as_ref().map(AsFd::as_fd),
        ]
    }

    /// Waits until one of the wanted pipes is ready, or is closed at the other end.
    fn wait_for_pipes(&self, input: bool, out: bool, err: bool, wait: Duration) -> io::Result<()> {
        let wanted = [(input, libc::POLLOUT), (out, libc::POLLIN), (err, libc::POLLIN)];
        let mut polled: Vec<libc::pollfd> = self
            .pipes()
            .iter()
            .zip(wanted)
            .filter_map(|(pipe, (is_wanted, events))| {
                let fd = pipe.filter(|_| is_wanted)?.as_raw_fd();
                Some(libc::pollfd { fd, events, revents: 0 })
            })
            .collect();
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the list is as long as said and lives through the call; its descriptors are open while `self` is borrowed.
        let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, wait) };
        match ready {
            -1 => Err(io::Error::last_os_error()).or_else(|error| if is_later(&error) { Ok(()) } else { Err(error) }),
            _ => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.ended(), Ok(None)) {
            return;
        }
        if let Ok(group) = i32::try_from(self.child.id()) {
            // SAFETY: kill takes two numbers. The process was not waited for, so its number, which is that of its group, is
            // still its own.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
        // It is gone already, or about to be; waiting frees its number.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads once; closes the pipe at its end.
fn read(pipe: &mut Option<impl Read>, into: &mut [u8]) -> io::Result<usize> {
    let Some(open) = pipe.as_mut().filter(|_| !into.is_empty()) else { return Ok(0) };
    match open.read(into) {
        Ok(0) => {
            *pipe = None;
            Ok(0)
        }
        Err(error) if is_later(&error) => Ok(0),
        other => other,
    }
}

/// Whether the same call may succeed later.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn do_not_block(pipe: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: fcntl with these commands takes numbers; the descriptor is open for as long as it is borrowed.
    let set = unsafe {
        let flags = libc::fcntl(pipe.as_raw_fd(), libc::F_GETFL);
        if flags == -1 { -1 } else { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) }
    };
    if set == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Process {
        Process::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    /// Feeds it and reads it to its end; its output, its standard error and its status.
    fn run(mut process: Process, mut input: &[u8]) -> (Vec<u8>, Vec<u8>, ExitStatus) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (mut some_out, mut some_err) = ([0; 1000], [0; 100]);
        loop {
            if input.is_empty() {
                process.close_input();
            }
            let moved = process.exchange(input, &mut some_out, &mut some_err, Duration::from_millis(5)).unwrap();
            input = &input[moved.taken..];
            out.extend_from_slice(&some_out[..moved.out]);
            err.extend_from_slice(&some_err[..moved.err]);
            if !process.has_output()
                && let Some(status) = process.ended().unwrap()
                && process.stderr.is_none()
            {
                return (out, err, status);
            }
        }
    }

    #[test]
    fn much_goes_both_ways_without_waiting_for_one() {
        let input = b"a line of some length\n".repeat(50_000);
        let (out, err, status) = run(sh("tee /dev/stderr"), &input);
        assert!(out == input && err == input && status.success());
    }
    #[test]
    fn a_process_need_not_read_its_input() {
        let input = vec![b'x'; 1 << 20];
        assert_eq!(run(sh("head -c 3"), &input).0, b"xxx");
        assert_eq!(run(sh("exec 0<&-; echo done"), &input).0, b"done\n");
        // Without output, it reads on.
        let (out, err, _) = run(sh("exec 1>&-; wc -c >&2"), &input);
        assert_eq!((out, err.trim_ascii()), (vec![], &b"1048576"[..]));
    }
    #[test]
    fn says_how_it_ended_and_that_it_could_not_start() {
        assert_eq!(run(sh("echo no >&2; exit 3"), b"").2.code(), Some(3));
        assert_eq!(run(sh("kill -9 $$"), b"").2.code(), None);
        let error = Process::start(&mut Command::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    #[test]
    fn dropping_it_kills_it_and_what_it_started() {
        let mut process = sh("sleep 1000 & echo $!; wait");
        let (mut out, mut got) = ([0; 100], Vec::new());
        while !got.ends_with(b"\n") {
            let moved = process.exchange(&[], &mut out, &mut [], Duration::from_secs(10)).unwrap();
            got.extend_from_slice(&out[..moved.out]);
        }
        let started: i32 = std::str::from_utf8(&got).unwrap().trim().parse().unwrap();
        drop(process);
        // It is gone, or waits for its new parent to notice.
        let gone = |pid: i32| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => true,
            Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')),
        };
        while cfg!(target_os = "linux") && !gone(started) {
            std::thread::yield_now();
        }
    }
}
