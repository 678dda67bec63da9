//! PageRank: how likely somebody who follows links at random is to be on each page.
//!
//!     cargo run --example page_rank                    a handful of pages
//!     cargo run --example page_rank -- LINKS [TOP]     LINKS: lines "from to"; `#` begins a comment
//!
//! Pages are spread by key once, with their links, and stay; a round moves one number for each link, combined before
//! the shuffle. What a round has come to is checkpointed, so that the hundredth one does not drag ninety-nine along.
use std::iter::once;
use winterbourne::prelude::*;

/// A link is followed with this probability; otherwise any page is next.
pub const FOLLOWS: f64 = 0.85;

/// Lines "from to".
pub fn links(lines: &Rdd<Text>) -> Rdd<(Text, Text)> {
    let parse = |line: Text| -> Result<(Text, Text), String> {
        match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            [from, to] => Ok((Text::from(from), Text::from(to))),
            _ => Err(format!("`{line}` is not `from to`")),
        }
    };
    lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#')).try_map(OnBadRecord::Fail, parse)
}
/// Each page with those it links to, once each; a page that only others name has none.
pub fn graph(links: &Rdd<(Text, Text)>) -> Rdd<(Text, Vec<Text>)> {
    let named = links.map(|(_, to)| (to, ())).distinct();
    links.cogroup(&named).map_values(|(mut to, _)| {
        to.sort();
        to.dedup();
        to
    })
}
/// The rank of each page of a graph; they sum to 1. Ends with the first round in which ranks move by no more than
/// `enough` in all.
pub fn page_rank(graph: &Rdd<(Text, Vec<Text>)>, enough: f64) -> Result<Rdd<(Text, f64)>, BoxError> {
    let pages = graph.count()? as f64;
    let mut ranks = graph.map_values(move |_| 1.0 / pages);
    loop {
        let received = round(graph, &ranks).cache(); // two jobs of this round read it
        let lost = 1.0 - received.values().sum()?; // by pages without links, and by rounding
        let rank = move |received| (1.0 - FOLLOWS) / pages + FOLLOWS * (received + lost / pages);
        let next = received.map_values(rank).local_checkpoint();
        let moved = ranks.join(&next).values().map(|(before, after)| (before - after).abs()).sum()?;
        ranks = next;
        if moved <= enough {
            return Ok(ranks);
        }
    }
}
/// What each page receives from those that link to it.
fn round(graph: &Rdd<(Text, Vec<Text>)>, ranks: &Rdd<(Text, f64)>) -> Rdd<(Text, f64)> {
    let shares = graph.join(ranks).flat_map(|(page, (links, rank))| {
        let share = rank / links.len() as f64;
        once((page, 0.0)).chain(links.into_iter().map(move |to| (to, share)))
    });
    shares.reduce_by_key(|a, b| a + b)
}

const LINKS: &str = "
home news
home shop
home help
news home
news shop
shop cart
shop home
cart shop
help home
# The cart links to a bank, which links to nobody.
cart bank
";

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let sc = SparkContext::new(SparkConf::new().set_app_name("page_rank"))?;
    let (lines, top) = match &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => (sc.parallelize(LINKS.lines().map(Text::from), 2), 10),
        [path] => (sc.text_file(path, sc.default_parallelism()), 10),
        [path, top] => (
            sc.text_file(path, sc.default_parallelism()),
            top.parse().map_err(|_| format!("TOP is a number, not `{top}`"))?,
        ),
        _ => return Err("give LINKS and perhaps TOP, or nothing".into()),
    };
    let graph = graph(&links(&lines)).cache();
    for (page, rank) in page_rank(&graph, 1e-6)?.top_by_key(top, |(_, rank)| *rank)? {
        println!("{rank:.4} {page}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn context(threads: usize) -> SparkContext {
        let conf = SparkConf::empty().set_app_name("test").set_master(format!("local[{threads}]"));
        SparkContext::new(conf).unwrap()
    }
    fn sample(sc: &SparkContext) -> Rdd<(Text, Vec<Text>)> {
        graph(&links(&sc.parallelize(LINKS.lines().map(Text::from), 3))).cache()
    }
    fn ranks(threads: usize) -> BTreeMap<String, f64> {
        let ranks = page_rank(&sample(&context(threads)), 1e-12).unwrap();
        ranks.collect().unwrap().into_iter().map(|(page, rank)| (page.to_string(), rank)).collect()
    }
    /// A hundred rounds over a table of all pages.
    fn by_hand() -> BTreeMap<String, f64> {
        let links = LINKS.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once(' '));
        let links: BTreeSet<(&str, &str)> = links.collect();
        let pages: BTreeSet<&str> = links.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let n = pages.len() as f64;
        let mut ranks: BTreeMap<&str, f64> = pages.iter().map(|p| (*p, 1.0 / n)).collect();
        for _ in 0..100 {
            let mut next: BTreeMap<&str, f64> = pages.iter().map(|p| (*p, (1.0 - FOLLOWS) / n)).collect();
            for (page, rank) in &ranks {
                let to: Vec<&str> = links.iter().filter(|l| l.0 == *page).map(|l| l.1).collect();
                let to = if to.is_empty() { pages.iter().copied().collect() } else { to };
                to.iter().for_each(|t| *next.get_mut(t).unwrap() += FOLLOWS * rank / to.len() as f64);
            }
            ranks = next;
        }
        ranks.into_iter().map(|(page, rank)| (page.to_string(), rank)).collect()
    }
    #[test]
    fn ranks_are_those_of_the_matrix_and_do_not_depend_on_threads() {
        let (ranks, expected) = (ranks(2), by_hand());
        assert_eq!(ranks, self::ranks(1));
        assert!((ranks.values().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(ranks.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (page, rank) in expected {
            assert!((ranks[&page] - rank).abs() < 1e-9, "{page}: {} {rank}", ranks[&page]);
        }
    }
    #[test]
    fn a_round_has_one_shuffle_and_lets_earlier_ones_go() {
        let sc = context(2);
        let graph = sample(&sc);
        let shuffles = |rdd: &Rdd<_>| rdd.to_debug_string().matches("+-").count();
        let first = graph.map_values(|_| 0.1);
        assert_eq!(shuffles(&round(&graph, &first)), shuffles(&first) + 1, "pages meet their ranks where they are");
        let last = page_rank(&graph, 1e-3).unwrap();
        assert_eq!(last.to_debug_string().lines().count(), 1);
        assert_eq!(shuffles(&round(&graph, &last)), shuffles(&first) + 1, "a checkpoint keeps them there");
    }
    #[test]
    fn a_bad_line_is_named() {
        let lines = context(1).parallelize(["a b", "a b c"].map(Text::from), 1);
        let error = links(&lines).count().unwrap_err();
        assert!(error.to_string().contains("`a b c` is not `from to`"), "{error}");
    }
}
