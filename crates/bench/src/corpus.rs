//! The text the workloads read: a file of the caller's, or one generated once and kept in the temporary directory.
//!
//! Generated text has words of 3 to 10 letters, Zipf-distributed over 500,000, about 12.7 to a line of about 97 bytes.
//! It is the same for every run of this program, and of the same shape as (but no copy of) what other generators make:
//! to compare two programs, hand both one file.
use crate::{Result, args::Args, random::Random, zipf::Zipf};
use std::{
    collections::HashSet,
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

const WORDS: usize = 500_000;
const BYTES: u64 = 100_000_000;
/// A line ends with the word that reaches this length.
const LINE: usize = 92;

/// The text of a workload: `--input`, or generated text of `bytes` bytes (100 million unless given).
pub(crate) fn file(args: &Args, bytes: Option<u64>) -> Result<PathBuf> {
    if let Some(given) = &args.input {
        return if given.is_file() { Ok(given.clone()) } else { Err(format!("{} is no file", given.display()).into()) };
    }
    let bytes = bytes.unwrap_or(BYTES);
    let kept = std::env::temp_dir().join(format!("winterbourne-bench-text-{bytes}.txt"));
    if !kept.is_file() {
        // Under another name until it is whole.
        let part = kept.with_extension(std::process::id().to_string());
        let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(&part)?);
        generate(bytes, WORDS, &mut out)?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&part, &kept)?;
    }
    Ok(kept)
}

/// The first whole lines of a text, at most `bytes` bytes, in memory.
pub(crate) fn head(path: &Path, bytes: u64) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    fs::File::open(path)?.take(bytes).read_to_end(&mut text)?;
    match text.iter().rposition(|b| *b == b'\n') {
        Some(end) => text.truncate(end + 1),
        None if text.is_empty() => return Err(format!("{} holds no text", path.display()).into()),
        None => text.push(b'\n'),
    }
    Ok(text)
}

/// Writes whole lines until there are at least `bytes` bytes, of a vocabulary of `words` words.
pub(crate) fn generate(bytes: u64, words: usize, out: &mut impl Write) -> Result {
    let (vocabulary, zipf, mut random) = (vocabulary(words), Zipf::of(words), Random(42));
    let (mut line, mut written) = (String::with_capacity(2 * LINE), 0);
    while written < bytes {
        line.clear();
        loop {
            line.push_str(&vocabulary[zipf.rank(&mut random)]);
            if line.len() >= LINE {
                break;
            }
            line.push(' ');
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    Ok(())
}

/// Distinct words, in no order.
fn vocabulary(words: usize) -> Vec<String> {
    let (mut random, mut seen, mut all) = (Random(7), HashSet::with_capacity(words), Vec::with_capacity(words));
    while all.len() < words {
        let length = 3 + random.below(8);
        let word: String = (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
        if seen.insert(word.clone()) {
            all.push(word);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generates_the_same_text_each_time() {
        let make = || {
            let mut text = Vec::new();
            generate(20_000, 500, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let text = make();
        assert_eq!(text, make());
        assert!(text.len() >= 20_000 && text.ends_with('\n'));
        for line in text.lines() {
            assert!((LINE..=LINE + 10).contains(&line.len()), "{line}");
            assert!(line.split(' ').all(|word| (3..=10).contains(&word.len())), "{line}");
        }
        let distinct: HashSet<&str> = text.split_whitespace().collect();
        assert!((300..=500).contains(&distinct.len()), "{}", distinct.len());
    }
}
