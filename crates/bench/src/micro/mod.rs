//! Hot pieces of the library, each beside the loop somebody would write by hand for the same result.
mod chain;
mod cut;
mod distinct;
mod duel;
mod locally;
mod numbered;
mod product;
mod split;
mod table;
mod top;

use crate::{Out, Result, args::Args, corpus};
use duel::Duel;

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let n = args.n.unwrap_or(20_000_000);
    let keys = args.keys.unwrap_or(100_000);
    let mut duels = vec![chain::duel(n), table::duel(n / 5, keys)?, distinct::duel(n / 5, keys)?, product::duel(n)?];
    duels.extend([top::duel(n)?, locally::duel(n / 5, keys)?, numbered::duel(n)?]);
    if ["cut", "words", "split"].iter().any(|name| args.wants(name)) {
        let text = corpus::head(&corpus::file(args, None)?, n)?;
        let lines = cut::lines(&text);
        duels.extend([cut::duel(text), split::words(lines.clone()), split::split(lines)]);
    }
    for duel in duels.into_iter().filter(|d| args.wants(d.name)) {
        duel.fight(args.rounds(5), out)?;
    }
    Ok(())
}
