//! What is carried over.
use super::{traced::Blob, *};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use winterbourne_engine::Text;

state! {
    struct Old { count: u32, name: String, at: i16 }
    struct New { at: i64, name: Text, #[serde(default = "seven")] seen: u8, count: Option<u64> }
    struct OldInner { n: u8 }
    struct NewInner { n: u8, #[serde(default = "seven")] added: u8, maybe: Option<String> }
    enum OldKind { Open, Closed { since: u32 }, Both(OldInner, u8), One(OldInner) }
    enum NewKind {
        Zeroth,
        One(NewInner),
        Both(NewInner, u16),
        Closed { #[serde(default = "seven")] why: u8, since: u64 },
        Open,
        Last(String),
    }
    struct OldAll {
        list: Vec<OldInner>,
        maybe: Option<OldInner>,
        by: BTreeMap<u8, OldInner>,
        kind: OldKind,
        pair: (OldInner, u8),
        three: [OldInner; 3],
    }
    struct NewAll {
        three: [NewInner; 3],
        pair: (NewInner, u8),
        kind: NewKind,
        by: BTreeMap<u8, NewInner>,
        maybe: Option<NewInner>,
        list: Vec<NewInner>,
    }
    struct OldList { next: Option<Box<OldList>>, n: u8 }
    struct NewList { n: u8, #[serde(default = "seven")] added: u8, next: Option<Box<NewList>> }
    enum OldExpr { Neg(Box<OldExpr>), Add(Box<OldExpr>, Box<OldExpr>), Num(i32) }
    enum NewExpr { Num(i64), Add(Box<NewExpr>, Box<NewExpr>), Neg(Box<NewExpr>) }
}

fn seven() -> u8 {
    7
}
fn inner(old: OldInner) -> NewInner {
    NewInner { n: old.n, added: 7, maybe: None }
}
fn kind(old: OldKind) -> NewKind {
    match old {
        OldKind::Open => NewKind::Open,
        OldKind::Closed { since } => NewKind::Closed { why: 7, since: since.into() },
        OldKind::Both(i, n) => NewKind::Both(inner(i), n.into()),
        OldKind::One(i) => NewKind::One(inner(i)),
    }
}
fn all(old: OldAll) -> NewAll {
    NewAll {
        three: old.three.map(inner),
        pair: (inner(old.pair.0), old.pair.1),
        kind: kind(old.kind),
        by: old.by.into_iter().map(|(k, v)| (k, inner(v))).collect(),
        maybe: old.maybe.map(inner),
        list: old.list.into_iter().map(inner).collect(),
    }
}
fn expr(old: OldExpr) -> NewExpr {
    match old {
        OldExpr::Num(n) => NewExpr::Num(n.into()),
        OldExpr::Neg(e) => NewExpr::Neg(Box::new(expr(*e))),
        OldExpr::Add(a, b) => NewExpr::Add(Box::new(expr(*a)), Box::new(expr(*b))),
    }
}
fn list(old: OldList) -> NewList {
    NewList { n: old.n, added: 7, next: old.next.map(|next| Box::new(list(*next))) }
}

fn any_inner() -> impl Strategy<Value = OldInner> {
    any::<u8>().prop_map(|n| OldInner { n })
}
fn any_kind() -> impl Strategy<Value = OldKind> {
    prop_oneof![
        Just(OldKind::Open),
        any::<u32>().prop_map(|since| OldKind::Closed { since }),
        (any_inner(), any::<u8>()).prop_map(|(i, n)| OldKind::Both(i, n)),
        any_inner().prop_map(OldKind::One),
    ]
}
fn any_all() -> impl Strategy<Value = OldAll> {
    let some = || prop::collection::vec(any_inner(), 0..4);
    let by = prop::collection::btree_map(any::<u8>(), any_inner(), 0..4);
    let three = [any_inner(), any_inner(), any_inner()];
    (some(), prop::option::of(any_inner()), by, any_kind(), (any_inner(), any::<u8>()), three)
        .prop_map(|(list, maybe, by, kind, pair, three)| OldAll { list, maybe, by, kind, pair, three })
}
fn any_expr() -> impl Strategy<Value = OldExpr> {
    any::<i32>().prop_map(OldExpr::Num).prop_recursive(6, 40, 2, |part| {
        prop_oneof![
            part.clone().prop_map(|e| OldExpr::Neg(Box::new(e))),
            (part.clone(), part).prop_map(|(a, b)| OldExpr::Add(Box::new(a), Box::new(b))),
        ]
    })
}

proptest! {
    #[test]
    fn fields_are_matched_by_name_widened_and_defaulted(count: u32, name: String, at: i16) {
        let old = Old { count, name: name.clone(), at };
        let new = New { at: at.into(), name: name.as_str().into(), seen: 7, count: Some(count.into()) };
        prop_assert_eq!(carry::<Old, New>(&old), new);
    }
    #[test]
    fn changes_are_carried_out_wherever_they_are(old in any_all()) {
        prop_assert_eq!(carry::<OldAll, NewAll>(&old), all(old));
    }
    #[test]
    fn recursive_values_are_converted(old in any_expr(), depth in 0..40u8) {
        prop_assert_eq!(carry::<OldExpr, NewExpr>(&old), expr(old));
        let end = OldList { next: None, n: 0 };
        let long = (0..depth).fold(end, |next, n| OldList { next: Some(Box::new(next)), n });
        prop_assert_eq!(carry::<OldList, NewList>(&long), list(long));
    }
    /// Every kind of leaf, through the converter and not straight, because a field was added.
    #[test]
    fn what_did_not_change_is_not_changed(leaves: Leaves, more: More) {
        let new = carry::<(Leaves, More), (Leaves, More)>(&(leaves.clone(), more.clone()));
        prop_assert_eq!(&new, &(leaves.clone(), more.clone()));
        let wrapped = Before { leaves: leaves.clone(), more: more.clone() };
        let new: After = carry(&wrapped);
        prop_assert_eq!(new, After { more, added: 7, leaves });
    }
}

state! {
    struct Leaves {
        ints: (u8, u16, u32, u64, u128),
        signed: (i8, i16, i32, i64, i128),
        floats: (f32, f64),
        letters: (char, String),
        flags: (bool, (), Unit),
    }
    struct Unit;
    struct Wide(u8, Vec<u8>);
    struct Meters(u64);
    struct More { wide: Wide, meters: Meters, set: BTreeSet<u64>, map: BTreeMap<String, Option<Option<bool>>>, four: [u16; 4] }
    struct Before { leaves: Leaves, more: More }
    struct After { more: More, #[serde(default = "seven")] added: u8, leaves: Leaves }
}
impl Arbitrary for Leaves {
    type Parameters = ();
    type Strategy = BoxedStrategy<Leaves>;
    fn arbitrary_with((): ()) -> Self::Strategy {
        let finite = || (prop::num::f32::NORMAL | prop::num::f32::ZERO, prop::num::f64::NORMAL | prop::num::f64::ZERO);
        (any::<(u8, u16, u32, u64, u128)>(), any::<(i8, i16, i32, i64, i128)>(), finite(), any::<(char, String)>())
            .prop_map(|(ints, signed, floats, letters)| Leaves {
                ints,
                signed,
                floats,
                letters,
                flags: (ints.0 > 7, (), Unit),
            })
            .boxed()
    }
}
impl Arbitrary for More {
    type Parameters = ();
    type Strategy = BoxedStrategy<More>;
    fn arbitrary_with((): ()) -> Self::Strategy {
        let map = prop::collection::btree_map(any::<String>(), any::<Option<Option<bool>>>(), 0..3);
        (any::<(u8, Vec<u8>)>(), any::<u64>(), prop::collection::btree_set(any::<u64>(), 0..3), map, any::<[u16; 4]>())
            .prop_map(|(w, m, set, map, four)| More { wide: Wide(w.0, w.1), meters: Meters(m), set, map, four })
            .boxed()
    }
}

#[test]
fn the_same_layout_is_read_as_it_is() {
    state! {
        struct Totals { count: u64, rows: Vec<(String, f32)> }
        struct Sums { count: u64, rows: Vec<(Text, f32)> }
        struct Meters(u32);
        enum Few { A, B(u8) }
        enum Many { A, B(u8), C }
    }
    let old = Totals { count: 7, rows: vec![("a".into(), 0.5)] };
    let same = upgrade::<Totals, Sums>().unwrap();
    assert!(same.is_same() && same.changes().is_empty());
    assert_eq!(same.decode(&bytes(&old)).unwrap(), Sums { count: 7, rows: vec![("a".into(), 0.5)] });
    assert_eq!(stored::<Totals>(), Schema::of::<Sums>(), "names of types do not matter");
    assert_eq!(carry::<Meters, u32>(&Meters(5)), 5);
    let grown = upgrade::<Vec<Few>, Vec<Many>>().unwrap();
    assert!(grown.is_same() && grown.changes().len() == 1, "a variant at the end moves no bytes");
    assert_eq!(grown.decode(&bytes(&vec![Few::B(3)])).unwrap(), [Many::B(3)]);
}
#[test]
fn every_difference_is_reported() {
    let report = |changes: &[Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        report(upgrade::<Old, New>().unwrap().changes()),
        [
            "the type: in another order",
            "`seen`: new, gets its default",
            "`count`: may now be absent",
            "`count`: was u32, is u64, which holds it",
            "`at`: was i16, is i64, which holds it",
        ]
    );
    let upgrade = upgrade::<OldAll, NewAll>().unwrap();
    let paths: Vec<&str> = upgrade.changes().iter().map(|c| &*c.path).collect();
    for path in ["list[].added", "kind.Zeroth", "kind.Closed.since", "kind.Closed.why", "kind.Both.1"] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
}
#[test]
fn an_alias_is_a_new_name() {
    state! {
        struct Was { n: u32, at: u8, kind: WasKind }
        enum WasKind { Up, Down(u8) }
        struct Is { #[serde(alias = "n")] count: u64, at: u8, kind: IsKind }
        enum IsKind { #[serde(alias = "Up")] Rising, #[serde(alias = "Down")] Falling(u16) }
    }
    let renamed = upgrade::<Was, Is>().unwrap();
    assert!(renamed.changes().iter().all(|c| c.compatible));
    for (old, new) in [(WasKind::Up, IsKind::Rising), (WasKind::Down(3), IsKind::Falling(3))] {
        let (old, new) = (Was { n: 9, at: 1, kind: old }, Is { count: 9, at: 1, kind: new });
        assert_eq!(renamed.decode(&bytes(&old)).unwrap(), new);
    }
    state! { struct Plain { n: u32 } struct Better { #[serde(alias = "n")] count: u32 } }
    assert_eq!(upgrade::<Plain, Better>().unwrap().changes()[0].to_string(), "`n`: is now `count`");
}
#[test]
fn sequences_of_bytes_and_bytes_are_the_same_bytes() {
    state! { struct Was { raw: Vec<u8>, n: u8 } }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Is {
        n: u8,
        raw: Blob,
    }
    assert_eq!(carry::<Vec<u8>, Blob>(&vec![1, 2]), Blob(vec![1, 2]));
    assert_eq!(carry::<Was, Is>(&Was { raw: vec![1, 200], n: 4 }), Is { n: 4, raw: Blob(vec![1, 200]) });
    assert_eq!(carry::<Is, Was>(&Is { n: 4, raw: Blob(vec![1, 200]) }), Was { raw: vec![1, 200], n: 4 });
}
#[test]
fn types_that_check_their_values_are_tried_with_some_they_like() {
    use std::num::NonZeroU32;
    state! {
        struct Was { a: NonZeroU32, b: NonZeroU32 }
        struct Is { b: NonZeroU32, #[serde(default)] c: u8, a: NonZeroU32 }
    }
    let n = |n| NonZeroU32::new(n).unwrap();
    assert_eq!(carry::<Was, Is>(&Was { a: n(5), b: n(6) }), Is { b: n(6), c: 0, a: n(5) });
}
#[test]
fn deep_values_are_converted_on_a_task_s_stack() {
    let convert = || {
        let end = OldList { next: None, n: 0 };
        let long = (0..240).fold(end, |next, n| OldList { next: Some(Box::new(next)), n });
        assert_eq!(carry::<OldList, NewList>(&long), list(long));
        let end = OldList { next: None, n: 0 };
        let longer = bytes(&(0..250).chain(0..250).fold(end, |next, n| OldList { next: Some(Box::new(next)), n }));
        let refused = upgrade::<OldList, NewList>().unwrap().decode(&longer).unwrap_err();
        assert!(refused.contains("nested more than 512 levels"), "{refused}");
    };
    std::thread::Builder::new().stack_size(16 << 20).spawn(convert).unwrap().join().unwrap();
}
