//! The workloads, one file each. They share no state and know nothing of how rows are printed.
pub(crate) mod spill;
pub(crate) mod w1;
pub(crate) mod w1b;
pub(crate) mod w2mem;
pub(crate) mod w2sock;
pub(crate) mod w3;
pub(crate) mod w4;
pub(crate) mod w5;
pub(crate) mod w6;
pub(crate) mod w7;
pub(crate) mod w8;
#[cfg(feature = "kafka")]
pub(crate) mod w9;
