//! Files in and out against `std::fs`: what is saved, read byte by byte; what lies in a directory, read as records.
use crate::common::context;
use proptest::prelude::*;
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A new directory, gone when dropped.
struct Scratch(PathBuf);
impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("winterbourne-twins-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a directory");
        Scratch(path)
    }
    /// Files named in the order they are given.
    fn with(files: &[Vec<u8>]) -> Self {
        let scratch = Scratch::new();
        files.iter().enumerate().for_each(|(i, f)| fs::write(scratch.0.join(format!("f{i:03}")), f).expect("a file"));
        scratch
    }
    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}
/// The slices that `parallelize` makes.
fn slices<T: Clone>(all: &[T], p: usize) -> Vec<Vec<T>> {
    (0..p).map(|i| all[all.len() * i / p..all.len() * (i + 1) / p].to_vec()).collect()
}

proptest! {
    #![proptest_config(cases(16))]
    #[test]
    fn a_saved_text_is_a_file_of_lines_for_each_partition(
        records in prop::collection::vec(("[a-z ]{0,30}", any::<i32>()), 0..200),
        partitions in 1usize..9, threads in 1usize..4,
    ) {
        let (dir, sc) = (Scratch::new(), context(threads));
        let out = dir.0.join("out");
        sc.parallelize(records.clone(), partitions).save_as_text_file(&out).unwrap();
        for (p, part) in slices(&records, partitions).into_iter().enumerate() {
            let expect: String = part.iter().map(|(a, b)| format!("({a},{b})\n")).collect();
            prop_assert_eq!(fs::read_to_string(out.join(format!("part-{p:05}"))).unwrap(), expect);
        }
        prop_assert_eq!(fs::read_dir(&out).unwrap().count(), partitions + 1);
    }
}
proptest! {
    #![proptest_config(cases(48))]
    #[test]
    fn whole_files_are_their_bytes(
        files in prop::collection::vec(prop::collection::vec(prop::sample::select(b"ab\n\r\xff\xc3\xa4".to_vec()), 0..40), 0..12),
        min in 0usize..15, threads in 1usize..4,
    ) {
        let (dir, sc) = (Scratch::with(&files), context(threads));
        let texts = sc.whole_text_files(dir.path(), min).map(|(_, text)| text.to_string()).collect().unwrap();
        let expect: Vec<String> = files.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect();
        prop_assert_eq!(texts, expect);
        let invalid = files.iter().filter(|f| std::str::from_utf8(f).is_err()).count() as u64;
        prop_assert_eq!(sc.counts().invalid_utf8, invalid);
        let bytes = sc.binary_files(dir.path(), min).map(|(_, file)| file.to_array().unwrap()).collect().unwrap();
        prop_assert_eq!(&bytes, &files);
    }
    #[test]
    fn records_of_one_length_are_chunks_of_each_file(
        files in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        each in 1usize..20, threads in 1usize..4,
    ) {
        let files: Vec<Vec<u8>> = files.into_iter().map(|mut f| { f.truncate(f.len() / each * each); f }).collect();
        let (dir, sc) = (Scratch::with(&files), context(threads));
        let expect: Vec<Vec<u8>> = files.iter().flat_map(|f| f.chunks(each)).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(sc.binary_records(dir.path(), each).collect().unwrap(), expect);
    }
}
proptest! {
    #![proptest_config(cases(12))]
    #[test]
    fn a_pipe_through_cat_is_the_lines(
        records in prop::collection::vec("[a-zä ]{0,60}", 0..3000), partitions in 1usize..5, threads in 1usize..4,
    ) {
        let piped = context(threads).parallelize(records.clone(), partitions).pipe("cat").glom().collect().unwrap();
        prop_assert!(piped == slices(&records, partitions));
    }
}
