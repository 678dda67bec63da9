//! Laws that hold for any sequence of pushes, ticks and releases, against a dull model.

use proptest::prelude::*;
use std::collections::VecDeque;

use super::{Rig, Script, at, idle, read};
use crate::rate::Limit;
use crate::receive::{BlockId, Intake};
use winterbourne_base::Clock;
use winterbourne_base::conf::keys;
use winterbourne_base::time::{milliseconds, seconds};

#[derive(Clone, Debug)]
enum Op {
    Push,
    PushAll(usize),
    Advance(u64),
    /// A tick for the latest batch time, or for one this many batches earlier.
    Tick(u64, bool),
    /// Releases the oldest blocks.
    Release(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => Just(Op::Push),
        2 => (0usize..200).prop_map(Op::PushAll),
        4 => (0u64..700).prop_map(Op::Advance),
        2 => (0u64..3, any::<bool>()).prop_map(|(back, latest)| Op::Tick(back, latest)),
        1 => (0usize..4).prop_map(Op::Release),
    ];
    prop::collection::vec(op, 0..80)
}

proptest! {
    /// A tick takes exactly what came before it and was not taken; the latest tick takes everything. In order.
    #[test]
    fn nothing_is_lost_doubled_or_moved(ops in ops()) {
        let rig = Rig::new();
        let stream = rig.stream(Script(idle));
        let intake = stream.intake();
        let mut pushed = 0;
        // The model: each record with the time it came.
        let mut waiting = VecDeque::new();
        let (mut held, mut blocks) = (0, VecDeque::new());
        for op in ops {
            let now = rig.clock.now();
            match op {
                Op::Advance(step) => rig.clock.advance(milliseconds(step)),
                Op::Push | Op::PushAll(_) => {
                    let n = if let Op::PushAll(n) = op { n as u64 } else { 1 };
                    let records: Vec<u64> = (pushed..pushed + n).collect();
                    match op {
                        Op::Push => intake.store(pushed).unwrap(),
                        _ => intake.store_all(records.clone()).unwrap(),
                    }
                    pushed += n;
                    held += n * 8;
                    waiting.extend(records.into_iter().map(|record| (record, now)));
                }
                Op::Tick(back, latest) => {
                    let tick = now.floor(seconds(1)) - seconds(back);
                    let metas = stream.allocate(tick, latest, Limit::NONE).unwrap();
                    let ids: Vec<BlockId> = metas.iter().map(|meta| meta.id).collect();
                    let mut expect = Vec::new();
                    while let Some((record, came)) = waiting.front() && (latest || *came < tick) {
                        expect.push(*record);
                        waiting.pop_front();
                    }
                    let read = read(&stream, &ids);
                    for (meta, records) in metas.iter().zip(&read) {
                        prop_assert_eq!(meta.records, records.len() as u64);
                        prop_assert_eq!(meta.bytes, meta.records * 8);
                        prop_assert!(latest || meta.cut_at <= tick);
                    }
                    prop_assert_eq!(read.concat(), expect);
                    blocks.extend(metas);
                }
                Op::Release(n) => {
                    let released: Vec<_> = blocks.drain(..n.min(blocks.len())).collect();
                    stream.release(&released.iter().map(|meta| meta.id).collect::<Vec<_>>());
                    held -= released.iter().map(|meta| meta.bytes).sum::<u64>();
                }
            }
            let info = stream.info();
            prop_assert_eq!((info.waiting_records, info.records), (waiting.len() as u64, pushed));
            prop_assert_eq!((stream.waiting(), info.buffered_bytes), (waiting.len() as u64, held));
        }
    }
}

/// A receiver and a batch loop at full speed through a buffer that is nearly always full.
#[test]
fn a_full_buffer_between_two_threads_keeps_every_record_in_order() {
    const RECORDS: u64 = 20_000;
    let rig = Rig::set(&[(keys::RECEIVER_BUFFER_SIZE.name(), "800")]);
    let stream = rig.start(Script(|intake: &Intake<u64>| {
        let mut next = 0;
        while next < RECORDS {
            let n = (next % 7 * next % 150).clamp(1, RECORDS - next);
            intake.store_all((next..next + n).collect())?;
            next += n;
        }
        Ok(())
    }));
    let (mut taken, mut tick) = (Vec::new(), at(10_000));
    loop {
        let ended = stream.has_ended();
        taken.extend(rig.take(&stream));
        if ended {
            break;
        }
        tick += milliseconds(50);
        rig.clock.set(tick);
    }
    assert_eq!(taken, (0..RECORDS).collect::<Vec<_>>());
    assert!(stream.join(None));
    assert_eq!(stream.info().buffered_bytes, 0);
}
