//! A sum of records that are no numbers.
use winterbourne::prelude::*;

fn total(lines: &Rdd<Text>) -> Result<f64, BoxError> {
    Ok(lines.mean()?)
}

fn main() {}
