//! What tests of stream programs need, ours and yours: a stream tester on a simulated clock, and lanes, which run one
//! batch program several times against an in-memory exchange.
//!
//! Nothing here sleeps or measures; everything is reproducible. Not for production programs.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod lanes;
mod tester;

pub use tester::{Batches, StreamTester, TEST_START, TestConsole, TestInput, TestOutput};
