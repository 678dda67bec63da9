//! Actions on numbers, on order, and those whose result is a map: what they promise beyond their twins.
use crate::common::*;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use winterbourne_engine::{Error, Order, RangePartitioner, Result, Site, StatCounter, Text, Total};

/// The error of an action, as text.
fn refusal<R>(result: Result<R>) -> String {
    result.err().expect("must fail").to_string()
}

#[test]
fn nothing_has_no_extremes_but_sums_and_means() {
    let sc = threads(2);
    for none in [sc.empty_rdd::<f64>(), sc.parallelize([1.0], 3).filter(|_| false)] {
        for e in [refusal(none.min()), refusal(none.max()), refusal(none.tree_reduce(|a, _| a))] {
            assert!(e.starts_with("empty collection"), "{e}");
        }
        assert_eq!((none.top(3).unwrap(), none.take_ordered(3).unwrap()), (vec![], vec![]));
        assert_eq!((none.sum().unwrap(), none.mean().unwrap()), (0.0, 0.0));
        assert!(none.variance().unwrap().is_nan() && none.sample_stdev().unwrap().is_nan());
        let stats = none.stats().unwrap();
        assert_eq!((stats.min(), stats.max()), (f64::INFINITY, f64::NEG_INFINITY));
        let text = "(count: 0, mean: 0.000000, stdev: NaN, max: -Infinity, min: Infinity)";
        assert_eq!(stats.to_string(), text);
        assert!(refusal(none.histogram(3)).contains("empty RDD"));
        assert_eq!(none.histogram_with(&[0.0, 1.0]).unwrap(), [0]);
        assert_eq!(none.map(Total).count_approx_distinct().unwrap(), 0);
        assert_eq!(none.to_local_iterator().count(), 0);
    }
    assert!(sc.empty_rdd::<(u8, u8)>().count_by_key().unwrap().is_empty());
    assert_eq!(sc.empty_rdd::<(u8, u8)>().lookup(3).unwrap(), []);
    assert_eq!(sc.empty_rdd::<(u8, u8)>().partition_by(3).lookup(3).unwrap(), []);
}
#[test]
fn an_order_is_found_for_whatever_has_one() {
    let sc = threads(2);
    assert_eq!(sc.parallelize([2.5f32, f32::NAN, -1.0], 2).top(2).unwrap()[1], 2.5);
    assert_eq!(sc.parallelize(["b", "a"], 1).max().unwrap(), "b");
    assert_eq!(sc.parallelize([("a", Total(0.5)), ("b", Total(0.1))], 1).min_by_key(|e| e.1).unwrap().0, "b");
    assert_eq!(sc.parallelize([("a", 0.5), ("b", 0.1)], 1).top_by_key(1, |e| e.1).unwrap(), [("a", 0.5)]);
    fn greatest<T: winterbourne_engine::Data + Ord>(rdd: &winterbourne_engine::Rdd<T>) -> Option<T> {
        rdd.max().ok()
    }
    assert_eq!(greatest(&sc.range(0..9, 4)), Some(8));
}
#[test]
fn integers_add_up_exactly_whatever_is_on_the_way() {
    let sc = threads(2);
    // A float would be off by one here.
    assert_eq!(sc.parallelize([1i64 << 60, 1, 1], 2).sum().unwrap(), (1 << 60) + 2);
    assert_eq!(sc.parallelize([u64::MAX - 3, 3], 2).sum().unwrap(), u64::MAX);
    // Partial sums may leave the type.
    assert_eq!(sc.parallelize([i64::MAX, i64::MAX, i64::MIN, i64::MIN], 2).sum().unwrap(), -2);
    assert_eq!(sc.parallelize(vec![i8::MIN; 5000], 3).sum().unwrap(), -640_000);
    assert_eq!(sc.parallelize([u128::MAX - 1, 1], 2).sum().unwrap(), u128::MAX);
    let line = line!() + 1;
    let e = sc.parallelize([u64::MAX, 1], 2).sum().unwrap_err();
    assert!(matches!(e, Error::SumOverflow { .. }), "{e}");
    let text = e.to_string();
    assert!(text.contains("u64") && text.contains(&format!("actions.rs:{line}:")), "{text}");
    assert!(sc.parallelize([i128::MIN, -1], 2).sum().is_err());
}
#[test]
fn stats_do_not_cancel_digits() {
    // A naive sum of squares would be off by far.
    let far = 1e9;
    let all: StatCounter = (1..=10).map(|x| far + f64::from(x)).collect();
    assert!((all.variance() - 8.25).abs() < 1e-6, "{}", all.variance());
    let mut parts = StatCounter::new();
    for x in 1..=10 {
        parts.merge(&[far + f64::from(x)].into_iter().collect());
    }
    assert!((parts.variance() - 8.25).abs() < 1e-6, "{}", parts.variance());
    // One side much heavier than the other.
    let mut heavy: StatCounter = (0..1000).map(|x| far + f64::from(x % 10)).collect();
    let light: StatCounter = [far + 4.5].into_iter().collect();
    let mut other = light;
    other.merge(&heavy);
    heavy.merge(&light);
    for stats in [heavy, other] {
        assert!((stats.mean() - far - 4.5).abs() < 1e-6 && (stats.variance() - 8.25).abs() < 0.01, "{stats}");
    }
    let nan: StatCounter = [1.0, f64::NAN, 3.0].into_iter().collect();
    assert!(nan.max().is_nan() && nan.min().is_nan() && nan.mean().is_nan());
}
#[test]
fn counters_of_very_different_weight_are_merged_exactly() {
    let of = |n: usize, x: f64| std::iter::repeat_n(x, n).collect::<StatCounter>();
    for (heavy, light) in [(99, 1), (1, 99), (200, 4), (4, 200), (11, 1), (1, 11), (3, 1), (1, 3), (2, 2)] {
        let (mut all, other) = (of(heavy, 0.0), of(light, 100.0));
        all.merge(&other);
        let (n, part) = ((heavy + light) as f64, light as f64 / (heavy + light) as f64);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs();
        assert!(near(all.mean(), 100.0 * part) && all.count() as f64 == n, "{heavy} and {light}: {all}");
        assert!(near(all.variance(), 10_000.0 * part * (1.0 - part)), "{heavy} and {light}: {all}");
    }
}
#[test]
fn histograms_say_what_is_wrong_with_edges_and_records() {
    let sc = threads(1);
    let numbers = sc.range(0..10, 2);
    for (edges, expect) in [
        (&[][..], "at least two elements"),
        (&[1.0][..], "at least two elements"),
        (&[1.0, 1.0][..], "edges must ascend: number 1 is 1, the next one 1"),
        (&[0.0, 2.0, 1.0][..], "number 2 is 2, the next one 1"),
        (&[0.0, f64::NAN][..], "number 1 is 0, the next one NaN"),
    ] {
        let e = refusal(numbers.histogram_with(edges));
        assert!(e.contains(expect) && e.contains("actions.rs"), "{edges:?}: {e}");
    }
    assert!(refusal(numbers.histogram(0)).contains("must be positive"));
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(refusal(sc.parallelize([1.0, odd], 2).histogram(2)).contains("NaN or an infinity"));
    }
    assert!(refusal(sc.parallelize([f64::MIN, f64::MAX], 2).histogram(2)).contains("wider apart"));
    assert_eq!(sc.parallelize([3, 3, 3], 2).histogram(5).unwrap(), (vec![3.0, 3.0], vec![3]));
    let endless = [f64::NEG_INFINITY, 5.0, f64::INFINITY];
    assert_eq!(numbers.histogram_with(&endless).unwrap(), [5, 5]);
}
#[test]
fn a_lookup_runs_one_partition_if_keys_are_spread() {
    let sc = threads(2);
    let pairs = sc.range(0..90, 9).map(|x| (x % 9, x));
    let tasks = |run: &dyn Fn()| {
        let before = sc.counts().tasks;
        run();
        sc.counts().tasks - before
    };
    assert_eq!(tasks(&|| assert_eq!(pairs.lookup(4).unwrap().len(), 10)), 9);
    let spread = pairs.partition_by(5).map_values(|v| v + 1);
    spread.count().unwrap();
    assert_eq!(tasks(&|| assert_eq!(spread.lookup(4).unwrap()[..3], [5, 14, 23])), 1);
    assert_eq!(tasks(&|| assert_eq!(spread.lookup(77).unwrap(), [])), 1);
    let halves = pairs.partition_by(RangePartitioner::new(2, &pairs, Order::Ascending).expect("runs"));
    halves.count().unwrap();
    assert_eq!(tasks(&|| assert_eq!(halves.lookup(8).unwrap().len(), 10)), 1);
    // A sort knows where keys are once it has run; 9 map tasks before.
    let ordered = pairs.sort_by_key_in(Order::Ascending, 3);
    assert_eq!(tasks(&|| assert_eq!(ordered.lookup(4).unwrap().len(), 10)), 9 + 3);
    assert_eq!(tasks(&|| assert_eq!(ordered.lookup(5).unwrap().len(), 10)), 1);
}
#[test]
fn a_local_iterator_runs_a_job_for_each_partition_when_it_is_asked_for() {
    let sc = threads(2);
    let mut all = sc.range(0..10, 5).to_local_iterator();
    for x in 0..10 {
        assert_eq!(all.next().unwrap().unwrap(), x);
        assert_eq!(sc.counts().jobs, x / 2 + 1);
    }
    assert!(all.next().is_none() && all.next().is_none());
    let failing = sc.range(0..10, 5).map(|x| if x == 5 { panic!("five") } else { x }).to_local_iterator();
    let items: Vec<Result<u64>> = failing.collect();
    assert_eq!(items.len(), 5, "four records, an error, nothing more");
    assert!(matches!(&items[4], Err(Error::Task { partition: 2, .. })));
}
#[test]
fn a_tree_has_a_depth_and_merges_in_tasks() {
    let sc = threads(2);
    let e = refusal(sc.range(0..9, 3).tree_reduce_with(|a, b| a + b, 0));
    assert!(e.starts_with("Depth must be greater than or equal to 1 but got 0"), "{e}");
    assert!(sc.range(0..9, 3).tree_aggregate_with(0, |a, x| a + x, |a, b| a + b, 0).is_err());
    // The driver merges the last few only: 64 partitions in two levels are 8 groups, and one more merge with the zero.
    let (driver, here) = (Arc::new(AtomicU64::new(0)), std::thread::current().id());
    let merges = driver.clone();
    let merge = move |a: u64, b: u64| {
        let is_task = std::thread::current().id() != here;
        merges.fetch_add(u64::from(!is_task), SeqCst);
        a + b
    };
    let before = sc.counts();
    assert_eq!(sc.range(0..640, 64).tree_aggregate(0, |a, x| a + x, merge).unwrap(), 640 * 639 / 2);
    let after = sc.counts();
    assert_eq!((after.jobs - before.jobs, after.tasks - before.tasks), (2, 64 + 8));
}
#[test]
fn the_zero_of_a_tree_enters_as_in_aggregate() {
    let sc = threads(2);
    for depth in 1..4 {
        let tree = sc.range(0..3, 30).tree_aggregate_with(10, |a, x| a + x, |a, b| a + b, depth).unwrap();
        assert_eq!(tree, 313, "depth {depth}");
    }
}
#[test]
fn wrong_precisions_are_refused() {
    let sc = threads(1);
    let numbers = sc.range(0..9, 2);
    assert!(refusal(numbers.count_approx_distinct_with(0.000_017)).contains("must be greater than 0.000017"));
    assert!(refusal(numbers.count_approx_distinct_precise(3, 0)).contains("p (3) must be at least 4"));
    assert!(refusal(numbers.count_approx_distinct_precise(10, 9)).contains("cannot be greater than sp (9)"));
    assert!(refusal(numbers.count_approx_distinct_precise(10, 33)).contains("at most 32"));
    assert_eq!(numbers.count_approx_distinct_precise(32, 32).unwrap(), 9);
    let by_key = numbers.map(|x| (x, x)).count_approx_distinct_by_key_in(0.0, 2);
    assert!(matches!(by_key.count(), Err(Error::Precision { .. })));
}
#[test]
fn lanes_agree() {
    everywhere(2, |sc| {
        let numbers = sc.range(0..1000, 7).map(|x| (x * 7919) % 101);
        let pairs = numbers.map(|x| (x % 5, x));
        let spread = pairs.partition_by(3);
        let order = (numbers.min()?, numbers.max()?, numbers.top(5)?, numbers.take_ordered_by_key(5, |x| x % 10)?);
        let sums = (numbers.sum()?, numbers.stats()?.to_string(), numbers.histogram(4)?);
        let maps = (pairs.count_by_key()?, pairs.reduce_by_key_locally(|a, b| a + b)?, spread.lookup(2)?);
        let trees =
            (numbers.tree_reduce_with(|a, b| a + b, 3)?, numbers.to_local_iterator().collect::<Result<Vec<_>>>()?);
        let distinct = (numbers.count_approx_distinct()?, sorted(pairs.count_approx_distinct_by_key().collect()?));
        let within = winterbourne_base::time::milliseconds(0);
        let about = (numbers.count_approx(within)?.final_value()?, numbers.mean_approx(within)?.final_value()?);
        Ok((order, sums, maps, trees, distinct, about))
    });
}
#[test]
fn what_is_kept_holds_no_read_buffer() {
    let sc = threads(2);
    let file = Arc::new("a line that is longer than an inlined one; another line that is longer still".to_owned());
    let lines = [0..41, 43..file.len()].map(|r| Text::slice(&file, r));
    assert!(!lines[0].is_detached());
    let rdd = sc.from_blocks(Site::caller(), vec![vec![Arc::new(lines.to_vec())]]);
    assert!(rdd.top(2).unwrap().iter().all(Text::is_detached));
    assert!(rdd.min().unwrap().is_detached());
    assert!(rdd.count_by_value().unwrap().keys().all(Text::is_detached));
    let pairs = rdd.map(|line| (line, 1));
    assert!(pairs.reduce_by_key_locally(|a, b| a + b).unwrap().keys().all(Text::is_detached));
}
#[test]
fn a_comparison_that_panics_fails_its_task_or_its_action() {
    let sc = threads(2);
    let e = refusal(sc.range(0..10, 2).top_by(2, |_, _| panic!("incomparable")));
    assert!(e.contains("incomparable") && e.contains("actions.rs"), "{e}");
    // One record in each task: compared on the driver only.
    let e = refusal(sc.range(0..2, 2).min_by(|_, _| panic!("incomparable")));
    assert!(e.contains("incomparable"), "{e}");
    let e = refusal(sc.range(0..2, 2).map(|x| (0, x)).reduce_by_key_locally(|_, _| panic!("irreducible")));
    assert!(e.contains("irreducible"), "{e}");
}
