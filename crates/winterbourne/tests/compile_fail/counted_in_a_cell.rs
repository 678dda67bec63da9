//! A counter in a cell, where an accumulator is wanted.
use std::cell::Cell;
use winterbourne::prelude::*;

fn seen(lines: &Rdd<Text>) -> Result<u64, BoxError> {
    let seen = Cell::new(0);
    lines.foreach(move |_line| seen.set(seen.get() + 1))?;
    Ok(0)
}

fn main() {}
