//! Pieces that borrow from their record.
use winterbourne::prelude::*;

fn fields(lines: &Rdd<Text>) -> Rdd<String> {
    lines.flat_map(|line| line.split(',').map(String::from))
}

fn main() {}
