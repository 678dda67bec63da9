//! Which layouts are found.
use super::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use winterbourne_engine::Text;

fn shows<T: Serialize + DeserializeOwned + 'static>(expect: &str) {
    match Schema::trace::<T>() {
        Ok(schema) => assert_eq!(schema.to_string(), expect),
        Err(why) => panic!("{}: {why}", std::any::type_name::<T>()),
    }
}

state! {
    enum Kind { Open, Closed(u32), Moved { to: String, at: i64 }, Pair(u8, bool) }
    struct Totals { count: u64, kinds: Vec<Kind> }
    struct Wrapper<T> { inner: T }
    struct Meters(f64);
    struct Point(i32, i32);
    struct Empty;
    enum Expr { Add(Box<Expr>, Box<Expr>), Neg(Box<Expr>), Num(i64) }
    struct Node { value: u8, next: Option<Box<Node>>, kind: Kind }
    struct Tree(Vec<Tree>);
    enum Json { Null, Many(Vec<Json>), By(BTreeMap<String, Json>) }
    struct Ping { pong: Option<Box<Pong>> }
    struct Pong { ping: Vec<Ping>, last: Last }
    enum Last { Never, At(u64) }
}

#[test]
fn layouts_read_like_types() {
    shows::<u32>("u32");
    shows::<(char, f32, i128, u128, isize, bool)>("(char, f32, i128, u128, i64, bool)");
    shows::<()>("()");
    shows::<String>("str");
    shows::<Text>("str");
    shows::<std::borrow::Cow<'static, str>>("str");
    shows::<Option<Option<u8>>>("Option<Option<u8>>");
    shows::<Vec<(String, [u16; 4])>>("[(str, [u16; 4])]");
    shows::<HashMap<String, BTreeSet<u8>>>("{str: [u8]}");
    shows::<VecDeque<Meters>>("[f64]");
    shows::<(Point, Empty)>("([i32; 2], ())");
    shows::<std::time::Duration>("Duration { secs: u64, nanos: u32 }");
    shows::<Result<u8, String>>("Result { Ok(u8) | Err(str) }");
    shows::<std::ops::Range<u64>>("Range { start: u64, end: u64 }");
    shows::<std::net::IpAddr>("IpAddr { V4([u8; 4]) | V6([u8; 16]) }");
}
#[test]
fn enums_are_seen_in_full_wherever_they_are() {
    let kind = "Kind { Open | Closed(u32) | Moved { to: str, at: i64 } | Pair(u8, bool) }";
    shows::<Kind>(kind);
    shows::<Option<Kind>>(&format!("Option<{kind}>"));
    shows::<Totals>(&format!("Totals {{ count: u64, kinds: [{kind}] }}"));
    shows::<BTreeMap<u8, Vec<Option<Kind>>>>(&format!("{{u8: [Option<{kind}>]}}"));
    shows::<Result<Wrapper<Kind>, Last>>(&format!(
        "Result {{ Ok(Wrapper {{ inner: {kind} }}) | Err(Last {{ Never | At(u64) }}) }}"
    ));
}
#[test]
fn generic_types_are_told_apart() {
    shows::<(Wrapper<u8>, Wrapper<String>)>("(Wrapper { inner: u8 }, Wrapper { inner: str })");
    shows::<Wrapper<Wrapper<Wrapper<u8>>>>("Wrapper { inner: Wrapper { inner: Wrapper { inner: u8 } } }");
}
#[test]
fn recursion_ends() {
    shows::<Expr>("Expr { Add(Expr, Expr) | Neg(Expr) | Num(i64) }");
    shows::<Tree>("[…]");
    shows::<Json>("Json { Null | Many([Json]) | By({str: Json}) }");
    shows::<Ping>("Ping { pong: Option<Pong { ping: [Ping], last: Last { Never | At(u64) } }> }");
    let kind = "Kind { Open | Closed(u32) | Moved { to: str, at: i64 } | Pair(u8, bool) }";
    shows::<Node>(&format!("Node {{ value: u8, next: Option<Node>, kind: {kind} }}"));
}
#[test]
fn names_are_those_that_are_written() {
    state! {
        struct Renamed {
            #[serde(alias = "a_old", alias = "z_old")]
            count: u64,
            #[serde(rename = "Last-Seen")]
            last: String,
            #[serde(skip)]
            cache: u8,
            #[serde(default)]
            more: bool,
        }
        #[serde(rename_all = "kebab-case")]
        enum Mood {
            #[serde(alias = "Blithe", alias = "zz")]
            VeryHappy,
            Sad(u8),
            #[serde(other)]
            Unknown,
        }
    }
    shows::<Renamed>("Renamed { count: u64, Last-Seen: str, more: bool }");
    shows::<Mood>("Mood { very-happy | sad(u8) | unknown }");
    shows::<Vec<Mood>>("[Mood { very-happy | sad(u8) | unknown }]");
}
#[test]
fn types_that_check_their_values_get_some_they_like() {
    #[derive(Clone, Serialize, Deserialize)]
    #[serde(try_from = "String", into = "String")]
    struct Day(String);
    impl TryFrom<String> for Day {
        type Error = String;
        fn try_from(s: String) -> Result<Self, String> {
            if s.len() == 10 && s.contains('-') { Ok(Day(s)) } else { Err(format!("`{s}` is no day")) }
        }
    }
    impl From<Day> for String {
        fn from(day: Day) -> String {
            day.0
        }
    }
    #[derive(Clone, Serialize, Deserialize)]
    #[serde(try_from = "(i32, u16, u8)", into = "(i32, u16, u8)")]
    struct Date(i32, u16, u8);
    impl TryFrom<(i32, u16, u8)> for Date {
        type Error = String;
        fn try_from((y, d, h): (i32, u16, u8)) -> Result<Self, String> {
            if d > 0 { Ok(Date(y, d, h)) } else { Err("there is no day 0".to_owned()) }
        }
    }
    impl From<Date> for (i32, u16, u8) {
        fn from(d: Date) -> Self {
            (d.0, d.1, d.2)
        }
    }
    shows::<std::num::NonZeroU32>("u32");
    shows::<Wrapper<Vec<(std::num::NonZeroI64, Day, Option<Day>)>>>("Wrapper { inner: [(i64, str, Option<str>)] }");
    shows::<(u8, Date, Day)>("(u8, (i32, u16, u8), str)");
}
#[test]
fn bytes_are_not_sequences() {
    shows::<Blob>("bytes");
    shows::<Vec<u8>>("[u8]");
}

/// What `serde_bytes` and `uuid` do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blob(pub(super) Vec<u8>);
impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}
impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl de::Visitor<'_> for Reader {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, b: &[u8]) -> Result<Blob, E> {
                Ok(Blob(b.to_vec()))
            }
        }
        d.deserialize_byte_buf(Reader)
    }
}

#[test]
fn the_stored_form_of_a_layout_is_fixed() {
    state! {
        struct All { a: Everything, b: Option<Box<All>> }
        enum Everything { U, N(u8), T(i16, f32), S { x: char, y: () } }
    }
    type Rest = (All, Vec<bool>, BTreeMap<String, [u128; 2]>, Blob);
    let stored: String = bytes(&stored::<Rest>()).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        stored,
        "01100b04010203040d03416c6c0201610501620609070a0809070e0a45766572797468696e6704015500014e010a015402020b0c0153030201780d01790e080101060c0f0202080310042005000280",
        "checkpoints hold it: a change needs a new version of their format"
    );
}
#[test]
fn what_cannot_be_traced_is_known_by_name() {
    state! {
        struct Endless { next: Box<Endless> }
    }
    #[derive(Debug, Serialize)]
    struct Picky(u64);
    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            match u64::deserialize(d)? {
                42 => Ok(Picky(42)),
                n => Err(de::Error::custom(format!("{n} is not the answer"))),
            }
        }
    }
    #[derive(Debug, Serialize)]
    struct Panics(String);
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            let text = String::deserialize(d)?;
            assert_eq!(text, "never");
            Ok(Panics(text))
        }
    }
    fn opaque<T: Serialize + DeserializeOwned + 'static>(why: &str) {
        match Schema::trace::<T>() {
            Err(Trouble::Untraceable(text)) if text.contains(why) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(Schema::of::<T>(), Schema::Opaque(std::any::type_name::<T>().to_owned()));
    }
    opaque::<Endless>("without end");
    opaque::<Vec<Picky>>("is not the answer");
    opaque::<Panics>("panicked");
}
#[test]
fn what_is_not_read_back_as_written_is_found() {
    state! {
        struct Skips { #[serde(skip_serializing_if = "Option::is_none", default)] a: Option<u8>, b: u8 }
        struct Zero { #[serde(skip_serializing_if = "is_zero", default)] a: u8, b: u8 }
        struct OneWay { a: u8, #[serde(skip_serializing)] #[serde(default)] b: u8 }
        enum Hole { A, #[serde(skip)] B, C }
        #[serde(untagged)]
        enum Untagged { Number(u64), Text(String) }
        #[serde(tag = "kind")]
        enum Tagged { A { x: u8 } }
        struct Flat { #[serde(flatten)] rest: BTreeMap<String, u8> }
        enum Within { A, B { list: Vec<Option<Empties>> } }
        struct Empties { #[serde(skip_serializing_if = "Vec::is_empty", default)] a: Vec<u8>, b: u8 }
    }
    fn is_zero(n: &u8) -> bool {
        *n == 0
    }
    fn unstorable<T: Serialize + DeserializeOwned + 'static>() {
        assert!(matches!(Schema::trace::<T>(), Err(Trouble::Unstorable(_))), "{:?}", Schema::trace::<T>());
    }
    unstorable::<Skips>();
    unstorable::<Vec<Skips>>();
    unstorable::<BTreeMap<u8, Within>>();
    unstorable::<Zero>();
    unstorable::<OneWay>();
    unstorable::<Hole>();
    unstorable::<Option<Untagged>>();
    unstorable::<Tagged>();
    unstorable::<Flat>();
}
#[test]
fn large_types_stay_small_and_huge_ones_are_refused() {
    /// 2^40 leaves in 41 types.
    macro_rules! doubled {
        ($($name:ident of $inner:ty;)*) => { state! { $( struct $name { a: Vec<$inner>, b: Option<Box<$inner>> } )* } };
    }
    doubled! { A of u8; B of A; C of B; D of C; E of D; F of E; G of F; H of G; I of H; J of I; K of J; L of K; M of L;
    N of M; O of N; P of O; Q of P; R of Q; S of R; T of S; U of T; V of U; W of V; X of W; Y of X; Z of Y; }
    let schema = Schema::trace::<Z>().unwrap();
    assert!(bytes(&schema).len() < 2_000, "{}", bytes(&schema).len());
    assert!(schema.to_string().len() < 2_000);

    type Wide = [[[u8; 30]; 30]; 30];
    assert!(matches!(Schema::trace::<Wide>(), Err(Trouble::Untraceable(why)) if why.contains("too large")));
    let histogram = Schema::trace::<[[u64; 32]; 32]>().unwrap();
    assert_eq!(histogram.to_string(), "[[u64; 32]; 32]");
}
