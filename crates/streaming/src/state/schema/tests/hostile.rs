//! Bytes and layouts that nobody wrote: an error, no panic, no huge allocation.
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

state! {
    struct Old { by: BTreeMap<String, Vec<Kind>>, at: i64, raw: Vec<u8>, letter: char, none: Vec<()>, ends: (f32, bool) }
    struct New {
        ends: (f32, bool),
        none: Vec<()>,
        letter: char,
        raw: Vec<u8>,
        at: i128,
        by: BTreeMap<String, Vec<Kind>>,
        #[serde(default)]
        added: u8,
    }
    enum Kind { A, B(u32), C { x: Option<Box<Kind>> } }
}

fn old() -> Old {
    let kinds = vec![Kind::A, Kind::B(70_000), Kind::C { x: Some(Box::new(Kind::A)) }];
    let by = [("one".to_owned(), kinds), (String::new(), vec![])].into();
    Old { by, at: -5, raw: vec![1, 2, 3], letter: 'ß', none: vec![(); 3], ends: (0.5, true) }
}
fn both() -> (Upgrade<New>, Upgrade<Old>) {
    let (same, convert) = (upgrade::<Old, Old>().unwrap(), upgrade::<Old, New>().unwrap());
    assert!(same.is_same() && !convert.is_same());
    (convert, same)
}

proptest! {
    #[test]
    fn mutated_bytes_are_read_or_refused(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
                                         cut in any::<prop::sample::Index>()) {
        let (convert, same) = both();
        let mut bytes = bytes(&old());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // What is converted postcard reads too, to the same values; it alone takes a text of several letters for one.
        let converted = convert.decode(&bytes);
        if let Ok(new) = &converted {
            let old = same.decode(&bytes).unwrap();
            prop_assert_eq!(&new.by, &old.by);
            prop_assert_eq!((&new.raw, new.letter, new.at), (&old.raw, old.letter, old.at.into()));
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(convert.decode(&bytes).is_err() || same.decode(&bytes).is_ok());
    }
    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let (convert, same) = both();
        prop_assert!(convert.decode(&bytes).is_err() || same.decode(&bytes).is_ok());
    }
    #[test]
    fn mutated_layouts_are_used_or_refused(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = bytes(&stored::<Old>());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(schema) = postcard::from_bytes::<Schema>(&bytes)
            && let Ok(upgrade) = Upgrade::<New>::new(&schema, &Schema::of::<New>())
        {
            let _ = upgrade.decode(&super::bytes(&old()));
            let _ = schema.to_string();
        }
    }
}

#[test]
fn every_byte_must_be_used_and_every_error_says_where() {
    let (convert, same) = both();
    let mut longer = bytes(&old());
    assert_eq!(convert.decode(&longer).unwrap().by, old().by);
    let n = longer.len();
    longer.push(0);
    let expect = format!("1 byte(s) are left over, at byte {n} of {}", n + 1);
    assert_eq!(convert.decode(&longer).unwrap_err(), expect);
    assert_eq!(same.decode(&longer).unwrap_err(), expect);
    assert_eq!(
        convert.decode(&longer[..n - 1]).unwrap_err(),
        format!("the bytes end early, at byte {0} of {0}", n - 1)
    );
}
#[test]
fn a_length_is_compared_with_what_is_left() {
    state! { struct Was { list: Vec<u64> } struct Is { list: Vec<u64>, #[serde(default)] n: u8 }
    struct WasNone { list: Vec<()> } struct IsNone { list: Vec<()>, #[serde(default)] n: u8 } }
    let huge = bytes(&u64::MAX);
    let e = upgrade::<Was, Is>().unwrap().decode(&huge).unwrap_err();
    assert!(e.contains("elements cannot be in 0 byte(s)"), "{e}");
    let e = upgrade::<WasNone, IsNone>().unwrap().decode(&huge).unwrap_err();
    assert!(e.contains("elements cannot be in 0 byte(s)"), "{e}");
    assert_eq!(carry::<WasNone, IsNone>(&WasNone { list: vec![(); 300] }).list.len(), 300);
}
#[test]
fn a_layout_that_leads_nowhere_is_refused() {
    let node = |node: Node| Schema::Known(Known { nodes: vec![node] });
    let field = |id| vec![Field { name: "n".into(), id }];
    for damaged in [
        Schema::Known(Known { nodes: vec![] }),
        node(Node::Seq(1)),
        node(Node::Unsigned(9)),
        node(Node::Array(0, u32::MAX)),
        node(Node::Enum("E".into(), vec![])),
        node(Node::Struct("S".into(), field(7))),
        node(Node::Struct("S".into(), field(0))),
        node(Node::Array(0, 20_000)),
    ] {
        assert!(Upgrade::<u8>::new(&damaged, &Schema::of::<u8>()).is_err(), "{damaged:?}");
        assert!(Upgrade::<Old>::new(&damaged, &Schema::of::<Old>()).is_err(), "{damaged:?}");
    }
    let endless = node(Node::Struct("Endless".into(), field(0)));
    state! { struct Endless { #[serde(default)] n: u8 } }
    assert!(Upgrade::<Endless>::new(&endless, &Schema::of::<Endless>()).is_err());
}
#[test]
fn a_description_whose_parts_are_not_there_equals_nothing() {
    let damaged = Schema::Known(Known { nodes: vec![Node::Option(7)] });
    assert_ne!(damaged, Schema::of::<Option<u8>>());
    assert_ne!(Schema::of::<Option<u8>>(), damaged);
    assert_ne!(damaged, damaged.clone());
}
