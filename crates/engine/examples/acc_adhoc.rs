//! Ad hoc.
use std::{hint::black_box, time::Instant};
use winterbourne_engine::{SparkConf, SparkContext};
fn main() {
    for master in ["local[1]", "local[2]"] {
        let sc = SparkContext::new(SparkConf::empty().set_app_name("x").set_master(master)).unwrap();
        let two = sc.parallelize([1u64, 2], 2);
        let mut best = f64::MAX;
        for _ in 0..2000 {
            let t = Instant::now();
            for _ in 0..300 { black_box(two.count().unwrap()); }
            best = best.min(t.elapsed().as_secs_f64() / 300.0);
        }
        print!("{master} {:.0} ns  ", best * 1e9);
    }
    println!();
}
