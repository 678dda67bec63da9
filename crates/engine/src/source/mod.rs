//! Where records come from: memory, a range of numbers, files.
pub(crate) mod binary;
pub(crate) mod lines;
pub(crate) mod listed;
mod memory;
pub(crate) mod open;
mod preferred;
pub(crate) mod splits;
mod text_file;
mod whole;
