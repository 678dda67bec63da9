//! From bytes to keys and values.
use crate::Bytes;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use winterbourne_engine::{BoxError, Text};

/// Makes a key or a value of what is in the topic. What it cannot make something of is a bad record, and the stream's
/// policy says what becomes of it. Closures `Fn(Option<&Bytes>) -> Result<T, BoxError>` are deserialisers.
pub trait Deserializer<T>: Send + Sync + 'static {
    /// The key or value; `None` where the record has none.
    ///
    /// # Errors
    /// Why it is none.
    fn deserialize(&self, bytes: Option<&Bytes>) -> Result<T, BoxError>;
}
impl<T, F: Fn(Option<&Bytes>) -> Result<T, BoxError> + Send + Sync + 'static> Deserializer<T> for F {
    fn deserialize(&self, bytes: Option<&Bytes>) -> Result<T, BoxError> {
        self(bytes)
    }
}

fn there(bytes: Option<&Bytes>) -> Result<&Bytes, BoxError> {
    bytes.ok_or_else(|| "the record has none; Nullable(…) takes those too".into())
}

/// The bytes themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsBytes;
impl Deserializer<Bytes> for AsBytes {
    fn deserialize(&self, bytes: Option<&Bytes>) -> Result<Bytes, BoxError> {
        there(bytes).cloned()
    }
}

/// UTF-8, as [`Text`] that shares the buffer, or as a `String`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsText;
impl Deserializer<Text> for AsText {
    fn deserialize(&self, bytes: Option<&Bytes>) -> Result<Text, BoxError> {
        let bytes = there(bytes)?;
        bytes.text().ok_or_else(|| format!("{bytes:?} is not UTF-8").into())
    }
}
impl Deserializer<String> for AsText {
    fn deserialize(&self, bytes: Option<&Bytes>) -> Result<String, BoxError> {
        let text: Text = self.deserialize(bytes)?;
        Ok(text.as_str().to_owned())
    }
}

/// JSON, as any type that serde reads.
///
/// ```
/// use winterbourne_kafka::{Bytes, Deserializer, Json};
/// #[derive(serde::Deserialize)]
/// struct Click { page: String }
/// let click: Click = Json::new().deserialize(Some(&Bytes::from(r#"{"page": "/"}"#)))?;
/// assert_eq!(click.page, "/");
/// # Ok::<(), winterbourne_engine::BoxError>(())
/// ```
pub struct Json<T>(PhantomData<fn() -> T>);
impl<T> Json<T> {
    /// A deserialiser.
    pub const fn new() -> Self {
        Json(PhantomData)
    }
}
impl<T> Default for Json<T> {
    fn default() -> Self {
        Json::new()
    }
}
impl<T: DeserializeOwned + 'static> Deserializer<T> for Json<T> {
    fn deserialize(&self, bytes: Option<&Bytes>) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(there(bytes)?)?)
    }
}

/// What another deserialiser makes, or none where the record has none: keys may be missing, and so may values in
/// compacted topics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nullable<D>(pub D);
impl<T, D: Deserializer<T>> Deserializer<Option<T>> for Nullable<D> {
    fn deserialize(&self, bytes: Option<&Bytes>) -> Result<Option<T>, BoxError> {
        bytes.map(|b| self.0.deserialize(Some(b))).transpose()
    }
}
