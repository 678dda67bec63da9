//! Where records come from: memory, a range of numbers, text files.
pub(crate) mod lines;
pub(crate) mod listed;
mod memory;
mod preferred;
mod splits;
mod text_file;
mod zlib;
