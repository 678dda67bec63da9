//! Records as JSON, by serde: externally tagged enums, `null` for none and for numbers that are none, bytes as a list. A
//! writer only, and our own: with `serde_json` among its dependencies no program could compare a vector with `[]` any more,
//! because its values can be compared with everything.
use serde::ser::{self, Serialize};
use std::fmt::{self, Display, Write as _};

/// Appends a record.
pub(super) fn write<T: Serialize + ?Sized>(record: &T, out: &mut Vec<u8>) -> Result<(), NoJson> {
    record.serialize(Json(out))
}

/// Why a record is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoJson(String);
impl Display for NoJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record cannot be written as JSON: {}", self.0)
    }
}
impl std::error::Error for NoJson {}
impl ser::Error for NoJson {
    fn custom<T: Display>(what: T) -> Self {
        NoJson(what.to_string())
    }
}

type Done = Result<(), NoJson>;

/// Text at the end of a buffer of bytes.
struct End<'a>(&'a mut Vec<u8>);
impl fmt::Write for End<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}
/// Within quotes.
struct Quoted<'a>(&'a mut Vec<u8>);
impl fmt::Write for Quoted<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let mut from = 0;
        for (i, b) in s.bytes().enumerate() {
            let short = match b {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0x00..=0x1f => "",
                _ => continue,
            };
            self.0.extend_from_slice(&s.as_bytes()[from..i]);
            from = i + 1;
            if short.is_empty() {
                write!(End(self.0), "\\u{b:04x}")?
            } else {
                self.0.extend_from_slice(short.as_bytes())
            }
        }
        self.0.extend_from_slice(&s.as_bytes()[from..]);
        Ok(())
    }
}
fn string(out: &mut Vec<u8>, x: impl Display) -> Done {
    out.push(b'"');
    write!(Quoted(out), "{x}").map_err(|_| NoJson("formatting failed".into()))?;
    out.push(b'"');
    Ok(())
}
fn plain(out: &mut Vec<u8>, x: impl Display) -> Done {
    write!(End(out), "{x}").map_err(|_| NoJson("formatting failed".into()))
}

struct Json<'a>(&'a mut Vec<u8>);
impl<'a> Json<'a> {
    fn list(self, end: &'static str) -> Items<'a> {
        self.0.push(b'[');
        Items { out: self.0, first: true, end }
    }
    fn object(self, end: &'static str) -> Items<'a> {
        self.0.push(b'{');
        Items { out: self.0, first: true, end }
    }
    /// `{"variant":`, whose value follows.
    fn tag(self, variant: &str) -> Result<Self, NoJson> {
        self.0.push(b'{');
        string(self.0, variant)?;
        self.0.push(b':');
        Ok(self)
    }
}

macro_rules! each {
    ($does:ident: $($method:ident($type:ty))*) => {$(
        fn $method(self, x: $type) -> Done { $does(self.0, x) }
    )*};
}

impl<'a> ser::Serializer for Json<'a> {
    type Ok = ();
    type Error = NoJson;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    each! { plain:
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }
    each! { string: serialize_char(char) serialize_str(&str) }
    // The shortest text that is read as the same number, with a point or an exponent.
    fn serialize_f32(self, x: f32) -> Done {
        if x.is_finite() { plain(self.0, format_args!("{x:?}")) } else { plain(self.0, "null") }
    }
    fn serialize_f64(self, x: f64) -> Done {
        if x.is_finite() { plain(self.0, format_args!("{x:?}")) } else { plain(self.0, "null") }
    }
    fn serialize_bytes(self, x: &[u8]) -> Done {
        x.serialize(self)
    }
    fn serialize_none(self) -> Done {
        plain(self.0, "null")
    }
    fn serialize_some<T: Serialize + ?Sized>(self, x: &T) -> Done {
        x.serialize(self)
    }
    fn serialize_unit(self) -> Done {
        plain(self.0, "null")
    }
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        plain(self.0, "null")
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        string(self.0, variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, x: &T) -> Done {
        x.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        x: &T,
    ) -> Done {
        let Json(out) = self.tag(variant)?;
        x.serialize(Json(&mut *out))?;
        out.push(b'}');
        Ok(())
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, NoJson> {
        Ok(self.list("]"))
    }
    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, NoJson> {
        Ok(self.list("]"))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, NoJson> {
        Ok(self.list("]"))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, NoJson> {
        Ok(self.tag(variant)?.list("]}"))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Items<'a>, NoJson> {
        Ok(self.object("}"))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, NoJson> {
        Ok(self.object("}"))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, NoJson> {
        Ok(self.tag(variant)?.object("}}"))
    }
}

/// A list or an object that is being written.
struct Items<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    end: &'static str,
}
impl Items<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out
    }
    fn item<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
        x.serialize(Json(self.next()))
    }
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, x: &T) -> Done {
        string(self.next(), name)?;
        self.out.push(b':');
        x.serialize(Json(self.out))
    }
    fn close(self) -> Done {
        self.out.extend_from_slice(self.end.as_bytes());
        Ok(())
    }
}
macro_rules! list {
    ($($of:ident::$method:ident)*) => {$(
        impl ser::$of for Items<'_> {
            type Ok = ();
            type Error = NoJson;
            fn $method<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
                self.item(x)
            }
            fn end(self) -> Done {
                self.close()
            }
        }
    )*};
}
list! {
    SerializeSeq::serialize_element SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field SerializeTupleVariant::serialize_field
}
macro_rules! object {
    ($($of:ident)*) => {$(
        impl ser::$of for Items<'_> {
            type Ok = ();
            type Error = NoJson;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, x: &T) -> Done {
                self.field(name, x)
            }
            fn end(self) -> Done {
                self.close()
            }
        }
    )*};
}
object! { SerializeStruct SerializeStructVariant }
impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = NoJson;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        let out = self.next();
        let from = out.len();
        key.serialize(Json(&mut *out))?;
        // Names are strings; a number or a truth value is one within quotes.
        match out[from] {
            b'"' => Ok(()),
            b'[' | b'{' | b'n' => Err(NoJson("a map whose keys are neither text nor numbers".into())),
            _ => {
                out.insert(from, b'"');
                out.push(b'"');
                Ok(())
            }
        }
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, x: &T) -> Done {
        self.out.push(b':');
        x.serialize(Json(self.out))
    }
    fn end(self) -> Done {
        self.close()
    }
}
