//! Tests of the engine from outside: one program, so that it is linked once.
mod accumulators;
mod bounds;
mod checkpoint;
mod common;
mod errors;
mod jobs;
mod joins;
mod lanes;
mod limits;
mod operators;
mod persist;
mod planner;
mod text_files;
