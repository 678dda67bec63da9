//! Configuration: one registry of keys, and [`SparkConf`], the settings of one program.
//!
//! Every key of the system is declared once, in [`keys`], with its name, type, default, unit and sentence. The typed
//! constants, the checks, the nearest name for a typing mistake and `docs/configuration.md` all come from there.
//!
//! This module refuses to read a variable or a file after the [`SparkConf`] was made, to change the process's
//! environment, and to show a secret.

mod bytes;
mod error;
mod getters;
mod key;
pub mod keys;
mod load;
mod markdown;
mod nearest;
mod parse;
mod properties;
mod redact;
mod registry;
mod spark_conf;
mod validate;
mod value;

pub use bytes::Bytes;
pub use error::ConfError;
pub use key::{Entry, Key, Kind, Rule, Unit};
pub use markdown::markdown;
pub use registry::{Group, groups, lookup};
pub use spark_conf::{Origin, SparkConf};
pub use value::Value;
