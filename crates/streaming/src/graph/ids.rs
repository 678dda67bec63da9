//! Stable operator ids. The rule:
//!
//! 1. `path(op)` = H("uid", name) if the operator has a uid, else H(kind, param, path of each parent in order). No
//!    counter, call site, duration or closure enters, so editing lines, windows or functions keeps it.
//! 2. Inputs and stateful operators: the id is the uid, or `kind-<path in hex>`. Two with one id are an error that names
//!    both call sites and asks for a uid; an ordinal would let a swap of two lines swap their states in silence.
//! 3. Outputs: `kind-<path>~n`, n counting outputs of equal path in registration order. Sinks: the name they were given.
//!
//! Every other operator has the same kind of name, for messages and dead letters; two may share one.
//!
//! So a branch added anywhere disturbs nobody; inserting a step *upstream* of an operator renames it, unless a uid lies on
//! it or between.
use super::node::{Output, StreamNode};
use crate::GraphError;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use winterbourne_engine::hash;

/// The ids of a graph.
pub(crate) struct Ids {
    /// By position in the list of nodes; stateless ones have none.
    pub(crate) nodes: Vec<Option<String>>,
    /// By position in the list of nodes: what each is called.
    pub(crate) names: Vec<String>,
    /// By position in the list of inputs.
    pub(crate) inputs: Vec<String>,
    /// Of the stateful nodes, in their order.
    pub(crate) states: Vec<String>,
    /// By position in the list of outputs.
    pub(crate) outputs: Vec<String>,
    /// Operators that cannot be told apart.
    pub(crate) clashes: Vec<GraphError>,
}

fn address(n: &Arc<dyn StreamNode>) -> usize {
    Arc::as_ptr(n).cast::<()>() as usize
}

pub(crate) fn assign(nodes: &[Arc<dyn StreamNode>], outputs: &[Output]) -> Ids {
    let mut path: HashMap<usize, u64> = HashMap::new();
    let mut owner = BTreeMap::new();
    let mut ids = Ids {
        nodes: Vec::new(),
        names: Vec::new(),
        inputs: Vec::new(),
        states: Vec::new(),
        outputs: Vec::new(),
        clashes: Vec::new(),
    };
    for n in nodes {
        let m = n.meta();
        let up: Vec<u64> = m.parents.iter().map(|p| path[&address(p)]).collect();
        let p = match m.uid.get() {
            Some(uid) => hash::of(&("uid", uid.as_str())),
            None => hash::of(&(m.kind, m.param.as_str(), up)),
        };
        path.insert(address(n), p);
        let id = m.uid.get().cloned().unwrap_or_else(|| format!("{}-{p:016x}", m.kind));
        ids.names.push(id.clone());
        if !m.named {
            ids.nodes.push(None);
            continue;
        }
        if let Some(first) = owner.insert(id.clone(), m.site) {
            let what = format!(
                "this {} and the one at {first} cannot be told apart after a restart: give each a name with .uid(\"…\")",
                m.kind
            );
            ids.clashes.push(GraphError { site: m.site, what });
        }
        if m.is_input() {
            ids.inputs.push(id.clone());
        } else {
            ids.states.push(id.clone());
        }
        ids.nodes.push(Some(id));
    }
    let mut seen: HashMap<u64, u32> = HashMap::new();
    for o in outputs {
        if let Some(name) = &o.name {
            ids.outputs.push(name.clone());
            continue;
        }
        let p = hash::of(&(o.kind, path[&address(&o.parent)]));
        let n = seen.entry(p).or_default();
        ids.outputs.push(format!("{}-{p:016x}~{n}", o.kind));
        *n += 1;
    }
    ids
}
