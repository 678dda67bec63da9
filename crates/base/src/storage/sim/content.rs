//! The bytes of one simulated file: what is seen now, and what a crash would leave. Refuses to know its name.

use std::ops::Range;

use super::Crash;
use super::dice::Dice;

/// What a disk writes in one piece.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Content {
    /// What readers see, with zeros where something was only reserved.
    seen: Vec<u8>,
    /// Up to here `seen` was written.
    written: usize,
    /// What a crash leaves in any case: as far as it is `synced` the beginning of `seen`, then zeros that were reserved,
    /// or what was just cut off.
    durable: Vec<u8>,
    /// Up to here what was written is durable.
    synced: usize,
    /// What a failed sync was to make durable; later syncs leave it out.
    given_up: Vec<Range<usize>>,
}

impl Content {
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// How much room it takes: what was reserved takes none.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        let (start, end) = (self.written, self.written + bytes.len());
        self.seen.resize(self.seen.len().max(end), 0);
        self.seen[start..end].copy_from_slice(bytes);
        self.written = end;
    }

    /// Makes it longer, with zeros.
    pub(super) fn reserve(&mut self, to: usize) {
        self.seen.resize(self.seen.len().max(to), 0);
    }

    /// Cuts off what was reserved and not written; the next sync makes that durable.
    pub(super) fn give_back(&mut self) {
        self.cut(self.written);
    }

    pub(super) fn cut(&mut self, len: usize) {
        self.seen.truncate(len);
        self.written = self.written.min(len);
        self.synced = self.synced.min(len);
    }

    /// All that was seen is durable, except what an earlier sync gave up.
    pub(super) fn sync(&mut self, dice: &mut Dice) {
        let before = self.synced;
        self.durable.resize(self.seen.len(), 0);
        self.durable[before..].copy_from_slice(&self.seen[before..]);
        self.synced = self.written;
        for range in std::mem::take(&mut self.given_up) {
            let start = range.start.max(before);
            let end = range.end.min(self.durable.len());
            if start < end {
                drop_sectors(&mut self.durable, start..end, dice);
            }
        }
    }

    /// Readers see what is stored, all of which counts as written.
    pub(super) fn forget_seen(&mut self) {
        self.seen.clone_from(&self.durable);
        (self.written, self.synced) = (self.seen.len(), self.seen.len());
    }

    /// The sync that failed: the system forgets that these bytes were to be written.
    pub(super) fn give_up(&mut self) {
        if self.synced < self.written {
            self.given_up.push(self.synced..self.written);
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
        let mut left = std::mem::take(&mut self.durable);
        if way != Crash::Lost {
            let (synced, seen) = (self.synced, self.seen.len());
            let kept = synced + dice.up_to(self.written - synced);
            // SUBTLE: not from `seen` alone, which still shows what a failed sync gave up.
            left.resize(left.len().max(kept), 0);
            left[synced..kept].copy_from_slice(&self.seen[synced..kept]);
            if way == Crash::Reordered {
                drop_sectors(&mut left, synced..kept, dice);
            }
            // A new length that was not synced is there, or in part, or is not.
            if dice.coin() {
                let longer = seen.saturating_sub(left.len());
                left.resize(seen.min(left.len()) + dice.up_to(longer), 0);
            }
        }
        *self = Self { durable: left, ..Self::default() };
        self.forget_seen();
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
        let mut content = Content::default();
        content.append(&[1; 2_000]);
        content.sync(dice);
        content.append(&[2; 2_000]);
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
            content.append(&[3]);
            content.sync(dice);
            assert_eq!(content.seen[3_999], 2, "readers see it still");
            content.crash(Crash::Lost, dice);
            assert_eq!((content.seen.len(), content.seen[4_000]), (4_001, 3));
            lost += usize::from(content.seen[2_000..4_000].contains(&0));
        }
        assert!(lost > 10, "{lost}");
    }

    #[test]
    fn what_was_reserved_comes_back_as_zeros_or_not_at_all() {
        let (mut lengths, mut early) = (std::collections::BTreeSet::new(), 0);
        for seed in 0..200 {
            for way in [Crash::Lost, Crash::Torn, Crash::Reordered] {
                let dice = &mut Dice::new(seed);
                let mut content = content(dice);
                let is_synced = seed % 2 == 0;
                content.reserve(10_000);
                if is_synced {
                    content.sync(dice);
                    content.append(&[3; 1_000]);
                }
                assert_eq!((content.seen().len(), content.written()), (10_000, if is_synced { 5_000 } else { 4_000 }));
                content.crash(way, dice);
                let (durable, fresh) = if is_synced { (4_000, 3) } else { (2_000, 2) };
                let seen = content.seen();
                let expect = [vec![1; 2_000], vec![2; 2_000]].concat();
                assert_eq!(seen[..durable], expect[..durable]);
                assert!(seen[durable..].iter().all(|byte| [0, fresh].contains(byte)));
                assert!(!is_synced || seen.len() == 10_000, "the length was durable");
                assert!(way != Crash::Lost || is_synced || seen.len() == 2_000);
                lengths.insert(seen.len());
                early += usize::from(seen.len() > durable && seen[durable..].iter().all(|byte| *byte == 0));
            }
        }
        assert!(lengths.len() > 50 && early > 50, "{lengths:?}, {early}");
    }

    #[test]
    fn what_is_given_back_is_gone_once_that_is_durable() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let dice = &mut Dice::new(seed);
            let mut content = content(dice);
            content.reserve(9_000);
            content.sync(dice);
            content.give_back();
            if seed % 2 == 0 {
                content.sync(dice);
            }
            content.crash(Crash::Torn, dice);
            assert!(seed % 2 == 1 || content.seen().len() == 4_000);
            assert_eq!(content.seen()[3_999], 2);
            lengths.insert(content.seen().len());
        }
        assert_eq!(lengths, [4_000, 9_000].into());
    }
}
