//! A checkpoint of records that cannot be serialised.
use winterbourne::prelude::*;

#[derive(Clone)]
struct Visit {
    page: String,
}

fn kept(visits: Rdd<Visit>) -> Rdd<Visit> {
    visits.checkpoint()
}

fn main() {}
