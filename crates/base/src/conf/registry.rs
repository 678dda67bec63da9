//! All declared keys as one table, and the rules for names outside it. Refuses to be extended at run time.

use super::Entry;
use super::keys::{application, backpressure, batches, engine, jvm, kafka, monitor, receivers, wal};

/// Keys that belong together, in the order the documentation shows them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The keys.
    pub entries: &'static [&'static Entry],
}

/// A prefix under which any name is accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenPrefix {
    pub(super) prefix: &'static str,
    pub(super) summary: &'static str,
    /// Why such keys change nothing here, if they do not.
    pub(super) no_effect: Option<&'static str>,
}

const NO_CLUSTER: Option<&str> = Some("there is no such cluster manager here");

pub(super) const OPEN_PREFIXES: [OpenPrefix; 8] = [
    OpenPrefix { prefix: "spark.app.", summary: "The application's own settings.", no_effect: None },
    OpenPrefix {
        prefix: "spark.hadoop.",
        summary: "Options of the Hadoop client, for connectors that know them.",
        no_effect: Some("only a connector that names the option reads it"),
    },
    OpenPrefix {
        prefix: "spark.executorEnv.",
        summary: "Environment variables of executors.",
        no_effect: Some("executors share the program's own environment"),
    },
    OpenPrefix {
        prefix: "spark.metrics.conf.",
        summary: "Options of the JVM metrics system.",
        no_effect: Some("there is no JVM metrics system here"),
    },
    OpenPrefix {
        prefix: "spark.sql.",
        summary: "Options of Spark SQL.",
        no_effect: Some("there is no Spark SQL here"),
    },
    OpenPrefix { prefix: "spark.yarn.", summary: "Options of YARN.", no_effect: NO_CLUSTER },
    OpenPrefix { prefix: "spark.kubernetes.", summary: "Options of Spark on Kubernetes.", no_effect: NO_CLUSTER },
    OpenPrefix { prefix: "spark.mesos.", summary: "Options of Mesos.", no_effect: NO_CLUSTER },
];

static GROUPS: [&Group; 9] = [
    &application::GROUP,
    &engine::GROUP,
    &batches::GROUP,
    &receivers::GROUP,
    &wal::GROUP,
    &backpressure::GROUP,
    &kafka::GROUP,
    &monitor::GROUP,
    &jvm::GROUP,
];

/// Every declared key, group by group.
///
/// ```
/// let keys = winterbourne_base::conf::groups().flat_map(|group| group.entries);
/// assert!(keys.into_iter().any(|key| key.name == "spark.streaming.blockInterval"));
/// ```
pub fn groups() -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().copied()
}

/// The key that has `name`, also by an older name.
///
/// ```
/// let key = winterbourne_base::conf::lookup("spark.streaming.minRememberDuration").unwrap();
/// assert_eq!(key.name, "spark.streaming.fileStream.minRememberDuration");
/// ```
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.name == name || entry.aliases.contains(&name))
}

pub(super) fn entries() -> impl Iterator<Item = &'static Entry> {
    groups().flat_map(|group| group.entries.iter().copied())
}

/// Every name a key can be set by.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    entries().flat_map(|entry| std::iter::once(entry.name).chain(entry.aliases.iter().copied()))
}

/// The name a setting is kept under: older names become the present one.
pub(super) fn canonical(name: &str) -> &str {
    lookup(name).map_or(name, |entry| entry.name)
}

/// The open prefix that accepts `name`; a prefix alone names nothing.
pub(super) fn open_prefix(name: &str) -> Option<&'static OpenPrefix> {
    OPEN_PREFIXES.iter().find(|open| name.strip_prefix(open.prefix).is_some_and(|rest| !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::conf::{load, parse};

    #[test]
    fn every_name_is_declared_once_and_in_the_namespace() {
        let mut seen = BTreeSet::new();
        for name in names() {
            assert!(name.starts_with("spark."), "{name}");
            assert!(seen.insert(name), "{name} twice");
        }
        assert!(seen.len() > 100, "{}", seen.len());
    }

    #[test]
    fn every_environment_variable_means_one_key() {
        let variables: BTreeSet<_> = names().map(load::variable).collect();
        assert_eq!(variables.len(), names().count());
    }

    #[test]
    fn every_default_is_a_value_of_its_key() {
        for entry in entries() {
            if let Some(default) = entry.default {
                assert!(parse::value(entry, default).is_some(), "{}: {default}", entry.name);
            }
        }
    }

    #[test]
    fn every_summary_is_one_sentence() {
        for entry in entries() {
            let summary = entry.summary.trim();
            assert!(summary.ends_with('.') && summary.len() > 10, "{}: {summary}", entry.name);
        }
    }
}
