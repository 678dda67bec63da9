//! Serialises a traced value along the slots it was made from: learns the names of fields and variants, and finds types
//! that write something else than they read.
use super::{
    Fault, Node,
    trace::{BodySlot, Place, Slot, Tracer},
};
use serde::{Serialize, ser};

/// Goes over `value`, which was made from slot 0.
pub(super) fn learn<T: Serialize>(t: &mut Tracer, value: &T) -> Result<(), Fault> {
    super::guarded(|| value.serialize(Namer { t, slot: 0 }))
}

struct Namer<'t> {
    t: &'t mut Tracer,
    slot: usize,
}

impl<'t> Namer<'t> {
    fn slot(&self) -> &Slot {
        &self.t.slots[self.t.resolve(self.slot)]
    }
    fn differs<T>(&self, wrote: &str) -> Result<T, Fault> {
        Err(Fault::Hard(format!("it reads {} and writes {wrote}", self.slot().what())))
    }
    fn leaf(self, leaf: &Node) -> Result<(), Fault> {
        match self.slot() {
            Slot::Leaf(read) if read == leaf => Ok(()),
            _ => self.differs(&Slot::Leaf(leaf.clone()).what()),
        }
    }
    fn parts(self, slots: Vec<usize>, of: Option<Place>) -> Parts<'t> {
        Parts { t: self.t, slots, at: 0, of }
    }
    fn tuple(self, len: usize) -> Result<Parts<'t>, Fault> {
        match self.slot() {
            Slot::Tuple(slots) if slots.len() == len => {
                let slots = slots.clone();
                Ok(self.parts(slots, None))
            }
            _ => self.differs(&format!("a tuple of {len}")),
        }
    }
    /// The body of a variant, whose name is now known.
    fn variant(&mut self, index: u32, name: &'static str) -> Result<(Place, BodySlot), Fault> {
        let own = self.t.resolve(self.slot);
        let known = match &mut self.t.slots[own] {
            Slot::Enum(_, e) => e.variants.get_mut(index as usize),
            _ => None,
        };
        if let Some(v) = known
            && let Some(body) = &v.body
            && *v.name.get_or_insert(name) == name
        {
            return Ok(((own, index as usize), body.clone()));
        }
        self.differs(&format!(
            "variant {index}, {name}, where another has this number (a skipped variant must be the last)"
        ))
    }
}

macro_rules! leaves {
    ($($method:ident $ty:ty = $node:expr;)*) => { $(
        fn $method(self, _: $ty) -> Result<(), Fault> {
            self.leaf(&$node)
        }
    )* };
}

impl<'t> ser::Serializer for Namer<'t> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Repeated<'t>;
    type SerializeMap = Repeated<'t>;
    type SerializeTuple = Parts<'t>;
    type SerializeTupleStruct = Parts<'t>;
    type SerializeTupleVariant = Parts<'t>;
    type SerializeStruct = Parts<'t>;
    type SerializeStructVariant = Parts<'t>;

    leaves! {
        serialize_bool bool = Node::Bool;
        serialize_u8 u8 = Node::Unsigned(8);
        serialize_u16 u16 = Node::Unsigned(16);
        serialize_u32 u32 = Node::Unsigned(32);
        serialize_u64 u64 = Node::Unsigned(64);
        serialize_u128 u128 = Node::Unsigned(128);
        serialize_i8 i8 = Node::Signed(8);
        serialize_i16 i16 = Node::Signed(16);
        serialize_i32 i32 = Node::Signed(32);
        serialize_i64 i64 = Node::Signed(64);
        serialize_i128 i128 = Node::Signed(128);
        serialize_f32 f32 = Node::Float(32);
        serialize_f64 f64 = Node::Float(64);
        serialize_char char = Node::Char;
        serialize_str &str = Node::Str;
        serialize_bytes &[u8] = Node::Bytes;
        serialize_unit_struct &'static str = Node::Unit;
    }

    fn is_human_readable(&self) -> bool {
        false
    }
    fn serialize_unit(self) -> Result<(), Fault> {
        self.leaf(&Node::Unit)
    }
    fn serialize_none(self) -> Result<(), Fault> {
        match self.slot() {
            Slot::Option(_) => Ok(()),
            _ => self.differs("an option"),
        }
    }
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Fault> {
        match self.slot() {
            Slot::Option(slot) => value.serialize(Namer { slot: *slot, t: self.t }),
            _ => self.differs("an option"),
        }
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), Fault> {
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Repeated<'t>, Fault> {
        match self.slot() {
            Slot::Seq(c) => Ok(Repeated { slots: (*c, *c), t: self.t }),
            _ => self.differs("a sequence"),
        }
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Repeated<'t>, Fault> {
        match self.slot() {
            Slot::Map(k, v) => Ok(Repeated { slots: (*k, *v), t: self.t }),
            _ => self.differs("a map"),
        }
    }
    fn serialize_tuple(self, len: usize) -> Result<Parts<'t>, Fault> {
        self.tuple(len)
    }
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Parts<'t>, Fault> {
        self.tuple(len)
    }
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Parts<'t>, Fault> {
        match self.slot() {
            Slot::Struct(_, fields) if fields.len() == len => {
                let (slots, own) = (fields.iter().map(|f| f.slot).collect(), self.t.resolve(self.slot));
                Ok(self.parts(slots, Some((own, 0))))
            }
            _ => self.differs(&format!(
                "struct {name} of {len} field(s) (`skip_serializing_if` and skipping in one direction do not survive)"
            )),
        }
    }
    fn serialize_unit_variant(mut self, _: &'static str, index: u32, name: &'static str) -> Result<(), Fault> {
        match self.variant(index, name)?.1 {
            BodySlot::Unit => Ok(()),
            _ => self.differs(&format!("variant {name} without content")),
        }
    }
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        match self.variant(index, name)?.1 {
            BodySlot::Newtype(slot) => value.serialize(Namer { slot, t: self.t }),
            _ => self.differs(&format!("variant {name} with one value")),
        }
    }
    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Parts<'t>, Fault> {
        match self.variant(index, name)?.1 {
            BodySlot::Tuple(slots) if slots.len() == len => Ok(self.parts(slots, None)),
            _ => self.differs(&format!("variant {name} with {len} values")),
        }
    }
    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Parts<'t>, Fault> {
        match self.variant(index, name)? {
            (of, BodySlot::Struct(fields)) if fields.len() == len => {
                Ok(self.parts(fields.iter().map(|f| f.slot).collect(), Some(of)))
            }
            _ => self.differs(&format!("variant {name} with {len} field(s)")),
        }
    }
}

/// Elements of a sequence, entries of a map.
struct Repeated<'t> {
    t: &'t mut Tracer,
    slots: (usize, usize),
}

impl ser::SerializeSeq for Repeated<'_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Fault> {
        value.serialize(Namer { t: &mut *self.t, slot: self.slots.0 })
    }
    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}
impl ser::SerializeMap for Repeated<'_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Fault> {
        key.serialize(Namer { t: &mut *self.t, slot: self.slots.0 })
    }
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Fault> {
        value.serialize(Namer { t: &mut *self.t, slot: self.slots.1 })
    }
    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Elements of a tuple, fields of a struct (then `of` is set).
struct Parts<'t> {
    t: &'t mut Tracer,
    slots: Vec<usize>,
    at: usize,
    of: Option<Place>,
}

impl Parts<'_> {
    fn part<T: ?Sized + Serialize>(&mut self, name: Option<&'static str>, value: &T) -> Result<(), Fault> {
        let at = self.at;
        let slot = *self.slots.get(at).ok_or_else(|| Fault::Hard("it writes more than it reads".to_owned()))?;
        self.at += 1;
        if let (Some(of), Some(name)) = (self.of, name) {
            let known = *self.t.fields(of)[at].name.get_or_insert(name);
            if known != name {
                return Err(Fault::Hard(format!("its field {at} is `{known}` at one time and `{name}` at another")));
            }
        }
        value.serialize(Namer { t: &mut *self.t, slot })
    }
    fn done(self) -> Result<(), Fault> {
        if self.at == self.slots.len() {
            return Ok(());
        }
        Err(Fault::Hard("it writes less than it reads (`skip_serializing_if`?)".to_owned()))
    }
}

macro_rules! parts {
    ($($trait:ident $method:ident)*) => { $(
        impl ser::$trait for Parts<'_> {
            type Ok = ();
            type Error = Fault;
            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Fault> {
                self.part(None, value)
            }
            fn end(self) -> Result<(), Fault> {
                self.done()
            }
        }
    )* };
}
parts! { SerializeTuple serialize_element SerializeTupleStruct serialize_field SerializeTupleVariant serialize_field }

impl ser::SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), Fault> {
        self.part(Some(name), value)
    }
    fn end(self) -> Result<(), Fault> {
        self.done()
    }
}
impl ser::SerializeStructVariant for Parts<'_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), Fault> {
        self.part(Some(name), value)
    }
    fn end(self) -> Result<(), Fault> {
        self.done()
    }
}
