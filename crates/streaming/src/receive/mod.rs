//! Receivers: records that arrive by themselves become blocks that batches take.
//!
//! A [`Receiver`] runs on a thread of its own, which is not a task slot: `local[1]` works with any number of receivers.
//! It stores records through an [`Intake`]; they gather in an open buffer, which is cut into a block at every block
//! interval (`spark.streaming.blockInterval`) and at every batch time. No timer cuts: the first record after a boundary
//! closes the buffer before it, and so does the batch that asks. An idle receiver costs nothing.
//!
//! In the order of the flow: [`Receiver`] (what users write), `server`, `socket`, `frames`, `bytes`, `feed` (ours), [`Intake`] (what it is handed),
//! `room` (may these bytes come in), `buffer` (records to blocks to batches), `stream` (one receiver with all of
//! that), `logged` (what of it is written to the write-ahead log, and when), `ledger` (what a restart makes of the log),
//! `supervisor` (what happens after a failure: decides only), `run` (the thread that does it), `weight` (what records hold).
//!
//! *Durability.* Where there is a checkpoint directory, every block is written to the log `received/` before a batch takes
//! it (`spark.streaming.receiver.writeAheadLog.enable`). [`Intake::store_reliably`] returns when its records are durable,
//! so that a receiver can acknowledge them.
//!
//! *Bounds.* The bytes held in memory (open, waiting, or in a batch that is not done) are at most
//! `spark.streaming.receiver.bufferSize`: at the bound the receiver blocks in `store` until a batch is done. `spark.streaming.blockQueueSize` is accepted and
//! bounds nothing: there is no queue between cutting a block and keeping it, and bytes say more than blocks do.
//!
//! *Rates.* A store first waits until the maximum rate allows it (`rate::Limiter`), then for room. Under back-pressure whoever
//! makes batches says what they keep up with; twice of what a batch may hold is then all that is held at any time, so that a
//! source goes at the pace at which batches are done.
//!
//! INVARIANT: nothing here knows a graph, a batch or an RDD; whoever allocates blocks decides what they belong to.

mod block;
mod buffer;
mod bytes;
mod feed;
mod frames;
mod info;
mod intake;
mod ledger;
mod logged;
mod receiver;
mod room;
mod run;
mod server;
mod setup;
mod socket;
mod state;
mod stream;
mod supervisor;
mod weight;

pub use block::{BlockId, BlockMeta, Gone};
pub(crate) use bytes::BytesReceiver;
pub use bytes::SocketBytes;
pub(crate) use feed::{ChannelReceiver, IteratorReceiver, StdinReceiver};
pub(crate) use frames::FrameReceiver;
pub use info::{ReceiverEvent, ReceiverInfo, ReceiverState};
pub use intake::{Intake, Stopped, StoreError, Tolerated};
pub(crate) use logged::{Content, Logged};
pub use receiver::Receiver;
pub(crate) use setup::{Settings, Setup};
pub use socket::SocketReceiver;
pub(crate) use stream::ReceiverStream;

#[cfg(test)]
mod tests;
