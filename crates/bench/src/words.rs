//! The word count, as RDD and as stream, and what is told of its result.
use winterbourne::{BoxError, DStream, Rdd, SparkConf, SparkContext, Text};

/// A context of `threads` threads that reads nothing from the environment.
pub(crate) fn context(threads: usize) -> winterbourne::engine::Result<SparkContext> {
    SparkContext::new(conf(threads))
}
pub(crate) fn conf(threads: usize) -> SparkConf {
    SparkConf::empty().set_app_name("winterbourne-bench").set_master(format!("local[{threads}]"))
}

/// Words, pairs, counts.
pub(crate) fn count_words(lines: &Rdd<Text>) -> Rdd<(Text, u64)> {
    lines.flat_map(|line| line.split_owned(' ')).map(|word| (word, 1)).reduce_by_key(|a, b| a + b)
}
/// The same of every batch.
pub(crate) fn count_stream(lines: &DStream<Text>) -> DStream<(Text, u64)> {
    lines.flat_map(|line| line.split_owned(' ')).map(|word| (word, 1)).reduce_by_key(|a, b| a + b)
}

/// What there is in a word count.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) distinct: u64,
    pub(crate) words: u64,
}
impl Tally {
    /// One job, no more than `count` and an addition per entry.
    pub(crate) fn of(counts: &Rdd<(Text, u64)>) -> Result<Tally, BoxError> {
        let zero = Tally::default();
        Ok(counts.aggregate(zero, |t, (_, n)| t.plus(Tally { distinct: 1, words: n }), Tally::plus)?)
    }
    pub(crate) fn plus(self, more: Tally) -> Tally {
        Tally { distinct: self.distinct + more.distinct, words: self.words + more.words }
    }
}
