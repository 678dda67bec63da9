//! An output operation that does not return a Result.
use winterbourne::prelude::*;

fn sizes(lines: &DStream<Text>) {
    lines.foreach_rdd(|rdd, time| {
        println!("{time}: {}", rdd.count().unwrap());
    });
}

fn main() {}
