//! [`KafkaParams`]: the client's configuration, as a map of Kafka's own keys.
use crate::Error;
use std::{collections::BTreeMap, fmt};

/// Parameters of the client, by Kafka's names: `bootstrap.servers`, `group.id`, `auto.offset.reset`, `security.protocol`, …
/// They are those of [librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md), which shares
/// most names with Java's client; where it does not, an error says which key is meant.
///
/// ```
/// use winterbourne_kafka::KafkaParams;
/// let params = KafkaParams::new("localhost:9092").set("group.id", "clicks").set("sasl.password", "hush");
/// assert!(!format!("{params:?}").contains("hush"), "secrets are not shown");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaParams(BTreeMap<String, String>);
impl KafkaParams {
    /// Parameters for the cluster at `servers`, one `host:port` or several with commas.
    pub fn new(servers: impl Into<String>) -> Self {
        KafkaParams(BTreeMap::new()).set("bootstrap.servers", servers)
    }
    /// With one parameter more, or another value of it.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }
    /// The value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
    pub(crate) fn servers(&self) -> &str {
        self.get("bootstrap.servers").unwrap_or_default()
    }
    /// A parameter that has a value here unless the user gave one.
    pub(crate) fn default_to(self, key: &str, value: &str) -> Self {
        if self.0.contains_key(key) { self } else { self.set(key, value) }
    }
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.0.remove(key);
        self
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
    /// The value of a number of milliseconds.
    pub(crate) fn millis(&self, key: &str) -> Result<Option<u64>, Error> {
        let parse = |v: &str| v.parse().map_err(|_| wrong(key, format!("{v:?} is not a number of milliseconds")));
        self.get(key).map(parse).transpose()
    }
    /// What of it the client is given: keys that only Java's client knows are left out where they say nothing here, and
    /// refused where they do.
    pub(crate) fn checked(mut self) -> Result<Self, Error> {
        if self.servers().is_empty() {
            return Err(wrong("bootstrap.servers", "it is empty"));
        }
        for key in ["key.deserializer", "value.deserializer", "key.serializer", "value.serializer"] {
            self.0.remove(key);
        }
        for (key, instead) in [
            ("sasl.jaas.config", "give sasl.username and sasl.password"),
            ("ssl.truststore.location", "give ssl.ca.location, a file in PEM format"),
            ("ssl.truststore.password", "a file in PEM format, ssl.ca.location, has none"),
        ] {
            if self.0.contains_key(key) {
                return Err(wrong(key, format!("only Java's client knows it; {instead}")));
            }
        }
        Ok(self)
    }
}

pub(crate) fn wrong(key: &str, what: impl Into<String>) -> Error {
    Error::Parameter { key: key.to_owned(), what: what.into() }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for KafkaParams {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        KafkaParams(all.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}
impl fmt::Debug for KafkaParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_secret = |key: &str| ["password", "secret", "pem", "token"].iter().any(|s| key.contains(s));
        let shown = self.iter().map(|(k, v)| (k, if is_secret(k) { "(not shown)" } else { v }));
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_javas_client_are_left_out_or_refused_with_ours() {
        let params = |key: &str| KafkaParams::new("a:1").set(key, "x").checked();
        assert_eq!(params("value.deserializer").map(|p| p.iter().count()), Ok(1));
        let error = params("ssl.truststore.location").unwrap_err().to_string();
        assert!(error.contains("ssl.truststore.location") && error.contains("ssl.ca.location"), "{error}");
        assert!(KafkaParams::from_iter([("group.id", "g")]).checked().unwrap_err().to_string().contains("bootstrap"));
    }
}
