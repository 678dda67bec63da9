//! A union of records of two types.
use winterbourne::prelude::*;

fn all(lines: &Rdd<Text>, words: &Rdd<String>) -> Rdd<Text> {
    lines.union(words)
}

fn main() {}
