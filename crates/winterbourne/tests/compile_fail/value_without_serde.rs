//! A grouped value without serde.
use winterbourne::prelude::*;

#[derive(Clone)]
struct Visit {
    page: String,
}

fn by_user(visits: &Rdd<(u64, Visit)>) -> Rdd<(u64, Vec<Visit>)> {
    visits.group_by_key()
}

fn main() {}
