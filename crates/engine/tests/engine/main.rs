//! Tests of the engine from outside: one program, so that it is linked once.
mod accumulators;
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
mod sampling;
mod sets;
mod sorted;
mod text_files;
mod zips;
