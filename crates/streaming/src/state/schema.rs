//! [`Schema`]: the layout of a type as serde describes it.
use serde::{Deserialize, Serialize};

/// The layout of a type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Schema {
    /// It could not be traced: only its name is known.
    Opaque(String),
}
