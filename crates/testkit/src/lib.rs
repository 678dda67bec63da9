//! What tests of stream programs need, ours and yours: a stream tester on a simulated clock, a program tester that goes
//! through kills and restarts on a simulated disk, and lanes, which run one program several times against an in-memory
//! exchange.
//!
//! Nothing here sleeps or measures; everything is reproducible. Not for production programs.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod disk;
mod fault;
mod input;
pub mod lanes;
mod output;
mod program;
mod tester;

pub use fault::TestFault;
pub use input::TestInput;
pub use output::{Batches, TestConsole, TestOutput};
pub use program::ProgramTester;
pub use tester::{StreamTester, TEST_START};
pub use winterbourne_base::storage::{Crash, SimStorage, Storage};
