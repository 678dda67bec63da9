//! A closure that takes an Rc along.
use std::rc::Rc;
use winterbourne::prelude::*;

fn matching(lines: &Rdd<Text>, wanted: Rc<str>) -> Rdd<Text> {
    lines.filter(move |line| line.contains(&*wanted))
}

fn main() {}
