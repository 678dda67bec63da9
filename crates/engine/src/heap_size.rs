//! [`HeapSize`]: how much memory a value keeps outside of itself.
use crate::{Text, Wire};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    mem::size_of,
    rc::Rc,
    sync::Arc,
};

/// How much memory a value keeps outside of its own `size_of`: what a cached block of such records weighs.
///
/// Levels that serialise find out by a walk through a sample of the records, and [`MemoryOnly`](crate::MemoryOnly)
/// guesses what it does not know. Where that is far off, implement this and persist with
/// [`Measured`](crate::Measured).
///
/// ```
/// use winterbourne_engine::HeapSize;
/// struct Image { pixels: Vec<u8>, name: String }
/// impl HeapSize for Image {
///     fn heap_size(&self) -> usize {
///         self.pixels.heap_size() + self.name.heap_size()
///     }
/// }
/// assert_eq!(Image { pixels: vec![0; 640], name: "sea".into() }.heap_size(), 643);
/// ```
pub trait HeapSize {
    /// In bytes. What several values share counts for each.
    fn heap_size(&self) -> usize {
        0
    }
}

/// How much memory a value that serialises keeps outside of itself, in bytes: what its strings and collections hold, found
/// by a walk through it. What boxes hold is not seen, and spare capacity neither.
///
/// ```
/// assert_eq!(winterbourne_engine::heap_of(&(1u64, "abc".to_string(), vec![1u32, 2])), 3 + 8);
/// ```
pub fn heap_of<T: Wire>(x: &T) -> u64 {
    crate::blocks::size::walked(x)
}

macro_rules! nothing {
    ($($t:ty),*) => { $(impl HeapSize for $t {})* };
}
nothing!(
    (),
    bool,
    char,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    &'static str,
    std::time::Duration,
    std::net::IpAddr,
    std::net::SocketAddr
);

impl HeapSize for String {
    fn heap_size(&self) -> usize {
        self.capacity()
    }
}
impl HeapSize for Text {
    fn heap_size(&self) -> usize {
        self.heap()
    }
}
impl<T: HeapSize> HeapSize for Option<T> {
    fn heap_size(&self) -> usize {
        self.as_ref().map_or(0, T::heap_size)
    }
}
impl<T: HeapSize, E: HeapSize> HeapSize for Result<T, E> {
    fn heap_size(&self) -> usize {
        self.as_ref().map_or_else(E::heap_size, T::heap_size)
    }
}
impl<T: HeapSize> HeapSize for Vec<T> {
    fn heap_size(&self) -> usize {
        self.capacity() * size_of::<T>() + all(self)
    }
}
impl<T: HeapSize, const N: usize> HeapSize for [T; N] {
    fn heap_size(&self) -> usize {
        all(self)
    }
}
impl<T: HeapSize> HeapSize for Box<[T]> {
    fn heap_size(&self) -> usize {
        size_of_val::<[T]>(self) + all(&**self)
    }
}
impl<T: HeapSize> HeapSize for VecDeque<T> {
    fn heap_size(&self) -> usize {
        self.capacity() * size_of::<T>() + all(self)
    }
}

/// One kind of pointer to a value.
macro_rules! pointers {
    ($($pointer:ident),*) => { $(impl<T: HeapSize> HeapSize for $pointer<T> {
        fn heap_size(&self) -> usize {
            size_of::<T>() + T::heap_size(self)
        }
    })* };
}
pointers!(Box, Rc, Arc);

/// Sets and maps: a byte for each slot or edge beside what they hold is near enough.
macro_rules! collections {
    ($($name:ident<$($p:ident),+ $(; $s:ident)?>: $item:ty, $sum:expr;)*) => { $(
        impl<$($p: HeapSize,)+ $($s)?> HeapSize for $name<$($p,)+ $($s)?> {
            fn heap_size(&self) -> usize {
                self.len() * (size_of::<$item>() + 1) + self.iter().map($sum).sum::<usize>()
            }
        }
    )* };
}
collections! {
    HashMap<K, V; S>: (K, V), |(k, v)| k.heap_size() + v.heap_size();
    BTreeMap<K, V>: (K, V), |(k, v)| k.heap_size() + v.heap_size();
    HashSet<T; S>: T, T::heap_size;
    BTreeSet<T>: T, T::heap_size;
}

macro_rules! tuples {
    ($(($($t:ident)+);)*) => { $(impl<$($t: HeapSize),+> HeapSize for ($($t,)+) {
        fn heap_size(&self) -> usize {
            #[expect(non_snake_case, reason = "the names of the types serve for the fields")]
            let ($($t,)+) = self;
            0 $(+ $t.heap_size())+
        }
    })* };
}
tuples! { (A); (A B); (A B C); (A B C D); (A B C D E); (A B C D E F); (A B C D E F G); (A B C D E F G H); }

fn all<'a, T: HeapSize + 'a>(items: impl IntoIterator<Item = &'a T>) -> usize {
    items.into_iter().map(T::heap_size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_counted() {
        let name = || "twelve bytes".to_owned();
        assert_eq!((1u64, 'x', [1.5, 2.5]).heap_size(), 0);
        assert_eq!((name(), Some(name()), None::<String>, Ok::<_, u8>(name())).heap_size(), 36);
        assert_eq!(vec![name(), name()].heap_size(), 2 * (24 + 12));
        assert_eq!((Box::new(name()), Arc::new(1u64)).heap_size(), 24 + 12 + 8);
        assert_eq!(BTreeMap::from([(1u64, name())]).heap_size(), 32 + 1 + 12);
        assert_eq!((Text::from("short"), Text::from("longer than twenty-two bytes")).heap_size(), 28 + 40);
    }
}
