//! Tests of the engine from outside: one program, so that it is linked once.
mod accumulators;
mod bounds;
mod common;
mod compressed;
mod errors;
mod files;
mod jobs;
mod joins;
mod lanes;
mod limits;
mod objects;
mod operators;
mod outputs;
mod pipe;
mod planner;
mod sequences;
mod text_files;
