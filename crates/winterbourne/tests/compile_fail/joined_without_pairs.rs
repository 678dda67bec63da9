//! A join of records that are no pairs.
use winterbourne::prelude::*;

fn owned(pages: &Rdd<Text>, owners: &Rdd<(Text, Text)>) -> Rdd<(Text, (Text, Text))> {
    pages.join(owners)
}

fn main() {}
