//! May this much be appended, or would the disk become too full? Decides only; it is told what is free.

/// Keeps a part of the disk free.
///
/// The disk is measured after a sync, and again before anything is refused, not for each record. While there is plenty,
/// that is after one in some syncs: asking takes a tenth as long as a sync.
#[derive(Debug)]
pub(super) struct Room {
    floor: u64,
    /// How much may be appended before the disk is measured again.
    left: u64,
    /// How many syncs there were since.
    syncs: u32,
}

/// So many floors are plenty …
const PLENTY: u64 = 16;
/// … and one in so many syncs is enough then.
const SELDOM: u32 = 16;

impl Room {
    pub(super) fn new(floor: u64) -> Self {
        Self { floor, left: 0, syncs: 0 }
    }

    /// Whether to measure the disk after the next sync.
    pub(super) fn is_due(&mut self) -> bool {
        self.syncs += 1;
        self.floor > 0 && (self.syncs >= SELDOM || self.left < self.floor.saturating_mul(PLENTY))
    }

    /// What is free, if that is known, with `unwritten` bytes still to be written.
    pub(super) fn measured(&mut self, free: Option<u64>, unwritten: u64) {
        self.syncs = 0;
        self.left = match free {
            Some(free) if self.floor > 0 => free.saturating_sub(unwritten).saturating_sub(self.floor),
            _ => u64::MAX,
        };
    }

    /// Takes `bytes` of the room, if there are as many.
    pub(super) fn take(&mut self, bytes: u64) -> bool {
        let fits = bytes <= self.left;
        if fits {
            self.left -= bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_stays_free() {
        for (floor, free, unwritten, bytes, expect) in [
            (100, Some(150), 0, 50, true),
            (100, Some(150), 0, 51, false),
            (100, Some(150), 20, 31, false),
            (100, Some(10), 0, 0, true),
            (100, None, 0, 1 << 50, true),
            (0, Some(0), 0, 1 << 50, true),
        ] {
            let mut room = Room::new(floor);
            assert!(!room.take(1), "not before the disk was measured");
            room.measured(free, unwritten);
            assert_eq!(room.take(bytes), expect, "{floor} {free:?} {unwritten} {bytes}");
        }
    }

    #[test]
    fn the_disk_is_measured_seldom_where_there_is_plenty() {
        for (floor, free, expect) in [
            (100, Some(1_699), 64),
            (100, Some(1_700), 4),
            (100, Some(0), 64),
            (100, None, 4),
            (0, Some(0), 0),
            (u64::MAX, Some(u64::MAX), 64),
        ] {
            let mut room = Room::new(floor);
            room.measured(free, 0);
            let mut asked = 0;
            for _ in 0..64 {
                if room.is_due() {
                    asked += 1;
                    room.measured(free, 0);
                }
            }
            assert_eq!(asked, expect, "{floor} {free:?}");
        }
    }
}
