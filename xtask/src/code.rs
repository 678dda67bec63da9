//! Rust source as far as the checks need it: comments and literals blanked, words, braces, test regions.
//! Not a parser: it refuses nothing and understands no expression.

use std::ops::Range;

/// `text` with the inside of comments, strings and character literals replaced by spaces; offsets and lines stay.
pub(crate) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(text, at);
        match end {
            Some(end) => {
                out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
                at = end;
            }
            None => at += 1,
        }
    }
    String::from_utf8(out).expect("only whole literals were replaced, each byte by a space")
}

/// Where the comment or literal that starts at `at` ends, if one does.
fn literal_end(text: &str, at: usize) -> Option<usize> {
    let rest = &text.as_bytes()[at..];
    match rest {
        [b'/', b'/', ..] => Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(at + block_comment(rest)),
        [b'"', ..] => Some(string_end(text, at)),
        [b'\'', b'\\', escaped, ..] => {
            let from = at + 2 + usize::from(*escaped == b'\'' || *escaped == b'\\');
            text.as_bytes()[from..].iter().position(|byte| *byte == b'\'').map(|length| from + length + 1)
        }
        [b'\'', ..] => {
            let inside = text[at + 1..].chars().next()?;
            let close = at + 1 + inside.len_utf8();
            (text.as_bytes().get(close) == Some(&b'\'')).then_some(close + 1)
        }
        _ => None,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

/// The end of the string whose opening quote is at `open`; a raw one is known by the `r#` before the quote.
fn string_end(text: &str, open: usize) -> usize {
    let bytes = text.as_bytes();
    let hashes = bytes[..open].iter().rev().take_while(|byte| **byte == b'#').count();
    let prefix = text[..open - hashes].trim_end_matches(['r', 'b', 'c']);
    let raw = bytes[..open - hashes].ends_with(b"r") && !prefix.ends_with(is_word);
    if raw {
        let close = format!("\"{}", "#".repeat(hashes));
        return text[open + 1..].find(&close).map_or(text.len(), |length| open + 1 + length + close.len());
    }
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A character that may stand inside an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The offsets at which `word` stands by itself, not inside a longer identifier.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| !code[..*at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

/// The identifier `code` starts with, after white space; empty if there is none.
pub(crate) fn identifier(code: &str) -> &str {
    let code = code.trim_start();
    &code[..code.find(|c| !is_word(c)).unwrap_or(code.len())]
}

/// The offset of the brace that closes the one at `open`.
pub(crate) fn close(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The parts of blanked `code` that exist for tests only: what each `#[cfg(test)]` stands before.
pub(crate) fn test_regions(code: &str) -> Vec<Range<usize>> {
    let attribute = "#[cfg(test)]";
    code.match_indices(attribute)
        .map(|(start, _)| {
            let after = start + attribute.len();
            let end = match code[after..].find(['{', ';']).map(|length| after + length) {
                Some(open) if code.as_bytes()[open] == b'{' => close(code, open),
                Some(semicolon) => semicolon,
                None => code.len(),
            };
            start..end
        })
        .collect()
}

/// Whether the file as a whole is compiled for tests only.
pub(crate) fn is_test_file(path: &str) -> bool {
    ["tests", "benches"].iter().any(|name| path.split('/').any(|part| part == *name)) || path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_literals_and_keeps_the_rest() {
        for (text, expect) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y") + 1"#, "f(      ) + 1"),
            (r###"r#"a"b"# x"###, "r#       x"),
            ("for\"x\"y", "for   y"),
            (r"'\'' 'x' '\\' &'a str", "              &'a str"),
            ("'é' x", "     x"),
            (r"'\u{1F600}' x", "            x"),
        ] {
            assert_eq!(blank(text).trim_end(), expect.trim_end(), "{text}");
            assert_eq!(blank(text).len(), text.len(), "{text}");
        }
    }

    #[test]
    fn finds_whole_words() {
        assert_eq!(words("use user reuse use", "use").collect::<Vec<_>>(), [0, 15]);
    }

    #[test]
    fn finds_what_is_compiled_for_tests() {
        for (code, expect) in [
            ("fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {}", vec!["#[cfg(test)] mod tests { fn b() {} "]),
            ("#[cfg(test)] mod tests; fn c() {}", vec!["#[cfg(test)] mod tests"]),
            ("fn a() {}", vec![]),
        ] {
            assert_eq!(test_regions(code).into_iter().map(|region| &code[region]).collect::<Vec<_>>(), expect);
        }
    }
}
