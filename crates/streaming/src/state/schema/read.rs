//! Reading bytes of the stored layout as a value of today's type.
//!
//! A serde deserializer that takes bytes apart as postcard put them together, guided by the stored layout, and offers
//! the parts by name. The type takes them as from any format with names, so defaults, aliases and a new order work;
//! there is no value in between. Types are compared strictly: an integer may be asked for as one that holds all its
//! values, anything else must be what was stored. Bytes are not trusted: a length is compared with what is left before
//! anything is allocated, and depth is bounded.
use super::{Body, Fault, Field, Id, Known, Node, change::Site};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor,
    value::{SeqDeserializer, StrDeserializer},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

/// Values nested deeper are not converted; tasks have stacks of 16 MiB.
pub(super) const MAX_VALUE_DEPTH: usize = 512;
/// Elements that take no bytes may be claimed to be any number.
const MAX_EMPTY: usize = 1 << 20;

/// What is seen while a made-up value is converted.
pub(super) struct Probe<'k> {
    pub(super) now: &'k Known,
    /// Values for fields that have none and no default, so that the next one is found.
    pub(super) given: BTreeMap<Site, Vec<Given>>,
    /// Stored fields that nobody wanted.
    pub(super) ignored: RefCell<BTreeSet<(Site, String)>>,
    /// The struct of which a field was missing.
    pub(super) missing: RefCell<Option<Site>>,
    /// Steps to the value being read; after a failure, to where it was.
    path: RefCell<Vec<String>>,
}

/// The bytes of a field, of today's layout.
pub(super) struct Given {
    pub(super) field: String,
    pub(super) id: Id,
    pub(super) bytes: Vec<u8>,
}

impl<'k> Probe<'k> {
    pub(super) fn new(now: &'k Known) -> Self {
        let (ignored, missing, path) = Default::default();
        Probe { now, given: BTreeMap::new(), ignored, missing, path }
    }
    /// Before each value.
    pub(super) fn reset(&self) {
        self.path.borrow_mut().clear();
        *self.missing.borrow_mut() = None;
    }
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for step in &*self.path.borrow() {
            path.push_str(if path.is_empty() || step.starts_with(['[', '{']) { "" } else { "." });
            path.push_str(step);
        }
        path
    }
}

/// A value of `T` made of all of the cursor's bytes.
pub(super) fn read<T: DeserializeOwned>(
    stored: &Known,
    cursor: &mut Cursor<'_>,
    probe: Option<&Probe<'_>>,
) -> Result<T, Fault> {
    let value = T::deserialize(Reader { cx: Cx { known: stored, probe }, cursor, id: 0, depth: 0, field: None })?;
    match cursor.rest.len() {
        0 => Ok(value),
        n => Err(Fault::Hard(format!("{n} byte(s) are left over"))),
    }
}

/// Bytes being read.
pub(super) struct Cursor<'b> {
    rest: &'b [u8],
    /// How many leaves have been read.
    pub(super) leaves: usize,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(rest: &'b [u8]) -> Self {
        Cursor { rest, leaves: 0 }
    }
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }
    fn take(&mut self, n: usize) -> Result<&'b [u8], Fault> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or_else(|| Fault::Hard("the bytes end early".to_owned()))?;
        self.rest = rest;
        Ok(taken)
    }
    fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }
    fn varint(&mut self, bits: u32) -> Result<u128, Fault> {
        let mut n = 0;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if bits - shift < 7 && part >> (bits - shift) != 0 {
                break;
            }
            n |= part << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Fault::Hard(format!("a number exceeds {bits} bits")))
    }
    fn unsigned(&mut self, bits: u8) -> Result<u128, Fault> {
        self.leaves += 1;
        if bits == 8 { Ok(u128::from(self.byte()?)) } else { self.varint(bits.into()) }
    }
    fn signed(&mut self, bits: u8) -> Result<i128, Fault> {
        self.leaves += 1;
        if bits == 8 {
            return Ok(i128::from(self.byte()? as i8));
        }
        let n = self.varint(bits.into())?;
        Ok((n >> 1) as i128 ^ -((n & 1) as i128))
    }
    fn flag(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::Hard(format!("{other} is neither yes nor no"))),
        }
    }
    fn float<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.leaves += 1;
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }
    fn bytes(&mut self) -> Result<&'b [u8], Fault> {
        self.leaves += 1;
        let n = self.varint(64)?;
        self.take(usize::try_from(n).unwrap_or(usize::MAX))
    }
    fn text(&mut self) -> Result<&'b str, Fault> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Fault::Hard("a text is not UTF-8".to_owned()))
    }
    fn char(&mut self) -> Result<char, Fault> {
        let mut chars = self.text()?.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => Err(Fault::Hard("a character is not one".to_owned())),
        }
    }
    /// The number of elements of these types.
    fn count(&mut self, known: &Known, of: &[Id]) -> Result<usize, Fault> {
        let n = usize::try_from(self.varint(64)?).unwrap_or(usize::MAX);
        let most = if of.iter().any(|id| known.takes_bytes(*id, 0)) { self.rest.len() } else { MAX_EMPTY };
        if n > most {
            return Err(Fault::Hard(format!("{n} elements cannot be in {} byte(s)", self.rest.len())));
        }
        Ok(n)
    }

    /// Goes past a value.
    pub(super) fn skip(&mut self, known: &Known, id: Id, depth: usize) -> Result<(), Fault> {
        let depth = deeper(depth)?;
        match known.node(id) {
            Node::Unit => Ok(()),
            Node::Bool => self.bool().map(drop),
            Node::Unsigned(bits) => self.unsigned(*bits).map(drop),
            Node::Signed(bits) => self.signed(*bits).map(drop),
            Node::Float(32) => self.float::<4>().map(drop),
            Node::Float(_) => self.float::<8>().map(drop),
            Node::Char => self.char().map(drop),
            Node::Str => self.text().map(drop),
            Node::Bytes => self.bytes().map(drop),
            Node::Option(c) => {
                if self.flag()? {
                    self.skip(known, *c, depth)
                } else {
                    Ok(())
                }
            }
            Node::Seq(c) => (0..self.count(known, &[*c])?).try_for_each(|_| self.skip(known, *c, depth)),
            Node::Map(k, v) => (0..self.count(known, &[*k, *v])?).try_for_each(|_| {
                self.skip(known, *k, depth)?;
                self.skip(known, *v, depth)
            }),
            Node::Tuple(ids) => ids.iter().try_for_each(|id| self.skip(known, *id, depth)),
            Node::Array(c, n) => (0..*n).try_for_each(|_| self.skip(known, *c, depth)),
            Node::Struct(_, fields) => fields.iter().try_for_each(|f| self.skip(known, f.id, depth)),
            Node::Enum(name, variants) => {
                let index = self.varint(32)?;
                let variant = usize::try_from(index).ok().and_then(|i| variants.get(i));
                match &variant.ok_or_else(|| no_variant(name, index))?.body {
                    Body::Unit => Ok(()),
                    Body::Newtype(id) => self.skip(known, *id, depth),
                    Body::Tuple(ids) => ids.iter().try_for_each(|id| self.skip(known, *id, depth)),
                    Body::Struct(fields) => fields.iter().try_for_each(|f| self.skip(known, f.id, depth)),
                }
            }
        }
    }
    fn bool(&mut self) -> Result<bool, Fault> {
        self.leaves += 1;
        self.flag()
    }
}

fn no_variant(name: &str, index: u128) -> Fault {
    Fault::Hard(format!("{name} had no variant {index}"))
}

fn deeper(depth: usize) -> Result<usize, Fault> {
    if depth >= MAX_VALUE_DEPTH {
        return Err(Fault::Hard(format!("a value is nested more than {MAX_VALUE_DEPTH} levels deep")));
    }
    Ok(depth + 1)
}

#[derive(Clone, Copy)]
struct Cx<'r> {
    known: &'r Known,
    probe: Option<&'r Probe<'r>>,
}

impl Cx<'_> {
    /// Runs `f` one step further down. After a failure the step stays.
    fn step<T>(&self, step: &str, f: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let Some(probe) = self.probe else { return f() };
        probe.path.borrow_mut().push(step.to_owned());
        let value = f()?;
        probe.path.borrow_mut().pop();
        Ok(value)
    }
}

struct Reader<'r, 'b> {
    cx: Cx<'r>,
    cursor: &'r mut Cursor<'b>,
    id: Id,
    depth: usize,
    /// The field whose value this is.
    field: Option<(Site, &'r str)>,
}

impl<'r, 'b> Reader<'r, 'b> {
    fn node(&self) -> &'r Node {
        self.cx.known.node(self.id)
    }
    fn differs<T>(&self, asked: &str) -> Result<T, Fault> {
        Err(Fault::Hard(format!("{asked} is wanted, {} was stored", self.cx.known.text(self.id))))
    }
    /// Has the visitor take the parts one by one, and goes past those it leaves.
    fn parts<T>(
        self,
        types: &'r [Id],
        left: usize,
        step: Option<&'static str>,
        f: impl FnOnce(&mut Parts<'r, 'b>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let depth = deeper(self.depth)?;
        let mut parts = Parts { cx: self.cx, cursor: self.cursor, types, at: 0, left, depth, step };
        let value = f(&mut parts)?;
        while parts.left > 0 {
            let id = parts.next_type();
            parts.cursor.skip(parts.cx.known, id, depth)?;
        }
        Ok(value)
    }
    fn fields<'de, V: Visitor<'de>>(self, site: Site, fields: &'r [Field], visitor: V) -> Result<V::Value, Fault> {
        let depth = deeper(self.depth)?;
        let cx = self.cx;
        let given = cx.probe.and_then(|p| p.given.get(&site)).map_or(&[][..], Vec::as_slice);
        let mut parts =
            Fields { cx, cursor: self.cursor, site, fields: fields.iter(), given: given.iter(), next: None, depth };
        let value = visitor.visit_map(&mut parts).inspect_err(|fault| {
            if let (Fault::Missing(_), Some(probe)) = (fault, cx.probe) {
                probe.missing.borrow_mut().get_or_insert(site);
            }
        })?;
        if let Some(Part::Stored(field)) = parts.next.take() {
            parts.cursor.skip(cx.known, field.id, depth)?;
        }
        parts.fields.try_for_each(|f| parts.cursor.skip(cx.known, f.id, depth))?;
        Ok(value)
    }
    fn tuple<'de, V: Visitor<'de>>(self, types: &'r [Id], len: usize, visitor: V) -> Result<V::Value, Fault> {
        if types.len() != len {
            return self.differs(&format!("a tuple of {len}"));
        }
        self.parts(types, len, None, |parts| visitor.visit_seq(parts))
    }
}

macro_rules! unsigned {
    ($($method:ident $visit:ident $ty:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.node() {
                // No bits are lost: the type asked for is at least as wide.
                Node::Unsigned(bits) if u32::from(*bits) <= $ty::BITS => {
                    visitor.$visit(self.cursor.unsigned(*bits)? as $ty)
                }
                _ => self.differs(stringify!($ty)),
            }
        }
    )* };
}
macro_rules! signed {
    ($($method:ident $visit:ident $ty:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.node() {
                Node::Signed(bits) if u32::from(*bits) <= $ty::BITS => visitor.$visit(self.cursor.signed(*bits)? as $ty),
                Node::Unsigned(bits) if u32::from(*bits) < $ty::BITS => {
                    visitor.$visit(self.cursor.unsigned(*bits)? as $ty)
                }
                _ => self.differs(stringify!($ty)),
            }
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Reader<'_, '_> {
    type Error = Fault;

    unsigned! {
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
    }
    signed! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
    }

    fn is_human_readable(&self) -> bool {
        false
    }
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        self.differs("whatever there is")
    }
    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        self.differs("a name")
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if let (Some(probe), Some((site, name))) = (self.cx.probe, self.field) {
            probe.ignored.borrow_mut().insert((site, name.to_owned()));
        }
        self.cursor.skip(self.cx.known, self.id, self.depth)?;
        visitor.visit_unit()
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Bool => visitor.visit_bool(self.cursor.bool()?),
            _ => self.differs("bool"),
        }
    }
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Float(32) => visitor.visit_f32(f32::from_le_bytes(self.cursor.float()?)),
            _ => self.differs("f32"),
        }
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Float(64) => visitor.visit_f64(f64::from_le_bytes(self.cursor.float()?)),
            _ => self.differs("f64"),
        }
    }
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Char => visitor.visit_char(self.cursor.char()?),
            _ => self.differs("char"),
        }
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Str => visitor.visit_str(self.cursor.text()?),
            _ => self.differs("text"),
        }
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Bytes => visitor.visit_bytes(self.cursor.bytes()?),
            Node::Seq(c) if *self.cx.known.node(*c) == Node::Unsigned(8) => visitor.visit_bytes(self.cursor.bytes()?),
            _ => self.differs("bytes"),
        }
    }
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Unit => visitor.visit_unit(),
            _ => self.differs("()"),
        }
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(Reader { field: None, ..self })
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Option(content) => match self.cursor.flag()? {
                true => visitor.visit_some(Reader { id: *content, depth: deeper(self.depth)?, field: None, ..self }),
                false => visitor.visit_none(),
            },
            // What was always there may now be absent.
            _ => visitor.visit_some(Reader { field: None, ..self }),
        }
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Seq(c) => {
                let n = self.cursor.count(self.cx.known, &[*c])?;
                self.parts(std::slice::from_ref(c), n, Some("[]"), |parts| visitor.visit_seq(parts))
            }
            Node::Bytes => visitor.visit_seq(SeqDeserializer::new(self.cursor.bytes()?.iter().copied())),
            _ => self.differs("a sequence"),
        }
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Map(k, v) => {
                let n = self.cursor.count(self.cx.known, &[*k, *v])?;
                self.parts(&[*k, *v], n.saturating_mul(2), Some("{}"), |parts| visitor.visit_map(parts))
            }
            _ => self.differs("a map"),
        }
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Tuple(ids) => self.tuple(ids, len, visitor),
            Node::Array(c, n) if *n as usize == len => {
                self.parts(std::slice::from_ref(c), len, Some("[]"), |parts| visitor.visit_seq(parts))
            }
            _ => self.differs(&format!("a tuple of {len}")),
        }
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_tuple(len, visitor)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.node() {
            Node::Struct(_, fields) => {
                let site = Site::of_struct(self.id);
                self.fields(site, fields, visitor)
            }
            _ => self.differs(&format!("struct {name}")),
        }
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Node::Enum(stored, variants) = self.node() else { return self.differs(&format!("enum {name}")) };
        let index = self.cursor.varint(32)?;
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let variant = variants.get(at).ok_or_else(|| no_variant(stored, index))?;
        let depth = deeper(self.depth)?;
        let (cx, site) = (self.cx, Site { id: self.id, variant: at as u32 });
        let reader = Reader { depth, field: None, ..self };
        cx.step(&variant.name, || {
            visitor.visit_enum(VariantReader { reader, name: &variant.name, body: &variant.body, site })
        })
    }
}

/// Elements of sequences and tuples; keys and values of maps, by turns.
struct Parts<'r, 'b> {
    cx: Cx<'r>,
    cursor: &'r mut Cursor<'b>,
    /// The types of the parts, repeated as often as it takes.
    types: &'r [Id],
    at: usize,
    left: usize,
    depth: usize,
    /// How a part is called in a path; a tuple's by its number.
    step: Option<&'static str>,
}

impl Parts<'_, '_> {
    /// The type of the part that is next.
    fn next_type(&mut self) -> Id {
        let id = self.types[self.at % self.types.len()];
        self.at += 1;
        self.left -= 1;
        id
    }
    fn part<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (cx, depth, at) = (self.cx, self.depth, self.at);
        let id = self.next_type();
        let reader = Reader { cx, cursor: &mut *self.cursor, id, depth, field: None };
        match (cx.probe, self.step) {
            (None, _) => seed.deserialize(reader),
            (_, Some("{}")) if at % 2 == 0 => cx.step("{key}", || seed.deserialize(reader)),
            (_, Some(step)) => cx.step(step, || seed.deserialize(reader)),
            (_, None) => cx.step(&at.to_string(), || seed.deserialize(reader)),
        }
    }
}
impl<'de> de::SeqAccess<'de> for &mut Parts<'_, '_> {
    type Error = Fault;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        if self.left == 0 { Ok(None) } else { self.part(seed).map(Some) }
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
impl<'de> de::MapAccess<'de> for &mut Parts<'_, '_> {
    type Error = Fault;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        if self.left == 0 { Ok(None) } else { self.part(seed).map(Some) }
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        if self.left == 0 { Err(Fault::Hard("a value without a key is wanted".to_owned())) } else { self.part(seed) }
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.left / 2)
    }
}

/// The fields of a struct, by name.
struct Fields<'r, 'b> {
    cx: Cx<'r>,
    cursor: &'r mut Cursor<'b>,
    site: Site,
    fields: std::slice::Iter<'r, Field>,
    given: std::slice::Iter<'r, Given>,
    /// The field whose name was taken.
    next: Option<Part<'r>>,
    depth: usize,
}
#[derive(Clone, Copy)]
enum Part<'r> {
    Stored(&'r Field),
    Given(&'r Given),
}

impl<'de> de::MapAccess<'de> for &mut Fields<'_, '_> {
    type Error = Fault;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.next = self.fields.next().map(Part::Stored).or_else(|| self.given.next().map(Part::Given));
        let name = match self.next {
            Some(Part::Stored(f)) => &f.name,
            Some(Part::Given(g)) => &g.field,
            None => return Ok(None),
        };
        let name: StrDeserializer<'_, Fault> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (cx, depth, site) = (self.cx, self.depth, self.site);
        match self.next.take() {
            Some(Part::Stored(f)) => {
                let field = Some((site, f.name.as_str()));
                let reader = Reader { cx, cursor: &mut *self.cursor, id: f.id, depth, field };
                cx.step(&f.name, || seed.deserialize(reader))
            }
            Some(Part::Given(g)) => {
                let known = cx.probe.map_or(cx.known, |p| p.now);
                let mut cursor = Cursor::new(&g.bytes);
                let cx = Cx { known, probe: None };
                seed.deserialize(Reader { cx, cursor: &mut cursor, id: g.id, depth, field: None })
            }
            None => Err(Fault::Hard("a value without a name is wanted".to_owned())),
        }
    }
}

struct VariantReader<'r, 'b> {
    reader: Reader<'r, 'b>,
    name: &'r str,
    body: &'r Body,
    site: Site,
}

impl VariantReader<'_, '_> {
    fn differs<T>(&self, asked: &str) -> Result<T, Fault> {
        Err(Fault::Hard(format!("variant `{}` {asked} is wanted, another was stored", self.name)))
    }
}
impl<'de> de::EnumAccess<'de> for VariantReader<'_, '_> {
    type Error = Fault;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}
impl<'de> de::VariantAccess<'de> for VariantReader<'_, '_> {
    type Error = Fault;
    fn unit_variant(self) -> Result<(), Fault> {
        if *self.body == Body::Unit { Ok(()) } else { self.differs("without content") }
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        match self.body {
            Body::Newtype(id) => seed.deserialize(Reader { id: *id, ..self.reader }),
            _ => self.differs("with one value"),
        }
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        match self.body {
            Body::Tuple(ids) if ids.len() == len => self.reader.tuple(ids, len, visitor),
            _ => self.differs(&format!("with {len} values")),
        }
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        match self.body {
            Body::Struct(fields) => self.reader.fields(self.site, fields, visitor),
            _ => self.differs("with named fields"),
        }
    }
}
