//! [`Walk`]: a serializer that writes nothing. It only meets all that a value serialises, and tells a visitor of it.
use serde::ser::{self, Serialize};
use std::fmt::{self, Display};

/// What is met on a walk.
pub(crate) trait Visit: Copy {
    /// A number, or something else of fixed size.
    fn leaf(self, _: usize) {}
    /// A string, or bytes, of so many bytes.
    fn bytes(self, _: usize) {}
    /// A sequence or a map; who visits its elements.
    fn collection(self) -> Self {
        self
    }
}
impl Visit for () {}

/// A serializer that writes nothing.
pub(crate) struct Walk<V>(pub(crate) V);
/// The value refused to be serialised.
#[derive(Debug)]
pub(crate) struct Refused;
impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}
impl std::error::Error for Refused {}
impl ser::Error for Refused {
    fn custom<T: Display>(_: T) -> Self {
        Refused
    }
}
type Done = Result<(), Refused>;
type Into<V> = Result<Walk<V>, Refused>;

macro_rules! leaves {
    ($($name:ident: $t:ty),*) => { $(
        #[inline]
        fn $name(self, _: $t) -> Done {
            self.0.leaf(size_of::<$t>());
            Ok(())
        }
    )* };
}
impl<V: Visit> ser::Serializer for Walk<V> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Walk<V>;
    type SerializeTuple = Walk<V>;
    type SerializeTupleStruct = Walk<V>;
    type SerializeTupleVariant = Walk<V>;
    type SerializeMap = Walk<V>;
    type SerializeStruct = Walk<V>;
    type SerializeStructVariant = Walk<V>;
    leaves!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char);
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }
    #[inline]
    fn serialize_str(self, s: &str) -> Done {
        self.0.bytes(s.len());
        Ok(())
    }
    #[inline]
    fn serialize_bytes(self, b: &[u8]) -> Done {
        self.0.bytes(b.len());
        Ok(())
    }
    fn serialize_none(self) -> Done {
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, x: &T) -> Done {
        x.serialize(self)
    }
    fn serialize_unit(self) -> Done {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Done {
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, x: &T) -> Done {
        x.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, x: &T) -> Done {
        x.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Into<V> {
        Ok(Walk(self.0.collection()))
    }
    fn serialize_tuple(self, _: usize) -> Into<V> {
        Ok(self)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Into<V> {
        Ok(self)
    }
    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Into<V> {
        Ok(self)
    }
    fn serialize_map(self, _: Option<usize>) -> Into<V> {
        Ok(Walk(self.0.collection()))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Into<V> {
        Ok(self)
    }
    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Into<V> {
        Ok(self)
    }
}
macro_rules! parts {
    ($($trait:ident: $($method:ident($($skip:ident: $t:ty)?)),+;)*) => { $(
        impl<V: Visit> ser::$trait for Walk<V> {
            type Ok = ();
            type Error = Refused;
            $(#[inline] fn $method<T: Serialize + ?Sized>(&mut self, $($skip: $t,)? x: &T) -> Done {
                x.serialize(Walk(self.0))
            })+
            fn end(self) -> Done { Ok(()) }
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
    SerializeMap: serialize_key(), serialize_value();
}
