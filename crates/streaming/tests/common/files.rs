//! What readers see of the files that a sink wrote.
use std::{
    fs,
    io::{BufReader, Read as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};
use winterbourne_engine::Codec;
use winterbourne_streaming::DStream;

/// Names and content of what readers see, sorted: they pass over names that begin with `_`.
pub(crate) fn seen(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"_")) {
            continue;
        }
        if path.is_dir() {
            all.extend(seen(&path));
        } else {
            let mut text = String::new();
            let mut file = BufReader::new(fs::File::open(&path).expect("a file"));
            let read = match Codec::of(&path) {
                Some(codec) => codec.reader(file).expect("an archive").read_to_string(&mut text),
                None => file.read_to_string(&mut text),
            };
            read.expect("text");
            all.push((path, text));
        }
    }
    all.sort();
    all
}
pub(crate) fn numbers(directory: &str) -> Vec<u64> {
    let all = seen(Path::new(directory));
    sorted(all.iter().flat_map(|(_, text)| text.lines()))
}

/// Numbers from 0 to 4,999: the first attempt at their task fails at the last of them, and the second one has only the last
/// two.
pub(crate) fn tried_twice(stream: &DStream<u64>) -> DStream<u64> {
    let first = AtomicBool::new(true);
    stream.flat_map(move |n| {
        let is_first = first.load(Relaxed);
        assert!(n < 4_999 || !first.swap(false, Relaxed), "not yet");
        (is_first || n >= 4_998).then_some(n)
    })
}

/// Numbers that are written in lines.
pub(crate) fn sorted<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u64> {
    let mut numbers: Vec<u64> = lines.map(|l| l.parse().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}
