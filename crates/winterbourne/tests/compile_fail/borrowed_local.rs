//! A closure that borrows an argument.
use winterbourne::prelude::*;

fn matching(lines: &Rdd<Text>, wanted: &str) -> Rdd<Text> {
    lines.filter(|line| line.contains(wanted))
}

fn main() {}
