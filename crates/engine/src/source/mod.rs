//! Where records come from: memory, a range of numbers, text files.
pub(crate) mod lines;
mod memory;
mod splits;
mod text_file;
mod zlib;
