//! The text form of a record, in Scala's manner, from its serde form: `(a,1)`, `Some(x)`, `List(1, 2)`, `Point(1,2)`,
//! `Map(a -> 1)`, strings bare, floats as Java writes them.
use serde::ser::{self, Serialize};
use std::fmt::{self, Display, Write};

/// The text form of a record: what `print`, `save_as_text_file` and `pipe` write.
///
/// ```
/// use winterbourne_engine::show;
/// assert_eq!(show(&("spring", 3)), "(spring,3)");
/// assert_eq!(show(&(vec![Some(1), None], 2.0)), "(List(Some(1), None),2.0)");
/// #[derive(serde::Serialize)]
/// struct Point { x: i32, y: i32 }
/// assert_eq!(show(&Point { x: 1, y: 2 }), "Point(1,2)");
/// ```
pub fn show<T: Serialize + ?Sized>(record: &T) -> String {
    let mut out = String::new();
    match show_to(&mut out, record) {
        Ok(()) => out,
        Err(e) => format!("<not serialisable: {e}>"),
    }
}
/// Appends the text form of a record. Only a `Serialize` implementation of the user's own can fail.
pub(crate) fn show_to<T: Serialize + ?Sized>(out: &mut String, record: &T) -> Result<(), Failed> {
    record.serialize(Shower { out })
}

#[derive(Debug)]
pub(crate) struct Failed(String);
impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Failed {}
impl ser::Error for Failed {
    fn custom<T: Display>(msg: T) -> Self {
        Failed(msg.to_string())
    }
}

struct Shower<'a> {
    out: &'a mut String,
}
type Done = Result<(), Failed>;

impl<'a> Shower<'a> {
    fn plain(self, x: impl Display) -> Done {
        write!(self.out, "{x}").map_err(|_| Failed("formatting failed".into()))
    }
    /// As Java does: always with a point, with an exponent below 10^-3 and from 10^7.
    fn float(self, x: f64, shortest: String) -> Done {
        if x.is_nan() {
            return self.plain("NaN");
        }
        if x.is_infinite() {
            return self.plain(if x > 0.0 { "Infinity" } else { "-Infinity" });
        }
        let size = x.abs();
        if size != 0.0 && !(1e-3..1e7).contains(&size) {
            let (mantissa, exponent) = shortest.split_once('e').expect("formatted with {:e}");
            let point = if mantissa.contains('.') { "" } else { ".0" };
            return self.plain(format_args!("{mantissa}{point}E{exponent}"));
        }
        let plain = match shortest.parse::<f64>() {
            Ok(y) => y.to_string(),
            Err(_) => shortest,
        };
        let point = if plain.contains('.') { "" } else { ".0" };
        self.plain(format_args!("{plain}{point}"))
    }
    fn list(self, open: &str, between: &'static str) -> List<'a> {
        self.out.push_str(open);
        List { out: self.out, between, first: true }
    }
}

struct List<'a> {
    out: &'a mut String,
    between: &'static str,
    first: bool,
}
impl List<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
        if !std::mem::take(&mut self.first) {
            self.out.push_str(self.between);
        }
        x.serialize(Shower { out: self.out })
    }
    fn close(self) -> Done {
        self.out.push(')');
        Ok(())
    }
}

macro_rules! plain {
    ($($name:ident: $t:ty),*) => { $(fn $name(self, x: $t) -> Done { self.plain(x) })* };
}
impl<'a> ser::Serializer for Shower<'a> {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = List<'a>;
    type SerializeStruct = List<'a>;
    type SerializeStructVariant = List<'a>;
    plain!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char);
    fn serialize_str(self, x: &str) -> Done {
        self.out.push_str(x);
        Ok(())
    }
    fn serialize_f32(self, x: f32) -> Done {
        // The shortest text that reads back as this f32.
        let text = if x != 0.0 && !(1e-3..1e7).contains(&x.abs()) { format!("{x:e}") } else { x.to_string() };
        self.float(x.into(), text)
    }
    fn serialize_f64(self, x: f64) -> Done {
        self.float(x, format!("{x:e}"))
    }
    fn serialize_bytes(self, x: &[u8]) -> Done {
        let mut list = self.list("List(", ", ");
        x.iter().try_for_each(|b| list.item(b))?;
        list.close()
    }
    fn serialize_none(self) -> Done {
        self.plain("None")
    }
    fn serialize_some<T: Serialize + ?Sized>(self, x: &T) -> Done {
        self.serialize_newtype_struct("Some", x)
    }
    fn serialize_unit(self) -> Done {
        self.plain("()")
    }
    fn serialize_unit_struct(self, name: &'static str) -> Done {
        self.plain(name)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.plain(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, x: &T) -> Done {
        self.out.push_str(name);
        let mut list = self.list("(", ",");
        list.item(x)?;
        list.close()
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        x: &T,
    ) -> Done {
        self.serialize_newtype_struct(variant, x)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, Failed> {
        Ok(self.list("List(", ", "))
    }
    fn serialize_tuple(self, _: usize) -> Result<List<'a>, Failed> {
        Ok(self.list("(", ","))
    }
    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<List<'a>, Failed> {
        self.out.push_str(name);
        Ok(self.list("(", ","))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        n: usize,
    ) -> Result<List<'a>, Failed> {
        self.serialize_tuple_struct(variant, n)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<List<'a>, Failed> {
        Ok(self.list("Map(", ", "))
    }
    fn serialize_struct(self, name: &'static str, n: usize) -> Result<List<'a>, Failed> {
        self.serialize_tuple_struct(name, n)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        n: usize,
    ) -> Result<List<'a>, Failed> {
        self.serialize_tuple_struct(variant, n)
    }
}

macro_rules! items {
    ($($trait:ident: $method:ident($($skip:ident: $t:ty)?);)*) => { $(
        impl ser::$trait for List<'_> {
            type Ok = ();
            type Error = Failed;
            fn $method<T: Serialize + ?Sized>(&mut self, $($skip: $t,)? x: &T) -> Done {
                self.item(x)
            }
            fn end(self) -> Done {
                self.close()
            }
        }
    )* };
}
items! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(_name: &'static str);
    SerializeStructVariant: serialize_field(_name: &'static str);
}
impl ser::SerializeMap for List<'_> {
    type Ok = ();
    type Error = Failed;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
        self.item(x)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
        self.out.push_str(" -> ");
        x.serialize(Shower { out: self.out })
    }
    fn end(self) -> Done {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use std::collections::BTreeMap;

    #[test]
    fn the_manner_of_scala() {
        #[derive(Serialize)]
        enum Shape {
            Unit,
            New(u8),
            Tuple(u8, u8),
            Named { a: u8 },
        }
        let check = |got: String, expect: &str| assert_eq!(got, expect);
        check(show("bare text"), "bare text");
        check(show(&'c'), "c");
        check(show(&true), "true");
        check(show(&()), "()");
        check(show(&("a", 1u64)), "(a,1)");
        check(show(&("a", (1, 2), "")), "(a,(1,2),)");
        check(show(&vec![1, 2]), "List(1, 2)");
        check(show(&Vec::<u8>::new()), "List()");
        check(show(&BTreeMap::from([("a", 1), ("b", 2)])), "Map(a -> 1, b -> 2)");
        check(show(&[Shape::Unit, Shape::New(1)]), "(Unit,New(1))");
        check(show(&(Shape::Tuple(1, 2), Shape::Named { a: 3 })), "(Tuple(1,2),Named(3))");
        check(show(&crate::Text::from("x")), "x");
    }
    #[test]
    fn floats_as_java_writes_them() {
        for (x, expect) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (1.5e10, "1.5E10"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(show(&x), expect);
        }
        assert_eq!(show(&0.1f32), "0.1");
        assert_eq!(show(&1e10f32), "1.0E10");
    }
}
