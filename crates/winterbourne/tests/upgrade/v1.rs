//! The first build of a program whose later builds are in `v2.rs`; `tests/upgrade.rs` runs one after the other.
//! Arguments: a directory, and `kill` to end without ado.
mod shared;

use serde::{Deserialize, Serialize};
use shared::{Seen, add, numbers, print, seeing, show};
use std::process::ExitCode;
use winterbourne::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
struct Count {
    times: u32,
    last: u64,
}
impl Seen for Count {
    fn see(before: Option<&Self>, number: u64) -> Self {
        Count { times: before.map_or(0, |c| c.times) + 1, last: number }
    }
    fn shown(&self) -> (u64, u64) {
        (self.times.into(), self.last)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(directory) = args.first() else { return ExitCode::FAILURE };
    let kill = args.get(1).is_some_and(|a| a == "kill");
    shared::run((directory, 1, 4), None, |ssc| {
        let pairs = ssc.input_stream("numbers", numbers()).map(|x| (x % 4, x));
        let seen = pairs.map_with_state(seeing::<Count>()).checkpoint(seconds(2)).state_snapshots();
        show("seen", &seen);
        print("sums", &pairs.update_state_by_key(add));
        if kill {
            ssc.add_streaming_listener(die_after_the_fourth());
        }
    })
}
/// As a kill would end it, in the middle of everything.
fn die_after_the_fourth() -> impl FnMut(&winterbourne::streaming::StreamingEvent) + Send {
    let mut batches = 0;
    move |event| {
        if let winterbourne::streaming::StreamingEvent::BatchCompleted(_) = event {
            batches += 1;
            if batches == 4 {
                std::process::abort();
            }
        }
    }
}
