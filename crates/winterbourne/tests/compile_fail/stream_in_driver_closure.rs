//! A stream inside a driver closure.
use winterbourne::prelude::*;

fn both(a: &DStream<u64>, b: DStream<u64>) {
    a.foreach_rdd(move |rdd, _time| {
        println!("{} {}", rdd.count()?, b.slide_duration());
        Ok(())
    });
}

fn main() {}
