//! Hadoop's integers of variable length: one byte from -112 to 127; otherwise a byte that says the sign and how many
//! bytes follow, big-endian.

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, n: i64) {
    if (-112..=127).contains(&n) {
        out.push(n as i8 as u8);
        return;
    }
    let (bits, base) = if n < 0 { (!n as u64, -120i8) } else { (n as u64, -112) };
    let bytes = 8 - bits.leading_zeros() as usize / 8;
    out.push((base - bytes as i8) as u8);
    out.extend_from_slice(&bits.to_be_bytes()[8 - bytes..]);
}
/// How many bytes a number has, by its first.
pub(super) fn len(first: u8) -> usize {
    match first as i8 {
        -112.. => 1,
        n @ -120..-112 => (-111 - i16::from(n)) as usize,
        n => (-119 - i16::from(n)) as usize,
    }
}
/// The number at the beginning, and what follows; none if it is not whole.
pub(super) fn take(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let more = len(first) - 1;
    if more == 0 {
        return Some((i64::from(first as i8), rest));
    }
    let (digits, rest) = rest.split_at_checked(more)?;
    let bits = digits.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)) as i64;
    Some((if (first as i8) < -120 { !bits } else { bits }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_hadoop_writes_them() {
        for (n, bytes) in [
            (0, &[0][..]),
            (127, &[127]),
            (-112, &[0x90]),
            (128, &[0x8F, 0x80]),
            (255, &[0x8F, 0xFF]),
            (256, &[0x8E, 1, 0]),
            (-113, &[0x87, 0x70]),
            (-256, &[0x87, 0xFF]),
            (-257, &[0x86, 1, 0]),
            (i64::MAX, &[0x88, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            (i64::MIN, &[0x80, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ] {
            let mut out = Vec::new();
            put(&mut out, n);
            assert_eq!(out, bytes, "{n}");
            assert_eq!(take(&out), Some((n, &[][..])));
            assert!((0..out.len()).all(|end| take(&out[..end]).is_none()));
        }
    }
    proptest! {
        #[test]
        fn there_and_back(n in any::<i64>(), small in -1000i64..1000) {
            for n in [n, small, n >> 20, n >> 40] {
                let mut out = Vec::new();
                put(&mut out, n);
                prop_assert_eq!(len(out[0]), out.len());
                prop_assert_eq!(take(&out), Some((n, &[][..])));
            }
        }
    }
}
