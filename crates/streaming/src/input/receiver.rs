//! Receivers as inputs: the blocks received until a tick are what belongs to its batch.
use super::{Input, Planned, ReceiverWatch, Supply, Tick};
use crate::{
    durable::Durable,
    rate::Allowance,
    receive::{BlockId, Content, Gone, Logged, ReceiverStream},
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use winterbourne_base::{Clock, Time, conf::keys, failpoint};
use winterbourne_engine::{BoxError, CHUNK, Chunk, Data, Error, Flow, Rdd, Shape, Site, SparkContext, lineage::Count};

pub(crate) struct ReceiverInput<T: Data> {
    pub(crate) stream: Arc<ReceiverStream<T>>,
    pub(crate) site: Site,
    /// Why its records would not come back after a restart as they were, if so.
    pub(crate) again: Result<(), &'static str>,
}

/// Blocks of one input, by number: the number of the input in its context changes when the program does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Allotment {
    /// Number and records of each block, in order.
    blocks: Vec<(u64, u64)>,
    /// The block that was the next to allocate after this.
    next: u64,
    /// The blocks were written to the log before.
    logged: bool,
}

impl<T: Data> Input<T> for ReceiverInput<T> {
    type Plan = Allotment;
    fn attach(&mut self, durable: &Durable) -> Result<(), BoxError> {
        self.stream.attach(durable.received.input(durable.operator_id()));
        Ok(())
    }
    fn recoverable(&self) -> Result<(), String> {
        self.again.map_err(str::to_owned)
    }
    fn load(&mut self, saved: &[u8]) -> Result<(), BoxError> {
        self.stream.load(postcard::from_bytes(saved)?);
        Ok(())
    }
    fn restore(&mut self, plan: &Allotment) -> Result<(), BoxError> {
        self.stream.restore(plan.numbers(), plan.next);
        Ok(())
    }
    fn save(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(&self.stream.next_to_allocate()).ok()
    }
    fn start(&mut self) -> Result<(), BoxError> {
        let log = self.stream.log();
        if log.is_none() && self.stream.wants_log() {
            return Err(format!(
                "Cannot enable receiver write-ahead log without checkpoint directory set, which {} asks for: set one \
                 (ssc.checkpoint(…) or StreamingContext::get_or_create), or leave the key out; the receiver of {}",
                keys::RECEIVER_WAL_ENABLE,
                self.site
            )
            .into());
        }
        let (blocks, records) = self.stream.recover();
        if let Some(log) = log.filter(|_| blocks > 0) {
            let input = log.id();
            tracing::info!(input, blocks, records, "what was received before the restart goes to the next batch");
        }
        Ok(self.stream.start()?)
    }
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<Self::Plan>>, BoxError> {
        let blocks = self.stream.allocate(tick.time, tick.latest, tick.limit)?;
        let records = blocks.iter().map(|b| b.records).sum();
        let description = format!("{} block(s)", blocks.len());
        let plan = Allotment {
            blocks: blocks.iter().map(|b| (b.id.number, b.records)).collect(),
            next: self.stream.next_to_allocate(),
            logged: self.stream.is_logged(),
        };
        Ok(Some(Planned { plan, records: Some(records), description }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &Allotment) -> Result<Rdd<T>, BoxError> {
        let numbers: Vec<u64> = plan.numbers().collect();
        let (mut found, mut lost) = (Vec::with_capacity(numbers.len()), 0);
        for (content, (number, records)) in self.stream.contents(&numbers).into_iter().zip(&plan.blocks) {
            match content {
                Some(content) => found.push(content),
                None if plan.logged => {
                    let id = self.stream.log().map_or(String::new(), |log| log.id().to_owned());
                    return Err(format!(
                        "block {number} of input {id} is not in the receiver write-ahead log any more"
                    )
                    .into());
                }
                None => match self.stream.lose(*number, *records) {
                    Some(news) => lost += news,
                    None => return Err(Gone(self.id(*number)).into()),
                },
            }
        }
        if lost > 0 {
            let receiver = self.stream.info().name;
            let key = keys::RECEIVER_WAL_ENABLE;
            tracing::error!(
                receiver,
                "{lost} record(s) are lost: some blocks could not be recovered, as they were in the memory of the process \
                 before only. To prevent such data loss, enable the receiver write-ahead log ({key})"
            );
        }
        Ok(rdd(sc, self.site, found))
    }
    fn bytes(&self, plan: &Allotment) -> Option<u64> {
        Some(self.stream.bytes_of(plan.numbers()))
    }
    fn allow(&mut self, allowance: &Allowance) {
        self.stream.allow(allowance);
    }
    fn settle(&mut self, plan: Allotment) {
        self.stream.release(&plan.numbers().map(|n| self.id(n)).collect::<Vec<_>>());
        if failpoint::seeded("wal.trimmed-early") {
            self.stream.retire(plan.numbers(), plan.next);
            if let Some(log) = self.stream.log() {
                let _ = log.all().trim();
            }
        }
    }
    fn retire(&mut self, plan: Allotment) {
        self.stream.retire(plan.numbers(), plan.next);
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
impl<T: Data> ReceiverInput<T> {
    fn id(&self, number: u64) -> BlockId {
        BlockId { stream: self.stream.id(), number }
    }
}
impl Allotment {
    fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocks.iter().map(|(number, _)| *number)
    }
}

/// The records of a block, once somebody has asked for them.
struct Late<T> {
    parts: OnceLock<Vec<Arc<Vec<T>>>>,
    log: Option<Logged<T>>,
}
impl<T: Data> Late<T> {
    fn of(content: Content<T>) -> Self {
        match content {
            Content::Memory(parts) => Late { parts: OnceLock::from(parts), log: None },
            Content::Logged(log) => Late { parts: OnceLock::new(), log: Some(log) },
        }
    }
    fn parts(&self) -> Result<Vec<Arc<Vec<T>>>, Error> {
        if let (None, Some(log)) = (self.parts.get(), &self.log) {
            let records = log.read().map_err(|why| Error::User(why.into()))?;
            // Another task may have been faster.
            let _ = self.parts.set(vec![Arc::new(records)]);
        }
        Ok(self.parts.get().cloned().unwrap_or_default())
    }
}

/// A partition for each block. Those of before a restart are read by the tasks, once.
fn rdd<T: Data>(sc: &SparkContext, site: Site, blocks: Vec<Content<T>>) -> Rdd<T> {
    let partitions = Count::known(blocks.len());
    let blocks: Vec<Late<T>> = blocks.into_iter().map(Late::of).collect();
    if blocks.iter().all(|b| b.log.is_none()) {
        return sc.from_blocks(site, blocks.into_iter().filter_map(|b| b.parts.into_inner()).collect());
    }
    let shape = Shape { name: "blocks", site, partitions, deps: Vec::new(), partitioner: None, depth: 0 };
    sc.make(shape, move |p, task| {
        let slices = |part: Arc<Vec<T>>| {
            let starts = (0..part.len()).step_by(CHUNK);
            starts.map(move |from| Chunk::Shared(part.clone(), from..(from + CHUNK).min(part.len())))
        };
        let mut chunks = blocks[p].parts()?.into_iter().flat_map(slices);
        Ok(Flow::splittable(task, move || Ok(chunks.next())))
    })
}
