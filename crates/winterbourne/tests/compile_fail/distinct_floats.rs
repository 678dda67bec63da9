//! The distinct ones of floats.
use winterbourne::prelude::*;

fn prices(sales: &Rdd<f64>) -> Rdd<f64> {
    sales.distinct()
}

fn main() {}
