//! A record that cannot cross threads.
use std::rc::Rc;
use winterbourne::prelude::*;

fn shared(lines: &Rdd<Text>) -> Rdd<Rc<str>> {
    lines.map(|line| Rc::from(&*line))
}

fn main() {}
