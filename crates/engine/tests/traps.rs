//! What surprises people in Spark's RDDs, each trap a test named after what happens here; to be read beside Spark's
//! documentation. Where a trap has a test elsewhere already, [`ELSEWHERE`] says where, and that the test is still there.
//! Those of streams are in the tests of the streaming crate.
use std::sync::Arc;
use winterbourne_engine::{Rdd, Shape, Site, SparkConf, SparkContext, StorageLevel, lineage::Count};

/// The trap, the file and the test.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("`local[N]` tries a task once, `local[N,F]` F times", ERRORS, "retries_start_afresh"),
    ("9 bytes in 2 are 3 partitions, an empty file has none", TEXT_FILES, "partition_counts_are_sparks"),
    ("a lone CR ends a line, a BOM is left out", TEXT_FILES, "awkward_files_in_splits_of_every_size"),
    ("hidden files, nested directories, globs in order", TEXT_FILES, "what_a_path_means"),
    ("a zero enters once for each key and partition", KEYED, "a_zero_enters_once_for_each_partition_that_has_the_key"),
    ("the zero of a tree does not depend on the tree", ACTIONS, "the_zero_of_a_tree_enters_as_in_aggregate"),
    ("ranges may be fewer than asked for", PARTITIONERS, "ranges_are_as_many_as_keys_allow"),
    ("a filter by range leaves out partitions", SORTED, "partitions_that_cannot_hold_the_keys_are_not_computed"),
    ("a partitioner is used again if it is wide enough", JOINS, "partitions_of_a_join_are_sparks"),
    ("which of several that is", PARTITIONERS, "the_widest_partitioner_that_is_wide_enough_is_kept"),
    ("no partitions at all are refused", PARTITIONERS, "no_partitions_are_refused"),
    ("0.0 and -0.0 differ, NaN is one", KEYED, "floats_are_keys_when_wrapped"),
    ("nothing has a sum and a mean, and no variance", ACTIONS, "nothing_has_no_extremes_but_sums_and_means"),
    ("a file for each partition, also an empty one", OUTPUTS, "a_file_for_each_partition_and_a_mark_at_the_end"),
    ("a directory that is there is refused", OUTPUTS, "a_directory_that_is_there_is_refused_and_nothing_runs"),
    ("a process for each partition, also an empty one", PIPE, "it_runs_for_empty_partitions_and_only_for_them"),
    ("a checkpoint comes before the first job", CHECKPOINT, "it_must_be_marked_before_the_first_job"),
    ("transformations count as often as they run", ACCUMULATORS, "transformations_count_as_often_as_they_are_computed"),
    ("a broadcast value is gone after `destroy`", BROADCAST, "use_after_destroy_names_both_places"),
];
const ACCUMULATORS: &str = include_str!("engine/accumulators.rs");
const ACTIONS: &str = include_str!("engine/actions.rs");
const BROADCAST: &str = include_str!("engine/broadcast.rs");
const CHECKPOINT: &str = include_str!("engine/checkpoint.rs");
const ERRORS: &str = include_str!("engine/errors.rs");
const JOINS: &str = include_str!("engine/joins.rs");
const KEYED: &str = include_str!("engine/keyed.rs");
const OUTPUTS: &str = include_str!("engine/outputs.rs");
const PARTITIONERS: &str = include_str!("engine/partitioners.rs");
const PIPE: &str = include_str!("engine/pipe.rs");
const SORTED: &str = include_str!("engine/sorted.rs");
const TEXT_FILES: &str = include_str!("engine/text_files.rs");

fn context() -> SparkContext {
    SparkContext::new(SparkConf::empty().set_app_name("traps").set_master("local[2]")).expect("a good configuration")
}
fn parts<T: winterbourne_engine::Data>(rdd: &Rdd<T>) -> Vec<Vec<T>> {
    rdd.glom().collect().expect("nothing fails here")
}

#[test]
fn traps_that_have_their_test_elsewhere_still_have_it() {
    for (trap, file, test) in ELSEWHERE {
        assert!(file.contains(&format!("#[test]\nfn {test}()")), "{trap}: there is no {test}");
    }
}

#[test]
fn fold_and_aggregate_enter_the_zero_once_for_each_partition_and_once_more() {
    let sc = context();
    let sum = |rdd: &Rdd<i32>| rdd.fold(10, |a, b| a + b).unwrap();
    assert_eq!(sum(&sc.parallelize([1, 2, 3], 2)), 36);
    assert_eq!(sum(&sc.parallelize([], 2)), 30, "empty partitions too");
    assert_eq!(sum(&sc.empty_rdd()), 10, "no partition, but the end");
    assert_eq!(sc.parallelize([1, 2, 3], 2).aggregate(10, |n, x| n + x, |a, b| a + b).unwrap(), 36);
}

#[test]
fn slices_are_cut_at_i_n_over_p() {
    let sc = context();
    assert_eq!(parts(&sc.parallelize(1..=10, 3)), [vec![1, 2, 3], vec![4, 5, 6], vec![7, 8, 9, 10]]);
    assert_eq!(parts(&sc.parallelize(0..7, 3)), [vec![0, 1], vec![2, 3], vec![4, 5, 6]]);
    assert_eq!(parts(&sc.parallelize(Vec::<u8>::new(), 3)), [[]; 3], "nothing has its partitions all the same");
    assert_eq!(parts(&sc.range_by(0, 10, 3, 2)), [[0, 3], [6, 9]]);
    assert_eq!(sc.empty_rdd::<u8>().num_partitions().unwrap(), 0);
}

#[test]
fn a_product_goes_partition_by_partition() {
    let sc = context();
    let (left, right) = (sc.parallelize([1, 2, 3], 2), sc.parallelize(['a', 'b', 'c'], 2));
    let expect = [
        vec![(1, 'a')],
        vec![(1, 'b'), (1, 'c')],
        vec![(2, 'a'), (3, 'a')],
        vec![(2, 'b'), (2, 'c'), (3, 'b'), (3, 'c')],
    ];
    assert_eq!(parts(&left.cartesian(&right)), expect);
}

#[test]
fn unique_ids_have_gaps_and_need_no_job() {
    let sc = context();
    let letters = sc.parallelize(['a', 'b', 'c', 'd', 'e'], 2);
    let (unique, numbered) = (letters.zip_with_unique_id(), letters.zip_with_index());
    assert_eq!(sc.counts().jobs, 0, "neither does `zip_with_index` where it is written, unlike Spark's");
    assert_eq!(unique.values().collect().unwrap(), [0, 2, 1, 3, 5]);
    assert_eq!(numbered.values().collect().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_union_of_what_is_spread_alike_stays_spread_and_nothing_is_left_out() {
    let sc = context();
    let spread = |n| sc.range(0..10, 2).map(|x| (x, x)).partition_by(n);
    for (name, other, partitions, kept) in [
        ("alike", spread(3), 3, true),
        ("otherwise", spread(4), 3 + 4, false),
        ("not at all", sc.range(0..10, 2).map(|x| (x, x)), 3 + 2, false),
        ("without partitions", sc.empty_rdd(), 3, true),
        ("without partitions, and not to be read", nothing(&sc), 3, true),
    ] {
        let union = spread(3).union(&other);
        assert_eq!(union.num_partitions().unwrap(), partitions, "{name}");
        assert_eq!(union.partitioner() == spread(3).partitioner(), kept, "{name}");
        assert_eq!(union.count().unwrap(), 10 + other.count().unwrap(), "{name}: doubles stay");
    }
}
/// As an empty file: no partitions, and whoever reads one does wrong.
fn nothing(sc: &SparkContext) -> Rdd<(u64, u64)> {
    let (site, partitions) = (Site::caller(), Count::known(0));
    let shape = Shape { name: "nothing", site, partitions, deps: vec![], partitioner: None, depth: 0 };
    sc.make(shape, |p, _| unreachable!("there is no partition {p}"))
}

#[test]
fn the_last_bucket_is_closed_on_the_right_and_one_value_makes_one_bucket() {
    let sc = context();
    let numbers = sc.range(1..11, 3);
    assert_eq!(numbers.histogram(3).unwrap(), (vec![1.0, 4.0, 7.0, 10.0], vec![3, 3, 4]));
    assert_eq!(numbers.histogram_with(&[1.0, 4.0, 10.0]).unwrap(), [3, 7]);
    assert_eq!(sc.parallelize([7, 7], 2).histogram(3).unwrap(), (vec![7.0, 7.0], vec![2]));
}

#[test]
fn a_cached_rdd_keeps_its_records_as_they_are() {
    let sc = context();
    let record = Arc::new(7); // not even something that can be serialised
    let cached = sc.from_blocks(Site::caller(), vec![vec![Arc::new(vec![record.clone()])]]).map(|x| x).cache();
    assert_eq!(cached.storage_level(), StorageLevel::MEMORY_ONLY);
    assert_eq!(StorageLevel::MEMORY_ONLY.to_string(), "StorageLevel(memory, deserialized, 1 replicas)");
    for _ in 0..2 {
        assert!(Arc::ptr_eq(&cached.first().unwrap(), &record));
    }
}

#[test]
fn an_rdd_without_partitions_is_empty_and_so_is_one_without_records() {
    let sc = context();
    assert!(sc.empty_rdd::<u8>().is_empty().unwrap());
    assert!(sc.parallelize(Vec::<u8>::new(), 3).is_empty().unwrap());
    assert!(!sc.parallelize([0, 1], 3).filter(|x| *x == 1).is_empty().unwrap());
    for none in [sc.empty_rdd::<u8>(), sc.parallelize([], 3)] {
        for error in [none.first().unwrap_err(), none.reduce(|a, _| a).unwrap_err(), none.max().unwrap_err()] {
            assert!(error.to_string().starts_with("empty collection"), "{error}");
        }
    }
}

#[test]
fn the_last_of_several_values_of_a_key_is_in_the_map() {
    let pairs = context().parallelize([("a", 1), ("b", 2), ("a", 3)], 2);
    let map = pairs.collect_as_map().unwrap();
    assert_eq!((map["a"], map["b"], map.len()), (3, 2, 2));
}
