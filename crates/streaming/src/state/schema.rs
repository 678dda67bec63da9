//! [`Schema`]: the layout of a type as serde describes it, kept beside stored state so that state outlives a change of
//! the program's types.
//!
//! postcard writes no names: bytes of one layout read as another give nonsense without an error. So the layout is stored
//! too, and [`upgrade::Upgrade`] decides before anything is touched how bytes of the stored layout become values of today's type:
//! straight, field by field through serde (`#[serde(default)]`, `#[serde(alias)]` and a new order then just work),
//! through a [`upgrade::Migration`], or not at all, with the reasons ([`upgrade::Refused`]).
//!
//! A layout is *traced* (`trace`): the type's own `Deserialize` is fed made-up values until every field and variant has
//! been seen, and its `Serialize` tells the names. That needs no derive of ours, and is weaker than one would be:
//!
//! - A type that takes none of the made-up values, or is huge, is [`Schema::Opaque`]: only its name is known. State of an
//!   opaque type is read back as it is if the name is the same, so a change inside goes unnoticed; under another name it
//!   is refused.
//! - What a hand-written `Deserialize` decides by looking at a value is traced for the values made up only. It is called
//!   with them, once for each operator, and should do nothing but make a value.
//! - A type that asks the format what comes next (untagged, tagged, flattened) or that writes something else than it reads
//!   (`skip_serializing_if`, a skipped variant before others) does not survive postcard at all. Tracing finds most of
//!   them: [`Trouble::Unstorable`].
//! - `#[serde(other)]` takes stored variants that are gone if they have no content.
//! - A change of meaning without a change of layout (seconds to milliseconds) is invisible: rename the field, with a
//!   migration.
//!
//! What it refuses to know: where state is stored, and what an operator is.
pub(crate) mod change;
mod finish;
mod guess;
mod name;
mod read;
mod sample;
mod trace;
pub(crate) mod upgrade;

#[cfg(test)]
mod tests;

use change::{Change, What};

use serde::{Deserialize, Serialize, de, de::DeserializeOwned, ser};
use std::fmt::{self, Write as _};

/// Types nested deeper are not traced, values nested deeper are not converted: stacks are finite.
const MAX_DEPTH: usize = 128;
/// Larger types are not traced.
const MAX_NODES: usize = 20_000;

/// The layout of a type. Two are equal if the same bytes mean the same: names of types do not matter, names of fields
/// and variants do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Schema {
    /// It could not be traced: only its name is known.
    Opaque(String),
    Known(Known),
}

/// A traced layout: a graph of nodes, the first of which is the type itself. Flat, so that reading a stored one cannot
/// recurse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    nodes: Vec<Node>,
}

/// An index into [`Known::nodes`].
type Id = u32;

/// One type. Newtype structs are not there: neither postcard nor serde can tell them from their content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Node {
    Unit,
    Bool,
    /// Of so many bits, as the next two.
    Unsigned(u8),
    Signed(u8),
    Float(u8),
    Char,
    Str,
    Bytes,
    Option(Id),
    Seq(Id),
    Map(Id, Id),
    Tuple(Vec<Id>),
    Array(Id, u32),
    /// The type's name is for messages only.
    Struct(String, Vec<Field>),
    Enum(String, Vec<Variant>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Field {
    name: String,
    id: Id,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Variant {
    name: String,
    body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Body {
    Unit,
    Newtype(Id),
    Tuple(Vec<Id>),
    Struct(Vec<Field>),
}

impl Node {
    /// The types it is made of.
    fn children(&self) -> Vec<Id> {
        match self {
            Node::Option(c) | Node::Seq(c) | Node::Array(c, _) => vec![*c],
            Node::Map(k, v) => vec![*k, *v],
            Node::Tuple(ids) => ids.clone(),
            Node::Struct(_, fields) => fields.iter().map(|f| f.id).collect(),
            Node::Enum(_, variants) => variants.iter().flat_map(|v| v.body.children()).collect(),
            _ => vec![],
        }
    }
    fn children_mut(&mut self, f: &mut dyn FnMut(&mut Id)) {
        match self {
            Node::Option(c) | Node::Seq(c) | Node::Array(c, _) => f(c),
            Node::Map(k, v) => {
                f(k);
                f(v);
            }
            Node::Tuple(ids) => ids.iter_mut().for_each(f),
            Node::Struct(_, fields) => fields.iter_mut().for_each(|field| f(&mut field.id)),
            Node::Enum(_, variants) => variants.iter_mut().for_each(|v| match &mut v.body {
                Body::Unit => {}
                Body::Newtype(id) => f(id),
                Body::Tuple(ids) => ids.iter_mut().for_each(&mut *f),
                Body::Struct(fields) => fields.iter_mut().for_each(|field| f(&mut field.id)),
            }),
            _ => {}
        }
    }
}

impl Body {
    fn children(&self) -> Vec<Id> {
        match self {
            Body::Unit => vec![],
            Body::Newtype(id) => vec![*id],
            Body::Tuple(ids) => ids.clone(),
            Body::Struct(fields) => fields.iter().map(|f| f.id).collect(),
        }
    }
}

/// Why a type has no schema but its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may well be stored; only a change of it cannot be seen.
    Untraceable(String),
    /// What it writes is not what it reads: stored, it could not be read back.
    Unstorable(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Untraceable(why) => write!(f, "its layout cannot be traced: {why}"),
            Trouble::Unstorable(why) => write!(f, "it would not be read back as it was stored: {why}"),
        }
    }
}

impl Schema {
    /// The layout of `T`, or its name. Costs tens of microseconds for common types: once for an operator, not for a key.
    pub(crate) fn of<T: Serialize + DeserializeOwned + 'static>() -> Schema {
        Schema::trace::<T>().unwrap_or_else(|why| {
            let name = std::any::type_name::<T>();
            tracing::debug!(name, %why, "only the name of a state type is known");
            Schema::Opaque(name.to_owned())
        })
    }

    /// The layout of `T`, or why there is none.
    ///
    /// # Errors
    /// [`Trouble::Unstorable`] is worth refusing when an operator is defined.
    pub(crate) fn trace<T: Serialize + DeserializeOwned + 'static>() -> Result<Schema, Trouble> {
        trace::trace::<T>().map(Schema::Known)
    }

    /// Everything that differs between a stored layout and today's. An added field counts as compatible here; whether it
    /// has a default only the type itself knows ([`upgrade::Upgrade::new`] asks it).
    pub(crate) fn changes(stored: &Schema, now: &Schema) -> Vec<Change> {
        change::between(stored, now)
    }
}

impl PartialEq for Schema {
    fn eq(&self, o: &Schema) -> bool {
        match (self, o) {
            // What was stored may be no layout at all, which is equal to nothing.
            (Schema::Known(a), Schema::Known(b)) if a.check().and(b.check()).is_err() => false,
            _ => Schema::changes(self, o).is_empty(),
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schema::Opaque(name) => write!(f, "{name} (layout unknown)"),
            Schema::Known(known) => f.write_str(&known.text(0)),
        }
    }
}

impl Known {
    fn node(&self, id: Id) -> &Node {
        // INVARIANT: ids are in range: the tracer makes them so and `check` looks at what was stored.
        &self.nodes[id as usize]
    }

    /// Whether what was stored is a layout at all.
    fn check(&self) -> Result<(), String> {
        let sound = |node: &Node| {
            let itself = match node {
                Node::Unsigned(bits) | Node::Signed(bits) => [8, 16, 32, 64, 128].contains(bits),
                Node::Float(bits) => [32, 64].contains(bits),
                Node::Array(_, n) => *n as usize <= MAX_NODES,
                Node::Enum(_, variants) => !variants.is_empty(),
                _ => true,
            };
            itself && node.children().iter().all(|id| (*id as usize) < self.nodes.len())
        };
        let size = 1..=MAX_NODES;
        if size.contains(&self.nodes.len()) && self.nodes.iter().all(sound) {
            return Ok(());
        }
        Err("the stored description of the state's layout is damaged".to_owned())
    }

    /// Whether a value takes at least one byte; `false` if in doubt.
    fn takes_bytes(&self, id: Id, depth: usize) -> bool {
        let takes = |id: Id| depth < 32 && self.takes_bytes(id, depth + 1);
        match self.node(id) {
            Node::Unit => false,
            Node::Tuple(ids) => ids.iter().any(|id| takes(*id)),
            Node::Array(id, n) => *n > 0 && takes(*id),
            Node::Struct(_, fields) => fields.iter().any(|f| takes(f.id)),
            _ => true,
        }
    }

    /// A type in words a Rust programmer knows; a long one is cut off.
    fn text(&self, id: Id) -> String {
        let mut out = String::new();
        self.describe(id, &mut Vec::new(), &mut out);
        out
    }

    fn describe(&self, id: Id, open: &mut Vec<Id>, out: &mut String) {
        if out.len() > 1000 {
            if !out.ends_with('…') {
                out.push('…');
            }
            return;
        }
        // Writing to a String cannot fail.
        let _ = match self.node(id) {
            Node::Unit => write!(out, "()"),
            Node::Bool => write!(out, "bool"),
            Node::Unsigned(bits) => write!(out, "u{bits}"),
            Node::Signed(bits) => write!(out, "i{bits}"),
            Node::Float(bits) => write!(out, "f{bits}"),
            Node::Char => write!(out, "char"),
            Node::Str => write!(out, "str"),
            Node::Bytes => write!(out, "bytes"),
            node if open.contains(&id) => match node {
                Node::Struct(name, _) | Node::Enum(name, _) => write!(out, "{name}"),
                _ => write!(out, "…"),
            },
            node => {
                open.push(id);
                self.describe_compound(node, open, out);
                open.pop();
                Ok(())
            }
        };
    }

    fn describe_compound(&self, node: &Node, open: &mut Vec<Id>, out: &mut String) {
        match node {
            Node::Option(c) => self.list(["Option<", ">"], [("", *c)], open, out),
            Node::Seq(c) => self.list(["[", "]"], [("", *c)], open, out),
            Node::Map(k, v) => {
                self.list(["{", ": "], [("", *k)], open, out);
                self.list(["", "}"], [("", *v)], open, out);
            }
            Node::Tuple(ids) => self.list(["(", ")"], ids.iter().map(|id| ("", *id)), open, out),
            Node::Array(c, n) => self.list(["[", &format!("; {n}]")], [("", *c)], open, out),
            Node::Struct(name, fields) => {
                out.push_str(name);
                self.list([" { ", " }"], fields.iter().map(|f| (&*f.name, f.id)), open, out);
            }
            Node::Enum(name, variants) => {
                out.push_str(name);
                for (i, v) in variants.iter().enumerate() {
                    out.push_str(if i == 0 { " { " } else { " | " });
                    out.push_str(&v.name);
                    match &v.body {
                        Body::Unit => {}
                        Body::Newtype(id) => self.list(["(", ")"], [("", *id)], open, out),
                        Body::Tuple(ids) => self.list(["(", ")"], ids.iter().map(|id| ("", *id)), open, out),
                        Body::Struct(fields) => {
                            self.list([" { ", " }"], fields.iter().map(|f| (&*f.name, f.id)), open, out);
                        }
                    }
                }
                out.push_str(" }");
            }
            _ => {}
        }
    }

    fn list<'a>(
        &self,
        around: [&str; 2],
        items: impl IntoIterator<Item = (&'a str, Id)>,
        open: &mut Vec<Id>,
        out: &mut String,
    ) {
        out.push_str(around[0]);
        for (i, (name, id)) in items.into_iter().enumerate() {
            out.push_str(if i == 0 { "" } else { ", " });
            if !name.is_empty() {
                out.push_str(name);
                out.push_str(": ");
            }
            self.describe(id, open, out);
        }
        out.push_str(around[1]);
    }
}

/// What went wrong between serde and us, sorted by what can be done about it.
#[derive(Clone, Debug, PartialEq)]
enum Fault {
    /// The type did not like a value; it may like another.
    Said(String),
    /// A field has no value and no default.
    Missing(&'static str),
    UnknownVariant(String),
    /// The enum of this key has only so many variants.
    NoVariant(trace::Key, usize),
    /// The type asks the format what comes next, which postcard cannot tell.
    Asks,
    Hard(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Said(text) | Fault::Hard(text) => f.write_str(text),
            Fault::Missing(field) => write!(f, "field `{field}` has no value and no default"),
            Fault::UnknownVariant(name) => write!(f, "there is no variant `{name}`"),
            Fault::NoVariant((name, _), n) => write!(f, "{name} has only {n} variants"),
            Fault::Asks => {
                f.write_str("it asks what was stored (untagged, tagged or flattened), which nobody wrote down")
            }
        }
    }
}
impl std::error::Error for Fault {}
impl de::Error for Fault {
    fn custom<M: fmt::Display>(m: M) -> Self {
        Fault::Said(m.to_string())
    }
    fn missing_field(field: &'static str) -> Self {
        Fault::Missing(field)
    }
    fn unknown_variant(name: &str, _: &'static [&'static str]) -> Self {
        Fault::UnknownVariant(name.to_owned())
    }
    fn unknown_field(name: &str, _: &'static [&'static str]) -> Self {
        Fault::Hard(format!("the type denies fields it does not know, such as `{name}`"))
    }
}
impl ser::Error for Fault {
    fn custom<M: fmt::Display>(m: M) -> Self {
        Fault::Said(m.to_string())
    }
}

/// Runs code of the user's type: what it panics with is what it says.
fn guarded<T>(f: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f))
        .unwrap_or_else(|_| Err(Fault::Said("its (de)serialisation panicked".to_owned())))
}
