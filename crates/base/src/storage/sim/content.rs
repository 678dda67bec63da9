//! The bytes of one simulated file: what is seen now, and what a crash would leave. Refuses to know its name.

use std::ops::Range;

use super::Crash;
use super::dice::Dice;

/// What a disk writes in one piece.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Content {
    /// What readers see.
    pub(super) seen: Vec<u8>,
    /// What is durable: the beginning of `seen`, unless that was just cut.
    durable: Vec<u8>,
    /// What a failed sync was to make durable; later syncs leave it out.
    given_up: Vec<Range<usize>>,
}

impl Content {
    /// All that was seen is durable, except what an earlier sync gave up.
    pub(super) fn sync(&mut self, dice: &mut Dice) {
        let before = self.durable.len().min(self.seen.len());
        self.durable.truncate(before);
        self.durable.extend_from_slice(&self.seen[before..]);
        for range in std::mem::take(&mut self.given_up) {
            let start = range.start.max(before);
            let end = range.end.min(self.durable.len());
            if start < end {
                drop_sectors(&mut self.durable, start..end, dice);
            }
        }
    }

    /// Readers see what is stored.
    pub(super) fn forget_seen(&mut self) {
        self.seen.clone_from(&self.durable);
    }

    /// The sync that failed: the system forgets that these bytes were to be written.
    pub(super) fn give_up(&mut self) {
        if self.durable.len() < self.seen.len() {
            self.given_up.push(self.durable.len()..self.seen.len());
        }
    }

    pub(super) fn flip(&mut self, at: usize, mask: u8) -> bool {
        for bytes in [&mut self.durable, &mut self.seen] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
        at < self.seen.len()
    }

    pub(super) fn crash(&mut self, way: Crash, dice: &mut Dice) {
        let durable = self.durable.len();
        let left = if way == Crash::Lost {
            std::mem::take(&mut self.durable)
        } else if self.seen.len() < durable {
            // A cut that was not synced happened or did not.
            std::mem::take(if dice.coin() { &mut self.seen } else { &mut self.durable })
        } else {
            let fresh = self.seen.len() - durable;
            let kept = durable + dice.up_to(fresh);
            // SUBTLE: not from `seen` alone, which still shows what a failed sync gave up.
            let mut left = std::mem::take(&mut self.durable);
            left.extend_from_slice(&self.seen[durable..kept]);
            if way == Crash::Reordered {
                drop_sectors(&mut left, durable..kept, dice);
            }
            if dice.coin() {
                left.resize(kept + dice.up_to(self.seen.len() - kept), 0);
            }
            left
        };
        *self = Self { seen: left.clone(), durable: left, given_up: Vec::new() };
    }
}

/// Some sectors of `range` were never written.
fn drop_sectors(bytes: &mut [u8], range: Range<usize>, dice: &mut Dice) {
    let mut at = range.start;
    while at < range.end {
        let end = (at / SECTOR * SECTOR + SECTOR).min(range.end);
        if dice.coin() {
            bytes[at..end].fill(0);
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2,000 durable bytes, 2,000 more that are not.
    fn content(dice: &mut Dice) -> Content {
        let mut content = Content { seen: vec![1; 2_000], ..Content::default() };
        content.sync(dice);
        content.seen.resize(4_000, 2);
        content
    }

    #[test]
    fn a_crash_keeps_what_is_durable_and_invents_nothing() {
        let (mut shorter, mut holes) = (0, 0);
        for seed in 0..200 {
            for way in [Crash::Lost, Crash::Torn, Crash::Reordered] {
                let dice = &mut Dice::new(seed);
                let mut content = content(dice);
                content.crash(way, dice);
                assert!(content.seen[..2_000].iter().all(|byte| *byte == 1));
                let rest = &content.seen[2_000..];
                assert!(rest.len() <= 2_000 && rest.iter().all(|byte| [0, 2].contains(byte)));
                assert!(way != Crash::Lost || rest.is_empty());
                shorter += usize::from(!rest.is_empty() && rest.len() < 2_000);
                holes += usize::from(rest.windows(2).any(|pair| pair == [0, 2]));
            }
        }
        assert!(shorter > 50 && holes > 50, "{shorter} shorter, {holes} with holes");
    }

    #[test]
    fn a_second_sync_does_not_bring_back_what_the_first_gave_up() {
        let mut lost = 0;
        for seed in 0..20 {
            let dice = &mut Dice::new(seed);
            let mut content = content(dice);
            content.give_up();
            content.seen.push(3);
            content.sync(dice);
            assert_eq!(content.seen[3_999], 2, "readers see it still");
            content.crash(Crash::Lost, dice);
            assert_eq!((content.seen.len(), content.seen[4_000]), (4_001, 3));
            lost += usize::from(content.seen[2_000..4_000].contains(&0));
        }
        assert!(lost > 10, "{lost}");
    }
}
