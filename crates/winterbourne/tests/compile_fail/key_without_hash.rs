//! A key that can be serialised and compared, but not hashed.
use winterbourne::prelude::*;

#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Kind {
    Page,
    Image,
}

fn totals(hits: &Rdd<(Kind, u64)>) -> Rdd<(Kind, u64)> {
    hits.reduce_by_key(|a, b| a + b)
}

fn main() {}
