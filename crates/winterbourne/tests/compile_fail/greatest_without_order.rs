//! The greatest of records that have no order.
use winterbourne::prelude::*;

#[derive(Clone, PartialEq)]
struct Size(u64);

fn greatest(files: &Rdd<Size>) -> Result<Size, BoxError> {
    Ok(files.max()?)
}

fn main() {}
