//! [`Value`]: the Rust types a configuration value can have. Refuses to know how they are written (see `parse`).

use super::parse::Parsed;
use super::{Bytes, Kind};
use crate::time::Duration;

/// A type that configuration values can have: `bool`, `u64`, `usize`, `f64`, [`Duration`], [`Bytes`], `String`, and
/// `Option` of each for keys that may be unset. Sealed: the registry decides what its keys can be.
pub trait Value: Sized + sealed::FromParsed {
    /// How such values are written.
    const KIND: Kind;

    /// Whether *not set* is a value of the type.
    const OPTIONAL: bool = false;
}

mod sealed {
    use super::Parsed;

    pub trait FromParsed: Sized {
        /// The value, or none if what was read is not one of this type.
        fn from_parsed(parsed: Parsed) -> Option<Self>;

        /// What a key without value and default has.
        fn unset() -> Option<Self> {
            None
        }
    }
}

use sealed::FromParsed;

macro_rules! value {
    ($($type:ty: $kind:ident, $pattern:pat => $value:expr;)+) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::$kind;
        }

        impl FromParsed for $type {
            fn from_parsed(parsed: Parsed) -> Option<Self> {
                match parsed {
                    $pattern => $value,
                    _ => None,
                }
            }
        }
    )+};
}

value! {
    bool: Bool, Parsed::Bool(value) => Some(value);
    u64: Integer, Parsed::Integer(value) => Some(value);
    usize: Integer, Parsed::Integer(value) => usize::try_from(value).ok();
    f64: Float, Parsed::Float(value) => Some(value);
    Duration: Time, Parsed::Time(value) => Some(value);
    Bytes: Size, Parsed::Size(value) => Some(value);
    String: Text, Parsed::Text(value) => Some(value);
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;
}

impl<T: Value> FromParsed for Option<T> {
    fn from_parsed(parsed: Parsed) -> Option<Self> {
        match parsed {
            Parsed::Off => Some(None),
            parsed => T::from_parsed(parsed).map(Some),
        }
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}
