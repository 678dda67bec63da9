//! A closure that borrows a local variable.
use winterbourne::prelude::*;

fn main() -> Result<(), BoxError> {
    let sc = SparkContext::new(SparkConf::new().set_app_name("test"))?;
    let limit = 10;
    let small = sc.range(0..100, 2).filter(|x| *x < limit);
    println!("{}", small.count()?);
    Ok(())
}
