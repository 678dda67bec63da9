//! An RDD without an action.
#![deny(unused_must_use)]
use winterbourne::prelude::*;

fn main() -> Result<(), BoxError> {
    let sc = SparkContext::new(SparkConf::new().set_app_name("test"))?;
    sc.range(0..10, 2).map(|x| println!("{x}"));
    Ok(())
}
