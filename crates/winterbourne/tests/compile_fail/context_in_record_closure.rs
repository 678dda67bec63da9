//! A context inside a record closure.
use winterbourne::prelude::*;

fn nested(sc: SparkContext, paths: &Rdd<String>) -> Rdd<u64> {
    paths.map(move |path| sc.text_file(&path, 1).count().unwrap())
}

fn main() {}
