//! What records hold in memory, for those who store them without saying. Refuses to guess from a few: one large record
//! among small ones must count.

use std::panic::{AssertUnwindSafe, catch_unwind};

use winterbourne_engine::{Wire, heap_of};

/// The bytes of these records with what their strings and collections hold. What owns nothing is not looked at.
pub(super) fn weight<T: Wire>(records: &[T]) -> usize {
    let own = size_of_val(records);
    if !std::mem::needs_drop::<T>() {
        return own;
    }
    // `Serialize` is the user's, and may panic: who writes the record says so, if anybody does.
    let heap = |record| catch_unwind(AssertUnwindSafe(|| heap_of(record))).unwrap_or(0);
    let heap: u64 = records.iter().map(heap).fold(0, u64::saturating_add);
    own.saturating_add(usize::try_from(heap).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize, Serializer};

    #[derive(Clone, Deserialize)]
    struct Odd(String);
    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(self.0 != "odd", "odd");
            self.0.serialize(serializer)
        }
    }

    #[test]
    fn what_a_record_owns_counts_and_a_large_one_is_seen_among_small_ones() {
        assert_eq!(weight(&[1u64, 2, 3]), 24);
        assert_eq!(weight::<String>(&[]), 0);
        let mut lines = vec![String::new(); 1000];
        lines[777] = "x".repeat(1 << 20);
        assert_eq!(weight(&lines), 24_000 + (1 << 20));
        assert_eq!(weight(&[(1u64, vec!["ab".to_owned()])]), 32 + 24 + 2);
    }

    #[test]
    fn a_record_that_cannot_be_walked_through_counts_for_itself() {
        assert_eq!(weight(&[Odd("odd".into()), Odd("even".into())]), 48 + 4);
    }
}
