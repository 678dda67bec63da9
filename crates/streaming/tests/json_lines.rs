//! JSON lines beside what `serde_json` makes of the same records. A program of its own: whoever names that crate can no longer
//! compare with `[]`.
mod common;

use common::*;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};
use winterbourne_streaming::FileSink;

#[derive(Clone, Debug, Serialize)]
enum Tree {
    Nothing,
    Unit(()),
    Truth(bool),
    Signed(i64),
    Large(u64),
    Float(f64),
    Small(f32),
    Letter(char),
    Text(String),
    Bytes(#[serde(serialize_with = "bytes")] Vec<u8>),
    Maybe(Option<Box<Tree>>),
    List(Vec<Tree>),
    Pair(i8, u16),
    Named {
        a_field: Box<Tree>,
        #[serde(rename = "\"quoted\"")]
        other: Pair,
        #[serde(skip_serializing_if = "Option::is_none")]
        gone: Option<u8>,
    },
    ByText(BTreeMap<String, Tree>),
    ByNumber(BTreeMap<i32, Unit>),
    ByTruth(BTreeMap<bool, ()>),
    ByVariant(BTreeMap<Kind, char>),
}
#[derive(Clone, Debug, Serialize)]
struct Pair(u8, String);
#[derive(Clone, Debug, Serialize)]
struct Unit;
#[derive(Clone, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    #[serde(rename = "the first")]
    First,
}
fn bytes<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Nothing),
        Just(Tree::Unit(())),
        any::<bool>().prop_map(Tree::Truth),
        any::<i64>().prop_map(Tree::Signed),
        any::<u64>().prop_map(Tree::Large),
        any::<f64>().prop_map(Tree::Float),
        any::<f32>().prop_map(Tree::Small),
        any::<char>().prop_map(Tree::Letter),
        any::<String>().prop_map(Tree::Text),
        "[\\x00-\\x1f\"\\\\a]{0,9}".prop_map(Tree::Text),
        any::<Vec<u8>>().prop_map(Tree::Bytes),
        any::<(i8, u16)>().prop_map(|(a, b)| Tree::Pair(a, b)),
        Just(Tree::ByNumber(BTreeMap::from([(-1, Unit), (7, Unit)]))),
        Just(Tree::ByTruth(BTreeMap::from([(true, ())]))),
        Just(Tree::ByVariant(BTreeMap::from([(Kind::First, '\n')]))),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::option::of(inner.clone()).prop_map(|x| Tree::Maybe(x.map(Box::new))),
            prop::collection::vec(inner.clone(), 0..5).prop_map(Tree::List),
            prop::collection::btree_map(any::<String>(), inner.clone(), 0..4).prop_map(Tree::ByText),
            (inner, any::<(u8, String)>(), any::<Option<u8>>()).prop_map(|(x, (n, text), gone)| Tree::Named {
                a_field: Box::new(x),
                other: Pair(n, text),
                gone
            }),
        ]
    })
}

#[test]
fn lines_say_what_serde_json_says() {
    let mut runner = TestRunner::deterministic();
    let all: Vec<Tree> = (0..2000).map(|_| tree().new_tree(&mut runner).expect("a tree").current()).collect();
    let dir = TempDir::new();
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<Tree>();
    stream.write_to("out", FileSink::json(dir.at("out")));
    feed.partitions(1).push(all.clone());
    let time = tester.step().expect("a good batch").as_millis();
    let text = fs::read_to_string(Path::new(&dir.at("out")).join(format!("{time}-00000-0.jsonl"))).expect("a file");
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    assert_eq!(lines.len(), all.len(), "no text breaks a line");
    for (line, record) in lines.iter().zip(&all) {
        let theirs = serde_json::to_string(record).expect("it is JSON");
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("it is JSON");
        assert_eq!(read(line), read(&theirs), "{line}");
    }
}

#[test]
fn a_key_that_is_no_name_fails_the_batch() {
    let dir = TempDir::new();
    let mut tester = tester(&[("spark.streaming.batch.maxAttempts", "1")]);
    let (feed, stream) = tester.input::<BTreeMap<(u8, u8), u8>>();
    stream.write_to("out", FileSink::json(dir.at("out")));
    feed.push([BTreeMap::from([((1, 2), 3)])]);
    let error = tester.step().expect_err("a pair is no name").to_string();
    assert!(error.contains("cannot be written as JSON: a map whose keys are neither text nor numbers"), "{error}");
}
