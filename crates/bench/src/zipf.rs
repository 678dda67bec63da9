//! [`Zipf`]: ranks whose frequency is one over the rank. Integers only, so the same on every machine.
use crate::random::Random;

/// The weight of rank one.
const UNIT: u64 = 1 << 32;

pub(crate) struct Zipf {
    /// Where the share of each rank ends.
    ends: Vec<u64>,
}
impl Zipf {
    /// Of this many ranks.
    pub(crate) fn of(ranks: usize) -> Self {
        let shares = (1..=ranks as u64).scan(0, |end, rank| {
            *end += UNIT / rank;
            Some(*end)
        });
        Zipf { ends: shares.collect() }
    }
    /// A rank, counted from zero.
    pub(crate) fn rank(&self, random: &mut Random) -> usize {
        let at = random.below(self.ends.last().copied().unwrap_or(0));
        self.ends.partition_point(|end| *end <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequency_is_one_over_rank() {
        let (zipf, mut random, mut seen) = (Zipf::of(1000), Random(1), vec![0u32; 1000]);
        (0..200_000).for_each(|_| seen[zipf.rank(&mut random)] += 1);
        for rank in [2, 5, 10] {
            let ratio = f64::from(seen[0]) / f64::from(seen[rank - 1]);
            assert!((0.9..1.1).contains(&(ratio / rank as f64)), "rank {rank}: {ratio}");
        }
    }
}
