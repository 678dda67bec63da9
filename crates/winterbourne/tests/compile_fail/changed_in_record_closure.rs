//! A record closure that changes what it owns.
use winterbourne::prelude::*;

fn counted(lines: &Rdd<Text>) -> Result<u64, BoxError> {
    let mut seen = 0;
    lines.foreach(move |_line| seen += 1)?;
    Ok(seen)
}

fn main() {}
