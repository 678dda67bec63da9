//! Tests of the engine from outside: one program, so that it is linked once.
mod accumulators;
mod actions;
mod approx;
mod bounds;
mod common;
mod errors;
mod jobs;
mod joins;
mod keyed;
mod lanes;
mod limits;
mod operators;
mod partitioners;
mod planner;
mod sorted;
mod text_files;
