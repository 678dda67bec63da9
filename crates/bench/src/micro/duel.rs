//! [`Duel`]: two ways to one result, run in turns on one thread.
use crate::{
    Out, Result,
    meter::{Spent, measure},
    row::Row,
    stats::median,
};

/// Something to run; its value must not depend on how it is computed.
type Way = Box<dyn FnMut() -> Result<u64>>;

pub(super) struct Duel {
    pub(super) name: &'static str,
    pub(super) records: u64,
    /// Through the library.
    pub(super) ours: Way,
    /// By hand.
    pub(super) hand: Way,
}

impl Duel {
    /// Runs both `rounds` times and hands over a row for each, with the medians.
    pub(super) fn fight(mut self, rounds: usize, out: Out) -> Result {
        let (mut ours, mut hand) = (Vec::new(), Vec::new());
        let mut value = 0;
        for _ in 0..rounds {
            let (by_hand, spent) = measure(&mut self.hand);
            hand.push(spent);
            let (by_us, spent) = measure(&mut self.ours);
            ours.push(spent);
            let (by_hand, by_us) = (by_hand?, by_us?);
            if by_hand != by_us {
                return Err(format!("{}: {by_us} instead of {by_hand}", self.name).into());
            }
            value = by_us;
        }
        let (ours, hand) = (medians(&ours), medians(&hand));
        for (who, spent) in [("loop", hand), ("ours", ours)] {
            let row = Row::new("micro", format!("{} {who}", self.name), 1, self.records, spent).result("value", value);
            let row = row.more("ns_per_record", spent.wall_s * 1e9 / self.records.max(1) as f64);
            out(if who == "ours" { row.more("wall_ratio", ours.wall_s / hand.wall_s) } else { row });
        }
        Ok(())
    }
}

fn medians(all: &[Spent]) -> Spent {
    let of = |field: fn(&Spent) -> f64| median(&mut all.iter().map(field).collect::<Vec<_>>());
    Spent { wall_s: of(|s| s.wall_s), cpu_s: of(|s| s.cpu_s), peak_rss_mb: of(|s| s.peak_rss_mb) }
}
