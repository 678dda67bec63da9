//! Percentiles of lists. No interpolation: a percentile is one of the values that were seen.

/// The `p`-th percentile (0 to 100) of a list, which it sorts; zero of an empty one.
pub(crate) fn percentile(list: &mut [f64], p: usize) -> f64 {
    list.sort_by(f64::total_cmp);
    list.len().checked_sub(1).map_or(0.0, |last| list[last * p.min(100) / 100])
}
pub(crate) fn median(list: &mut [f64]) -> f64 {
    percentile(list, 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_of_the_list() {
        let hundred: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        for (list, p, expect) in [
            (&[][..], 50, 0.0),
            (&[7.0], 0, 7.0),
            (&[7.0], 99, 7.0),
            (&[3.0, 1.0, 2.0], 50, 2.0),
            (&[4.0, 1.0, 2.0, 3.0], 50, 2.0),
            (&hundred, 0, 1.0),
            (&hundred, 50, 51.0),
            (&hundred, 99, 100.0),
            (&hundred, 100, 101.0),
        ] {
            assert_eq!(percentile(&mut list.to_vec(), p), expect, "{p}");
        }
    }
}
