//! Made-up values of a stored layout, as bytes: what `upgrade` tries on today's type before it touches real ones.
//!
//! Full ones: options and collections have one element, except where a type occurs inside itself; there everything is as
//! small as possible. One value for each variant of each enum, so that every field of every variant occurs in one.
use super::{
    Body, Id, Known, Node,
    change::Site,
    guess::{Guess, LENGTHS, TEXTS},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Parts of one value.
const MAX_PARTS: usize = 200_000;

/// Which variant to take of which enums.
pub(super) type Choices = BTreeMap<Id, u32>;

/// Choices that together reach each variant: the variant that is reached, and the way to it. The first is for no variant.
pub(super) fn choices(known: &Known) -> Vec<(Option<Site>, Choices)> {
    let mut all = vec![(None, Choices::new())];
    let mut ways: BTreeMap<Id, Choices> = [(0, Choices::new())].into();
    let mut queue = VecDeque::from([0]);
    while let Some(id) = queue.pop_front() {
        let way = ways[&id].clone();
        let mut next: Vec<(Id, Choices)> = vec![];
        match known.node(id) {
            Node::Enum(_, variants) => {
                for (i, v) in variants.iter().enumerate() {
                    let mut way = way.clone();
                    way.insert(id, i as u32);
                    next.extend(v.body.children().into_iter().map(|part| (part, way.clone())));
                    all.push((Some(Site { id, variant: i as u32 }), way));
                }
            }
            node => next.extend(node.children().into_iter().map(|c| (c, way.clone()))),
        }
        for (id, way) in next {
            if let std::collections::btree_map::Entry::Vacant(new) = ways.entry(id) {
                new.insert(way);
                queue.push_back(id);
            }
        }
    }
    all
}

/// How deep the smallest value of each type is; none if it has no end.
fn heights(known: &Known) -> Vec<Option<u32>> {
    let mut heights = vec![None; known.nodes.len()];
    loop {
        let mut changed = false;
        for (i, node) in known.nodes.iter().enumerate() {
            if heights[i].is_some() {
                continue;
            }
            let highest = |ids: Vec<Id>| ids.iter().try_fold(0, |h: u32, id| Some(h.max(heights[*id as usize]?)));
            let height = match node {
                Node::Option(_) | Node::Seq(_) | Node::Map(..) => Some(0),
                Node::Enum(_, variants) => variants.iter().filter_map(|v| highest(v.body.children())).min(),
                node => highest(node.children()),
            };
            if let Some(height) = height {
                heights[i] = Some(height + 1);
                changed = true;
            }
        }
        if !changed {
            return heights;
        }
    }
}

/// The bytes of one value of type `id`.
pub(super) fn sample(known: &Known, id: Id, choices: &Choices, guess: &mut Guess) -> Result<Vec<u8>, String> {
    let heights = heights(known);
    let mut writer = Writer { known, choices, guess, heights, open: BTreeSet::new(), parts: 0, bytes: vec![] };
    writer.value(id, false)?;
    Ok(writer.bytes)
}

struct Writer<'a> {
    known: &'a Known,
    choices: &'a Choices,
    guess: &'a mut Guess,
    heights: Vec<Option<u32>>,
    /// Compound types being written.
    open: BTreeSet<Id>,
    parts: usize,
    bytes: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn value(&mut self, id: Id, least: bool) -> Result<(), String> {
        self.parts += 1;
        if self.parts > MAX_PARTS || self.heights[id as usize].is_none() {
            return Err("the stored layout is too large to be tried".to_owned());
        }
        let known = self.known;
        let new = self.open.insert(id);
        let least = least || !new;
        match known.node(id) {
            Node::Unit => {}
            // Zero and one look the same in any integer type but for the sign's place.
            Node::Bool | Node::Unsigned(_) | Node::Signed(8) => {
                let n = self.guess.next(2) as u8;
                self.bytes.push(n);
            }
            Node::Signed(_) => {
                let n = self.guess.next(2) as u8;
                self.bytes.push(2 * n);
            }
            Node::Float(32) => {
                let x = self.guess.next(2) as f32;
                self.bytes.extend(x.to_le_bytes());
            }
            Node::Float(_) => {
                let x = self.guess.next(2) as f64;
                self.bytes.extend(x.to_le_bytes());
            }
            Node::Char => {
                let c = [b'a', b'0'][self.guess.next(2)];
                self.bytes.extend([1, c]);
            }
            Node::Str => {
                let text = TEXTS[self.guess.next(TEXTS.len())];
                self.counted(text.as_bytes());
            }
            Node::Bytes => {
                let n = LENGTHS[self.guess.next(LENGTHS.len())];
                self.counted(&[0; 64][..n]);
            }
            Node::Option(_) | Node::Seq(_) | Node::Map(..) if least => self.bytes.push(0),
            node @ (Node::Option(_) | Node::Seq(_) | Node::Map(..)) => {
                self.bytes.push(1);
                self.all(&node.children(), false)?;
            }
            Node::Array(c, n) => (0..*n).try_for_each(|_| self.value(*c, least))?,
            node @ (Node::Tuple(_) | Node::Struct(..)) => self.all(&node.children(), least)?,
            Node::Enum(_, variants) => {
                let chosen = self.choices.get(&id).filter(|_| !least).map(|i| *i as usize);
                let (i, v) = match chosen.and_then(|i| Some((i, variants.get(i)?))) {
                    Some(chosen) => chosen,
                    None => {
                        let least = variants.iter().enumerate().min_by_key(|(_, v)| self.height(&v.body));
                        least.ok_or("an enum without variants")?
                    }
                };
                // Indices are small: one or two bytes of a varint.
                self.varint(i);
                self.all(&v.body.children(), least)?;
            }
        }
        if new {
            self.open.remove(&id);
        }
        Ok(())
    }
    fn all(&mut self, ids: &[Id], least: bool) -> Result<(), String> {
        ids.iter().try_for_each(|id| self.value(*id, least))
    }
    fn height(&self, body: &Body) -> u32 {
        let of = |id: &Id| self.heights[*id as usize].unwrap_or(u32::MAX);
        body.children().iter().map(of).max().unwrap_or(0)
    }
    fn varint(&mut self, mut n: usize) {
        while n >= 0x80 {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }
    fn counted(&mut self, bytes: &[u8]) {
        // All candidates are shorter than 128 bytes, so the length is one byte.
        self.bytes.push(bytes.len() as u8);
        self.bytes.extend(bytes);
    }
}
