//! The laws of windowed and stateful operators: each equals its twin, whatever fails, however many partitions and threads
//! there are, wherever the program ends and begins again, and on two lanes.
mod twins;

use proptest::prelude::*;
use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt::Debug,
    rc::Rc,
    sync::{Arc, Mutex},
};
use twins::{Batch, Out};
use winterbourne_base::{Duration, ManualClock, SparkConf, Time};
use winterbourne_engine::{Data, Show, SparkContext, show};
use winterbourne_streaming::{DStream, InverseOptions, State, StateOptions, StateSpec, StreamingContext, milliseconds};
use winterbourne_testkit::{ProgramTester, StreamTester, TEST_START, TestInput, TestOutput, lanes::run_on_lanes};

/// What differs from case to case.
#[derive(Clone, Debug)]
struct Case {
    batches: Vec<Batch>,
    /// Between batches, in milliseconds.
    interval: u64,
    /// These are numbers of batches.
    window: usize,
    slide: usize,
    timeout: usize,
    /// Between checkpoints.
    every: usize,
    /// Of each life of the program.
    partitions: Vec<usize>,
    threads: Vec<usize>,
    /// Outputs that run at once.
    jobs: Vec<usize>,
}
fn cases() -> impl Strategy<Value = Case> {
    let batch = prop::collection::vec((0..6u64, 1..10i64), 0..8);
    let batches = prop::collection::vec(prop::option::weighted(0.9, batch), 2..12);
    let interval = prop::sample::select(vec![1u64, 40, 1000, 90_000]);
    let lives = || prop::collection::vec(1..5usize, 5);
    let numbers = (1..5usize, 1..4usize, 0..4usize, 1..4usize);
    let lives = (lives(), lives(), prop::collection::vec(prop::sample::select(vec![1, 4]), 5));
    (batches, interval, numbers, lives).prop_map(|(batches, interval, numbers, (partitions, threads, jobs))| {
        let (window, slide, timeout, every) = numbers;
        Case { batches, interval, window, slide, timeout, every, partitions, threads, jobs }
    })
}
/// What happens while the second batch runs, or a later one.
#[derive(Clone, Debug)]
enum Event {
    Calm,
    /// A task that reads this partition.
    FailTask(usize),
    /// An output, before anything is computed for it.
    FailBefore(prop::sample::Index),
    /// An output, when the state below it was computed.
    FailAfter(prop::sample::Index),
    /// So many changes of the disk later the power is cut.
    CutPower(u64),
    Kill,
    Stop,
}
fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Calm),
        2 => (0..2usize).prop_map(Event::FailTask),
        2 => any::<prop::sample::Index>().prop_map(Event::FailBefore),
        2 => any::<prop::sample::Index>().prop_map(Event::FailAfter),
        1 => (0..9u64).prop_map(Event::CutPower),
        1 => Just(Event::Kill),
        1 => Just(Event::Stop),
    ]
}

/// Takes a stream of the program by its name.
trait Outlet {
    fn take<T: Data + Show>(&mut self, name: &'static str, stream: &DStream<T>);
}
const INITIAL: [(u64, i64); 2] = [(0, 100), (9, 7)];

/// Every windowed and stateful operator, over one input.
fn program(pairs: &DStream<(u64, i64)>, case: &Case, partitions: usize, out: &mut impl Outlet) {
    let interval = milliseconds(case.interval);
    let (w, s) = (interval * case.window as u64, interval * case.slide as u64);
    let (add, take) = (|a: i64, b: i64| a + b, |a: i64, b: i64| a - b);
    let slower = pairs.window_by(w, s);
    out.take("window", &slower);
    out.take("window_of_window", &slower.reduce_by_key_and_window_by(add, s * 2, s));
    let slow = slower.update_state_by_key_in(|new: Vec<i64>, old: Option<i64>| update(&new, old), partitions);
    out.take("state_of_window", &slow.uid("slow"));
    out.take("reduce_by_key_and_window", &pairs.reduce_by_key_and_window_by(add, w, s));
    out.take("reduce_by_key_and_window_in", &pairs.reduce_by_key_and_window_in(add, w, s, partitions));
    out.take("group_by_key_and_window", &pairs.group_by_key_and_window_in(w, s, partitions));
    let values = pairs.map(|(_, v)| v);
    out.take("reduce_by_window", &values.reduce_by_window(add, w, s));
    let options = || InverseOptions::default().num_partitions(partitions);
    let all = pairs.reduce_by_key_and_window_inverse_with(add, take, w, s, options());
    let every = s * case.every as u64;
    out.take("by_inverse", &all.uid("by_inverse").checkpoint(every));
    let but_zeros = options().filter(|_, n| *n != 0);
    let some = pairs.reduce_by_key_and_window_inverse_with(add, take, w, s, but_zeros);
    out.take("by_inverse_filtered", &some.uid("by_inverse_filtered"));
    out.take("reduce_by_window_inverse", &values.reduce_by_window_inverse(add, take, w, s));
    out.take("count_by_window", &values.count_by_window(w, s).map(|n| n as i64));
    out.take("count_by_value_and_window", &values.count_by_value_and_window_in(w, s, partitions));
    let sums = pairs.update_state_by_key_in(|new: Vec<i64>, old: Option<i64>| update(&new, old), partitions);
    let sums = sums.uid("sums");
    out.take("update_state_by_key", &sums);
    out.take("versions_of_state", &sums.window(w));
    let sc = pairs.streaming_context().spark_context();
    let initial = sc.parallelize(INITIAL.map(|(k, n)| (k, (2, n))), 2);
    let timed = pairs.update_state_by_key_with_time(
        move |t, _, new: Vec<i64>, old: Option<(u64, i64)>| update_timed(number(t, interval) as u64, &new, old),
        StateOptions::default().num_partitions(partitions).initial_state(initial),
    );
    out.take("update_state_by_key_with_time", &timed.uid("timed"));
    let by_partition = pairs.update_state_by_partition(
        |all| all.filter_map(|(k, new, old)| Some((k, count(&new, old)?))).collect::<Vec<_>>(),
        StateOptions::default().num_partitions(partitions),
    );
    out.take("update_state_by_partition", &by_partition);
    let spec = StateSpec::function(|k: &u64, v: Option<i64>, sum: &mut State<'_, i64>| {
        let so_far = sum.get().copied().unwrap_or(0);
        let Some(v) = v else { return (*k, -1, so_far) };
        if v == 9 {
            sum.remove()
        } else {
            sum.update(so_far + v)
        }
        (*k, v, so_far + v)
    });
    let initial = sc.parallelize(INITIAL, 2);
    let spec = spec.timeout(interval * case.timeout as u64).num_partitions(partitions).initial_state(initial);
    let mapped = pairs.map_with_state(spec);
    out.take("map_with_state", &mapped);
    out.take("state_snapshots", &mapped.state_snapshots());
    out.take("versions_of_snapshots", &mapped.state_snapshots().window(w));
    out.take("window_of_mapped", &mapped.window(w));
}
/// Which batch that is, from 1.
fn number(t: Time, interval: Duration) -> usize {
    (StreamTester::elapsed(t).as_millis() / interval.as_millis()) as usize
}
fn update(new: &[i64], old: Option<i64>) -> Option<i64> {
    let sum: i64 = old.unwrap_or(0) + new.iter().sum::<i64>();
    (new.is_empty() || sum % 5 != 0).then_some(sum)
}
fn update_timed(t: u64, new: &[i64], old: Option<(u64, i64)>) -> Option<(u64, i64)> {
    let (then, last) = if let Some(last) = new.last() { (t, *last) } else { old? };
    (then + 2 > t).then_some((then, last))
}
fn count(new: &[i64], old: Option<u64>) -> Option<u64> {
    let n = old.unwrap_or(0) + new.len() as u64;
    (n % 4 != 3).then_some(n)
}

/// Records as text, sorted, by batch.
type Texts = BTreeMap<usize, Vec<String>>;
fn texts<T: Show>(out: Out<T>) -> Texts {
    let batch = |records: Vec<T>| {
        let mut all: Vec<String> = records.iter().map(|r| show(r)).collect();
        all.sort();
        all
    };
    out.into_iter().map(|(t, records)| (t, batch(records))).collect()
}
fn expected(case: &Case) -> BTreeMap<&'static str, Texts> {
    let (b, w, s) = (&case.batches[..], case.window, case.slide);
    let sums = twins::updated(b, [], |_, new, old| update(&new, old));
    let initial = INITIAL.map(|(k, n)| (k, (2, n)));
    let timed = twins::updated(b, initial, |t, new, old| update_timed(t as u64, &new, old));
    // Every batch of the slower stream is one; its number counts slides.
    let slower = twins::slower(b, w, s);
    let slow = |out: Texts| out.into_iter().map(|(n, texts)| (n * s, texts)).collect();
    let of_state = twins::updated(&slower, [], |_, new, old| update(&new, old));
    let (told, after) = twins::mapped(b, case.timeout, &INITIAL);
    [
        ("window", texts(twins::windows(b, w, s))),
        ("window_of_window", slow(texts(twins::sums(&slower, 2, 1)))),
        ("state_of_window", slow(texts(of_state))),
        ("reduce_by_key_and_window", texts(twins::sums(b, w, s))),
        ("reduce_by_key_and_window_in", texts(twins::sums(b, w, s))),
        ("group_by_key_and_window", texts(twins::groups(b, w, s))),
        ("reduce_by_window", texts(twins::totals(b, w, s))),
        ("by_inverse", texts(twins::running_sums(b, w, s))),
        ("by_inverse_filtered", texts(twins::running_sums_but_zeros(b, w, s))),
        ("reduce_by_window_inverse", texts(twins::running_totals(b, w, s, |v| v))),
        ("count_by_window", texts(twins::running_totals(b, w, s, |_| 1))),
        ("count_by_value_and_window", texts(twins::value_counts(b, w, s))),
        ("versions_of_state", texts(twins::versions(&sums, b.len(), w))),
        ("update_state_by_key", texts(sums)),
        ("update_state_by_key_with_time", texts(timed)),
        ("update_state_by_partition", texts(twins::updated(b, [], |_, new, old| count(&new, old)))),
        ("window_of_mapped", texts(twins::versions(&told, b.len(), w))),
        ("map_with_state", texts(told)),
        ("versions_of_snapshots", texts(twins::versions(&after, b.len(), w))),
        ("state_snapshots", texts(after)),
    ]
    .into()
}

/// Outputs that outlive the program.
#[derive(Clone, Default)]
struct Outputs(BTreeMap<&'static str, TestOutput<String>>);
impl Outlet for Outputs {
    fn take<T: Data + Show>(&mut self, name: &'static str, stream: &DStream<T>) {
        self.0.entry(name).or_default().collect(&stream.map(|r| show(&r)));
    }
}
impl Outputs {
    fn texts(&self, interval: Duration) -> BTreeMap<&'static str, Texts> {
        let batch = |(t, records)| (number(t, interval), records);
        self.0.iter().map(|(name, out)| (*name, out.take_by_time().into_iter().map(batch).collect())).collect()
    }
}
fn feed(case: &Case) -> TestInput<(u64, i64)> {
    let input = TestInput::new();
    for batch in &case.batches {
        match batch {
            Some(records) => input.push(records.clone()),
            None => input.pause(),
        }
    }
    input
}
/// The case through these events, beginning with the second batch.
fn run(case: &Case, events: &[Event]) -> BTreeMap<&'static str, Texts> {
    let interval = milliseconds(case.interval);
    let (input, outputs, life) = (feed(case), Outputs::default(), Rc::new(Cell::new(0)));
    // So that the handles are there before the first start.
    let names = expected(case);
    let outputs = Outputs(names.keys().map(|name| (*name, TestOutput::new())).chain(outputs.0).collect());
    let (feed, mut out, of, lives) = (input.clone(), outputs.clone(), case.clone(), life.clone());
    let mut tester = ProgramTester::new(interval, move |ssc: &StreamingContext| {
        let partitions = of.partitions[lives.get() % of.partitions.len()];
        program(&feed.stream(ssc, "pairs"), &of, partitions, &mut out);
    });
    let (mut done, mut left) = (0, case.batches.len());
    while left > 0 {
        let event = if done == 0 { &Event::Calm } else { events.get(done - 1).unwrap_or(&Event::Calm) };
        done += 1;
        let threads = case.threads[life.get() % case.threads.len()];
        // A failure waits for a batch in which it has something to fail, so several may come together.
        let jobs = case.jobs[life.get() % case.jobs.len()];
        let conf =
            SparkConf::empty().set_master(format!("local[{threads}]")).set("spark.streaming.concurrentJobs", jobs);
        tester.set_conf(conf.set("spark.streaming.batch.maxAttempts", 20));
        let nth = |i: &prop::sample::Index| outputs.0.values().nth(i.index(outputs.0.len())).expect("one of them");
        match event {
            Event::FailTask(partition) => input.fault().fail(*partition, 1),
            Event::FailBefore(i) => nth(i).fail_before(1),
            Event::FailAfter(i) => nth(i).fail_after(1),
            Event::CutPower(n) => tester.disk().cut_power_after(*n),
            Event::Calm | Event::Kill | Event::Stop => {}
        }
        let step = tester.step();
        if let Ok(t) = &step {
            left = case.batches.len().saturating_sub(number(*t, interval));
        }
        let ends = match event {
            Event::Kill => Some(ProgramTester::kill as fn(&mut ProgramTester)),
            Event::Stop => Some(ProgramTester::stop as fn(&mut ProgramTester)),
            Event::CutPower(_) => Some(cut_power as fn(&mut ProgramTester)),
            _ => {
                step.expect("a failure is tried again");
                None
            }
        };
        if let Some(end) = ends {
            end(&mut tester);
            life.set(life.get() + 1);
        }
    }
    outputs.texts(interval)
}
fn cut_power(tester: &mut ProgramTester) {
    let _ = tester.cut_power();
}
fn compare(got: &BTreeMap<&'static str, Texts>, expected: &BTreeMap<&'static str, Texts>) -> Result<(), TestCaseError> {
    for (name, expected) in expected {
        prop_assert_eq!(got.get(name), Some(expected), "{}", name);
    }
    prop_assert_eq!(got.len(), expected.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn windowed_and_stateful_operators_equal_their_twins_whatever_happens(
        case in cases(), events in prop::collection::vec(event(), 16),
    ) {
        compare(&run(&case, &events), &expected(&case))?;
    }
    #[test]
    fn a_restart_at_a_random_batch_is_no_difference(case in cases(), at in 0..10usize, how in 0..3usize) {
        let end = [Event::Kill, Event::Stop, Event::CutPower(u64::MAX)][how].clone();
        let events: Vec<Event> = std::iter::repeat_n(Event::Calm, at).chain([end]).collect();
        let calm = run(&case, &[]);
        compare(&run(&case, &events), &calm)?;
        compare(&calm, &expected(&case))?;
    }
    #[test]
    fn many_partitions_and_two_lanes_give_what_one_gives(case in cases(), partitions in 2..6usize) {
        let alone = |partitions: usize, sc: &SparkContext| stepped(sc, &case, partitions);
        let sc = SparkContext::new(conf()).expect("a context");
        let one = alone(1, &sc).expect("no failure");
        compare(&one, &expected(&case))?;
        compare(&alone(partitions, &sc).expect("no failure"), &one)?;
        let of = case.clone();
        for lane in run_on_lanes(2, &conf(), move |sc| stepped(sc, &of, partitions)) {
            compare(&lane.expect("no failure"), &one)?;
        }
    }
}

/// A case of these batches, with windows of two.
#[track_caller]
fn check(batches: impl IntoIterator<Item = Batch>, events: &[Event]) {
    let (batches, lives) = (batches.into_iter().collect(), || vec![2, 3]);
    let case = Case {
        batches,
        interval: 1000,
        window: 2,
        slide: 1,
        timeout: 2,
        every: 1,
        partitions: lives(),
        threads: lives(),
        jobs: vec![4, 1],
    };
    for (name, expected) in expected(&case) {
        assert_eq!(run(&case, events)[name], expected, "{name}");
    }
}
#[test]
fn a_program_that_ends_before_anything_came_has_its_initial_state_afterwards() {
    for end in [Event::Stop, Event::Kill] {
        check([None, None, None, Some(vec![(0, 1)]), None], &[end]);
    }
}
#[test]
fn a_task_that_fails_while_a_batch_is_applied_again_is_tried_again() {
    let batches = (1..6).map(|n| Some(vec![(n, 1), (n + 1, 9), (0, 2)]));
    check(batches, &[Event::Kill, Event::FailTask(0), Event::Calm, Event::Kill, Event::FailTask(1)]);
}

fn conf() -> SparkConf {
    SparkConf::empty().set_app_name("laws").set_master("local[1]").set("spark.streaming.state.volatile", true)
}
/// Collects on the driver, as a lane must.
#[derive(Clone)]
struct Shared(Arc<Mutex<BTreeMap<&'static str, Texts>>>, Duration);
impl Outlet for Shared {
    fn take<T: Data + Show>(&mut self, name: &'static str, stream: &DStream<T>) {
        let (all, interval) = (self.0.clone(), self.1);
        all.lock().expect("plain map").insert(name, Texts::new());
        stream.foreach_rdd(move |rdd, time| {
            let batch = texts(Out::from([(number(time, interval), rdd.collect()?)]));
            all.lock().expect("plain map").entry(name).or_default().extend(batch);
            Ok(())
        });
    }
}
/// The case on this context, without a disk.
fn stepped(
    sc: &SparkContext,
    case: &Case,
    partitions: usize,
) -> winterbourne_engine::Result<BTreeMap<&'static str, Texts>> {
    let interval = milliseconds(case.interval);
    let failed = |e: &dyn Debug| winterbourne_engine::Error::User(format!("{e:?}").into());
    let ssc = StreamingContext::with_clock(sc, interval, ManualClock::new(TEST_START)).map_err(|e| failed(&e))?;
    let mut out = Shared(Arc::default(), interval);
    program(&feed(case).stream(&ssc, "pairs"), case, partitions, &mut out);
    let mut run = ssc.start_stepped().map_err(|e| failed(&e))?;
    for _ in &case.batches {
        run.step().map_err(|e| failed(&e))?;
    }
    Ok(std::mem::take(&mut *out.0.lock().expect("plain map")))
}
