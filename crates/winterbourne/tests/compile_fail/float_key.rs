//! A float as a key.
use winterbourne::prelude::*;

fn by_price(sales: &Rdd<(f64, u64)>) -> Rdd<(f64, u64)> {
    sales.reduce_by_key(|a, b| a + b)
}

fn main() {}
