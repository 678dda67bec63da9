//! A closure of `map` that takes its record by reference.
use winterbourne::prelude::*;

fn lengths(lines: &Rdd<Text>) -> Rdd<usize> {
    lines.map(|line: &Text| line.len())
}

fn main() {}
