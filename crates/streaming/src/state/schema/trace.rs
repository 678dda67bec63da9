//! Tracing: feeds made-up values to a type's `Deserialize` until every field and variant has been seen.
//!
//! Each pass makes one value of the type. It notes in *slots* what it was asked for: a slot is one place in the type
//! (the content of an `Option`, field 3 of a struct), and a named type has one slot however often it occurs, found by
//! Rust's name of it, so generic types are told apart and recursion ends. Each time an enum occurs, a variant not seen
//! yet is made; when all have been, the one that leads to something unseen. Options and collections are made full until
//! nothing behind them is unseen, and then empty. What has been seen in a pass before is made as small as possible
//! (`least`: no elements, `None`, a variant that ends). `name` then serialises the value along the same
//! slots and learns the names. INVARIANT: an enum's `base` is the variant that was completed first, so it holds only
//! enums that were completed before, and making values of base variants ends.
//!
//! Not the crate serde-reflection (0.6), which does the same: it knows types by their last name only, so a generic type
//! cannot occur twice, misses variants of enums inside collections, takes aliases for names, and has no end where an
//! enum's first variant holds the enum.
use super::{
    Fault, Known, MAX_DEPTH, MAX_NODES, Node, Trouble, finish, guarded,
    guess::{Guess, LENGTHS, TEXTS},
    name,
};
use serde::{
    Serialize,
    de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor},
};
use std::collections::{BTreeMap, BTreeSet};

/// Rust's name of the type that is made, and serde's.
pub(super) type Key = (&'static str, &'static str);

const MAX_PASSES: usize = 2_000;
/// For all passes together.
const MAX_STEPS: usize = 2_000_000;

/// The layout of `T`.
pub(super) fn trace<T: Serialize + DeserializeOwned>() -> Result<Known, Trouble> {
    let mut tracer = Tracer { slots: vec![Slot::Unknown], ..Tracer::default() };
    for _ in 0..MAX_PASSES {
        let before = tracer.known();
        let value: T = tracer.pass()?;
        name::learn(&mut tracer, &value).map_err(unstorable)?;
        if tracer.known() == before {
            break;
        }
    }
    finish::finish(&tracer)
}

fn unstorable(fault: Fault) -> Trouble {
    Trouble::Unstorable(fault.to_string())
}

#[derive(Clone, Debug)]
pub(super) enum Slot {
    Unknown,
    /// A named type, which has a slot of its own.
    Link(usize),
    Leaf(Node),
    Option(usize),
    Seq(usize),
    Map(usize, usize),
    Tuple(Vec<usize>),
    Struct(&'static str, Vec<FieldSlot>),
    Enum(&'static str, EnumSlot),
}

#[derive(Clone, Debug)]
pub(super) struct FieldSlot {
    /// From `Serialize`: what `Deserialize` is called with holds aliases too.
    pub(super) name: Option<&'static str>,
    pub(super) slot: usize,
}

#[derive(Clone, Debug)]
pub(super) struct EnumSlot {
    pub(super) variants: Vec<VariantSlot>,
    base: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct VariantSlot {
    pub(super) name: Option<&'static str>,
    pub(super) body: Option<BodySlot>,
    visited: bool,
}

#[derive(Clone, Debug)]
pub(super) enum BodySlot {
    Unit,
    Newtype(usize),
    Tuple(Vec<usize>),
    Struct(Vec<FieldSlot>),
}

impl BodySlot {
    fn slots(&self) -> Vec<usize> {
        match self {
            BodySlot::Unit => vec![],
            BodySlot::Newtype(s) => vec![*s],
            BodySlot::Tuple(slots) => slots.clone(),
            BodySlot::Struct(fields) => fields.iter().map(|f| f.slot).collect(),
        }
    }
}

impl Slot {
    fn slots(&self) -> Vec<usize> {
        match self {
            Slot::Unknown | Slot::Leaf(_) => vec![],
            Slot::Link(s) | Slot::Option(s) | Slot::Seq(s) => vec![*s],
            Slot::Map(k, v) => vec![*k, *v],
            Slot::Tuple(slots) => slots.clone(),
            Slot::Struct(_, fields) => fields.iter().map(|f| f.slot).collect(),
            Slot::Enum(_, e) => e.variants.iter().filter_map(|v| v.body.as_ref()).flat_map(BodySlot::slots).collect(),
        }
    }
    pub(super) fn what(&self) -> String {
        match self {
            Slot::Unknown | Slot::Link(_) => "something unseen".to_owned(),
            Slot::Leaf(node) => Known { nodes: vec![node.clone()] }.text(0),
            Slot::Option(_) => "an option".to_owned(),
            Slot::Seq(_) => "a sequence".to_owned(),
            Slot::Map(..) => "a map".to_owned(),
            Slot::Tuple(slots) => format!("a tuple of {}", slots.len()),
            Slot::Struct(name, fields) => format!("struct {name} of {} field(s)", fields.len()),
            Slot::Enum(name, _) => format!("enum {name}"),
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Tracer {
    pub(super) slots: Vec<Slot>,
    named: BTreeMap<Key, usize>,
    /// Enums that turned out to have fewer variants than names.
    limits: BTreeMap<Key, usize>,
    /// Options and collections that have been made empty.
    emptied: BTreeSet<usize>,
    /// How far it is from each slot to the next unfinished one, when the pass began.
    near: Vec<Option<usize>>,
    /// Named types made in full in this pass.
    made: BTreeSet<usize>,
    /// Named types being made, and whether as small as possible.
    active: Vec<(usize, bool)>,
    guess: Guess,
    steps: usize,
}

impl Tracer {
    /// Makes one value.
    fn pass<T: DeserializeOwned>(&mut self) -> Result<T, Trouble> {
        self.near = self.distances();
        let mut guess = Guess::default();
        loop {
            let mut t = Tracer { guess: guess.clone(), made: BTreeSet::new(), ..self.clone() };
            t.guess.rewind();
            let made = guarded(|| T::deserialize(Maker { t: &mut t, slot: 0, least: false, depth: 0 }));
            self.steps = t.steps;
            match made {
                Ok(value) => {
                    *self = t;
                    return Ok(value);
                }
                Err(Fault::NoVariant(key, n)) if n > 0 && self.limits.get(&key).is_none_or(|old| n < *old) => {
                    self.limits.insert(key, n);
                    if let Some(Slot::Enum(_, e)) = self.named.get(&key).map(|s| &mut self.slots[*s]) {
                        e.variants.truncate(n);
                    }
                }
                Err(Fault::Said(why)) => {
                    guess = t.guess;
                    let seen = guess.seen();
                    if !guess.another(seen) {
                        return Err(Trouble::Untraceable(format!("it takes none of the values made up for it: {why}")));
                    }
                }
                Err(Fault::Asks) => return Err(unstorable(Fault::Asks)),
                Err(other) => return Err(Trouble::Untraceable(other.to_string())),
            }
        }
    }

    /// Grows with everything that is found out.
    fn known(&self) -> usize {
        let of = |s: &Slot| match s {
            Slot::Unknown => 0,
            Slot::Enum(_, e) => 1 + e.variants.iter().filter(|v| v.visited).count(),
            _ => 1,
        };
        self.emptied.len() + self.slots.iter().map(of).sum::<usize>()
    }

    fn is_unfinished(&self, slot: usize) -> bool {
        match &self.slots[slot] {
            Slot::Unknown => true,
            Slot::Option(_) | Slot::Seq(_) | Slot::Map(..) => !self.emptied.contains(&slot),
            Slot::Enum(_, e) => e.variants.iter().any(|v| !v.visited),
            _ => false,
        }
    }

    /// Whether an option or collection is made empty here.
    fn empty(&mut self, slot: usize, least: bool) -> bool {
        let on = self.slots[slot].slots().iter().any(|c| self.leads_on(*c));
        let empty = least || (!on && !self.emptied.contains(&slot));
        if empty {
            self.emptied.insert(slot);
        }
        empty
    }

    fn distances(&self) -> Vec<Option<usize>> {
        let mut near: Vec<Option<usize>> = (0..self.slots.len()).map(|s| self.is_unfinished(s).then_some(0)).collect();
        let edges: Vec<Vec<usize>> = self.slots.iter().map(Slot::slots).collect();
        loop {
            let mut changed = false;
            for (slot, next) in edges.iter().enumerate().rev() {
                let new = next.iter().filter_map(|n| near[*n]).min().map(|d| d + 1);
                if new.is_some_and(|new| near[slot].is_none_or(|old| new < old)) {
                    near[slot] = new;
                    changed = true;
                }
            }
            if !changed {
                return near;
            }
        }
    }

    /// Whether something behind this slot has not been seen; slots that are new in this pass have not.
    fn leads_on(&self, slot: usize) -> bool {
        self.near.get(slot).is_none_or(Option::is_some)
    }

    fn new_slot(&mut self) -> Result<usize, Fault> {
        if self.slots.len() >= MAX_NODES {
            return Err(Fault::Hard("the type is too large".to_owned()));
        }
        self.slots.push(Slot::Unknown);
        Ok(self.slots.len() - 1)
    }

    fn step(&mut self, depth: usize) -> Result<(), Fault> {
        self.steps += 1;
        if depth > MAX_DEPTH {
            return Err(Fault::Hard(format!("the type is nested more than {MAX_DEPTH} levels deep, or without end")));
        }
        if self.steps > MAX_STEPS {
            return Err(Fault::Hard("the type is too large".to_owned()));
        }
        Ok(())
    }

    fn conflict(&self, slot: usize, asked: &str) -> Fault {
        Fault::Hard(format!("the same place is {} at one time and {asked} at another", self.slots[slot].what()))
    }

    fn leaf(&mut self, slot: usize, leaf: Node, depth: usize) -> Result<(), Fault> {
        self.step(depth)?;
        match &self.slots[slot] {
            Slot::Unknown => self.slots[slot] = Slot::Leaf(leaf),
            Slot::Leaf(l) if *l == leaf => {}
            _ => return Err(self.conflict(slot, &Slot::Leaf(leaf).what())),
        }
        Ok(())
    }

    fn tuple(&mut self, slot: usize, len: usize) -> Result<Vec<usize>, Fault> {
        match &self.slots[slot] {
            Slot::Unknown => {
                let slots = (0..len).map(|_| self.new_slot()).collect::<Result<Vec<_>, _>>()?;
                self.slots[slot] = Slot::Tuple(slots.clone());
                Ok(slots)
            }
            Slot::Tuple(slots) if slots.len() == len => Ok(slots.clone()),
            _ => Err(self.conflict(slot, &format!("a tuple of {len}"))),
        }
    }

    /// The slot of a named type that occurs at `slot`.
    fn named(&mut self, slot: usize, key: Key) -> Result<usize, Fault> {
        let own = match self.named.get(&key) {
            Some(own) => *own,
            None => {
                let own = self.new_slot()?;
                self.named.insert(key, own);
                own
            }
        };
        match &self.slots[slot] {
            Slot::Unknown => self.slots[slot] = Slot::Link(own),
            Slot::Link(to) if *to == own => {}
            _ => return Err(self.conflict(slot, key.0)),
        }
        Ok(own)
    }

    /// Whether a named type other than an enum is made as small as possible here.
    fn begin(&mut self, own: usize, least: bool) -> bool {
        let least = least || self.made.contains(&own) || !self.leads_on(own);
        if !least {
            self.made.insert(own);
        }
        self.active.push((own, least));
        least
    }

    fn body(&mut self, of: Place, make: impl FnOnce(&mut Self) -> Result<BodySlot, Fault>) -> Result<BodySlot, Fault> {
        let found = match &self.slots[of.0] {
            Slot::Enum(_, e) => e.variants[of.1].body.clone(),
            _ => None,
        };
        if let Some(body) = found {
            return Ok(body);
        }
        let body = make(self)?;
        if let Slot::Enum(_, e) = &mut self.slots[of.0] {
            e.variants[of.1].body = Some(body.clone());
        }
        Ok(body)
    }

    /// The fields of a struct or of a struct variant.
    pub(super) fn fields(&mut self, of: Place) -> &mut Vec<FieldSlot> {
        match &mut self.slots[of.0] {
            Slot::Struct(_, fields) => fields,
            Slot::Enum(_, e) => match &mut e.variants[of.1].body {
                Some(BodySlot::Struct(fields)) => fields,
                _ => unreachable!("asked for where there are some"),
            },
            _ => unreachable!("asked for where there are some"),
        }
    }

    /// Which variant to make, and whether as small as possible.
    fn choose(&mut self, own: usize, least: bool) -> Result<(usize, bool), Fault> {
        let active = self.active.iter().any(|(a, _)| *a == own);
        let tried = self.active.iter().filter(|(a, least)| *a == own && *least).count();
        let fresh = self.made.insert(own) && !active;
        let near = &self.near;
        let Slot::Enum(name, e) = &mut self.slots[own] else { unreachable!("an enum's own slot") };
        if !least {
            if let Some(i) = e.variants.iter().position(|v| !v.visited) {
                e.variants[i].visited = true;
                return Ok((i, false));
            }
            let far = |v: &VariantSlot| v.body.iter().flat_map(BodySlot::slots).filter_map(|s| *near.get(s)?).min();
            let next = e.variants.iter().enumerate().filter_map(|(i, v)| Some((far(v)?, i))).min();
            if let (true, Some((_, i))) = (fresh, next) {
                return Ok((i, false));
            }
        }
        match e.base {
            Some(base) => Ok((base, true)),
            None if tried < e.variants.len() => Ok((tried, true)),
            None => Err(Fault::Hard(format!("enum {name} has no variant that ends"))),
        }
    }

    pub(super) fn resolve(&self, mut slot: usize) -> usize {
        // Links lead to slots of named types; a chain of them ends, for otherwise no value could have been made.
        while let Slot::Link(to) = self.slots[slot] {
            slot = to;
        }
        slot
    }
}

/// A struct (the number is not used) or a variant of an enum, by its own slot.
pub(super) type Place = (usize, usize);

/// What a type's `Deserialize` sees.
struct Maker<'t> {
    t: &'t mut Tracer,
    slot: usize,
    least: bool,
    depth: usize,
}

macro_rules! leaves {
    ($($method:ident $visit:ident $ty:ty = $node:expr;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.t.leaf(self.slot, $node, self.depth)?;
            visitor.$visit(self.t.guess.next(2) as $ty)
        }
    )* };
}
macro_rules! not_traced {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
            Err(Fault::Asks)
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Maker<'_> {
    type Error = Fault;

    leaves! {
        deserialize_u8 visit_u8 u8 = Node::Unsigned(8);
        deserialize_u16 visit_u16 u16 = Node::Unsigned(16);
        deserialize_u32 visit_u32 u32 = Node::Unsigned(32);
        deserialize_u64 visit_u64 u64 = Node::Unsigned(64);
        deserialize_u128 visit_u128 u128 = Node::Unsigned(128);
        deserialize_i8 visit_i8 i8 = Node::Signed(8);
        deserialize_i16 visit_i16 i16 = Node::Signed(16);
        deserialize_i32 visit_i32 i32 = Node::Signed(32);
        deserialize_i64 visit_i64 i64 = Node::Signed(64);
        deserialize_i128 visit_i128 i128 = Node::Signed(128);
        deserialize_f32 visit_f32 f32 = Node::Float(32);
        deserialize_f64 visit_f64 f64 = Node::Float(64);
    }
    not_traced! { deserialize_any deserialize_identifier deserialize_ignored_any }

    fn is_human_readable(&self) -> bool {
        false
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.t.leaf(self.slot, Node::Bool, self.depth)?;
        visitor.visit_bool(self.t.guess.next(2) == 1)
    }
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.t.leaf(self.slot, Node::Char, self.depth)?;
        visitor.visit_char(['a', '0'][self.t.guess.next(2)])
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.t.leaf(self.slot, Node::Str, self.depth)?;
        visitor.visit_str(TEXTS[self.t.guess.next(TEXTS.len())])
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.t.leaf(self.slot, Node::Bytes, self.depth)?;
        visitor.visit_bytes(&[0; 64][..LENGTHS[self.t.guess.next(LENGTHS.len())]])
    }
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.t.leaf(self.slot, Node::Unit, self.depth)?;
        visitor.visit_unit()
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.t.step(self.depth)?;
        let content = match &self.t.slots[self.slot] {
            Slot::Unknown => {
                let content = self.t.new_slot()?;
                self.t.slots[self.slot] = Slot::Option(content);
                content
            }
            Slot::Option(content) => *content,
            _ => return Err(self.t.conflict(self.slot, "an option")),
        };
        if self.t.empty(self.slot, self.least) {
            return visitor.visit_none();
        }
        visitor.visit_some(Maker { slot: content, depth: self.depth + 1, ..self })
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.t.step(self.depth)?;
        let content = match &self.t.slots[self.slot] {
            Slot::Unknown => {
                let content = self.t.new_slot()?;
                self.t.slots[self.slot] = Slot::Seq(content);
                content
            }
            Slot::Seq(content) => *content,
            _ => return Err(self.t.conflict(self.slot, "a sequence")),
        };
        let slots = if self.t.empty(self.slot, self.least) { vec![] } else { vec![content] };
        visitor.visit_seq(self.items(slots))
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.t.step(self.depth)?;
        let (key, value) = match &self.t.slots[self.slot] {
            Slot::Unknown => {
                let (key, value) = (self.t.new_slot()?, self.t.new_slot()?);
                self.t.slots[self.slot] = Slot::Map(key, value);
                (key, value)
            }
            Slot::Map(key, value) => (*key, *value),
            _ => return Err(self.t.conflict(self.slot, "a map")),
        };
        let slots = if self.t.empty(self.slot, self.least) { vec![] } else { vec![key, value] };
        visitor.visit_map(self.items(slots))
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.t.step(self.depth)?;
        let slots = self.t.tuple(self.slot, len)?;
        visitor.visit_seq(self.items(slots))
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, v: V) -> Result<V::Value, Fault> {
        self.in_named(name, |maker, own| v.visit_newtype_struct(Maker { slot: own, ..maker }))
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        v: V,
    ) -> Result<V::Value, Fault> {
        self.in_named(name, |maker, own| {
            let slots = maker.t.tuple(own, len)?;
            v.visit_seq(maker.items(slots))
        })
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        v: V,
    ) -> Result<V::Value, Fault> {
        self.in_named(name, |maker, own| {
            match &maker.t.slots[own] {
                Slot::Unknown => maker.t.slots[own] = Slot::Struct(name, vec![]),
                Slot::Struct(..) => {}
                _ => return Err(maker.t.conflict(own, name)),
            }
            maker.fields((own, 0), fields.len(), v)
        })
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.t.step(self.depth)?;
        let key = (std::any::type_name::<V::Value>(), name);
        let own = self.t.named(self.slot, key)?;
        match &self.t.slots[own] {
            Slot::Unknown => {
                // The names hold aliases too: their number is a bound only, and they are found out by index.
                let n = self.t.limits.get(&key).copied().unwrap_or(variants.len());
                let variants = vec![VariantSlot::default(); n];
                self.t.slots[own] = Slot::Enum(name, EnumSlot { variants, base: None });
            }
            Slot::Enum(..) => {}
            _ => return Err(self.t.conflict(own, name)),
        }
        let (variant, least) = self.t.choose(own, self.least)?;
        self.t.active.push((own, least));
        let at = Maker { t: &mut *self.t, slot: own, least, depth: self.depth };
        let value = visitor.visit_enum(VariantMaker { maker: at, variant, key })?;
        self.t.active.pop();
        if let Slot::Enum(_, e) = &mut self.t.slots[own] {
            e.base.get_or_insert(variant);
        }
        Ok(value)
    }
}

impl<'t> Maker<'t> {
    fn items(self, slots: Vec<usize>) -> Items<'t> {
        Items { maker: self, slots: slots.into_iter() }
    }
    /// Runs `f` on the slot of the named type `T` that occurs here.
    fn in_named<T>(self, name: &'static str, f: impl FnOnce(Maker<'_>, usize) -> Result<T, Fault>) -> Result<T, Fault> {
        self.t.step(self.depth)?;
        let own = self.t.named(self.slot, (std::any::type_name::<T>(), name))?;
        let least = self.t.begin(own, self.least);
        let value = f(Maker { t: &mut *self.t, slot: self.slot, least, depth: self.depth }, own)?;
        self.t.active.pop();
        Ok(value)
    }
    fn fields<'de, V: Visitor<'de>>(self, of: Place, max: usize, visitor: V) -> Result<V::Value, Fault> {
        let known = self.t.fields(of).len();
        let mut fields = Fields { maker: self, of, at: 0, max };
        let value = visitor.visit_seq(&mut fields)?;
        if fields.at < known {
            return Err(fields.maker.t.conflict(of.0, &format!("a struct of {} field(s)", fields.at)));
        }
        Ok(value)
    }
}

/// The elements of sequences, maps and tuples.
struct Items<'t> {
    maker: Maker<'t>,
    slots: std::vec::IntoIter<usize>,
}

impl Items<'_> {
    fn make<'de, S: DeserializeSeed<'de>>(&mut self, slot: usize, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(Maker { t: &mut *self.maker.t, slot, least: self.maker.least, depth: self.maker.depth + 1 })
    }
}
impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.slots.next().map(|slot| self.make(slot, seed)).transpose()
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.slots.len())
    }
}
impl<'de> de::MapAccess<'de> for Items<'_> {
    type Error = Fault;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.slots.next().map(|slot| self.make(slot, seed)).transpose()
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let slot = self.slots.next().ok_or_else(|| Fault::Hard("it asks for a value without a key".to_owned()))?;
        self.make(slot, seed)
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.slots.len() / 2)
    }
}

/// The fields of a struct, which come into being as they are asked for.
struct Fields<'t> {
    maker: Maker<'t>,
    of: Place,
    at: usize,
    max: usize,
}

impl<'de> de::SeqAccess<'de> for &mut Fields<'_> {
    type Error = Fault;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        if self.at >= self.max {
            return Ok(None);
        }
        let slot = match self.maker.t.fields(self.of).get(self.at) {
            Some(field) => field.slot,
            None => {
                let slot = self.maker.t.new_slot()?;
                self.maker.t.fields(self.of).push(FieldSlot { name: None, slot });
                slot
            }
        };
        self.at += 1;
        let Maker { least, depth, .. } = self.maker;
        seed.deserialize(Maker { t: &mut *self.maker.t, slot, least, depth: depth + 1 }).map(Some)
    }
}

/// One variant of an enum.
struct VariantMaker<'t> {
    maker: Maker<'t>,
    variant: usize,
    key: Key,
}

impl VariantMaker<'_> {
    fn conflict(&self, body: &BodySlot) -> Fault {
        Fault::Hard(format!(
            "variant {} of {} is {body:?} at one time and something else at another",
            self.variant, self.key.0
        ))
    }
}
impl<'de> de::EnumAccess<'de> for VariantMaker<'_> {
    type Error = Fault;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let index: de::value::U32Deserializer<Fault> = (self.variant as u32).into_deserializer();
        match seed.deserialize(index) {
            Ok(found) => Ok((found, self)),
            Err(_) => Err(Fault::NoVariant(self.key, self.variant)),
        }
    }
}
impl<'de> de::VariantAccess<'de> for VariantMaker<'_> {
    type Error = Fault;
    fn unit_variant(self) -> Result<(), Fault> {
        match self.maker.t.body((self.maker.slot, self.variant), |_| Ok(BodySlot::Unit))? {
            BodySlot::Unit => Ok(()),
            other => Err(self.conflict(&other)),
        }
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        let of = (self.maker.slot, self.variant);
        match self.maker.t.body(of, |t| Ok(BodySlot::Newtype(t.new_slot()?)))? {
            BodySlot::Newtype(slot) => seed.deserialize(Maker { slot, depth: self.maker.depth + 1, ..self.maker }),
            other => Err(self.conflict(&other)),
        }
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        let of = (self.maker.slot, self.variant);
        let make = |t: &mut Tracer| Ok(BodySlot::Tuple((0..len).map(|_| t.new_slot()).collect::<Result<_, _>>()?));
        match self.maker.t.body(of, make)? {
            BodySlot::Tuple(slots) if slots.len() == len => visitor.visit_seq(self.maker.items(slots)),
            other => Err(self.conflict(&other)),
        }
    }
    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        let of = (self.maker.slot, self.variant);
        match self.maker.t.body(of, |_| Ok(BodySlot::Struct(vec![])))? {
            BodySlot::Struct(_) => self.maker.fields(of, names.len(), visitor),
            other => Err(self.conflict(&other)),
        }
    }
}
