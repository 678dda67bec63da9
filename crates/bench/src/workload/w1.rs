//! W1: batch word count, file in, number of distinct words out.
use crate::{
    Out, Result,
    args::Args,
    corpus,
    meter::measure,
    row::Row,
    words::{Tally, context, count_words},
};

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let (file, threads) = (corpus::file(args, args.n)?, args.threads());
    let bytes = std::fs::metadata(&file)?.len();
    let path = file.to_str().ok_or("the text's path is not UTF-8")?;
    let sc = context(threads)?;
    // Not timed; brings the file into the page cache as well.
    let lines = sc.text_file(path, threads).count()?;
    for _ in 0..args.rounds(1) {
        let (done, counting) = measure(|| -> Result<_> {
            let counts = count_words(&sc.text_file(path, threads));
            Ok((counts.count()?, counts))
        });
        let (distinct, counts) = done?;
        // What proves the work is a second job over the same shuffle, not timed; dropping the shuffle is.
        let words = Tally::of(&counts)?.words;
        let ((), dropping) = measure(|| drop(counts));
        let row = Row::new("W1", "count", threads, lines, counting + dropping).bytes(bytes);
        out(row.result("distinct", distinct).result("words", words));
    }
    Ok(())
}
