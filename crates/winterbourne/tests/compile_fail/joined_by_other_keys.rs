//! A join of two RDDs whose keys are of different types.
use winterbourne::prelude::*;

fn owned(hits: &Rdd<(Text, u64)>, owners: &Rdd<(String, String)>) -> Rdd<(Text, (u64, String))> {
    hits.join(owners)
}

fn main() {}
