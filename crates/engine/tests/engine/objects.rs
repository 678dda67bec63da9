//! Object files: every record comes back, and nothing else comes out.
use crate::common::*;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fs};
use winterbourne_engine::{Error, SparkContext, TaskCause, Text};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Shape {
    Unit,
    Named { a: Option<i64>, b: Vec<String> },
}
type Record = (Text, Shape, HashMap<String, Option<u8>>);
fn shapes(n: usize) -> Vec<Record> {
    let shape = |i: usize| match i % 3 {
        0 => Shape::Unit,
        1 => Shape::Named { a: None, b: vec![] },
        _ => Shape::Named { a: Some(-(i as i64)), b: vec!["x".repeat(i % 400); i % 4] },
    };
    let map = |i: usize| (0..i % 5).map(|k| (k.to_string(), (k % 2 == 0).then_some(1))).collect();
    (0..n).map(|i| (Text::from(format!("record {i}")), shape(i), map(i))).collect()
}
/// What is damaged, where, and the message.
fn damage(e: &Error) -> (u64, String) {
    let Error::Task { cause: TaskCause::Engine(cause), .. } = e else { panic!("{e}") };
    let Error::Damaged { offset, .. } = &**cause else { panic!("{e}") };
    (*offset, e.to_string())
}

#[test]
fn records_come_back_in_order_from_any_number_of_splits() {
    let (dir, sc) = (TempDir::new(), threads(2));
    let all = shapes(20_000);
    sc.parallelize(all.clone(), 3).save_as_object_file(dir.at("out")).unwrap();
    assert!(fs::metadata(dir.at("out/part-00001")).unwrap().len() > 256 << 10, "more than a frame");
    for (min, least) in [(0, 3), (1, 3), (7, 7), (4000, 10)] {
        let read = sc.object_file::<Record>(dir.at("out"), min);
        assert!(read.num_partitions().unwrap() >= least);
        assert!(read.collect().unwrap() == all, "{min}");
    }
    let path = dir.at("out");
    assert_eq!(everywhere(2, move |sc| sc.object_file::<Record>(path.as_str(), 5).count()), 20_000);
    // Nothing, and records of nothing.
    sc.parallelize(Vec::<u64>::new(), 2).save_as_object_file(dir.at("none")).unwrap();
    assert_eq!(sc.object_file::<String>(dir.at("none"), 3).count().unwrap(), 0);
    sc.parallelize(vec![(); 10_000], 1).save_as_object_file(dir.at("units")).unwrap();
    assert_eq!(sc.object_file::<()>(dir.at("units"), 3).count().unwrap(), 10_000);
}
#[test]
fn another_type_is_told_from_damage() {
    let (dir, sc) = (TempDir::new(), threads(1));
    let out = dir.at("out");
    sc.parallelize([(1u32, "a".to_owned()), (2, "b".to_owned())], 1).save_as_object_file(&out).unwrap();
    // What looks the same through serde is the same.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Row {
        id: u32,
        name: Text,
    }
    let rows = sc.object_file::<Row>(out.as_str(), 1).map(|row| (row.id, row.name)).collect().unwrap();
    assert_eq!(rows, [(1, "a".into()), (2, "b".into())]);
    fn fails<T: winterbourne_engine::Wire>(sc: &SparkContext, out: &str) {
        let (_, text) = damage(&sc.object_file::<T>(out, 1).count().unwrap_err());
        for part in ["like (u32,str)", "(u32, alloc::string::String)", std::any::type_name::<T>(), out] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    fails::<(i32, String)>(&sc, &out); // decodes, to other numbers
    fails::<(u64, String)>(&sc, &out);
    fails::<(u32, Vec<u8>)>(&sc, &out);
    fails::<u32>(&sc, &out);
    fails::<(u32, String, bool)>(&sc, &out);
    fails::<()>(&sc, &out);
}
#[test]
fn damage_anywhere_is_an_error_that_names_file_and_offset() {
    let (dir, sc) = (TempDir::new(), threads(1));
    let all = shapes(40);
    sc.parallelize(all.clone(), 1).save_as_object_file(dir.at("out")).unwrap();
    let path = dir.at("out/part-00000");
    let bytes = fs::read(&path).unwrap();
    let read = || sc.object_file::<Record>(path.as_str(), 2).collect();
    assert!(read().unwrap() == all);
    for at in (0..bytes.len()).step_by(3) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x20;
        dir.again("out/part-00000", broken);
        let (offset, text) = damage(&read().unwrap_err());
        assert!(offset <= at as u64 && text.contains(&path), "flipped at {at}: {text}");
    }
    for end in (1..bytes.len()).step_by(5).chain([bytes.len() - 16]) {
        dir.again("out/part-00000", &bytes[..end]);
        damage(&read().unwrap_err());
    }
    dir.again("out/part-00000", [&bytes[..], b"x"].concat());
    assert!(damage(&read().unwrap_err()).1.contains("something follows its end"));
    let mut newer = bytes.clone();
    newer[8] = 2;
    dir.again("out/part-00000", newer);
    assert!(damage(&read().unwrap_err()).1.contains("version 2 of the format"));
    dir.again("out/part-00000", "1\n2\n");
    assert!(damage(&read().unwrap_err()).1.contains("does not begin as an object file does"));
}
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]
    #[test]
    fn any_records_in_any_partitions(
        records in prop::collection::vec((any::<u64>(), ".{0,60}", prop::option::of(any::<i8>())), 0..400),
        times in prop_oneof![3 => Just(1usize), 1 => Just(60)], partitions in 1usize..9, splits in 0usize..40, threads_n in 1usize..4,
    ) {
        let (dir, sc) = (TempDir::new(), threads(threads_n));
        let records: Vec<_> = (0..times).flat_map(|_| records.clone()).collect();
        sc.parallelize(records.clone(), partitions).save_as_object_file(dir.at("out")).unwrap();
        let read = sc.object_file::<(u64, String, Option<i8>)>(dir.at("out"), splits);
        prop_assert_eq!(read.collect().unwrap(), records);
    }
}
