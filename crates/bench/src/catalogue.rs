//! The list of workloads: what each does, and which are still waited for.
use crate::{Out, Result, args::Args, micro, sender, workload};
use std::fmt::Write;

type Run = fn(&Args, Out) -> Result;

enum State {
    Here(Run),
    /// Waits for this.
    #[cfg_attr(feature = "kafka", expect(dead_code, reason = "with everything built in, none waits"))]
    Waits(&'static str),
}
use State::{Here, Waits};

struct Entry {
    name: &'static str,
    what: &'static str,
    state: State,
}

/// Roles that this program plays for itself.
const ROLES: &[(&str, Run)] =
    &[("w7-child", workload::w7::child), ("w8-child", workload::w8::child), ("w8-limit", workload::w8::limit_child)];

const ENTRIES: &[Entry] = &[
    Entry {
        name: "W1",
        what: "batch word count: text_file, flat_map split \" \", map (w, 1), reduce_by_key, count.\n\
               --input FILE, or --n bytes of generated text (100000000). Variant count.",
        state: Here(workload::w1::run),
    },
    Entry {
        name: "W1b",
        what: "narrow chain: range(0, n), map x*3+1, filter y%7 != 0, map y^(y>>3). --n records (200000000).\n\
               Variants count, and sum (count and sum in one pass, as a hand-written loop would).",
        state: Here(workload::w1b::run),
    },
    Entry {
        name: "W2mem",
        what: "streaming word count of lines in memory, the next batch when the last is done.\n\
               --n lines a batch (10000, then 100000). Variants `10000 lines`, `100000 lines`.",
        state: Here(workload::w2mem::run),
    },
    Entry {
        name: "W2sock",
        what: "TCP, flat_map, map, reduce_by_key, foreach_rdd. Variant read: lines only, as fast as the socket takes.\n\
               Variant count: one step of --seconds (12) for each of --rates (100000, 200000, ... lines/s) until one\n\
               is not held: `sustained` says that over the last 8 batches the scheduling delay was below the interval\n\
               (--interval-ms, 1000) and so was the median processing time, and that the sender could send.",
        state: Here(workload::w2sock::run),
    },
    Entry {
        name: "W3",
        what: "reduce_by_key_and_window_inverse over a window of 10 s, slide 1 s, --keys keys (100000, then 1000000), --n\n\
               records a batch (100000), 60 batches; values summed up in each. Variants without a checkpoint directory and,\n\
               `, checkpoint 10`, with a checkpoint in every tenth batch, in --directory.",
        state: Here(workload::w3::run),
    },
    Entry {
        name: "W4",
        what: "state of --keys keys (1000000, then 5000000), --n updates a batch (100000), 50 batches or ten checkpoints.\n\
               Variants map_with_state (count of what is emitted) and update_state_by_key (count of all keys), without a\n\
               checkpoint directory; the same with `, checkpoint 1` and `, checkpoint 10`: a checkpoint in each batch and\n\
               in every tenth, in --directory. In the rows they follow the number of keys. A batch that takes a\n\
               checkpoint is followed by a wait until that is written. The next batch begins at once, or after\n\
               --interval-ms, which leaves time for files to be merged. A hand-written loop's update is set beside the\n\
               first, its update and scan of all keys beside the second.",
        state: Here(workload::w4::run),
    },
    Entry {
        name: "W5",
        what: "small batches. Variants job (parallelize(2).count), job_shuffle (with reduce_by_key), empty_batch (the\n\
               word count with nothing to count): --n times (20000). Variant graph_200: 200 streams, 20 outputs\n\
               (2000). Variant empty_batch_log: the same with a batch log in\n\
               --directory, --n times (2000); `syncs` are those of the log. Variant latency: word count with collect of\n\
               stamped lines, --rates (10000) a second for --seconds (10), at --interval-ms (1000, 100, 10, 1); from\n\
               stamp to output, in whole milliseconds; `sustained` says that the median batch took less than the\n\
               interval and that at most one tick in a hundred was passed over.",
        state: Here(workload::w5::run),
    },
    Entry {
        name: "W6",
        what: "wide operations on what a range makes, --n records (4000000). Variants sort (sort_by_key of u64 keys with\n\
               100 bytes each, all kept in memory in order), join (of two halves), group (group_by_key to n/10 keys).",
        state: Here(workload::w6::run),
    },
    Entry {
        name: "spill",
        what: "a text larger than memory, --input or --n bytes of generated text (400000000), with a budget of\n\
               --budget-mb (64): sort (lines sorted into files) and group (lines by their first word, counted by\n\
               flat_map_groups). Variants `sort, limit` and `group, limit`: sort of the system with as much memory.\n\
               Files go to --directory.",
        state: Here(workload::spill::run),
    },
    Entry {
        name: "W7",
        what: "start-up and memory of a streaming word count at --interval-ms (200). Variants first_output (from exec\n\
               to the first output, median of --rounds, 5, begun at even phases of the interval), idle (a connection\n\
               without data), load (--rates, 200000 lines/s, for --seconds, 5).",
        state: Here(workload::w7::run),
    },
    Entry {
        name: "W8",
        what: "recovery: W4 with --keys keys (1000000) and a checkpoint in every tenth batch, in --directory, is killed\n\
               behind batch 35. Variant recovery: from exec to the first new batch. Variant limit: from exec until the same\n\
               files are read, checked, decoded and put into one hash table, by hand, on one thread; --rounds (1).",
        state: Here(workload::w8::run),
    },
    Entry {
        name: "W9",
        what: "word count of --n records (10000000) of about 100 bytes from a Kafka topic of four partitions, on a broker that\n\
               is started for it; batches of a million records. Variant direct: the direct stream. Variant limit: a bare\n\
               loop over the same client, one thread for two partitions.",
        #[cfg(feature = "kafka")]
        state: Here(workload::w9::run),
        #[cfg(not(feature = "kafka"))]
        state: Waits("a build with --features kafka, as `./wb bench W9` makes it"),
    },
    Entry {
        name: "micro",
        what: "hot pieces, each beside a hand-written loop, in turns, on one thread, medians of --rounds (5): chain\n\
               (map and filter over chunks), cut (lines out of 64-KiB buffers), table (reduce_by_key of --keys u64 keys,\n\
               100000), count_by_key (of the same), distinct (of as many numbers), top (100 of u64), product (cartesian of\n\
               two ranges), zip_with_index (in four partitions), words and split (words out of lines). --n sets the size\n\
               of all (20000000 records or bytes).",
        state: Here(micro::run),
    },
    Entry {
        name: "sender",
        what: "no workload: serves the text to one TCP client on --port, --seconds (10) at each of --rates (0).",
        state: Here(sender::run),
    },
];

/// How to run a workload.
///
/// # Errors
/// If there is none of this name, or it cannot run yet.
pub(crate) fn find(name: &str) -> Result<Run> {
    if let Some((_, run)) = ROLES.iter().find(|(role, _)| *role == name) {
        return Ok(*run);
    }
    match ENTRIES.iter().find(|e| e.name.eq_ignore_ascii_case(name)).map(|e| (&e.state, e.name)) {
        Some((Here(run), _)) => Ok(*run),
        Some((Waits(operation), name)) => Err(format!("{name} cannot run yet: it waits for {operation}").into()),
        None => Err(format!("there is no workload {name}; --list shows all").into()),
    }
}

/// All of them, for people.
pub(crate) fn listing() -> String {
    let mut text = String::new();
    for Entry { name, what, state } in ENTRIES {
        let what = what.replace('\n', "\n        ");
        let _ = writeln!(text, "{name:<7} {what}");
        if let Waits(operation) = state {
            let _ = writeln!(text, "        Not there yet: waits for {operation}.");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_there_is_and_says_what_is_missing() {
        assert!(find("W1").is_ok() && find("w2MEM").is_ok() && find("w7-child").is_ok());
        let said = find("W0").unwrap_err().to_string();
        assert!(said.starts_with("there is no workload W0"), "{said}");
        match find("w9") {
            Ok(_) if cfg!(feature = "kafka") => {}
            Err(said) if cfg!(not(feature = "kafka")) => assert!(said.to_string().starts_with("W9 cannot run yet")),
            other => panic!("W9 is there with the feature and not without: {}", other.is_ok()),
        }
        let text = listing();
        assert_eq!(text.matches("Not there yet").count(), usize::from(cfg!(not(feature = "kafka"))));
        assert!(ENTRIES.iter().all(|e| text.contains(e.name)) && !text.contains("w7-child"));
    }
}
