//! [`decode_stored`]: how stored keys and states become today's. The one place that compares layouts.
use super::Layout;
use serde::de::DeserializeOwned;

type Read<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;

/// Reads what a layout laid out.
pub(super) struct Decoder<K, S> {
    pub(super) key: Read<K>,
    pub(super) state: Read<S>,
    /// What changes on the way, for the report. Nothing if the layouts are equal.
    pub(super) changes: Vec<String>,
}

/// # Errors
/// What cannot be read and what to do, in words.
pub(super) fn decode_stored<K: DeserializeOwned + 'static, S: DeserializeOwned + 'static>(
    stored: &Layout,
    today: &Layout,
) -> Result<Decoder<K, S>, String> {
    let differs = |what: &str, then: &str, now: &str| {
        Err(format!(
            "{what} were stored as {then} and are {now} now; change the type back, or give the operator another uid \
             and let go of what is stored"
        ))
    };
    if stored.key != today.key {
        return differs("its keys", &stored.key_type, &today.key_type);
    }
    if stored.state != today.state {
        return differs("its states", &stored.state_type, &today.state_type);
    }
    Ok(Decoder { key: Box::new(exactly), state: Box::new(exactly), changes: Vec::new() })
}

/// All of the bytes, as they were laid out.
fn exactly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((x, [])) => Ok(x),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(e) => Err(e.to_string()),
    }
}
