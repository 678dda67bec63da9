//! Sorts the lines of text files into a directory of files: part-00000 has the smallest lines, and so on.
//!
//!     cargo run --release --example large_file_sort -- IN OUT [PARTITIONS]
//!
//! IN may be a directory, a glob or compressed; OUT must not exist yet. Lines compare by their bytes, as with
//! `LC_ALL=C sort`. `cat OUT/part-*` is the sorted whole.
use winterbourne::prelude::*;

/// The lines of `input` in order, in a new directory.
pub fn sort(sc: &SparkContext, input: &str, output: &str, partitions: usize) -> Result<(), BoxError> {
    let lines = sc.text_file(input, partitions);
    lines.sort_by_in(|line| line.clone(), Order::Ascending, partitions).save_as_text_file(output)?;
    Ok(())
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, rest @ ..] = &args[..] else { return Err("give IN, OUT and perhaps PARTITIONS".into()) };
    let sc = SparkContext::new(SparkConf::new().set_app_name("large_file_sort"))?;
    let partitions = match rest {
        [] => sc.default_parallelism() * 4,
        [n, ..] => n.parse().map_err(|_| format!("PARTITIONS is a number, not `{n}`"))?,
    };
    sort(&sc, input, output, partitions)
}

#[test]
fn the_parts_in_a_row_are_the_sorted_whole() {
    let dir = std::env::temp_dir().join(format!("large_file_sort-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (input, output) = (dir.join("in.txt"), dir.join("out"));
    let mut lines: Vec<String> =
        (0..5_000u64).map(|i| format!("{:x}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    std::fs::write(&input, lines.join("\n")).unwrap();

    let sc = SparkContext::new(SparkConf::empty().set_app_name("test").set_master("local[2]")).unwrap();
    sort(&sc, input.to_str().unwrap(), output.to_str().unwrap(), 5).unwrap();
    let mut parts: Vec<_> = std::fs::read_dir(&output).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-"));
    parts.sort();
    let whole: String = parts.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    lines.sort();
    assert_eq!(whole.lines().collect::<Vec<_>>(), lines);
    assert!(output.join("_SUCCESS").exists());

    let error = sort(&sc, input.to_str().unwrap(), output.to_str().unwrap(), 5).unwrap_err();
    assert!(error.to_string().contains("already exists"), "{error}");
    std::fs::remove_dir_all(dir).unwrap();
}
