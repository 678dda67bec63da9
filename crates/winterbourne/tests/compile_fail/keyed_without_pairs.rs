//! An operator by key on records that are no pairs.
use winterbourne::prelude::*;

fn counts(words: &Rdd<Text>) -> Rdd<(Text, u64)> {
    words.reduce_by_key(|a, b| a + b)
}

fn main() {}
