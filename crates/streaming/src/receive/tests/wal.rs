//! Receivers with a write-ahead log on a simulated disk: what is acknowledged is durable, what is planned is durable, a
//! full or failing disk costs nothing but time, and a restart finds everything once.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, channel};

use super::{PATIENCE, Rig, Script, at, idle, next, read};
use crate::durable::{InputLog, LogOptions, Received};
use crate::rate::Limit;
use crate::receive::{BlockMeta, Intake, Receiver, ReceiverStream, StoreError};
use winterbourne_base::conf::keys;
use winterbourne_base::storage::{Crash, SimStorage};
use winterbourne_base::time::{milliseconds, seconds};
use winterbourne_base::{Clock, SparkConf, SystemClock, thread};
use winterbourne_engine::Wire;

/// As much as the journal leaves free, and a little.
const ROOM: u64 = (64 << 20) + (64 << 10);

fn open(rig: &Rig, disk: &SimStorage) -> Received {
    let options = LogOptions::of(&SparkConf::empty()).unwrap();
    Received::open(Arc::new(disk.clone()), rig.clock.clone(), options).unwrap().0
}

/// A stream with a log that was read, not started.
fn logged<T: Wire>(rig: &Rig, log: InputLog, receiver: impl Receiver<T>) -> Arc<ReceiverStream<T>> {
    let stream = rig.stream(receiver);
    stream.attach(log);
    stream.recover();
    stream
}

fn numbers(metas: &[BlockMeta]) -> Vec<u64> {
    metas.iter().map(|meta| meta.id.number).collect()
}

/// Waits until a thread waits for this time.
fn await_deadline(rig: &Rig, millis: u64) {
    let until = SystemClock.now() + milliseconds(PATIENCE.as_millis() as u64);
    while rig.clock.next_deadline() != Some(at(millis)) {
        assert!(SystemClock.now() < until, "nobody waits for {millis}");
        std::thread::yield_now();
    }
}

/// What a restart finds now: blocks that no plan took, with their records.
fn after_crash(rig: &Rig, disk: &SimStorage) -> Vec<(u64, Vec<u64>)> {
    disk.crash_as(Crash::Lost);
    let stream = logged(rig, open(rig, disk).input("a"), Script(idle));
    let metas = stream.allocate(at(90_000), false, Limit::NONE).unwrap();
    let ids: Vec<_> = metas.iter().map(|meta| meta.id).collect();
    numbers(&metas).into_iter().zip(read(&stream, &ids)).collect()
}

#[test]
fn what_a_tick_allocates_is_durable_and_costs_one_sync() {
    let (rig, disk) = (Rig::new(), SimStorage::new(1));
    let log = open(&rig, &disk);
    let (a, b) = (logged(&rig, log.input("a"), Script(idle)), logged(&rig, log.input("b"), Script(idle)));
    for stream in [&a, &b] {
        let intake = stream.intake();
        (0..3).for_each(|n| intake.store(n).unwrap());
    }
    rig.clock.advance(milliseconds(200));
    // This cuts a block, which is written, but nothing waits for the disk.
    a.intake().store(3).unwrap();
    let syncs = disk.syncs();
    assert_eq!(numbers(&a.allocate(at(11_000), true, Limit::NONE).unwrap()), [0, 1]);
    // The first sync of all also makes the file's name durable.
    let first = disk.syncs() - syncs;
    assert_eq!(numbers(&b.allocate(at(11_000), true, Limit::NONE).unwrap()), [0]);
    assert_eq!(disk.syncs(), syncs + first, "the other input shares it");
    a.intake().store(4).unwrap();
    b.intake().store(4).unwrap();
    let syncs = disk.syncs();
    assert_eq!(numbers(&b.allocate(at(12_000), true, Limit::NONE).unwrap()), [1]);
    assert_eq!(numbers(&a.allocate(at(12_000), true, Limit::NONE).unwrap()), [2]);
    assert_eq!(disk.syncs(), syncs + 1);
    a.intake().store(5).unwrap();
    assert_eq!(after_crash(&rig, &disk), [(0, vec![0, 1, 2]), (1, vec![3]), (2, vec![4])], "no plan was told");
}

#[test]
fn reliable_records_are_durable_when_the_store_returns() {
    let (rig, disk) = (Rig::new(), SimStorage::new(1));
    let stream = logged(&rig, open(&rig, &disk).input("a"), Script(idle));
    let intake = stream.intake();
    intake.store(1).unwrap();
    intake.store_reliably(vec![2, 3]).unwrap();
    intake.store_reliably(Vec::new()).unwrap();
    intake.store(4).unwrap();
    assert_eq!(stream.info().records, 4);
    assert_eq!(after_crash(&rig, &disk), [(0, vec![1]), (1, vec![2, 3])]);
    stream.stop();
    assert!(matches!(intake.store_reliably(vec![5]), Err(StoreError::Stopped(_))));
}

#[test]
fn without_a_log_reliable_records_are_in_memory_when_the_store_returns() {
    let rig = Rig::new();
    let stream = rig.stream(Script(idle));
    stream.intake().store_reliably(vec![1, 2]).unwrap();
    assert_eq!(rig.take(&stream), [1, 2]);
}

#[test]
fn a_full_disk_holds_a_reliable_store_and_gives_the_records_back_in_the_end() {
    let (rig, disk) = (Rig::new(), SimStorage::new(1));
    disk.set_capacity(Some(ROOM));
    let (tell, told) = channel();
    let receiver = Script(move |intake: &Intake<u64>| {
        for records in [vec![1; 20_000], vec![2; 60_000], vec![3; 20_000]] {
            tell.send(intake.store_reliably(records).map_err(|e| e.to_string()))?;
        }
        Ok(())
    });
    let stream = logged(&rig, open(&rig, &disk).input("a"), receiver);
    stream.start().unwrap();
    assert_eq!(next(&told, 1), [Ok(())]);
    // Two pauses between three attempts: 100 ms, then 200 ms.
    await_deadline(&rig, 10_100);
    rig.clock.advance(milliseconds(100));
    await_deadline(&rig, 10_300);
    assert_eq!(told.try_recv(), Err(TryRecvError::Empty));
    rig.clock.advance(milliseconds(200));
    let refused = next(&told, 1).remove(0).unwrap_err();
    assert!(refused.contains("nothing was stored") && refused.contains("are to stay so"), "{refused}");
    assert_eq!(next(&told, 1), [Ok(())], "a smaller one fits");
    assert!(stream.join(None));
    assert_eq!(stream.info().records, 40_000);
    let found = after_crash(&rig, &disk);
    assert_eq!(found.iter().map(|(_, records)| records[0]).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_full_disk_fails_the_batch_and_loses_nothing() {
    let rig = Rig::set(&[(keys::RECEIVER_WAL_MAX_FAILURES.name(), "1")]);
    let disk = SimStorage::new(1);
    disk.set_capacity(Some(64 << 20));
    let stream = logged(&rig, open(&rig, &disk).input("a"), Script(idle));
    let intake = stream.intake();
    intake.store(1).unwrap();
    rig.clock.advance(milliseconds(200));
    intake.store(2).unwrap();
    rig.clock.advance(milliseconds(200));
    intake.store(3).unwrap();
    assert_eq!(rig.errors().len(), 1, "reported once");
    assert!(rig.errors()[0].contains("received records stay in memory"), "{:?}", rig.errors());
    for _ in 0..2 {
        let why = stream.allocate(at(11_000), true, Limit::NONE).unwrap_err().to_string();
        assert!(why.contains("make room and try again"), "{why}");
    }
    assert_eq!((stream.waiting(), stream.next_to_allocate()), (3, 0));
    disk.set_capacity(Some(ROOM));
    assert_eq!(numbers(&stream.allocate(at(11_000), true, Limit::NONE).unwrap()), [0, 1, 2]);
    assert_eq!(after_crash(&rig, &disk), [(0, vec![1]), (1, vec![2]), (2, vec![3])]);
}

#[test]
fn after_a_failed_sync_nothing_is_planned_or_acknowledged() {
    let (rig, disk) = (Rig::new(), SimStorage::new(1));
    let stream = logged(&rig, open(&rig, &disk).input("a"), Script(idle));
    let intake = stream.intake();
    intake.store_reliably(vec![1]).unwrap();
    intake.store(2).unwrap();
    disk.fail_sync(1);
    let why = stream.allocate(at(11_000), true, Limit::NONE).unwrap_err().to_string();
    assert!(why.contains("make the journal durable"), "{why}");
    let why = stream.allocate(at(11_000), true, Limit::NONE).unwrap_err().to_string();
    assert!(why.contains("takes nothing more"), "{why}");
    let why = intake.store_reliably(vec![3]).unwrap_err();
    assert!(matches!(why, StoreError::Unknown(_)), "{why}");
    assert_eq!(stream.waiting(), 2, "the third record is not kept, as nobody counts on it");
    assert_eq!(after_crash(&rig, &disk), [(0, vec![1])]);
}

/// Threads of two receivers and a batch loop at once; then the power goes.
#[test]
fn many_threads_share_the_log_and_every_acknowledged_record_is_there_once() {
    const EACH: u64 = 60;
    let (rig, disk) = (Rig::new(), SimStorage::new(3));
    let log = open(&rig, &disk);
    let streams = ["a", "b"].map(|id| logged(&rig, log.input(id), Script(idle)));
    let store = |thread: u64| {
        let intake = streams[(thread % 2) as usize].intake();
        let body = move || {
            for n in 0..EACH {
                let record = thread * 1_000 + n;
                if n % 3 == 0 { intake.store(record).unwrap() } else { intake.store_reliably(vec![record]).unwrap() }
            }
        };
        thread::spawn("storing", body).unwrap()
    };
    let threads: Vec<_> = (0..6).map(store).collect();
    let (mut taken, mut tick) = ([Vec::new(), Vec::new()], at(10_000));
    while !threads.iter().all(std::thread::JoinHandle::is_finished) {
        tick += milliseconds(50);
        rig.clock.set(tick);
        for (stream, taken) in streams.iter().zip(&mut taken) {
            let metas = stream.allocate(tick, true, Limit::NONE).unwrap();
            let ids: Vec<_> = metas.iter().map(|meta| meta.id).collect();
            taken.extend(read(stream, &ids).concat());
            stream.release(&ids);
            stream.retire(numbers(&metas), stream.next_to_allocate());
        }
        log.trim().unwrap();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let next = streams.each_ref().map(|stream| stream.next_to_allocate());
    disk.crash_as(Crash::Lost);
    let log = open(&rig, &disk);
    for (i, (id, mut taken)) in ["a", "b"].into_iter().zip(taken).enumerate() {
        let stream = rig.stream(Script(idle));
        stream.attach(log.input(id));
        stream.load(next[i]);
        stream.recover();
        taken.extend(rig.take(&stream));
        for thread in (i as u64..6).step_by(2) {
            let mine: Vec<u64> = taken.iter().filter(|n| **n / 1_000 == thread).map(|n| n % 1_000).collect();
            assert_eq!(mine, (0..EACH).collect::<Vec<_>>(), "in order, once; the last one was acknowledged");
        }
    }
}

/// A record that cannot be encoded if it is odd, and panics if it is 9.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct Fussy(u64);
impl serde::Serialize for Fussy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 != 9, "nine");
        if self.0 % 2 == 1 { Err(serde::ser::Error::custom("odd")) } else { serializer.serialize_u64(self.0) }
    }
}

#[test]
fn records_that_cannot_be_encoded_fail_their_own_batch_only() {
    let (rig, disk) = (Rig::new(), SimStorage::new(1));
    let log = open(&rig, &disk);
    let (a, b) =
        (logged(&rig, log.input("a"), Script(|_: &Intake<Fussy>| Ok(()))), logged(&rig, log.input("b"), Script(idle)));
    for bad in [9, 7] {
        let refused = a.intake().store_reliably(vec![Fussy(bad)]).unwrap_err().to_string();
        assert!(refused.starts_with("nothing was stored: block") && refused.contains("of input a"), "{refused}");
    }
    a.intake().store(Fussy(9)).unwrap();
    b.intake().store(1).unwrap();
    assert_eq!(b.allocate(at(11_000), true, Limit::NONE).unwrap().len(), 1);
    let why = a.allocate(at(11_000), true, Limit::NONE).unwrap_err().to_string();
    assert!(why.contains("block 2 of input a cannot be encoded") && why.contains("nine"), "{why}");
}

#[test]
fn records_of_another_type_are_refused_by_input_and_block() {
    let (rig, disk) = (Rig::new(), SimStorage::new(1));
    let stream = logged(&rig, open(&rig, &disk).input("a"), Script(|_: &Intake<String>| Ok(())));
    stream.intake().store_reliably(vec!["some text".into(), "more".into()]).unwrap();
    let stream = logged(&rig, open(&rig, &disk).input("a"), Script(|_: &Intake<(u64, u64)>| Ok(())));
    let metas = stream.allocate(at(11_000), true, Limit::NONE).unwrap();
    let Some(super::Content::Logged(block)) = stream.contents(&numbers(&metas)).remove(0) else {
        panic!("not in the log")
    };
    let why = block.read().unwrap_err();
    assert!(why.contains("block 0 of input a") && why.contains("(u64, u64)") && why.contains("uid"), "{why}");
}

/// What the model does.
#[derive(Clone, Debug)]
enum Op {
    Push,
    Reliable(usize),
    Advance(u64),
    /// A tick, which is logged: its plan survives everything.
    Tick(bool),
    /// The oldest planned batch is done.
    Settle,
    /// The oldest batch that is done is needed no longer, and the log is trimmed.
    Retire,
    /// A checkpoint: what `save` says.
    Checkpoint,
    Crash,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => Just(Op::Push),
        2 => (1usize..80).prop_map(Op::Reliable),
        3 => (0u64..400).prop_map(Op::Advance),
        3 => any::<bool>().prop_map(Op::Tick),
        3 => Just(Op::Settle),
        2 => Just(Op::Retire),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Crash),
    ];
    prop::collection::vec(op, 0..120)
}

/// A batch as a log would keep it.
#[derive(Clone, Debug)]
struct Batch {
    blocks: Vec<u64>,
    next: u64,
    records: Vec<u64>,
}

/// One input, the batches that were planned, and what the log must not forget.
struct Model {
    rig: Rig,
    disk: SimStorage,
    log: Received,
    stream: Arc<ReceiverStream<u64>>,
    /// Records in order, as they came.
    pushed: u64,
    /// Records before this one were acknowledged, or lie before one that was.
    acknowledged: u64,
    planned: Vec<Batch>,
    settled: Vec<Batch>,
    saved: Option<(u64, Batch)>,
    /// Of the newest batch.
    last: Option<Batch>,
    /// All that was ever in a batch.
    seen: BTreeMap<u64, usize>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let rig = Rig::new();
        let disk = SimStorage::new(seed);
        let log = open(&rig, &disk);
        let stream = logged(&rig, log.input("a"), Script(idle));
        let (planned, settled) = (Vec::new(), Vec::new());
        Model {
            rig,
            disk,
            log,
            stream,
            pushed: 0,
            acknowledged: 0,
            planned,
            settled,
            saved: None,
            last: None,
            seen: BTreeMap::new(),
        }
    }

    fn records(&self, batch: &Batch) -> Vec<u64> {
        let id = |number: &u64| super::BlockId { stream: 0, number: *number };
        read(&self.stream, &batch.blocks.iter().map(id).collect::<Vec<_>>()).concat()
    }

    fn step(&mut self, op: &Op) {
        let now = self.rig.clock.now();
        match op {
            Op::Push => {
                self.stream.intake().store(self.pushed).unwrap();
                self.pushed += 1;
            }
            Op::Reliable(n) => {
                let end = self.pushed + *n as u64;
                self.stream.intake().store_reliably((self.pushed..end).collect()).unwrap();
                (self.pushed, self.acknowledged) = (end, end);
            }
            Op::Advance(step) => self.rig.clock.advance(milliseconds(*step)),
            Op::Tick(latest) => self.tick(now.floor(seconds(1)), *latest),
            Op::Settle => {
                if !self.planned.is_empty() {
                    let batch = self.planned.remove(0);
                    assert_eq!(self.records(&batch), batch.records, "as planned");
                    let id = |number: &u64| super::BlockId { stream: 0, number: *number };
                    self.stream.release(&batch.blocks.iter().map(id).collect::<Vec<_>>());
                    assert_eq!(self.records(&batch), batch.records, "from the log");
                    self.settled.push(batch);
                }
            }
            Op::Retire => {
                // What is given up lies before a checkpoint.
                self.step(&Op::Checkpoint);
                if !self.settled.is_empty() {
                    let batch = self.settled.remove(0);
                    self.stream.retire(batch.blocks, batch.next);
                    self.log.trim().unwrap();
                }
            }
            Op::Checkpoint => {
                self.saved = self.last.clone().map(|last| (self.stream.next_to_allocate(), last));
            }
            Op::Crash => self.crash(),
        }
    }

    fn tick(&mut self, tick: winterbourne_base::Time, latest: bool) {
        let metas = self.stream.allocate(tick, latest, Limit::NONE).unwrap();
        let ids: Vec<_> = metas.iter().map(|meta| meta.id).collect();
        let records = read(&self.stream, &ids).concat();
        for record in &records {
            *self.seen.entry(*record).or_default() += 1;
        }
        self.acknowledged = self.acknowledged.max(records.last().map_or(0, |last| last + 1));
        let batch = Batch { blocks: numbers(&metas), next: self.stream.next_to_allocate(), records };
        self.last = Some(batch.clone());
        self.planned.push(batch);
    }

    /// The process dies with everything that is not durable; the plans are (that is the batch log's promise).
    fn crash(&mut self) {
        self.disk.crash();
        self.log = open(&self.rig, &self.disk);
        self.stream = self.rig.stream(Script(idle));
        self.stream.attach(self.log.input("a"));
        if let Some((next, last)) = &self.saved {
            self.stream.load(*next);
            self.stream.restore(last.blocks.iter().copied(), last.next);
        }
        for batch in self.settled.iter().chain(&self.planned) {
            self.stream.restore(batch.blocks.iter().copied(), batch.next);
        }
        self.stream.recover();
        for batch in self.settled.iter().chain(&self.planned) {
            assert_eq!(self.records(batch), batch.records, "after the crash");
        }
        // What was not durable was never received; the source sends it again, or did not expect it to be kept.
        let waiting = self.stream.waiting();
        let taken = self.seen.keys().next_back().map_or(0, |last| last + 1);
        assert!(taken + waiting >= self.acknowledged, "{taken} + {waiting} of {}", self.acknowledged);
        assert!(taken + waiting <= self.pushed);
        self.pushed = taken + waiting;
    }
}

proptest! {
    /// Whatever happens in whatever order: every record that is durable is in one batch, in order; none that was
    /// acknowledged is lost, none that a batch took comes again, and every plan reads the same until it is given up.
    #[test]
    fn durable_blocks_come_back_once_and_in_order(ops in ops(), seed in any::<u64>()) {
        let mut model = Model::new(seed);
        for op in &ops {
            model.step(op);
        }
        model.crash();
        let end = model.rig.clock.now() + seconds(5);
        model.tick(end.floor(seconds(1)), true);
        prop_assert_eq!(model.stream.waiting(), 0);
        let seen: Vec<u64> = model.seen.keys().copied().collect();
        prop_assert_eq!(seen, (0..model.pushed).collect::<Vec<_>>(), "no gap: nothing durable is lost");
        prop_assert!(model.seen.values().all(|n| *n == 1), "nothing comes twice");
        prop_assert!(model.planned.iter().chain(&model.settled).all(|b| b.records.is_sorted()));
    }
}
