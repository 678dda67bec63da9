//! Operators against their dull twins: the same operation over plain vectors, written without a thought of speed
//! and without anything of the engine, on random data, partition counts and thread counts.
mod common;
mod files;
mod jobs;
mod keyed;
mod numbers;
mod persist;
mod samples;
mod sets;
mod sorted;
