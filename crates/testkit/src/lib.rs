//! What tests of stream programs need, ours and yours: a stream tester on a simulated clock, lanes, which run one batch
//! program several times against an in-memory exchange, and the clauses of the contract of sinks.
//!
//! Nothing here sleeps or measures; everything is reproducible. Not for production programs.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod lanes;
mod sink;
mod tester;

pub use sink::check_sink;
pub use tester::{Batches, StreamTester, TEST_START, TestConsole, TestInput, TestOutput};
