//! An RDD as a broadcast value.
use winterbourne::prelude::*;

fn shared(sc: &SparkContext, owners: Rdd<(Text, Text)>) -> Broadcast<Rdd<(Text, Text)>> {
    sc.broadcast(owners)
}

fn main() {}
