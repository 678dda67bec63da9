//! Named threads. The only place that starts one; refuses to start one without a name.
//!
//! There is no detached spawn: whoever starts a thread holds its [`JoinHandle`] and says in its own head comment how
//! the thread ends.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::thread::{self, Builder, JoinHandle};

/// Starts a thread called `name` with the platform's usual stack.
///
/// Linux shows the first 15 bytes of the name.
///
/// ```
/// let thread = winterbourne_base::thread::spawn("adder", || 1 + 1)?;
/// assert_eq!(thread.join().unwrap(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The operating system's, when it has no thread left to give (a retry may help later), or
/// [`io::ErrorKind::InvalidInput`] for a name that contains a NUL byte.
pub fn spawn<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    builder(name)?.spawn(f)
}

/// Starts a thread called `name` with a stack of at least `stack_bytes`.
///
/// For what recurses over something a user built, such as a long lineage. Pages of the stack are only taken when they
/// are touched.
///
/// # Errors
///
/// As [`spawn`].
pub fn spawn_with_stack<T: Send + 'static>(
    name: &str,
    stack_bytes: usize,
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    builder(name)?.stack_size(stack_bytes).spawn(f)
}

thread_local! { static SERVES: Cell<bool> = const { Cell::new(false) }; }

/// Says of the calling thread that somebody waits for its end before others can go on: it runs a receiver, say, or tells
/// listeners. Code of a user that it calls must not wait for those others, and [`serves`] tells.
///
/// ```
/// use winterbourne_base::thread;
/// let thread = thread::spawn("teller", || {
///     thread::serve();
///     thread::serves()
/// })?;
/// assert!(thread.join().unwrap() && !thread::serves());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve() {
    SERVES.set(true);
}

/// Whether the calling thread has called [`serve`].
#[must_use]
pub fn serves() -> bool {
    SERVES.get()
}

/// How many threads can run at once: what `local[*]` means.
///
/// On Linux this is the smallest of the machine's processors, the affinity mask and the cgroup's CPU quota (rounded
/// down, at least one), so a container limited to two processors gets two threads. Where the platform does not say,
/// it is one.
#[must_use]
pub fn available_parallelism() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

fn builder(name: &str) -> io::Result<Builder> {
    if name.contains('\0') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a thread's name cannot contain a NUL byte"));
    }
    Ok(Builder::new().name(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_carry_their_names() {
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(spawn("reader-3", name).unwrap().join().unwrap().as_deref(), Some("reader-3"));
        assert_eq!(spawn_with_stack("deep", 1 << 20, name).unwrap().join().unwrap().as_deref(), Some("deep"));
        assert_eq!(spawn("a\0b", || ()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(available_parallelism() >= 1);
    }
}
