//! The stream tester drives programs batch by batch: what goes in, what comes out, when, and the same way every time.
use winterbourne_base::SparkConf;
use winterbourne_streaming::{Error, StreamingState, seconds};
use winterbourne_testkit::{StreamTester, TEST_START};

#[test]
fn one_push_is_one_batch_and_a_step_without_one_is_empty() {
    let mut tester = StreamTester::new(seconds(2));
    let (numbers, stream) = tester.input::<u64>();
    let out = tester.output(&stream.map(|x| x + 1));
    numbers.push([1, 2, 3]);
    numbers.push([4]);
    tester.steps(3).unwrap();
    let times = [2, 4, 6].map(|s| TEST_START + seconds(s));
    assert_eq!(out.take_timed(), times.into_iter().zip([vec![2, 3, 4], vec![5], vec![]]).collect::<Vec<_>>());
    assert!(out.take().is_empty(), "taken is taken");
    assert_eq!(StreamTester::elapsed(tester.step().unwrap()), seconds(8));
}
#[test]
fn inputs_have_the_partitions_they_are_told() {
    let mut tester = StreamTester::new(seconds(1));
    let ((two, left), (five, right)) = (tester.input::<u8>(), tester.input::<u8>());
    let sizes = [&left, &right].map(|s| tester.output(&s.map_partitions(|records| [records.count()])));
    two.push(0..10);
    five.partitions(5).push(0..10);
    tester.step().unwrap();
    assert_eq!(sizes.map(|s| s.take()), [[vec![5, 5]], [vec![2; 5]]]);
}
#[test]
fn sorted_output_is_for_operators_behind_a_shuffle() {
    let mut tester = StreamTester::new(seconds(1));
    let (words, stream) = tester.input::<&str>();
    let counts = tester.output(&stream.map(|w| (w, 1u64)).map(|(w, n)| (w.to_owned(), n)).reduce_by_key(|a, b| a + b));
    words.push(["b", "a", "c", "a"]);
    tester.step().unwrap();
    assert_eq!(counts.take_sorted(), [[("a".into(), 2), ("b".into(), 1), ("c".into(), 1)]]);
}
#[test]
fn the_console_has_what_a_program_prints() {
    let mut tester = StreamTester::new(seconds(1));
    let (console, (numbers, stream)) = (tester.console(), tester.input::<u64>());
    stream.print();
    numbers.push([7]);
    tester.step().unwrap();
    assert!(console.take().contains("\n7\n"));
    assert_eq!(console.take(), "");
}
#[test]
fn a_step_says_what_is_wrong_with_the_graph_or_the_batch() {
    let mut tester = StreamTester::new(seconds(1));
    assert!(matches!(tester.step(), Err(Error::Graph(_))), "no output yet");
    let (numbers, stream) = tester.input::<u64>();
    let out = tester.output(&stream.map(|x| 10 / x));
    numbers.push([0]);
    numbers.push([5]);
    assert!(matches!(tester.step(), Err(Error::Batch(e)) if e.to_string().contains("divide by zero")));
    tester.run().skip_failed();
    tester.step().unwrap();
    assert_eq!(out.take(), [[2]]);
    let ssc = tester.context().clone();
    drop(tester);
    assert_eq!(ssc.state(), StreamingState::Stopped);
}
#[test]
fn the_same_program_gives_the_same_batches_on_any_number_of_threads() {
    let run = |threads: usize| {
        let conf = SparkConf::empty().set_master(format!("local[{threads}]")).set("spark.default.parallelism", 3);
        let mut tester = StreamTester::with_conf(conf, seconds(1));
        let (numbers, stream) = tester.input::<u64>();
        let sums = stream.map(|x| (x % 17, x)).reduce_by_key(|a, b| a + b).window_by(seconds(3), seconds(2));
        let out = tester.output(&sums);
        for i in 0..6 {
            numbers.push(i * 1000..(i + 1) * 1000);
            tester.step().unwrap();
        }
        numbers.close();
        out.take_timed()
    };
    let one = run(1);
    assert_eq!((one.len(), &run(2), &run(4)), (3, &one, &one));
}
