//! What recovery wants to know of a runner's graph: its operators, its state, how far back it looks.
use super::runner::Runner;
use crate::{
    durable::{Operator, Pace, Role},
    graph::{StreamMeta, ten_seconds_of},
    state::Stateful,
};
use std::sync::Arc;

impl Runner {
    fn named(&self) -> impl Iterator<Item = (&str, &StreamMeta)> {
        self.node_ids.iter().zip(&self.nodes).filter_map(|(id, n)| Some((id.as_deref()?, n.meta())))
    }
    /// All operators with an id.
    pub(crate) fn operators(&self) -> Vec<Operator> {
        let of = |(id, m): (&str, &StreamMeta)| Operator {
            id: id.to_owned(),
            kind: m.kind.to_owned(),
            role: if m.stateful.is_some() { Role::State } else { Role::Input },
            layout: m.stateful.as_ref().map(|s| s.layout().clone()),
        };
        let is_kept = |(_, m): &(&str, &StreamMeta)| m.stateful.as_ref().is_none_or(|s| !s.is_volatile());
        let outputs = self.outputs.iter().zip(&self.output_ids).map(|(o, id)| Operator {
            id: id.clone(),
            kind: o.kind.to_owned(),
            role: Role::Output,
            layout: None,
        });
        self.named().filter(is_kept).map(of).chain(outputs).collect()
    }
    /// Stateful operators that are not volatile.
    pub(crate) fn states(&self) -> Vec<(String, Arc<dyn Stateful>)> {
        let kept = self.named().filter_map(|(id, m)| Some((id.to_owned(), m.stateful.clone()?)));
        kept.filter(|(_, s)| !s.is_volatile()).collect()
    }
    /// The shortest interval any stateful operator has.
    pub(crate) fn pace(&self, retain: usize) -> Pace {
        let states =
            self.nodes.iter().map(|n| n.meta()).filter(|m| m.stateful.is_some() || m.checkpoint_every().is_some());
        let interval = states.map(StreamMeta::checkpoint_interval).min();
        let batch = self.settings.interval;
        let longest = |of: fn(&StreamMeta) -> bool| {
            let looking = self.nodes.iter().map(|n| n.meta()).filter(|m| of(m) && m.remembers() > m.slide);
            looking.map(StreamMeta::remembers).max().unwrap_or_default()
        };
        Pace {
            interval: interval.unwrap_or_else(|| ten_seconds_of(batch)),
            retain,
            reach: longest(|_| true),
            state_reach: longest(|m| m.stateful.is_some()),
        }
    }
    /// After a start that failed half-way: state and memos are empty again.
    pub(crate) fn forget_everything(&self) {
        self.states().iter().for_each(|(_, s)| s.clear());
        self.nodes.iter().for_each(|n| n.clear());
    }
}
