//! Receivers as inputs: the blocks received until a tick are what belongs to its batch.
use super::{Input, Planned, ReceiverWatch, Supply, Tick};
use crate::receive::{BlockId, ReceiverStream};
use std::sync::Arc;
use winterbourne_base::{Clock, Time};
use winterbourne_engine::{BoxError, Data, Rdd, Site, SparkContext};

pub(crate) struct ReceiverInput<T: Data> {
    pub(crate) stream: Arc<ReceiverStream<T>>,
    pub(crate) site: Site,
}
impl<T: Data> Input<T> for ReceiverInput<T> {
    /// Stream and number of each block.
    type Plan = Vec<(usize, u64)>;
    fn start(&mut self) -> Result<(), BoxError> {
        Ok(self.stream.start()?)
    }
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<Self::Plan>>, BoxError> {
        let blocks = self.stream.allocate(tick.time, tick.latest);
        let records = blocks.iter().map(|b| b.records).sum();
        let plan: Vec<_> = blocks.iter().map(|b| (b.id.stream, b.id.number)).collect();
        let description = format!("{} block(s)", plan.len());
        Ok(Some(Planned { plan, records: Some(records), description }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &Self::Plan) -> Result<Rdd<T>, BoxError> {
        Ok(sc.from_blocks(self.site, self.stream.read(&ids(plan))?))
    }
    fn settle(&mut self, plan: Self::Plan) {
        self.stream.release(&ids(&plan));
    }
    fn supply(&self) -> Supply {
        // SUBTLE: the end first. Once ended nothing more is added, so "ended and nothing waits" stays true; the other
        // way round, the last records could come in between.
        let ended = self.stream.has_ended();
        match (self.stream.waiting(), ended) {
            (0, true) => Supply::Ended,
            (0, false) => Supply::Open,
            _ => Supply::Waiting,
        }
    }
    fn stop(&mut self) {
        self.stream.stop();
    }
    fn join(&mut self, _: &dyn Clock, deadline: Option<Time>) {
        self.stream.join(deadline);
    }
    fn receiver(&self) -> Option<ReceiverWatch> {
        let stream = self.stream.clone();
        Some(Box::new(move || stream.info()))
    }
}

fn ids(plan: &[(usize, u64)]) -> Vec<BlockId> {
    plan.iter().map(|&(stream, number)| BlockId { stream, number }).collect()
}
