//! Records as rows of CSV (RFC 4180), by serde: a struct's fields are columns of their names, a tuple's are `_1`, `_2`, …,
//! and what is one value is the column `value`. Nothing is nested: a value within a record that is no single one is an error.
use serde::ser::{self, Impossible, Serialize};
use std::fmt::{self, Display};
use winterbourne_engine::show;

/// Appends the names of a record's columns, as a line.
pub(super) fn header<T: Serialize>(record: &T, delimiter: char, out: &mut Vec<u8>) -> Result<(), NoRow> {
    line(record, Row { out, delimiter, what: What::Names, columns: 0 })
}
/// Appends the values.
pub(super) fn row<T: Serialize>(record: &T, delimiter: char, out: &mut Vec<u8>) -> Result<(), NoRow> {
    line(record, Row { out, delimiter, what: What::Values, columns: 0 })
}
fn line<T: Serialize>(record: &T, mut row: Row<'_>) -> Result<(), NoRow> {
    let before = row.out.len();
    record.serialize(&mut row)?;
    if row.columns == 1 && row.out.len() == before {
        // Readers pass over empty lines.
        row.out.extend_from_slice(b"\"\"");
    }
    row.out.push(b'\n');
    Ok(())
}

/// Why a record is no row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRow(String);
impl Display for NoRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record is no row of CSV: {}", self.0)
    }
}
impl std::error::Error for NoRow {}
impl ser::Error for NoRow {
    fn custom<T: Display>(what: T) -> Self {
        NoRow(what.to_string())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Names,
    Values,
}
/// A line that is being made.
struct Row<'a> {
    out: &'a mut Vec<u8>,
    delimiter: char,
    what: What,
    columns: usize,
}
impl Row<'_> {
    fn next(&mut self) {
        if self.columns > 0 {
            self.out.extend_from_slice(self.delimiter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.columns += 1;
    }
    fn text(&mut self, text: &str) {
        let special = |c: char| c == self.delimiter || matches!(c, '"' | '\n' | '\r');
        if !text.is_empty() && !text.contains(special) {
            return self.out.extend_from_slice(text.as_bytes());
        }
        // That of an empty string tells it from no value.
        self.out.push(b'"');
        self.out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        self.out.push(b'"');
    }
    fn column<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), NoRow> {
        self.next();
        if self.what == What::Names {
            self.text(name);
            return Ok(());
        }
        value.serialize(Cell(self)).map_err(|NoRow(what)| NoRow(format!("column {name}: {what}")))
    }
    /// A column that the record leaves out.
    fn nothing(&mut self, name: &str) {
        self.next();
        if self.what == What::Names {
            self.text(name);
        }
    }
}

fn no<T>(what: &str) -> Result<T, NoRow> {
    Err(NoRow(format!(
        "{what} has no column of its own; map it to a struct or a tuple of single values, or write JSON"
    )))
}

macro_rules! single {
    ($($method:ident($type:ty))*) => {$(
        fn $method(self, x: $type) -> Result<(), NoRow> { self.value(&x) }
    )*};
}

impl Row<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, x: &T) -> Result<(), NoRow> {
        self.column("value", x)
    }
}
impl ser::Serializer for &mut Row<'_> {
    type Ok = ();
    type Error = NoRow;
    type SerializeSeq = Impossible<(), NoRow>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), NoRow>;
    type SerializeMap = Impossible<(), NoRow>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), NoRow>;

    single! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64) serialize_char(char) serialize_str(&str)
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<(), NoRow> {
        no("a row of bytes")
    }
    fn serialize_none(self) -> Result<(), NoRow> {
        self.nothing("value");
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, x: &T) -> Result<(), NoRow> {
        x.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), NoRow> {
        self.serialize_none()
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NoRow> {
        self.serialize_none()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), NoRow> {
        self.value(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, x: &T) -> Result<(), NoRow> {
        x.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NoRow> {
        no("a variant with values")
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, NoRow> {
        no("a list")
    }
    fn serialize_tuple(self, _: usize) -> Result<Self, NoRow> {
        Ok(self)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, NoRow> {
        Ok(self)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NoRow> {
        no("a variant with values")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NoRow> {
        no("a map, or a struct with flattened fields,")
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NoRow> {
        Ok(self)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NoRow> {
        no("a variant with values")
    }
}
impl ser::SerializeTuple for &mut Row<'_> {
    type Ok = ();
    type Error = NoRow;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, x: &T) -> Result<(), NoRow> {
        let name = format!("_{}", self.columns + 1);
        self.column(&name, x)
    }
    fn end(self) -> Result<(), NoRow> {
        Ok(())
    }
}
impl ser::SerializeTupleStruct for &mut Row<'_> {
    type Ok = ();
    type Error = NoRow;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, x: &T) -> Result<(), NoRow> {
        ser::SerializeTuple::serialize_element(self, x)
    }
    fn end(self) -> Result<(), NoRow> {
        Ok(())
    }
}
impl ser::SerializeStruct for &mut Row<'_> {
    type Ok = ();
    type Error = NoRow;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, x: &T) -> Result<(), NoRow> {
        self.column(name, x)
    }
    fn skip_field(&mut self, name: &'static str) -> Result<(), NoRow> {
        self.nothing(name);
        Ok(())
    }
    fn end(self) -> Result<(), NoRow> {
        Ok(())
    }
}

/// One value of a row.
struct Cell<'a, 'b>(&'a mut Row<'b>);
impl Cell<'_, '_> {
    fn value<T: Serialize + ?Sized>(self, x: &T) -> Result<(), NoRow> {
        self.0.text(&show(x));
        Ok(())
    }
}
impl ser::Serializer for Cell<'_, '_> {
    type Ok = ();
    type Error = NoRow;
    type SerializeSeq = Impossible<(), NoRow>;
    type SerializeTuple = Impossible<(), NoRow>;
    type SerializeTupleStruct = Impossible<(), NoRow>;
    type SerializeTupleVariant = Impossible<(), NoRow>;
    type SerializeMap = Impossible<(), NoRow>;
    type SerializeStruct = Impossible<(), NoRow>;
    type SerializeStructVariant = Impossible<(), NoRow>;

    single! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64) serialize_char(char)
    }
    fn serialize_str(self, x: &str) -> Result<(), NoRow> {
        self.0.text(x);
        Ok(())
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<(), NoRow> {
        no("bytes")
    }
    fn serialize_none(self) -> Result<(), NoRow> {
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, x: &T) -> Result<(), NoRow> {
        x.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), NoRow> {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NoRow> {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), NoRow> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, x: &T) -> Result<(), NoRow> {
        x.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NoRow> {
        no("a variant with values")
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, NoRow> {
        no("a list")
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NoRow> {
        no("a tuple within a record")
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, NoRow> {
        no("a struct within a record")
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NoRow> {
        no("a variant with values")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NoRow> {
        no("a map")
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, NoRow> {
        no("a struct within a record")
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NoRow> {
        no("a variant with values")
    }
}

#[cfg(test)]
mod tests;
