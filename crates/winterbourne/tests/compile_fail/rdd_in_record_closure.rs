//! An RDD inside a record closure.
use winterbourne::prelude::*;

fn shares(counts: &Rdd<u64>, all: Rdd<u64>) -> Rdd<u64> {
    counts.map(move |n| n / all.count().unwrap())
}

fn main() {}
