//! `zip_with_index` over four partitions, against one loop that counts as it goes. Who numbers partitions has to know how
//! long those before are: all but the last are computed twice.
use super::Duel;
use crate::{Result, words::context};

fn keep(i: &u64) -> bool {
    !i.is_multiple_of(3)
}
/// Depends on which number each record has.
fn weigh(sum: u64, x: u64, number: u64) -> u64 {
    sum.wrapping_add(x.wrapping_mul(number) ^ number)
}

pub(super) fn duel(n: u64) -> Result<Duel> {
    let sc = context(1)?;
    let ours = move || {
        let numbered = sc.range(0..n, 4).filter(keep).zip_with_index();
        Ok(numbered.aggregate(0, |sum, (x, number)| weigh(sum, x, number), u64::wrapping_add)?)
    };
    let hand = move || {
        let numbered = (0..n).filter(keep).zip(0u64..);
        Ok(numbered.fold(0, |sum, (x, number)| weigh(sum, x, number)))
    };
    Ok(Duel { name: "zip_with_index", records: n, ours: Box::new(ours), hand: Box::new(hand) })
}
