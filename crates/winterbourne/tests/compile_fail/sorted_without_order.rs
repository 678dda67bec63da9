//! Records sorted by what has no order.
use winterbourne::prelude::*;

#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Size(u64);

fn by_size(files: &Rdd<(Text, Size)>) -> Rdd<(Text, Size)> {
    files.sort_by(|(_, size)| size.clone())
}

fn main() {}
