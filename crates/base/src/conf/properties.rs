//! The configuration file's text: one setting per line. Refuses what only Java's property files have: continued
//! lines, escapes, and a key that is set twice without a word.

use std::collections::BTreeMap;

use super::registry;

/// A line that is not a setting: its number from 1, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

/// Reads `key value`, `key=value` and `key: value` lines; `#` and `!` begin a comment line. Returns what it could
/// read (older names as the present ones) and every line it could not.
pub(super) fn read(text: &str) -> (BTreeMap<String, String>, Vec<BadLine>) {
    let mut settings = BTreeMap::new();
    let mut bad = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        match setting(line) {
            Some((key, value)) => {
                if settings.insert(registry::canonical(key).to_owned(), value.to_owned()).is_some() {
                    bad.push(BadLine { line: index + 1, problem: "this key is already set above" });
                }
            }
            None => bad.push(BadLine { line: index + 1, problem: "expected `key value` or `key=value`" }),
        }
    }
    (settings, bad)
}

/// Splits at the first white space, `=` or `:`; after white space one `=` or `:` may still follow.
fn setting(line: &str) -> Option<(&str, &str)> {
    let end = line.find(|c: char| c.is_whitespace() || c == '=' || c == ':')?;
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    (!key.is_empty()).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_way_to_write_a_setting() {
        let cases = [
            ("a=1", "1"),
            ("a = 1", "1"),
            ("a: 1", "1"),
            ("a\t1 2 ", "1 2"),
            ("a=b=c", "b=c"),
            ("a=", ""),
            ("  a url://x:1", "url://x:1"),
            ("# c\n\n! d\r\na=1\r\n", "1"),
            ("\u{feff}a=1", "1"),
        ];
        for (text, expect) in cases {
            let (settings, bad) = read(text);
            assert_eq!((settings.get("a").map(String::as_str), bad), (Some(expect), vec![]), "{text:?}");
        }
    }

    #[test]
    fn says_which_lines_are_not_settings() {
        let (settings, bad) = read("a=1\nlonely\n=2\na 3\n");
        assert_eq!(settings.into_iter().collect::<Vec<_>>(), [("a".into(), "3".into())]);
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn an_older_name_is_the_same_key() {
        let text = "spark.streaming.minRememberDuration 1m\nspark.streaming.fileStream.minRememberDuration 2m";
        assert_eq!(read(text).1, [BadLine { line: 2, problem: "this key is already set above" }]);
    }
}
