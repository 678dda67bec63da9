//! Records sorted by a float.
use winterbourne::prelude::*;

fn by_price(sales: &Rdd<(Text, f64)>) -> Rdd<(Text, f64)> {
    sales.sort_by(|(_, price)| *price)
}

fn main() {}
