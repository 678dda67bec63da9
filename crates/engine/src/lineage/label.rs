//! [`Label`]: the name a user gave a node, for people who look at lineages and caches.
use std::sync::{Arc, Mutex, MutexGuard};

/// A name that may be given, and given again.
#[derive(Default)]
pub struct Label(Mutex<Option<Arc<str>>>);

impl Label {
    fn slot(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.0.lock().expect("nothing else runs under this lock")
    }
    /// Gives it.
    pub fn set(&self, name: &str) {
        let before = self.slot().replace(name.into());
        drop(before);
    }
    /// The name, if there is one.
    pub fn get(&self) -> Option<Arc<str>> {
        self.slot().clone()
    }
}
