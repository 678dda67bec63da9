//! Records that borrow from a local variable.
use winterbourne::prelude::*;

fn main() -> Result<(), BoxError> {
    let sc = SparkContext::new(SparkConf::new().set_app_name("test"))?;
    let text = std::fs::read_to_string("lines.txt")?;
    let lines = sc.parallelize(text.lines(), 2);
    println!("{}", lines.count()?);
    Ok(())
}
