//! A batch program: the numbers below ten in a text file, one number a line.
//!
//!     cargo run --example basic_app -- FILE
use winterbourne::prelude::*;

/// The lineage: lines, numbers, the small ones. A line that is no number is left out and counted.
pub fn build(sc: &SparkContext, path: &str) -> Rdd<i64> {
    sc.text_file(path, 2).try_map(OnBadRecord::Skip, |line| line.trim().parse::<i64>()).filter(|x| *x < 10)
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let path = std::env::args().nth(1).unwrap_or_else(|| "/data/in".into());
    let sc = SparkContext::new(SparkConf::new().set_app_name("basic_app"))?;
    for x in build(&sc, &path).collect()? {
        println!("{x}");
    }
    match sc.counts().skipped_records {
        0 => {}
        n => eprintln!("{n} line(s) of {path} were no numbers and were left out"),
    }
    Ok(())
}

#[test]
fn keeps_the_small_numbers_and_counts_the_bad_lines() {
    let file = std::env::temp_dir().join(format!("basic_app-{}.txt", std::process::id()));
    std::fs::write(&file, "12\n3\nseven\n-4\n\n9\n10").unwrap();
    let sc = SparkContext::new(SparkConf::empty().set_app_name("test").set_master("local[2]")).unwrap();
    assert_eq!(build(&sc, file.to_str().unwrap()).collect().unwrap(), [3, -4, 9]);
    assert_eq!(sc.counts().skipped_records, 2);
    std::fs::remove_file(file).unwrap();
}
