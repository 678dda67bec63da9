//! What a record, a shuffled record, a key, a sorted key and a printed record must be: blanket traits whose only purpose
//! is one name for the bounds and one readable message where they are missed.
use serde::{Serialize, de::DeserializeOwned};
use std::hash::Hash;

/// Every record of an [`Rdd`](crate::Rdd) or a stream. Records move through operators by value; those that are shared
/// (cached, windowed, queued) are cloned when an operator wants them by value, so cheap clones matter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a record",
    label = "records must be `Clone + Send + Sync + 'static`",
    note = "replace references by owned values (`Text`, `String`, `Arc<_>`) and `Rc`/`RefCell` by `Arc`/`Mutex`"
)]
pub trait Data: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Data for T {}

/// A record that crosses a shuffle, is persisted in serialised form, or is state.
///
/// In one process a shuffle hands typed vectors over and serialises nothing; the bound holds all the same, so that the
/// program runs unchanged under a memory budget and on several machines.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross a shuffle or be kept as state",
    label = "needs `Clone + Send + Sync + 'static + serde::Serialize + serde::de::DeserializeOwned`",
    note = "add `#[derive(Clone, serde::Serialize, serde::Deserialize)]` to its definition"
)]
pub trait Wire: Data + Serialize + DeserializeOwned {}
impl<T: Data + Serialize + DeserializeOwned> Wire for T {}

/// A key: hashed with a fixed seed (the same in every process) and compared for equality.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    label = "keys need `Hash + Eq` and everything a shuffle needs",
    note = "derive `Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize`; floats have no total equality, wrap them in `Total`"
)]
pub trait Key: Wire + Hash + Eq {}
impl<T: Wire + Hash + Eq> Key for T {}

/// A record with a text form, as [`show`](crate::show) writes it: what `print` and the text files need.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no text form",
    label = "printing and saving as text need `serde::Serialize`",
    note = "add `#[derive(serde::Serialize)]`, or `.map(|x| format!(\"{{x:?}}\"))` first"
)]
pub trait Show: Serialize {}
impl<T: Serialize> Show for T {}

/// A key that is sorted: totally ordered, and fit for a shuffle.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sorted",
    label = "sorting needs `Ord` and everything a shuffle needs",
    note = "derive `Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize`; wrap floats in `Total`"
)]
pub trait SortKey: Wire + Ord {}
impl<T: Wire + Ord> SortKey for T {}
