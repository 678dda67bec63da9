//! An action whose error nobody looks at.
#![deny(unused_must_use)]
use winterbourne::prelude::*;

fn show(lines: &Rdd<Text>) {
    lines.foreach(|line| println!("{line}"));
}

fn main() {}
