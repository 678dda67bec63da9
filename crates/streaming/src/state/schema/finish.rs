//! What tracing found out, as nodes: links followed, equal types once, every name known.
use super::{
    Body, Field, Id, Known, Node, Trouble, Variant,
    trace::{BodySlot, FieldSlot, Slot, Tracer, VariantSlot},
};
use std::collections::BTreeMap;

/// The layout, unless a part of it was never seen.
pub(super) fn finish(tracer: &Tracer) -> Result<Known, Trouble> {
    let mut done = Finish { tracer, nodes: vec![], ids: BTreeMap::new(), todo: vec![] };
    done.id(0);
    while let Some((slot, id)) = done.todo.pop() {
        done.nodes[id as usize] = done.node(slot).map_err(Trouble::Untraceable)?;
    }
    let mut nodes = done.nodes;
    while merge(&mut nodes) {}
    Ok(compact(&nodes))
}

/// Has equal types share one node, and makes tuples of equal types arrays; whether there were any.
fn merge(nodes: &mut [Node]) -> bool {
    let mut first: BTreeMap<&Node, Id> = BTreeMap::new();
    let same: Vec<Id> = nodes.iter().zip(0..).map(|(node, id)| *first.entry(node).or_insert(id)).collect();
    let mut changed = false;
    for node in nodes {
        node.children_mut(&mut |id| {
            changed |= *id != same[*id as usize];
            *id = same[*id as usize];
        });
        if let Node::Tuple(ids) = node
            && let Some(one) = ids.first().copied()
            && ids.iter().all(|id| *id == one)
        {
            *node = Node::Array(one, ids.len() as u32);
            changed = true;
        }
    }
    changed
}

/// Only what the first node needs.
fn compact(nodes: &[Node]) -> Known {
    let (mut order, mut new) = (vec![0], BTreeMap::from([(0, 0)]));
    let mut at = 0;
    while let Some(id) = order.get(at).copied() {
        at += 1;
        for child in nodes[id as usize].children() {
            new.entry(child).or_insert_with(|| {
                order.push(child);
                order.len() as Id - 1
            });
        }
    }
    let renumbered = order.iter().map(|id| {
        let mut node = nodes[*id as usize].clone();
        node.children_mut(&mut |id| *id = new[id]);
        node
    });
    Known { nodes: renumbered.collect() }
}

struct Finish<'t> {
    tracer: &'t Tracer,
    nodes: Vec<Node>,
    ids: BTreeMap<usize, Id>,
    todo: Vec<(usize, Id)>,
}

impl Finish<'_> {
    fn id(&mut self, slot: usize) -> Id {
        let slot = self.tracer.resolve(slot);
        let next = self.nodes.len() as Id;
        let id = *self.ids.entry(slot).or_insert(next);
        if id == next {
            self.nodes.push(Node::Unit);
            self.todo.push((slot, id));
        }
        id
    }
    fn all(&mut self, slots: &[usize]) -> Vec<Id> {
        slots.iter().map(|s| self.id(*s)).collect()
    }
    fn fields(&mut self, fields: &[FieldSlot]) -> Result<Vec<Field>, String> {
        let named = |f: &FieldSlot| {
            let name = f.name.ok_or("a field is never written")?.to_owned();
            Ok(Field { name, id: self.id(f.slot) })
        };
        fields.iter().map(named).collect()
    }
    fn node(&mut self, slot: usize) -> Result<Node, String> {
        Ok(match &self.tracer.slots[slot] {
            Slot::Unknown | Slot::Link(_) => return Err("a part of it is never read".to_owned()),
            Slot::Leaf(leaf) => leaf.clone(),
            Slot::Option(c) => Node::Option(self.id(*c)),
            Slot::Seq(c) => Node::Seq(self.id(*c)),
            Slot::Map(k, v) => Node::Map(self.id(*k), self.id(*v)),
            Slot::Tuple(slots) => Node::Tuple(self.all(slots)),
            Slot::Struct(name, fields) => Node::Struct((*name).to_owned(), self.fields(fields)?),
            Slot::Enum(name, e) => {
                // `#[serde(other)]` takes any index: what it made stands under its own.
                let last = e.variants.iter().rposition(|v| v.name.is_some()).ok_or("an enum is never written")?;
                let variants = e.variants[..=last].iter().map(|v| self.variant(v)).collect::<Result<_, String>>()?;
                Node::Enum((*name).to_owned(), variants)
            }
        })
    }
    fn variant(&mut self, v: &VariantSlot) -> Result<Variant, String> {
        let name = v.name.ok_or("a variant is never written")?.to_owned();
        let body = match v.body.as_ref().ok_or("a variant is never read")? {
            BodySlot::Unit => Body::Unit,
            BodySlot::Newtype(s) => Body::Newtype(self.id(*s)),
            BodySlot::Tuple(slots) => Body::Tuple(self.all(slots)),
            BodySlot::Struct(fields) => Body::Struct(self.fields(fields)?),
        };
        Ok(Variant { name, body })
    }
}
