//! [`decode_stored`]: how stored keys and states become today's. The one place that compares layouts.
use super::{
    Layout,
    schema::upgrade::{Migration, Upgrade},
};
use serde::de::DeserializeOwned;

/// Reads what a layout laid out.
pub(super) struct Decoder<K, S> {
    pub(super) key: Upgrade<K>,
    pub(super) state: Upgrade<S>,
}
impl<K: DeserializeOwned + 'static, S: DeserializeOwned + 'static> Decoder<K, S> {
    /// What changes on the way, for the report. Nothing if the layouts are equal.
    pub(super) fn changes(&self) -> Vec<String> {
        let keys = self.key.changes().iter().map(|c| format!("key: {c}"));
        let how = if self.state.is_migrated() { " (migrated)" } else { "" };
        keys.chain(self.state.changes().iter().map(|c| format!("state: {c}{how}"))).collect()
    }
    /// Whether bytes are read as they are, so that a checkpoint has them already.
    pub(super) fn is_same(&self) -> bool {
        self.key.is_same() && self.state.is_same()
    }
}

/// # Errors
/// What cannot be read and what to do, in words.
pub(super) fn decode_stored<K: DeserializeOwned + 'static, S: DeserializeOwned + 'static>(
    stored: &Layout,
    today: &Layout,
    migrations: &[Migration<S>],
) -> Result<Decoder<K, S>, String> {
    let differs = |what: &str, then: &str, now: &str, why: String| {
        format!("{what} were stored as {then} and are {now} now: {why}")
    };
    let key = Upgrade::new(&stored.key, &today.key)
        .map_err(|e| differs("its keys", &stored.key_type, &today.key_type, e.to_string()))?;
    let state = Upgrade::new_with(&stored.state, &today.state, migrations)
        .map_err(|e| differs("its states", &stored.state_type, &today.state_type, e.to_string()))?;
    Ok(Decoder { key, state })
}
