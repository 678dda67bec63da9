//! Operator ids: what a batch log knows inputs and outputs by stays the same when the program around them changes.
mod common;
use common::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use winterbourne_streaming::{DStream, Error, RddQueue, StreamingContext, StreamingState, seconds};

/// The ids of a graph with a log, or what `start` says.
fn ids(build: impl FnOnce(&StreamingContext)) -> Result<Vec<String>, Error> {
    let (_clock, ssc) = manual(&[]);
    ssc.set_batch_log(Diary::default().log());
    build(&ssc);
    Ok(ssc.start_stepped()?.operator_ids())
}
fn queue(ssc: &StreamingContext) -> DStream<u64> {
    ssc.queue_stream(&RddQueue::new())
}
fn out(stream: &DStream<u64>) {
    stream.foreach_rdd(|_, _| Ok(()));
}
fn sockets(ssc: &StreamingContext, port: u16) -> DStream<u64> {
    ssc.socket_text_stream("127.0.0.1", port).map(|line| line.len() as u64)
}

#[test]
fn an_unrelated_branch_disturbs_nobody() {
    let alone = ids(|ssc| out(&sockets(ssc, 0).filter(|x| *x > 1))).unwrap();
    let beside = ids(|ssc| {
        out(&queue(ssc).uid("before").window(seconds(2)));
        let lines = sockets(ssc, 0);
        lines.map(|x| x + 1).print();
        out(&lines.filter(|x| *x > 1));
        out(&queue(ssc).uid("after"));
    })
    .unwrap();
    assert_eq!(alone.len(), 2);
    assert!(alone.iter().all(|id| beside.contains(id)), "{alone:?} in {beside:?}");
}
#[test]
fn closures_and_durations_do_not_rename_anything() {
    let with = |add: u64, window: u64| {
        ids(move |ssc| out(&sockets(ssc, 0).map(move |x| x + add).window(seconds(window)))).unwrap()
    };
    assert_eq!(with(1, 2), with(7, 30));
}
#[test]
fn the_kind_and_the_parameter_are_part_of_an_id() {
    let one = ids(|ssc| {
        out(&sockets(ssc, 0));
        out(&sockets(ssc, 1));
    })
    .unwrap();
    assert!(one[0].starts_with("socket_text_stream-") && one[0] != one[1], "{one:?}");
    assert!(one[2].starts_with("foreach_rdd-") && one[2].ends_with("~0") && one[3].ends_with("~0"), "{one:?}");
}
#[test]
fn two_inputs_that_cannot_be_told_apart_need_a_uid() {
    let twice = |ssc: &StreamingContext, first: Option<&str>| {
        for (i, name) in [first, None].into_iter().enumerate() {
            let stream = queue(ssc);
            let stream = name.map_or(stream.clone(), |n| stream.uid(n)).map(move |x| x + i as u64);
            out(&stream);
        }
    };
    let Err(Error::Graph(errors)) = ids(|ssc| twice(ssc, None)) else { panic!("started") };
    assert_eq!(errors.len(), 1, "{errors:?}");
    let GraphText { what, site } = (&errors[0]).into();
    assert!(what.contains(".uid(") && what.matches("ids.rs:").count() == 1 && site.contains("ids.rs:"), "{what}");
    let named = ids(|ssc| twice(ssc, Some("mine"))).unwrap();
    assert_eq!(named[0], "mine");
    // Nobody keeps anything under an id without a log.
    let (_clock, ssc) = manual(&[]);
    twice(&ssc, None);
    drop(ssc.start_stepped().unwrap());
}
struct GraphText {
    what: String,
    site: String,
}
impl From<&winterbourne_streaming::GraphError> for GraphText {
    fn from(e: &winterbourne_streaming::GraphError) -> Self {
        GraphText { what: e.what.clone(), site: e.site.to_string() }
    }
}
#[test]
fn one_uid_for_two_inputs_is_refused_and_so_are_empty_and_second_ones() {
    let Err(Error::Graph(errors)) = ids(|ssc| {
        out(&queue(ssc).uid("same"));
        out(&sockets(ssc, 0));
        let other = ssc.socket_text_stream("127.0.0.1", 9).uid("same");
        other.print();
        out(&queue(ssc).uid(""));
        out(&queue(ssc).uid("one").uid("two"));
    }) else {
        panic!("started")
    };
    let all: Vec<_> = errors.iter().map(|e| e.what.as_str()).collect();
    assert!(all.len() == 3 && all[0].contains("must not be empty") && all[1].contains("set twice"), "{all:?}");
    assert!(all[2].contains("cannot be told apart"), "{all:?}");
}
#[test]
fn a_uid_survives_a_change_upstream() {
    let upstream = |change: fn(DStream<u64>) -> DStream<u64>| {
        ids(move |ssc| {
            let stream = change(sockets(ssc, 0)).map(|x| x).uid("cleaned");
            out(&stream.filter(|_| true));
        })
        .unwrap()
    };
    let (plain, changed) = (upstream(|s| s), upstream(|s| s.filter(|_| true).map(|x| x)));
    assert_eq!(plain, changed);
    let without = |change: fn(DStream<u64>) -> DStream<u64>| ids(move |ssc| out(&change(sockets(ssc, 0)))).unwrap();
    assert_ne!(without(|s| s)[1], without(|s| s.map(|x| x))[1], "without one the output is another");
}
#[test]
fn outputs_of_one_stream_are_counted_in_their_order() {
    let all = ids(|ssc| {
        let stream = queue(ssc);
        out(&stream);
        stream.print();
        out(&stream);
    })
    .unwrap();
    let ends: Vec<_> =
        all[1..].iter().map(|id| (id.split('-').next().unwrap(), id.split('~').nth(1).unwrap())).collect();
    assert_eq!(ends, [("foreach_rdd", "0"), ("print", "0"), ("foreach_rdd", "1")]);
}
#[test]
fn a_graph_refused_for_its_ids_keeps_its_log_and_can_be_corrected() {
    let (_clock, ssc) = manual(&[]);
    let diary = Diary::default();
    ssc.set_batch_log(diary.log());
    let (first, second) = (queue(&ssc), queue(&ssc));
    out(&first.union(&second));
    assert!(ssc.start_stepped().is_err());
    assert_eq!(ssc.state(), StreamingState::Initialized);
    let (_first, _second) = (first.uid("first"), second.uid("second"));
    let mut run = ssc.start_stepped().unwrap();
    assert_eq!(run.operator_ids()[..2], ["first", "second"]);
    run.step().unwrap();
    assert_eq!(diary.take().len(), 2, "the log was kept");
}

/// A branch of a program: a socket, steps below it, and what is kept or put out at its end.
#[derive(Clone, Debug)]
struct Branch {
    port: u16,
    steps: Vec<Step>,
    keeps_state: bool,
    /// On the last step.
    uid: bool,
}
#[derive(Clone, Copy, Debug)]
enum Step {
    Map,
    Filter,
    Window(u64),
}
impl Step {
    fn of(self, stream: DStream<u64>) -> DStream<u64> {
        match self {
            Step::Map => stream.map(|x| x + 1),
            Step::Filter => stream.filter(|x| *x > 1),
            Step::Window(length) => stream.window(seconds(length)),
        }
    }
}
impl Branch {
    fn build(&self, ssc: &StreamingContext, above: &[Step]) {
        let steps = above.iter().chain(&self.steps);
        let stream = steps.fold(sockets(ssc, self.port), |stream, step| step.of(stream));
        let stream = if self.uid { stream.map(|x| x).uid(format!("branch {}", self.port)) } else { stream };
        if self.keeps_state {
            let sum = |new: Vec<u64>, sum: Option<u64>| Some(sum.unwrap_or(0) + new.len() as u64);
            out(&stream.map(|x| (x, x)).update_state_by_key(sum).volatile().map(|(_, n)| n));
        } else {
            out(&stream);
        }
    }
    /// The ids of this branch in a program of branches, those above and below included.
    fn ids(&self, above: &[Step]) -> BTreeSet<String> {
        ids(|ssc| self.build(ssc, above)).expect("a good program").into_iter().collect()
    }
}
/// Branches whose sockets can be told apart, in an order of their own.
fn branches() -> impl Strategy<Value = Vec<Branch>> {
    let step = || prop_oneof![Just(Step::Map), Just(Step::Filter), (1..5u64).prop_map(Step::Window)];
    let branch = (prop::collection::vec(step(), 0..4), any::<bool>(), any::<bool>());
    prop::collection::vec(branch, 1..5).prop_map(|all| {
        let branch = |(port, (steps, keeps_state, uid))| Branch { port, steps, keeps_state, uid };
        (1..).zip(all).map(branch).collect()
    })
}
proptest! {
    #[test]
    fn a_program_has_the_ids_of_its_branches_in_any_order(
        (all, shuffled) in branches().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let program = |branches: &[Branch]| -> BTreeSet<String> {
            ids(|ssc| branches.iter().for_each(|b| b.build(ssc, &[]))).unwrap().into_iter().collect()
        };
        let alone: BTreeSet<String> = all.iter().flat_map(|b| b.ids(&[])).collect();
        prop_assert_eq!(program(&all), alone.clone());
        prop_assert_eq!(program(&shuffled), alone);
    }
    #[test]
    fn a_step_above_renames_what_is_below_it_unless_a_uid_lies_between(all in branches()) {
        let branch = &all[0];
        let (before, after) = (branch.ids(&[]), branch.ids(&[Step::Map, Step::Filter]));
        prop_assert_eq!(before.len(), after.len());
        // The socket stands above the step.
        let kept = before.intersection(&after).count();
        prop_assert_eq!(kept, if branch.uid { before.len() } else { 1 });
    }
}
