//! [`Count`]: a number of partitions that may not be known before files are listed.
use crate::Result;
use std::sync::{Arc, OnceLock};

/// How many partitions. Most are known at definition; those of a text file (and of what is made from it) are found when
/// first asked for, so that defining a lineage touches no file.
#[derive(Clone)]
pub struct Count(Inner);

#[derive(Clone)]
enum Inner {
    Known(usize),
    Later(Arc<Later>),
}
struct Later {
    found: OnceLock<usize>,
    find: Box<dyn Fn() -> Result<usize> + Send + Sync>,
}

impl Count {
    /// A number known now.
    pub const fn known(n: usize) -> Self {
        Count(Inner::Known(n))
    }
    /// A number found when first asked for. A failure is not remembered: a file may appear in the meantime.
    pub fn later(find: impl Fn() -> Result<usize> + Send + Sync + 'static) -> Self {
        Count(Inner::Later(Arc::new(Later { found: OnceLock::new(), find: Box::new(find) })))
    }
    /// The number.
    ///
    /// # Errors
    /// What listing the input met.
    #[inline]
    pub fn get(&self) -> Result<usize> {
        match &self.0 {
            Inner::Known(n) => Ok(*n),
            Inner::Later(l) => match l.found.get() {
                Some(n) => Ok(*n),
                None => {
                    let n = (l.find)()?;
                    Ok(*l.found.get_or_init(|| n))
                }
            },
        }
    }
    /// The number, if it is known already.
    pub fn if_known(&self) -> Option<usize> {
        match &self.0 {
            Inner::Known(n) => Some(*n),
            Inner::Later(l) => l.found.get().copied(),
        }
    }
    /// Whether both are, or turn out to be, the same number.
    pub fn same(&self, other: &Count) -> bool {
        match (&self.0, &other.0) {
            (Inner::Later(a), Inner::Later(b)) if Arc::ptr_eq(a, b) => true,
            _ => matches!((self.get(), other.get()), (Ok(a), Ok(b)) if a == b),
        }
    }
    /// A number made from others, at once if all are known.
    pub fn of(all: Vec<Count>, make: impl Fn(&[usize]) -> usize + Send + Sync + 'static) -> Count {
        let known: Option<Vec<usize>> = all.iter().map(Count::if_known).collect();
        match known {
            Some(all) => Count::known(make(&all)),
            None => Count::later(move || Ok(make(&all.iter().map(Count::get).collect::<Result<Vec<_>>>()?))),
        }
    }
}
