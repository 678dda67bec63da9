//! Values and the outside world: what every other crate of the workspace stands on.
//!
//! - [`time`]: points in time, durations and intervals, in whole milliseconds;
//! - [`clock`]: the only way to learn the time or to wait for it, real and manual;
//! - [`process`]: other programs, fed and read through pipes;
//! - [`mod@thread`] and [`signal`]: named threads, and what Ctrl-C means;
//! - [`storage`] and [`journal`]: the only way to keep something, on a disk or a simulated one, and records in order;
//! - [`scratch`]: private directories for files that need not outlive the process;
//! - [`failpoint`]: places where tests let a process die;
//! - [`memory`]: what becomes of freed memory;
//! - [`conf`]: the registry of configuration keys and [`SparkConf`].
//!
//! INVARIANT: no other crate reads a clock, spawns a thread or installs a signal handler by itself; they take a
//! [`Clock`] and call [`thread::spawn`], so that a test can drive a whole program by hand.
//!
//! This crate refuses to know what an RDD, a stream or a batch is, and holds no global mutable state except the
//! process's signal handlers, two settings of its allocator, the serial number of unfinished files and, with the feature
//! `failpoints`, how often each was hit.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod build;
pub mod clock;
pub mod conf;
pub mod failpoint;
pub mod journal;
pub mod memory;
pub mod process;
pub mod scratch;
pub mod signal;
pub mod storage;
pub mod thread;
pub mod time;

pub use build::build_id;
pub use clock::{Clock, ManualClock, SystemClock};
pub use conf::SparkConf;
pub use time::{Duration, Interval, IntoDuration, Time};
