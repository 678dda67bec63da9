//! A key that borrows from its record.
use winterbourne::prelude::*;

fn by_host(lines: &Rdd<String>) -> Rdd<(&str, String)> {
    lines.key_by(|line| line.split(' ').next().unwrap_or(""))
}

fn main() {}
