//! A stream of RDDs that the program pushes into a queue: Spark Streaming's `QueueStream`. Nothing but the program itself
//! is needed to run it.
//!
//!     cargo run --example queue_stream
use winterbourne::prelude::*;

/// The graph: how many numbers have each last digit.
pub fn build(numbers: &DStream<u64>) -> DStream<(u64, u64)> {
    numbers.map(|x| (x % 10, 1)).reduce_by_key(|a, b| a + b)
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let conf = SparkConf::new().set_app_name("queue_stream").set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, milliseconds(200))?;
    let queue = RddQueue::new();
    build(&ssc.queue_stream(&queue)).print();
    ssc.start()?;
    for n in 1..=10 {
        queue.push(ssc.spark_context().range(0..n * 100, 10)); // a batch each, from any thread
    }
    queue.close(); // the stream ends when the queue is empty
    ssc.await_termination()?;
    Ok(())
}

#[test]
fn every_rdd_is_a_batch_and_the_stream_ends_with_the_queue() {
    let sc = SparkContext::new(SparkConf::empty().set_app_name("test").set_master("local[2]")).unwrap();
    let ssc = StreamingContext::new(&sc, milliseconds(5)).unwrap();
    let queue: RddQueue<u64> = [sc.range(0..25, 3), sc.range(0..10, 1)].into_iter().collect();
    let (tell, heard) = std::sync::mpsc::channel();
    build(&ssc.queue_stream(&queue)).foreach_rdd(move |rdd, _| {
        let mut counts = rdd.collect()?;
        counts.sort();
        Ok(tell.send(counts)?)
    });
    ssc.start().unwrap();
    ssc.await_termination().unwrap();
    let batches: Vec<_> = heard.try_iter().filter(|batch| !batch.is_empty()).collect();
    let digits =
        |many: u64| (0..10).map(|digit| (digit, if digit < 5 { many } else { many.min(2) })).collect::<Vec<_>>();
    assert_eq!(batches, [digits(3), digits(1)]);
}
