//! Records kept on disk that cannot be serialised.
use winterbourne::prelude::*;

#[derive(Clone)]
struct Visit {
    page: String,
}

fn kept(visits: Rdd<Visit>) -> Rdd<Visit> {
    visits.persist(DiskOnly)
}

fn main() {}
