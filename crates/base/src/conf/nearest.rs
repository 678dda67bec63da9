//! The name somebody probably meant. Refuses to suggest what looks nothing like it.

/// The candidate with the smallest edit distance to `name`, ignoring case, if at most a quarter of it differs. Of
/// equally near ones the first.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<u8> = name.to_ascii_lowercase().into();
    let near = |candidate: &'a str| {
        let distance = distance(&name, &candidate.to_ascii_lowercase().into_bytes());
        (distance <= name.len().div_ceil(4)).then_some((distance, candidate))
    };
    candidates.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b`, in bytes.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        let cases = [("", "", 0), ("abc", "", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3)];
        for (a, b, expect) in cases {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expect, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), expect, "{b} {a}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["spark.streaming.blockInterval", "spark.streaming.blockQueueSize", "spark.master"];
        let cases = [
            ("spark.streaming.blockinterval", Some(names[0])),
            ("spark.streaming.block.interval", Some(names[0])),
            ("spark.streaming.blokcInterval", Some(names[0])),
            ("spark.masters", Some(names[2])),
            ("spark.something.else.entirely", None),
            ("", None),
        ];
        for (name, expect) in cases {
            assert_eq!(nearest(name, names), expect, "{name}");
        }
    }
}
