//! The declarations of all keys: one file per group, one declaration per key. Refuses to hold anything else.
//!
//! The constants are what code asks [`SparkConf::value`](super::SparkConf::value) with. Keys that a JVM
//! needs and nothing here ever will have no constant.
//!
//! ```
//! use winterbourne_base::SparkConf;
//! use winterbourne_base::conf::{Bytes, keys};
//!
//! let conf = SparkConf::empty().set(keys::RECEIVER_BUFFER_SIZE, "64m");
//! assert_eq!(conf.value(keys::RECEIVER_BUFFER_SIZE)?, Bytes(64 << 20));
//! assert_eq!(conf.value(keys::CONCURRENT_JOBS)?, 1);
//! assert_eq!(conf.value(keys::DEFAULT_PARALLELISM)?, None);
//! # Ok::<(), winterbourne_base::conf::ConfError>(())
//! ```

/// Why a key that will mean something means nothing yet.
const LATER: Option<&str> = Some("nothing in this version reads it yet");

/// Declares a group: its title, then each key's sentence, constant, type, name and what differs from
/// [`Entry::new`](super::Entry::new).
macro_rules! keys {
    ($title:literal; $(
        $(#[doc = $doc:literal])+
        $constant:ident: $type:ty = $name:literal { $($field:ident: $value:expr),* $(,)? }
    )+) => {
        $(
            $(#[doc = $doc])+
            #[doc = concat!("\n\nThe key `", $name, "`.")]
            pub const $constant: Key<$type> = {
                const ENTRY: &Entry =
                    &Entry { summary: concat!($($doc),+), $($field: $value,)* ..Entry::new::<$type>($name) };
                Key::new(ENTRY)
            };
        )+

        pub(in crate::conf) static GROUP: Group = Group { title: $title, entries: &[$($constant.entry()),+] };
    };
}

pub(super) mod application;
pub(super) mod backpressure;
pub(super) mod batches;
pub(super) mod engine;
pub(super) mod jvm;
pub(super) mod kafka;
pub(super) mod monitor;
pub(super) mod receivers;
pub(super) mod wal;

pub use application::*;
pub use backpressure::*;
pub use batches::*;
pub use engine::*;
pub use kafka::*;
pub use monitor::*;
pub use receivers::*;
pub use wal::*;
