//! Keys and states that hold no read buffer.
//!
//! A [`Text`] that is a slice of a 64-KiB read buffer keeps all of it alive. Harmless on its way through a task, it would
//! pin the input file in memory once it is a key of a table, a record of a shuffle, or state. So what is kept is detached
//! when it is first stored. That is impossible by trait for any type, hence: a `Text` is recognised by its type; anything
//! else is walked with a serializer that writes nothing, on which a pinned `Text` leaves a mark; only what is marked is
//! rebuilt, by one round trip through bytes.
use crate::{Data, Key, Text, Wire};
use serde::ser::{self, Serialize};
use std::{
    any::{Any, TypeId},
    cell::Cell,
    fmt::{self, Display},
};

thread_local! { static PINNED: Cell<bool> = const { Cell::new(false) }; }

/// Told by [`Text`] when it is serialised and holds a buffer.
#[inline]
pub(crate) fn mark() {
    PINNED.set(true);
}

/// The key, holding no buffer larger than itself. What does not survive a round trip (skipped fields, formats of its own)
/// stays as it is: it pins memory, which is a cost and not a mistake.
///
/// ```
/// # use winterbourne_engine::{Text, detach};
/// let line = std::sync::Arc::new("a line of a large file, and many more".to_owned());
/// let key = detach::key((Text::slice(&line, 0..28), 1));
/// assert!(key.0.is_detached());
/// ```
#[inline]
pub fn key<K: Key>(k: K) -> K {
    rebuilt(k, |own, k| own == k)
}
/// The same for a value that cannot be compared. Its serialised form is taken for the whole of it, as for all that is
/// state: fields that serde skips may come back as their defaults.
///
/// ```
/// # use winterbourne_engine::{Text, detach};
/// let line = std::sync::Arc::new("a line of a large file, and many more".to_owned());
/// let state = detach::value((Text::slice(&line, 0..28), 1.5));
/// assert!(state.0.is_detached());
/// ```
#[inline]
pub fn value<T: Wire>(value: T) -> T {
    rebuilt(
        value,
        |own, value| matches!((postcard::to_allocvec(own), postcard::to_allocvec(value)), (Ok(a), Ok(b)) if a == b),
    )
}
/// What is a [`Text`] itself, holding no larger buffer; anything else as it is. Costs next to nothing.
///
/// ```
/// # use winterbourne_engine::{Text, detach};
/// let line = std::sync::Arc::new("a line of a large file, and many more".to_owned());
/// assert!(detach::text(Text::slice(&line, 0..28)).is_detached());
/// ```
#[inline]
pub fn text<T: Data>(x: T) -> T {
    if TypeId::of::<T>() == TypeId::of::<Text>() {
        let text = (&x as &dyn Any).downcast_ref::<Text>().expect("the same type");
        if !text.is_detached() {
            let own: Box<dyn Any> = Box::new(text.detach());
            return *own.downcast().expect("the same type");
        }
    }
    x
}

#[inline]
fn rebuilt<T: Wire>(x: T, is_same: impl Fn(&T, &T) -> bool) -> T {
    // Numbers and their like hold nothing; this is known when compiling.
    if TypeId::of::<T>() == TypeId::of::<Text>() || !std::mem::needs_drop::<T>() {
        return text(x);
    }
    composite(x, is_same)
}

fn composite<T: Wire>(x: T, is_same: impl Fn(&T, &T) -> bool) -> T {
    PINNED.set(false);
    let walked = x.serialize(Nothing);
    if walked.is_err() || !PINNED.replace(false) {
        return x;
    }
    let bytes = postcard::to_allocvec(&x);
    match bytes.ok().and_then(|b| postcard::from_bytes::<T>(&b).ok()) {
        Some(own) if is_same(&own, &x) => own,
        _ => x,
    }
}

/// A serializer that writes nothing.
struct Nothing;
#[derive(Debug)]
struct Refused;
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

macro_rules! nothing {
    ($($name:ident: $t:ty),*) => { $(#[inline] fn $name(self, _: $t) -> Done { Ok(()) })* };
}
impl ser::Serializer for Nothing {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Nothing;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStruct = Nothing;
    type SerializeStructVariant = Nothing;
    nothing!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_str: &str,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str);
    fn serialize_none(self) -> Done {
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, x: &T) -> Done {
        x.serialize(Nothing)
    }
    fn serialize_unit(self) -> Done {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Done {
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, x: &T) -> Done {
        x.serialize(Nothing)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, x: &T) -> Done {
        x.serialize(Nothing)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Nothing, Refused> {
        Ok(Nothing)
    }
    fn serialize_tuple(self, _: usize) -> Result<Nothing, Refused> {
        Ok(Nothing)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Nothing, Refused> {
        Ok(Nothing)
    }
    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Nothing, Refused> {
        Ok(Nothing)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Nothing, Refused> {
        Ok(Nothing)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Nothing, Refused> {
        Ok(Nothing)
    }
    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Nothing, Refused> {
        Ok(Nothing)
    }
}
macro_rules! parts {
    ($($trait:ident: $($method:ident($($skip:ident: $t:ty)?)),+;)*) => { $(
        impl ser::$trait for Nothing {
            type Ok = ();
            type Error = Refused;
            $(fn $method<T: Serialize + ?Sized>(&mut self, $($skip: $t,)? x: &T) -> Done { x.serialize(Nothing) })+
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use std::sync::Arc;

    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    enum Name {
        One(Text),
        Two { first: Text, last: Option<Text> },
    }
    /// Makes a key of a slice of a large buffer; says how many still hold the buffer.
    fn holders<K: Key>(make: impl Fn(Text) -> K) -> usize {
        let buf = Arc::new("x".repeat(1 << 16));
        let stored = key(make(Text::slice(&buf, 0..100)));
        let again = key(stored.clone());
        assert!(stored == again);
        let state = value(make(Text::slice(&buf, 0..100)));
        assert!(stored == state);
        Arc::strong_count(&buf) - 1
    }
    #[test]
    fn a_stored_key_holds_no_read_buffer() {
        assert_eq!(holders(|t| t), 0);
        assert_eq!(holders(|t| (t, 1u64)), 0);
        assert_eq!(holders(|t| vec![Some(t)]), 0);
        assert_eq!(holders(Name::One), 0);
        assert_eq!(holders(|t| Name::Two { first: t.clone(), last: Some(t) }), 0);
        assert_eq!(holders(|t| t.to_string()), 0);
    }
    #[test]
    fn a_key_that_cannot_be_rebuilt_stays_as_it_is() {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        struct Odd {
            text: Text,
            #[serde(skip)]
            kept: u32,
        }
        let buf = Arc::new("x".repeat(1000));
        let odd = Odd { text: Text::slice(&buf, 0..100), kept: 7 };
        assert_eq!(key(odd.clone()), odd);
    }
}
