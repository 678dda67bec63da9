//! [`Change`]: one difference between a stored layout and today's, by its path, and what it means.
//!
//! Only layouts are compared here. Whether an added field has a default and whether a missing name lives on as an alias
//! only the type itself can say; `upgrade` asks it and corrects the verdicts.
use super::{Body, Field, Id, Known, Node, Schema, Variant};
use std::{collections::BTreeSet, fmt};

/// A difference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// Of the value that changed, from the state down: `totals.count`, `rows[].at`, `by_user{}.seen`, `kind.Open.since`.
    /// Empty for the state itself.
    pub(crate) path: String,
    pub(crate) what: What,
    /// Whether stored values can be read all the same.
    pub(crate) compatible: bool,
    pub(super) at: Option<At>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    AddedField,
    RemovedField,
    /// One field went, one of the same type came.
    RenamedField {
        to: String,
    },
    /// The same fields or variants in another order.
    Reordered,
    AddedVariant,
    RemovedVariant,
    /// One variant went, one with the same content came.
    RenamedVariant {
        to: String,
    },
    /// An integer that holds more.
    Widened {
        from: String,
        to: String,
    },
    /// `T` became `Option<T>`.
    Optional,
    /// Another type with the same bytes: `Vec<u8>` and a byte buffer.
    SameBytes {
        from: String,
        to: String,
    },
    TypeChanged {
        from: String,
        to: String,
    },
    /// At least one of the layouts is not known.
    Opaque {
        from: String,
        to: String,
    },
    /// The type refused a value of the stored layout, for this reason.
    Rejected(String),
}

/// Where in the stored layout: the struct or enum, and the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    pub(super) id: Id,
    /// `u32::MAX` for a struct.
    pub(super) variant: u32,
}

impl Site {
    pub(super) fn of_struct(id: Id) -> Site {
        Site { id, variant: u32::MAX }
    }
}

/// What `upgrade` needs to correct the verdict.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At {
    pub(super) site: Site,
    /// The field's or variant's name: today's if it was added, else the stored one.
    pub(super) name: String,
    /// Today's type of an added field.
    pub(super) now: Option<Id>,
}

impl Change {
    /// Whether stored bytes need no conversion.
    pub(super) fn keeps_bytes(&self) -> bool {
        self.compatible && matches!(self.what, What::AddedVariant | What::SameBytes { .. })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.path {
            "" => f.write_str("the type: ")?,
            path => write!(f, "`{path}`: ")?,
        }
        let ok = self.compatible;
        match &self.what {
            What::AddedField if ok => f.write_str("new, gets its default"),
            What::AddedField => f.write_str("new and without a default; put #[serde(default)] on it"),
            What::RemovedField if ok => f.write_str("read under another name"),
            What::RemovedField => f.write_str("is gone, and with it what was stored in it"),
            What::RenamedField { to } | What::RenamedVariant { to } if ok => write!(f, "is now `{to}`"),
            What::RenamedField { to } | What::RenamedVariant { to } => {
                let name = self.at.as_ref().map_or("", |at| &at.name);
                write!(
                    f,
                    "is gone and `{to}` is like it; if it was renamed, put #[serde(alias = \"{name}\")] on `{to}`"
                )
            }
            What::Reordered => f.write_str("in another order"),
            What::AddedVariant => f.write_str("a new variant"),
            What::RemovedVariant if ok => f.write_str("a variant read under another name"),
            What::RemovedVariant => f.write_str("a variant that is gone, though it may be stored"),
            What::Widened { from, to } => write!(f, "was {from}, is {to}, which holds it"),
            What::Optional => f.write_str("may now be absent"),
            What::SameBytes { from, to } => write!(f, "was {from}, is {to}, with the same bytes"),
            What::TypeChanged { from, to } => write!(f, "was {from}, is {to}"),
            What::Opaque { from, to } => write!(f, "was {from}, is {to}: these can be compared by name only"),
            What::Rejected(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

/// Everything that differs.
pub(super) fn between(stored: &Schema, now: &Schema) -> Vec<Change> {
    match (stored, now) {
        (Schema::Known(stored), Schema::Known(now)) => {
            let mut walk =
                Walk { stored, now, seen: BTreeSet::new(), path: String::new(), changes: vec![], quick: false };
            walk.types(0, 0);
            walk.changes
        }
        (Schema::Opaque(a), Schema::Opaque(b)) if a == b => vec![],
        (from, to) => {
            let what = What::Opaque { from: from.to_string(), to: to.to_string() };
            vec![Change { path: String::new(), what, compatible: false, at: None }]
        }
    }
}

struct Walk<'a> {
    stored: &'a Known,
    now: &'a Known,
    /// Pairs compared, or being compared: recursion ends here.
    seen: BTreeSet<(Id, Id)>,
    path: String,
    changes: Vec<Change>,
    /// Only whether there are differences is asked, so what was renamed is not looked for.
    quick: bool,
}

impl Walk<'_> {
    fn found(&mut self, what: What, compatible: bool, at: Option<At>) {
        self.changes.push(Change { path: self.path.clone(), what, compatible, at });
    }
    fn within(&mut self, step: &str, f: impl FnOnce(&mut Self)) {
        let len = self.path.len();
        if len > 0 && !step.starts_with(['[', '{']) {
            self.path.push('.');
        }
        self.path.push_str(step);
        f(self);
        self.path.truncate(len);
    }
    /// Whether there are no differences but those being looked at.
    fn same(&self, f: impl FnOnce(&mut Self)) -> bool {
        let mut walk = Walk { seen: self.seen.clone(), path: String::new(), changes: vec![], quick: true, ..*self };
        f(&mut walk);
        walk.changes.is_empty()
    }

    fn types(&mut self, stored: Id, now: Id) {
        use Node::{Array, Bytes, Enum, Map, Option, Seq, Struct, Tuple};
        if !self.seen.insert((stored, now)) {
            return;
        }
        let (a, b) = (self.stored.node(stored), self.now.node(now));
        let names = |walk: &Self| (walk.stored.text(stored), walk.now.text(now));
        match (a, b) {
            (Option(x), Option(y)) => self.types(*x, *y),
            (_, Option(y)) => {
                self.found(What::Optional, true, None);
                self.types(stored, *y);
            }
            (Seq(x), Seq(y)) => self.within("[]", |w| w.types(*x, *y)),
            (Map(k, v), Map(l, w)) => {
                self.within("{key}", |walk| walk.types(*k, *l));
                self.within("{}", |walk| walk.types(*v, *w));
            }
            (Array(x, n), Array(y, m)) if n == m => self.within("[]", |w| w.types(*x, *y)),
            (Tuple(_) | Array(..), Tuple(_) | Array(..)) if elements(a).len() == elements(b).len() => {
                self.tuples(&elements(a), &elements(b));
            }
            (Struct(_, old), Struct(_, new)) => self.fields(Site::of_struct(stored), old, new),
            (Enum(..), Enum(..)) => self.enums(stored, a, b),
            (Seq(x), Bytes) if *self.stored.node(*x) == Node::Unsigned(8) => self.same_bytes(names(self)),
            (Bytes, Seq(y)) if *self.now.node(*y) == Node::Unsigned(8) => self.same_bytes(names(self)),
            _ if is_leaf(a) && a == b => {}
            _ => {
                let (from, to) = names(self);
                match widens(a, b) {
                    true => self.found(What::Widened { from, to }, true, None),
                    false => self.found(What::TypeChanged { from, to }, false, None),
                }
            }
        }
    }

    fn same_bytes(&mut self, (from, to): (String, String)) {
        self.found(What::SameBytes { from, to }, true, None);
    }

    fn tuples(&mut self, old: &[Id], new: &[Id]) {
        for (i, (x, y)) in old.iter().zip(new).enumerate() {
            self.within(&i.to_string(), |w| w.types(*x, *y));
        }
    }

    fn fields(&mut self, site: Site, old: &[Field], new: &[Field]) {
        let find = |fields: &[Field], name: &str| fields.iter().position(|f| f.name == name);
        let kept: Vec<usize> = old.iter().filter_map(|f| find(new, &f.name)).collect();
        if !kept.is_sorted() {
            self.found(What::Reordered, true, None);
        }
        let mut added: Vec<&Field> = new.iter().filter(|f| find(old, &f.name).is_none()).collect();
        let removed: Vec<&Field> = old.iter().filter(|f| find(new, &f.name).is_none()).collect();
        if let ([gone], [came]) = (&*removed, &*added)
            && !self.quick
            && self.same(|w| w.types(gone.id, came.id))
        {
            let at = At { site, name: gone.name.clone(), now: Some(came.id) };
            let what = What::RenamedField { to: came.name.clone() };
            self.within(&gone.name, |w| w.found(what, false, Some(at)));
            added.clear();
        } else {
            for gone in removed {
                let at = At { site, name: gone.name.clone(), now: None };
                self.within(&gone.name, |w| w.found(What::RemovedField, false, Some(at)));
            }
        }
        for came in added {
            let at = At { site, name: came.name.clone(), now: Some(came.id) };
            self.within(&came.name, |w| w.found(What::AddedField, true, Some(at)));
        }
        for f in old {
            if let Some(i) = find(new, &f.name) {
                self.within(&f.name, |w| w.types(f.id, new[i].id));
            }
        }
    }

    fn enums(&mut self, stored: Id, a: &Node, b: &Node) {
        let (Node::Enum(_, old), Node::Enum(_, new)) = (a, b) else { return };
        let now = |name: &str| new.iter().position(|v| v.name == name);
        if old.iter().enumerate().any(|(i, v)| now(&v.name).is_some_and(|j| i != j)) {
            self.found(What::Reordered, true, None);
        }
        let mut added: Vec<_> = new.iter().filter(|v| old.iter().all(|o| o.name != v.name)).collect();
        let removed: Vec<_> = old.iter().enumerate().filter(|(_, v)| now(&v.name).is_none()).collect();
        let like = |gone: &Variant, came: &Variant| {
            !self.quick && self.same(|w| w.bodies(Site::of_struct(stored), &gone.body, &came.body))
        };
        let alike = matches!((&*removed, &*added), ([(_, gone)], [came]) if like(gone, came));
        let renamed = if alike { added.pop() } else { None };
        for (i, gone) in removed {
            let at = At { site: Site { id: stored, variant: i as u32 }, name: gone.name.clone(), now: None };
            let what = renamed.map_or(What::RemovedVariant, |v| What::RenamedVariant { to: v.name.clone() });
            self.within(&gone.name, |w| w.found(what, false, Some(at)));
        }
        for came in added {
            self.within(&came.name, |w| w.found(What::AddedVariant, true, None));
        }
        for (i, v) in old.iter().enumerate() {
            if let Some(j) = now(&v.name) {
                let site = Site { id: stored, variant: i as u32 };
                self.within(&v.name, |w| w.bodies(site, &v.body, &new[j].body));
            }
        }
    }

    fn bodies(&mut self, site: Site, old: &Body, new: &Body) {
        match (old, new) {
            (Body::Unit, Body::Unit) => {}
            (Body::Newtype(x), Body::Newtype(y)) => self.types(*x, *y),
            (Body::Tuple(x), Body::Tuple(y)) if x.len() == y.len() => self.tuples(x, y),
            (Body::Struct(x), Body::Struct(y)) => self.fields(site, x, y),
            _ => {
                let name = |body: &Body| match body {
                    Body::Unit => "without content".to_owned(),
                    Body::Newtype(_) => "with one value".to_owned(),
                    Body::Tuple(ids) => format!("with {} values", ids.len()),
                    Body::Struct(_) => "with named fields".to_owned(),
                };
                self.found(What::TypeChanged { from: name(old), to: name(new) }, false, None);
            }
        }
    }
}

/// The types of a tuple's elements.
fn elements(node: &Node) -> Vec<Id> {
    match node {
        Node::Tuple(ids) => ids.clone(),
        Node::Array(id, n) => vec![*id; *n as usize],
        _ => vec![],
    }
}

fn is_leaf(node: &Node) -> bool {
    use Node::{Bool, Bytes, Char, Float, Signed, Str, Unit, Unsigned};
    matches!(node, Unit | Bool | Unsigned(_) | Signed(_) | Float(_) | Char | Str | Bytes)
}

/// Whether every integer of one type is one of the other.
fn widens(from: &Node, to: &Node) -> bool {
    match (from, to) {
        (Node::Unsigned(a), Node::Unsigned(b) | Node::Signed(b)) | (Node::Signed(a), Node::Signed(b)) => a < b,
        _ => false,
    }
}
