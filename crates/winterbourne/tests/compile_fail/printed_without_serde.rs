//! A printed record without a text form.
use winterbourne::prelude::*;

#[derive(Clone)]
struct Visit {
    page: String,
}

fn show(visits: &DStream<Visit>) {
    visits.print();
}

fn main() {}
