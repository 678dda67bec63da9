//! What a record looks like through serde: `(str,u64)`, `some(f64)`, `[i32]`. Two types that write the same kinds read
//! each other's bytes.
//!
//! Names do not count, so a field or a type may be renamed. The same record gives the same kind after a round trip, also
//! if it holds an unordered set: within lists and maps only the first element is looked at, and of that only what its type
//! says.
use serde::ser::{self, Serialize};
use std::fmt::{self, Display};

/// Longer kinds are cut: enough to tell types apart.
const LONGEST: usize = 1024;

/// The kind of a record.
pub(super) fn of<T: Serialize + ?Sized>(record: &T) -> String {
    let mut out = String::new();
    // What serde refuses was refused by postcard before, or is cut.
    let _ = record.serialize(Kind { out: &mut out, element: false });
    out
}

struct Kind<'a> {
    out: &'a mut String,
    /// Within a list or a map, where other records of the type look otherwise.
    element: bool,
}
#[derive(Debug)]
struct Enough;
impl Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("enough")
    }
}
impl std::error::Error for Enough {}
impl ser::Error for Enough {
    fn custom<T: Display>(_: T) -> Self {
        Enough
    }
}
type Done = Result<(), Enough>;

impl<'a> Kind<'a> {
    fn put(&mut self, text: &str) -> Done {
        if self.out.len() + text.len() > LONGEST {
            return Err(Enough);
        }
        self.out.push_str(text);
        Ok(())
    }
    fn plain(mut self, text: &str) -> Done {
        self.put(text)
    }
    fn inner<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
        x.serialize(Kind { out: self.out, element: self.element })
    }
    /// A variant of an enum; whether to look into it.
    fn variant(&mut self, index: u32) -> Result<bool, Enough> {
        if self.element { self.put("enum").map(|()| false) } else { self.put(&format!("#{index}")).map(|()| true) }
    }
    fn all(mut self, look: bool) -> Result<Parts<'a>, Enough> {
        if look {
            self.put("(")?;
        }
        Ok(Parts {
            kind: self,
            close: if look { ")" } else { "" },
            first: true,
            look: if look { Look::All } else { Look::None },
        })
    }
    /// A list, or a map.
    fn first(mut self, open: &str, close: &'static str) -> Result<Parts<'a>, Enough> {
        self.put(open)?;
        let look = if self.element { Look::None } else { Look::First };
        self.element = true;
        Ok(Parts { kind: self, close, first: true, look })
    }
}

#[derive(PartialEq)]
enum Look {
    All,
    First,
    None,
}
struct Parts<'a> {
    kind: Kind<'a>,
    close: &'static str,
    first: bool,
    look: Look,
}
impl Parts<'_> {
    fn part<T: Serialize + ?Sized>(&mut self, between: &str, x: &T) -> Done {
        let first = std::mem::take(&mut self.first);
        if self.look == Look::None || self.look == Look::First && !first && between == "," {
            return Ok(());
        }
        if !first {
            self.kind.put(between)?;
        }
        self.kind.inner(x)
    }
    fn close(mut self) -> Done {
        self.kind.put(self.close)
    }
}

macro_rules! plain {
    ($($name:ident: $t:ty = $kind:literal),*) => { $(fn $name(self, _: $t) -> Done { self.plain($kind) })* };
}
impl<'a> ser::Serializer for Kind<'a> {
    type Ok = ();
    type Error = Enough;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;
    plain!(serialize_bool: bool = "bool", serialize_i8: i8 = "i8", serialize_i16: i16 = "i16", serialize_i32: i32 = "i32",
        serialize_i64: i64 = "i64", serialize_i128: i128 = "i128", serialize_u8: u8 = "u8", serialize_u16: u16 = "u16",
        serialize_u32: u32 = "u32", serialize_u64: u64 = "u64", serialize_u128: u128 = "u128", serialize_f32: f32 = "f32",
        serialize_f64: f64 = "f64", serialize_char: char = "char", serialize_str: &str = "str",
        serialize_bytes: &[u8] = "bytes", serialize_unit_struct: &'static str = "()");
    fn serialize_none(self) -> Done {
        let element = self.element;
        self.plain(if element { "option" } else { "none" })
    }
    fn serialize_some<T: Serialize + ?Sized>(mut self, x: &T) -> Done {
        if self.element {
            return self.plain("option");
        }
        self.put("some(")?;
        self.inner(x)?;
        self.plain(")")
    }
    fn serialize_unit(self) -> Done {
        self.plain("()")
    }
    fn serialize_unit_variant(mut self, _: &'static str, index: u32, _: &'static str) -> Done {
        self.variant(index).map(drop)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(mut self, _: &'static str, x: &T) -> Done {
        self.inner(x)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        index: u32,
        _: &'static str,
        x: &T,
    ) -> Done {
        let look = self.variant(index)?;
        let mut parts = self.all(look)?;
        parts.part(",", x)?;
        parts.close()
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Enough> {
        self.first("[", "]")
    }
    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Enough> {
        self.all(true)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Enough> {
        self.all(true)
    }
    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Enough> {
        let look = self.variant(index)?;
        self.all(look)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Enough> {
        self.first("{", "}")
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Enough> {
        self.all(true)
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        n: usize,
    ) -> Result<Parts<'a>, Enough> {
        self.serialize_tuple_variant(name, index, variant, n)
    }
}
macro_rules! parts {
    ($($trait:ident: $method:ident($($skip:ident: $t:ty)?);)*) => { $(
        impl ser::$trait for Parts<'_> {
            type Ok = ();
            type Error = Enough;
            fn $method<T: Serialize + ?Sized>(&mut self, $($skip: $t,)? x: &T) -> Done {
                self.part(",", x)
            }
            fn end(self) -> Done {
                self.close()
            }
        }
    )* };
}
parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(_name: &'static str);
    SerializeStructVariant: serialize_field(_name: &'static str);
}
impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Enough;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
        let look = self.first;
        self.part(",", x)?;
        if !look {
            self.look = Look::None;
        }
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
        self.part(":", x)
    }
    fn end(self) -> Done {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Text;
    use serde::Serialize;
    use std::collections::{BTreeMap, HashSet};

    #[derive(Serialize, Clone)]
    struct Point {
        x: f64,
        y: Option<u8>,
    }
    #[derive(Serialize)]
    struct New(u32);
    #[derive(Serialize, PartialEq, Eq, Hash)]
    enum Shape {
        Unit,
        One(u8),
        Two { a: u8, b: bool },
    }
    #[test]
    fn kinds() {
        let point = Point { x: 1.0, y: Some(1) };
        for (got, expect) in [
            (of(&1u32), "u32"),
            (of(&New(1)), "u32"),
            (of(&(1u8, "a")), "(u8,str)"),
            (of(&(Text::from("a"), String::new(), 'c', ())), "(str,str,char,())"),
            (of(&point), "(f64,some(u8))"),
            (of(&Some(&point)), "some((f64,some(u8)))"),
            (of(&Point { x: 1.0, y: None }), "(f64,none)"),
            (of(&vec![1i64, 2]), "[i64]"),
            (of(&Vec::<i64>::new()), "[]"),
            (of(&vec![point.clone(), point]), "[(f64,option)]"),
            (of(&vec![vec![1]]), "[[]]"),
            (of(&[Shape::Unit, Shape::One(1), Shape::Two { a: 1, b: true }]), "(#0,#1(u8),#2(u8,bool))"),
            (of(&vec![Shape::One(1), Shape::Unit]), "[enum]"),
            (of(&HashSet::from([Shape::Two { a: 1, b: true }])), "[enum]"),
            (of(&BTreeMap::from([("a", (1u8, Some(2u8))), ("b", (2, None))])), "{str:(u8,option)}"),
        ] {
            assert_eq!(got, expect);
        }
        assert!(of(&vec![(0u8, 0u8); 1]).len() < 20 && of(&[[[[0u8; 9]; 9]; 9]; 9]).len() <= LONGEST);
    }
}
