//! W2mem: streaming word count of lines that lie in memory, batch after batch without a pause.
use crate::{
    Out, Result,
    args::Args,
    corpus,
    meter::measure,
    row::Row,
    stats::percentile,
    words::{Tally, context, count_stream},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use winterbourne::{
    BoxError, Rdd, SparkContext, StreamingContext, Text,
    engine::Site,
    seconds,
    streaming::{Input, Planned, Tick},
};

/// The blocks of one batch, as a receiver would have stored them.
type Blocks = Vec<Vec<Arc<Vec<Text>>>>;

/// Batches that are there already; after the last there is nothing to do.
struct Memory {
    batches: Vec<Blocks>,
    next: usize,
    site: Site,
}
impl Memory {
    /// Whole batches of `per_batch` lines, each in `parts` blocks. Lines are shared, not copied.
    fn of(lines: &[Text], per_batch: usize, parts: usize) -> Self {
        let block = |batch: &[Text], p| batch[batch.len() * p / parts..batch.len() * (p + 1) / parts].to_vec();
        let blocks = |batch| (0..parts).map(|p| vec![Arc::new(block(batch, p))]).collect();
        Memory { batches: lines.chunks_exact(per_batch).map(blocks).collect(), next: 0, site: Site::caller() }
    }
}
impl Input<Text> for Memory {
    /// The number of the batch.
    type Plan = usize;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<usize>>, BoxError> {
        let Some(blocks) = self.batches.get(self.next) else { return Ok(None) };
        let records = blocks.iter().flatten().map(|lines| lines.len() as u64).sum();
        let plan = self.next;
        self.next += 1;
        Ok(Some(Planned { plan, records: Some(records), description: format!("batch {plan}") }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &usize) -> Result<Rdd<Text>, BoxError> {
        Ok(sc.from_blocks(self.site, self.batches[*plan].clone()))
    }
}

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let (file, threads) = (corpus::file(args, None)?, args.threads());
    let sc = context(threads)?;
    let lines = sc.text_file(file.to_str().ok_or("the text's path is not UTF-8")?, 1).collect()?;
    let sizes = args.n.map_or(vec![10_000, 100_000], |n| vec![n as usize]);
    for _ in 0..args.rounds(1) {
        for per_batch in sizes.iter().filter(|n| args.wants(&format!("{n} lines"))) {
            out(stream(&sc, &lines, *per_batch, threads)?);
        }
    }
    Ok(())
}

fn stream(sc: &SparkContext, lines: &[Text], per_batch: usize, threads: usize) -> Result<Row> {
    let memory = Memory::of(lines, per_batch, threads);
    let batches = memory.batches.len();
    if batches == 0 {
        return Err(format!("the text has only {} lines", lines.len()).into());
    }
    let ssc = StreamingContext::new(sc, seconds(1))?;
    let total = Arc::<Mutex<Tally>>::default();
    let sum = total.clone();
    count_stream(&ssc.input_stream("memory", memory)).foreach_rdd(move |counts, _| {
        let tally = Tally::of(counts)?;
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = sum.plus(tally);
        Ok(())
    });
    let mut run = ssc.start_stepped()?;
    let mut batch_ms = Vec::with_capacity(batches);
    let (done, spent) = measure(|| -> Result {
        for _ in 0..batches {
            let begun = Instant::now();
            run.step()?;
            batch_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(())
    });
    done?;
    let tally = *total.lock().unwrap_or_else(PoisonError::into_inner);
    let (p50, p99) = (percentile(&mut batch_ms, 50), percentile(&mut batch_ms, 99));
    Ok(Row::new("W2mem", format!("{per_batch} lines"), threads, (batches * per_batch) as u64, spent)
        .result("distinct_sum", tally.distinct)
        .result("words", tally.words)
        .result("batch_ms_p50", p50)
        .more("batch_ms_p50", p50)
        .more("batch_ms_p99", p99))
}
