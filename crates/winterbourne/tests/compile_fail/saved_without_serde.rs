//! Records without a text form, saved as text.
use winterbourne::prelude::*;

#[derive(Clone, Debug)]
struct Visit {
    page: String,
}

fn save(visits: &Rdd<Visit>) -> Result<(), BoxError> {
    Ok(visits.save_as_text_file("visits")?)
}

fn main() {}
