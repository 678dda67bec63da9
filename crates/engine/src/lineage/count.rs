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
    /// What it is made from. A lineage may be a million operators long, so neither finding nor dropping recurses.
    from: Vec<Count>,
    find: Find,
}
pub(crate) type Find = Box<dyn Fn(&[usize]) -> Result<usize> + Send + Sync>;

impl Later {
    fn find(self: &Arc<Self>) -> Result<usize> {
        let mut todo = vec![self.clone()];
        while let Some(next) = todo.last().cloned() {
            let before = todo.len();
            todo.extend(next.from.iter().filter_map(|c| match &c.0 {
                Inner::Later(l) if l.found.get().is_none() => Some(l.clone()),
                _ => None,
            }));
            if todo.len() > before {
                continue;
            }
            if next.found.get().is_none() {
                let from: Vec<usize> = next.from.iter().filter_map(Count::if_known).collect();
                let n = (next.find)(&from)?;
                next.found.get_or_init(|| n);
            }
            todo.pop();
        }
        Ok(*self.found.get().expect("found last of all"))
    }
}
impl Drop for Later {
    fn drop(&mut self) {
        let mut todo = std::mem::take(&mut self.from);
        while let Some(Count(count)) = todo.pop() {
            if let Inner::Later(l) = count
                && let Some(mut last) = Arc::into_inner(l)
            {
                todo.append(&mut last.from);
            }
        }
    }
}

impl Count {
    /// A number known now.
    pub const fn known(n: usize) -> Self {
        Count(Inner::Known(n))
    }
    /// A number found when first asked for. A failure is not remembered: a file may appear in the meantime.
    pub fn later(find: impl Fn() -> Result<usize> + Send + Sync + 'static) -> Self {
        Count::made(Vec::new(), Box::new(move |_| find()))
    }
    /// A number found from others when first asked for; they may not fit each other.
    pub(crate) fn made(from: Vec<Count>, find: Find) -> Self {
        Count(Inner::Later(Arc::new(Later { found: OnceLock::new(), from, find })))
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
                None => l.find(),
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
    pub fn of(from: Vec<Count>, make: impl Fn(&[usize]) -> usize + Send + Sync + 'static) -> Count {
        let known: Option<Vec<usize>> = from.iter().map(Count::if_known).collect();
        match known {
            Some(all) => Count::known(make(&all)),
            None => Count::made(from, Box::new(move |n| Ok(make(n)))),
        }
    }
}
impl PartialEq for Count {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
    }
}
