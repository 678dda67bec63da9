//! The seeded faults: each is a mistake that durable code could make, and each must be caught.

/// A fault, and where a kill is most likely to bring it out.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Whether it takes a power cut.
    pub(crate) power: bool,
    pub(crate) at: &'static [&'static str],
}

const fn fault(name: &'static str, power: bool, at: &'static [&'static str]) -> Fault {
    Fault { name, power, at }
}

pub(crate) const FAULTS: &[Fault] = &[
    // Storage and journal.
    fault("journal.sync-skipped", true, &["batch.settled"]),
    fault("journal.torn-tail-accepted", true, &["storage.append.half_written"]),
    fault("storage.publish-not-atomic", false, &["storage.publish.between_halves"]),
    // The batch log.
    fault("log.plan-not-synced", true, &["batch.outputs_done", "batch.settled"]),
    fault("log.completion-before-state", false, &["checkpoint.manifest_published", "log.planned"]),
    fault("log.trimmed-early", false, &["journal.trim.after_delete", "batch.settled"]),
    // State and checkpoints.
    fault("state.sync-skipped", true, &["checkpoint.manifest_published"]),
    fault("state.undo-dropped", false, &[]),
    fault("state.dirty-bit-lost", false, &["checkpoint.manifest_published", "batch.settled"]),
    fault("checkpoint.manifest-first", false, &["state.section.written", "state.before_sync"]),
    fault("checkpoint.wrong-sequence", false, &["checkpoint.manifest_published", "batch.settled"]),
    // Recovery.
    fault("recovery.completion-not-replayed", false, &["log.plan_synced", "batch.outputs_done"]),
    fault("inputs.position-not-restored", false, &["batch.settled"]),
    // Sinks.
    fault("files.commit-not-finished", false, &["files.committed"]),
    fault("files.gathered-again", false, &["files.gathered", "files.noted"]),
    // What was received.
    fault("wal.acknowledged-before-durable", true, &["wal.acknowledged"]),
    fault("wal.sync-skipped", true, &["wal.acknowledged", "wal.block.synced"]),
    fault("wal.trimmed-early", false, &["batch.settled", "log.plan_synced"]),
];

pub(crate) fn named(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.name == name)
}
