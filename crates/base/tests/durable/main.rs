//! Storage and journals: the promises of both storages, and journals beside a model on a disk that fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[cfg(feature = "failpoints")]
mod failpoints;
mod fixture;
mod fuzz;
mod journal;
mod model;
mod shared;
mod spy;
mod storage;
