//! What tests of stream programs need, ours and yours: a stream tester on a simulated clock, a program tester that goes
//! through kills and restarts on a simulated disk, lanes, which run one batch program several times against an in-memory
//! exchange, and the clauses of the contract of sinks.
//!
//! Nothing here sleeps or measures; everything is reproducible. Not for production programs.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod disk;
mod fault;
mod input;
pub mod lanes;
mod output;
mod program;
mod sink;
mod tester;

pub use fault::TestFault;
pub use input::TestInput;
pub use output::{Batches, TestConsole, TestOutput};
pub use program::ProgramTester;
pub use sink::check_sink;
pub use tester::{StreamTester, TEST_START};
pub use winterbourne_base::storage::{Crash, SimStorage, Storage};
