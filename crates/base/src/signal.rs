//! What Ctrl-C and `kill` mean to a running program. The only place that installs signal handlers.
//!
//! The callback runs on an ordinary thread, never inside a signal handler, so it may lock, log and allocate. This
//! module refuses to decide what an interrupt does; it only counts them.

use std::ffi::c_int;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::thread::spawn;

/// How many guards live, and the flag that gives the signals their default meaning back while none does, if they had it.
static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners { live: 0, nobody: None });

struct Listeners {
    live: usize,
    nobody: Option<Arc<AtomicBool>>,
}

/// Keeps the callback of [`on_interrupt`] registered; dropping it unregisters and waits for a running callback.
///
/// Once the last guard is gone, the signals mean again what they meant before the first one: what a handler of the program
/// does, nothing if they were ignored, or the end of the process.
#[derive(Debug)]
#[must_use = "dropping the guard unregisters the callback at once"]
pub struct SignalGuard {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Calls `f` on a thread of its own for every SIGINT (Ctrl-C) and SIGTERM, with how many there have been so far (the
/// first call gets 1), until the guard is dropped.
///
/// Signals of one kind that arrive while `f` runs are counted once. A panic in `f` is logged, and the next signal
/// calls it again. Several guards may live at once; each gets every signal.
///
/// ```no_run
/// let guard = winterbourne_base::signal::on_interrupt(|so_far| match so_far {
///     1 => println!("finishing the running batch; interrupt again to stop at once"),
///     _ => std::process::exit(130),
/// })?;
/// # drop(guard);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The operating system's, when the handlers cannot be installed or the thread cannot be started; nothing stays
/// registered then.
pub fn on_interrupt(f: impl FnMut(u32) + Send + 'static) -> io::Result<SignalGuard> {
    arrive()?;
    listen(f).inspect_err(|_| leave())
}

fn listen(mut f: impl FnMut(u32) + Send + 'static) -> io::Result<SignalGuard> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let handle = signals.handle();
    let thread = spawn("signals", move || {
        let mut so_far: u32 = 0;
        for signal in signals.forever() {
            so_far = so_far.saturating_add(1);
            if catch_unwind(AssertUnwindSafe(|| f(so_far))).is_err() {
                tracing::error!(signal, so_far, "the callback for an interrupt panicked");
            }
        }
    })?;
    Ok(SignalGuard { handle, thread: Some(thread) })
}

/// Counts a listener, and on the first one ever arranges the way back to the default.
fn arrive() -> io::Result<()> {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    if listeners.nobody.is_none() {
        // SUBTLE: the library never uninstalls its handler; without this, Ctrl-C would do nothing after the last guard.
        let nobody = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM].into_iter().filter(|signal| is_default(*signal)) {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&nobody))?;
        }
        listeners.nobody = Some(nobody);
    }
    listeners.live += 1;
    listeners.tell();
    Ok(())
}

/// Whether nobody in the process listens to a signal, nor has it ignored.
fn is_default(signal: c_int) -> bool {
    // SAFETY: nothing is changed; the system fills in a structure of plain values.
    unsafe {
        let mut known: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut known) == 0 && known.sa_sigaction == libc::SIG_DFL
    }
}

fn leave() {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.live -= 1;
    listeners.tell();
}

impl Listeners {
    fn tell(&self) {
        if let Some(nobody) = &self.nobody {
            nobody.store(self.live == 0, Ordering::SeqCst);
        }
    }
}

/// 1. The iterator is closed and its handlers removed; 2. the thread ends after the callback it may be in, and is
///    joined, unless the guard is dropped by that callback itself; 3. the last guard gives the default back.
impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the signal thread panicked");
        }
        leave();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;
    use std::sync::mpsc;

    use signal_hook::low_level::raise;

    use super::*;

    /// Marks the process that `ends_the_process_again_after_the_last_guard` starts.
    const CHILD: &str = "WINTERBOURNE_TEST_SIGNAL_CHILD";

    #[test]
    fn counts_interrupts_and_survives_a_panicking_callback() {
        let (sender, heard) = mpsc::channel();
        let guard = on_interrupt(move |so_far| {
            sender.send(so_far).unwrap();
            assert!(so_far != 1, "a panic in the first call");
        })
        .unwrap();
        raise(SIGINT).unwrap();
        assert_eq!(heard.recv(), Ok(1));
        raise(SIGTERM).unwrap();
        assert_eq!(heard.recv(), Ok(2));
        drop(guard);
        assert!(heard.recv().is_err(), "the callback is gone with the guard");
    }

    #[test]
    fn ends_the_process_again_after_the_last_guard() {
        if std::env::var_os(CHILD).is_some() {
            drop(on_interrupt(|_| ()).unwrap());
            raise(SIGTERM).unwrap();
            return;
        }
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "signal::tests::ends_the_process_again_after_the_last_guard"])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(SIGTERM));
    }

    #[test]
    fn a_handler_of_the_program_keeps_the_signals_after_the_last_guard() {
        if std::env::var_os(CHILD).is_some() {
            let heard = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(SIGTERM, Arc::clone(&heard)).unwrap();
            for _ in 0..2 {
                drop(on_interrupt(|_| ()).unwrap());
                raise(SIGTERM).unwrap();
                assert!(heard.swap(false, Ordering::SeqCst));
            }
            return;
        }
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "signal::tests::a_handler_of_the_program_keeps_the_signals_after_the_last_guard"])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
    }
}
