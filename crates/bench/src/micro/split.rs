//! Owned words out of lines: the owning splitters, against `str::split` and a copy of each word.
use super::Duel;
use std::sync::Arc;
use winterbourne::Text;

pub(super) fn words(lines: Arc<Vec<Text>>) -> Duel {
    duel("words", lines, |line| line.words().map(weigh).sum())
}
pub(super) fn split(lines: Arc<Vec<Text>>) -> Duel {
    duel("split", lines, |line| line.split_owned(' ').map(weigh).sum())
}

fn duel(name: &'static str, lines: Arc<Vec<Text>>, ours: impl Fn(Text) -> u64 + 'static) -> Duel {
    let again = lines.clone();
    let by_hand = |line: &Text| line.split(' ').map(|word| weigh(Text::new(word))).sum::<u64>();
    Duel {
        name,
        records: lines.len() as u64,
        // A line is cloned as from a shared block: its buffer is, its bytes are not.
        ours: Box::new(move || Ok(lines.iter().map(|line| ours(line.clone())).sum())),
        hand: Box::new(move || Ok(again.iter().map(by_hand).sum())),
    }
}
fn weigh(word: Text) -> u64 {
    word.as_bytes().first().map_or(0, |b| u64::from(*b)) + word.len() as u64
}
