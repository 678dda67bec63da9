//! Later builds of the program of `v1.rs`. Arguments: a directory, what was changed, and ids that may be dropped (or an
//! id to keep, where something was renamed).
mod shared;

use serde::{Deserialize, Serialize};
use shared::{Seen, add, numbers, print, seeing, show};
use std::process::ExitCode;
use winterbourne::prelude::*;

/// One field more, the others in another order, one of them wider: nothing is to be done.
#[derive(Clone, Serialize, Deserialize)]
struct Count {
    #[serde(default)]
    note: Option<String>,
    last: u64,
    times: u64,
}
impl Seen for Count {
    fn see(before: Option<&Self>, number: u64) -> Self {
        let note = before.and_then(|c| c.note.clone()).or(Some("new".into()));
        Count { times: before.map_or(0, |c| c.times) + 1, last: number, note }
    }
    fn shown(&self) -> (u64, u64) {
        (self.times, self.last)
    }
}

/// What no rule converts.
#[derive(Clone, Serialize, Deserialize)]
struct Words {
    times: String,
    last: u64,
}
impl Seen for Words {
    fn see(before: Option<&Self>, number: u64) -> Self {
        let times = before.map_or(0, |c| c.times.len()) + 1;
        Words { times: "I".repeat(times), last: number }
    }
    fn shown(&self) -> (u64, u64) {
        (self.times.len() as u64, self.last)
    }
}
/// As the first build stored it.
#[derive(Clone, Serialize, Deserialize)]
struct FirstCount {
    times: u32,
    last: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [directory, change, more @ ..] = &args[..] else { return ExitCode::FAILURE };
    let id = more.first().map_or("", String::as_str);
    let drop = (change == "dropped" && !id.is_empty()).then_some(id);
    shared::run((directory, 5, 6), drop, |ssc| graph(ssc, change, id))
}

fn graph(ssc: &StreamingContext, change: &str, id: &str) {
    if change == "unrelated" {
        let other = ssc.input_stream("other numbers", numbers()).map(|x| (x % 2, x));
        print("new", &other.update_state_by_key(add));
    }
    let pairs = ssc.input_stream("numbers", numbers()).map(|x| (x % 4, x));
    if change == "reordered" {
        print("sums", &pairs.update_state_by_key(add));
    }
    match change {
        "incompatible" => show("seen", &pairs.map_with_state(seeing::<Words>()).state_snapshots()),
        "migrated" => {
            let as_words = |old: FirstCount| Words { times: "I".repeat(old.times as usize), last: old.last };
            show("seen", &pairs.map_with_state(seeing().migrate(as_words)).state_snapshots());
        }
        "renamed" => {
            let seen = pairs.filter(|_| true).map_with_state(seeing::<Count>());
            let seen = if id.is_empty() { seen } else { seen.uid(id) };
            show("seen", &seen.state_snapshots());
        }
        _ => show("seen", &pairs.map_with_state(seeing::<Count>()).state_snapshots()),
    }
    if !["reordered", "dropped"].contains(&change) {
        print("sums", &pairs.update_state_by_key(add));
    }
}
