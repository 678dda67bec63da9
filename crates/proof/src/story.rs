//! The story: which lives there are, and what came of them.

use std::collections::BTreeMap;
use std::env;

use winterbourne::BoxError;
use winterbourne_base::scratch::ScratchDir;
use winterbourne_broker::{Cluster, or_skip};

use crate::Options;
use crate::check;
use crate::life::{self, End, World};
use crate::topics::{self, CHANGES, COPIES, Feed, INPUT};

/// The steps of a batch around its commit, in their order; between any two of them something has become durable, or is
/// about to.
const STEPS: &[&str] = &[
    "log.planned",
    "log.plan_synced",
    "sink.staged",
    "batch.outputs_done",
    "kafka.sent",
    "kafka.committed",
    "sink.committed",
    "log.completed",
    "batch.settled",
    "recovery.loaded",
    "recovery.replayed",
];
/// The steps that each sink comes to: the second one's are told from the first one's by counting.
const SINKS: u64 = 2;

/// # Errors
///
/// What does not hold, or what could not be played.
pub(crate) fn play(options: &Options) -> Result<(), BoxError> {
    if cfg!(not(feature = "failpoints")) {
        return Err("build it with --features failpoints: without them nothing can be killed at a named step".into());
    }
    // The short one is a test.
    let started = Cluster::start();
    let mut broker = if options.short { or_skip(started) } else { started? };
    topics::make(&broker)?;
    let directory = ScratchDir::create(&env::temp_dir(), "winterbourne-proof")?;
    let servers = broker.bootstrap();
    let world = World { servers: servers.clone(), directory: directory.path(), fault: options.fault.as_deref() };
    let feed = Feed::start(&servers)?;

    let mut dice = Dice(options.seed);
    let mut died: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let rounds = if options.short { 1 } else { 6 };
    for round in 0..rounds {
        for step in STEPS {
            // In the short run every step once, for one sink or the other; recovery is passed through at each start.
            let nth = if step.starts_with("recovery.") { 1 } else { 1 + dice.below(SINKS * (1 + 3 * round)) };
            // A start that finds a fresh checkpoint has nothing to replay: then once more, after a life that leaves some.
            for _ in 0..6 {
                let reached = life::live(&world, &End::At((*step).to_owned(), nth), || Ok(()))?;
                let (hit, tried) = died.entry((*step).to_owned()).or_default();
                *hit += u64::from(reached);
                *tried += 1;
                if reached {
                    break;
                }
                if step.starts_with("recovery.") {
                    life::live(&world, &End::At("log.completed".to_owned(), 4), || Ok(()))?;
                }
            }
        }
    }
    let kills = options.kills.unwrap_or(if options.short { 4 } else { 60 });
    for kill in 0..kills {
        let end = End::After(6 + dice.below(20));
        let restart = || if kill == kills / 2 { broker.restart().map_err(BoxError::from) } else { Ok(()) };
        life::live(&world, &end, restart)?;
        died.entry("at random".to_owned()).or_default().0 += 1;
    }
    let given = feed.stop()?;
    life::live(&world, &End::Idle(25), || Ok(()))?;

    topics::seal(&servers)?;
    let input = topics::seen(&broker, INPUT)?;
    let (copies, changes) = (topics::seen(&broker, COPIES)?, topics::seen(&broker, CHANGES)?);
    println!("{given} records given, {} copies and {} changes of totals seen", copies.len(), changes.len());
    for (step, (hit, tried)) in &died {
        println!("  {step:24} killed {hit} time(s){}", if tried > hit { ", not always reached" } else { "" });
    }
    if let Some((step, _)) = died.iter().find(|(_, (hit, _))| *hit == 0) {
        return Err(format!("nobody was killed at {step}").into());
    }
    if input.len() as u64 != given {
        return Err(format!("{given} records were written, but {} lie in the topic", input.len()).into());
    }
    let wrong = check::check(&input, &copies, &changes);
    match (options.fault.as_deref(), wrong.as_slice()) {
        (None, []) => Ok(()),
        (None, wrong) => Err(format!("{} thing(s) do not hold:\n  {}", wrong.len(), first(wrong)).into()),
        (Some(fault), []) => Err(format!("the seeded fault {fault} was not noticed").into()),
        (Some(fault), wrong) => {
            println!("the seeded fault {fault} was noticed: {} thing(s), {}", wrong.len(), wrong[0]);
            Ok(())
        }
    }
}

fn first(wrong: &[String]) -> String {
    wrong.iter().take(8).cloned().collect::<Vec<_>>().join("\n  ")
}

/// Numbers that are the same for the same seed.
struct Dice(u64);
impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}
