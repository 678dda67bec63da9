//! What is refused, and in which words.
use super::*;
use std::collections::BTreeMap;

#[test]
fn a_new_field_needs_a_default() {
    state! {
        struct Was { n: u8 }
        struct Is { n: u8, count: u64, #[serde(default)] fine: u8, other: String }
        struct WasOuter { list: Vec<Was>, by: BTreeMap<u8, Option<Was>>, kind: WasKind }
        struct IsOuter { list: Vec<Is>, by: BTreeMap<u8, Option<Was>>, kind: IsKind }
        enum WasKind { A, B { x: u8 }, C(Box<WasKind>) }
        enum IsKind { A, B { x: u8, y: u8 }, C(Box<IsKind>) }
        struct WasList { next: Option<Box<WasList>> }
        struct IsList { next: Option<Box<IsList>>, n: u8 }
    }
    let needs = |path: &str| format!("`{path}`: new and without a default; put #[serde(default)] on it");
    assert_eq!(refusals::<Was, Is>(), [needs("count"), needs("other")]);
    assert_eq!(refusals::<Option<Was>, Option<Is>>(), [needs("count"), needs("other")]);
    assert_eq!(
        refusals::<WasOuter, IsOuter>(),
        [needs("list[].count"), needs("list[].other"), needs("kind.B.y")],
        "in a list, a map, a variant"
    );
    assert_eq!(refusals::<BTreeMap<u8, Was>, BTreeMap<u8, Is>>(), [needs("{}.count"), needs("{}.other")]);
    assert_eq!(refusals::<WasList, IsList>(), [needs("n")]);
}
#[test]
fn nothing_stored_is_dropped() {
    state! {
        struct Was { n: u8, gone: String, at: u8 }
        struct Is { n: u8, at: u8 }
        struct Renamed { n: u8, came: String, at: u8 }
        struct Defaulted { n: u8, #[serde(default)] came: String, at: u8 }
        #[serde(deny_unknown_fields)]
        struct Strict { n: u8, at: u8 }
    }
    let gone = "`gone`: is gone, and with it what was stored in it";
    assert_eq!(refusals::<Was, Is>(), [gone]);
    assert_eq!(refusals::<Vec<Was>, Vec<Is>>(), ["`[].gone`: is gone, and with it what was stored in it"]);
    assert_eq!(refusals::<Was, Strict>()[0], gone);
    let renamed = "`gone`: is gone and `came` is like it; if it was renamed, put #[serde(alias = \"gone\")] on `came`";
    assert_eq!(refusals::<Was, Renamed>(), [renamed]);
    assert_eq!(refusals::<Was, Defaulted>(), [renamed]);
}
#[test]
fn recursive_types_are_compared_to_an_end() {
    state! {
        struct Was { next: Option<Box<Was>>, n: u8 }
        struct Is { rest: Option<Box<Is>>, n: u8 }
        enum WasTree { Leaf, Node(Vec<WasTree>) }
        enum IsTree { Leaf, Inner(Vec<IsTree>) }
    }
    assert_eq!(
        refusals::<Was, Is>(),
        ["`next`: is gone and `rest` is like it; if it was renamed, put #[serde(alias = \"next\")] on `rest`"]
    );
    assert!(refusals::<WasTree, IsTree>()[0].contains("alias = \"Node\""));
}
#[test]
fn what_an_alias_leads_to_is_compared_too() {
    state! {
        struct In { a: u32, b: u8 }
        struct Less { a: u32 }
        struct Narrow { a: u16, b: u8 }
        struct Was { old: Vec<In> }
        struct IsLess { #[serde(alias = "old")] new: Vec<Less> }
        struct IsNarrow { #[serde(alias = "old")] new: Vec<Narrow> }
        struct IsText { #[serde(alias = "old")] new: String }
    }
    assert_eq!(refusals::<Was, IsLess>(), ["`b`: cannot be read: it is no longer read, and would be lost"]);
    assert_eq!(refusals::<Was, IsNarrow>()[1..], ["`old[].a`: cannot be read: u16 is wanted, u32 was stored"]);
    assert_eq!(refusals::<Was, IsText>().len(), 2);
}
#[test]
fn types_change_to_wider_ones_only() {
    fn changed<A, B>() -> bool
    where
        A: Serialize + DeserializeOwned + 'static,
        B: Serialize + DeserializeOwned + 'static,
    {
        let refused = refusals::<A, B>();
        refused.len() == 1 && refused[0].contains("was ") && refused[0].contains(", is ")
    }
    assert!(changed::<u64, u32>() && changed::<i64, i32>() && changed::<u32, i32>() && changed::<i8, u64>());
    assert!(changed::<u8, String>() && changed::<f32, f64>() && changed::<u32, f64>() && changed::<bool, u8>());
    assert!(changed::<char, String>() && changed::<Option<u8>, u8>() && changed::<(), bool>());
    assert!(changed::<(u8, u16), (u8, u16, u8)>() && changed::<[u8; 3], [u8; 4]>() && changed::<[u8; 3], Vec<u8>>());
    assert!(changed::<Vec<u8>, String>() && changed::<Vec<(u8, u8)>, BTreeMap<u8, u8>>());
    assert_eq!(carry::<u128, Option<u128>>(&u128::MAX), Some(u128::MAX));
    assert_eq!(carry::<(u8, i8, u64), (i16, i128, i128)>(&(255, -128, u64::MAX)), (255, -128, i128::from(u64::MAX)));
}
#[test]
fn a_stored_variant_must_exist() {
    state! {
        enum Was { A, B(u8), C { x: u8 } }
        enum Gone { A, C { x: u8 } }
        enum Renamed { A, Bee(u8), C { x: u8 } }
        enum Shaped { A, B { n: u8 }, C { x: u8 } }
        enum Other { A, B(u8), #[serde(other)] Rest }
    }
    assert_eq!(refusals::<Was, Gone>(), ["`B`: a variant that is gone, though it may be stored"]);
    assert_eq!(
        refusals::<Vec<Was>, Vec<Renamed>>(),
        ["`[].B`: is gone and `Bee` is like it; if it was renamed, put #[serde(alias = \"B\")] on `Bee`"]
    );
    assert_eq!(refusals::<Was, Shaped>(), ["`B`: was with one value, is with named fields"]);
    assert!(!refusals::<Was, Other>().is_empty(), "content would be dropped");
}
#[test]
fn opaque_types_are_compared_by_name() {
    let (a, b) = (Schema::Opaque("app::A".into()), Schema::Opaque("app::B".into()));
    assert_eq!(Upgrade::<u8>::new(&a, &a).unwrap().decode(&[3]), Ok(3));
    for (stored, now) in [(&a, &b), (&a, &Schema::of::<u8>()), (&Schema::of::<u8>(), &a)] {
        let refused = Upgrade::<u8>::new(stored, now).map(drop).unwrap_err().to_string();
        assert!(refused.contains("compared by name only"), "{refused}");
    }
}
#[test]
fn a_refusal_says_everything_and_what_helps() {
    state! { struct Was { n: u64, name: String } struct Is { n: u32, name: Option<String>, at: u8 } }
    let refused = upgrade::<Was, Is>().map(drop).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "what is stored cannot become today's type:\n  \
         `n`: was u64, is u32\n  \
         (fine) `at`: new, gets its default\n  \
         (fine) `name`: may now be absent\n\
         what helps: a default for a new field, an alias for a new name, `.migrate(|old: Old| …)` from a copy of the old \
         type, or the consent to drop this state"
    );
}
