//! Keys and states that hold no read buffer.
//!
//! A [`Text`] that is a slice of a 64-KiB read buffer keeps all of it alive. Harmless on its way through a task, it would
//! pin the input file in memory once it is a key of a table, a record of a shuffle, or state. So what is kept is detached
//! when it is first stored. That is impossible by trait for any type, hence: a `Text` is recognised by its type; anything
//! else is walked with a serializer that writes nothing, on which a pinned `Text` leaves a mark; only what is marked is
//! rebuilt, by one round trip through bytes.
use crate::{Data, Key, Text, Wire, walk::Walk};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
};

thread_local! {
    static PINNED: Cell<bool> = const { Cell::new(false) };
    static COUNTED: RefCell<Option<Pins>> = const { RefCell::new(None) };
}

/// Told by [`Text`] when it is serialised and holds a buffer longer than itself.
#[inline]
pub(crate) fn mark(buffer: &Arc<String>, used: usize) {
    // While pins are counted the flag is up already.
    if PINNED.replace(true) {
        COUNTED.with_borrow_mut(|c| c.iter_mut().for_each(|pins| pins.add(buffer, used)));
    }
}

/// The read buffers that some records keep alive.
#[derive(Default)]
pub(crate) struct Pins {
    /// How many bytes of them are used.
    pub(crate) live: u64,
    /// How long they are together.
    pub(crate) held: u64,
    /// By address. Records come in the order of their buffers, so the last one is mostly the one.
    known: HashMap<usize, (), crate::hash::FixedState>,
    last: usize,
}
impl Pins {
    fn add(&mut self, buffer: &Arc<String>, used: usize) {
        let address = Arc::as_ptr(buffer).addr();
        self.live += used as u64;
        if self.last != address {
            self.last = address;
            if self.known.insert(address, ()).is_none() {
                self.held += buffer.len() as u64;
            }
        }
    }
    /// Adds what texts hold; whether the records are texts.
    pub(crate) fn add_texts<T: Data>(&mut self, records: &[T]) -> bool {
        if TypeId::of::<T>() != TypeId::of::<Text>() {
            return false;
        }
        for x in records {
            let text = (x as &dyn Any).downcast_ref::<Text>().expect("the same type");
            text.pin().into_iter().for_each(|(buffer, used)| self.add(buffer, used));
        }
        true
    }
    /// Adds what is found on a walk through records that may hold texts.
    pub(crate) fn add_walked<T: Wire>(&mut self, records: &[T]) {
        PINNED.set(true);
        COUNTED.set(Some(std::mem::take(self)));
        for x in records {
            // One that refuses is not known to hold anything.
            let _ = x.serialize(Walk(()));
        }
        PINNED.set(false);
        *self = COUNTED.take().expect("put there above");
    }
}

/// The key, holding no buffer larger than itself. What does not survive a round trip (skipped fields, formats of its own)
/// stays as it is: it pins memory, which is a cost and not a mistake.
///
/// ```
/// # use winterbourne_engine::{Text, detach};
/// let line = std::sync::Arc::new("a line of a large file, and many more".to_owned());
/// let key = detach::key((Text::slice(&line, 0..28), 1));
/// assert!(key.0.is_detached());
/// ```
#[inline]
pub fn key<K: Key>(k: K) -> K {
    rebuilt(k, |own, k| own == k)
}
/// The same for a value that cannot be compared. Its serialised form is taken for the whole of it, as for all that is
/// state: fields that serde skips may come back as their defaults.
///
/// ```
/// # use winterbourne_engine::{Text, detach};
/// let line = std::sync::Arc::new("a line of a large file, and many more".to_owned());
/// let state = detach::value((Text::slice(&line, 0..28), 1.5));
/// assert!(state.0.is_detached());
/// ```
#[inline]
pub fn value<T: Wire>(value: T) -> T {
    rebuilt(
        value,
        |own, value| matches!((postcard::to_allocvec(own), postcard::to_allocvec(value)), (Ok(a), Ok(b)) if a == b),
    )
}
/// What is a [`Text`] itself, holding no larger buffer; anything else as it is. Costs next to nothing.
///
/// ```
/// # use winterbourne_engine::{Text, detach};
/// let line = std::sync::Arc::new("a line of a large file, and many more".to_owned());
/// assert!(detach::text(Text::slice(&line, 0..28)).is_detached());
/// ```
#[inline]
pub fn text<T: Data>(x: T) -> T {
    if TypeId::of::<T>() == TypeId::of::<Text>() {
        let text = (&x as &dyn Any).downcast_ref::<Text>().expect("the same type");
        if !text.is_detached() {
            let own: Box<dyn Any> = Box::new(text.detach());
            return *own.downcast().expect("the same type");
        }
    }
    x
}

#[inline]
fn rebuilt<T: Wire>(x: T, is_same: impl Fn(&T, &T) -> bool) -> T {
    // Numbers and their like hold nothing; this is known when compiling.
    if TypeId::of::<T>() == TypeId::of::<Text>() || !std::mem::needs_drop::<T>() {
        return text(x);
    }
    composite(x, is_same)
}

fn composite<T: Wire>(x: T, is_same: impl Fn(&T, &T) -> bool) -> T {
    PINNED.set(false);
    let walked = x.serialize(Walk(()));
    if walked.is_err() || !PINNED.replace(false) {
        return x;
    }
    let bytes = postcard::to_allocvec(&x);
    match bytes.ok().and_then(|b| postcard::from_bytes::<T>(&b).ok()) {
        Some(own) if is_same(&own, &x) => own,
        _ => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use std::sync::Arc;

    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    enum Name {
        One(Text),
        Two { first: Text, last: Option<Text> },
    }
    /// Makes a key of a slice of a large buffer; says how many still hold the buffer.
    fn holders<K: Key>(make: impl Fn(Text) -> K) -> usize {
        let buf = Arc::new("x".repeat(1 << 16));
        let stored = key(make(Text::slice(&buf, 0..100)));
        let again = key(stored.clone());
        assert!(stored == again);
        let state = value(make(Text::slice(&buf, 0..100)));
        assert!(stored == state);
        Arc::strong_count(&buf) - 1
    }
    #[test]
    fn a_stored_key_holds_no_read_buffer() {
        assert_eq!(holders(|t| t), 0);
        assert_eq!(holders(|t| (t, 1u64)), 0);
        assert_eq!(holders(|t| vec![Some(t)]), 0);
        assert_eq!(holders(Name::One), 0);
        assert_eq!(holders(|t| Name::Two { first: t.clone(), last: Some(t) }), 0);
        assert_eq!(holders(|t| t.to_string()), 0);
    }
    #[test]
    fn a_key_that_cannot_be_rebuilt_stays_as_it_is() {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        struct Odd {
            text: Text,
            #[serde(skip)]
            kept: u32,
        }
        let buf = Arc::new("x".repeat(1000));
        let odd = Odd { text: Text::slice(&buf, 0..100), kept: 7 };
        assert_eq!(key(odd.clone()), odd);
    }
}
