//! The task pool of `local[n]`: n-1 helper threads and the caller itself.
//!
//! The caller works on its own task set, so `local[1]` runs everything in one thread in a fixed order, a job never
//! waits for a thread that is not there (nesting cannot deadlock), and a tiny job is over before a helper wakes. Idle
//! helpers sleep on a condition variable and cost nothing.
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

/// Address space of a helper's stack, touched only by deep lineages: a thousand narrow operators need 1.5 MiB in an
/// unoptimised build.
const STACK: usize = 16 << 20;

type Body = Box<dyn Fn(usize) + Send + Sync>;
struct Set {
    next: AtomicUsize,
    total: usize,
    body: Body,
    latch: Arc<Latch>,
}
impl Set {
    /// Takes tasks until none is left to take. `body` must not unwind.
    fn work(&self) -> usize {
        let mut ran = 0;
        loop {
            let i = self.next.fetch_add(1, Relaxed);
            if i >= self.total {
                return ran;
            }
            (self.body)(i);
            ran += 1;
        }
    }
    fn has_tasks(&self) -> bool {
        self.next.load(Relaxed) < self.total
    }
}

/// Tasks not ended, and helpers holding the set. The caller waits for both to be zero: what `body` owns (lineage,
/// cached blocks) then dies on the caller's thread, before `run` returns, not some time later on a helper.
#[derive(Default, PartialEq, Eq)]
struct Open {
    tasks: usize,
    holders: usize,
}
#[derive(Default)]
struct Latch {
    open: Mutex<Open>,
    zero: Condvar,
}
impl Latch {
    fn change(&self, f: impl FnOnce(&mut Open)) {
        let mut open = self.open.lock().expect("no panic under this lock");
        f(&mut open);
        if *open == Open::default() {
            self.zero.notify_all();
        }
    }
    fn wait(&self) {
        let mut open = self.open.lock().expect("no panic under this lock");
        while *open != Open::default() {
            open = self.zero.wait(open).expect("no panic under this lock");
        }
    }
}

#[derive(Default)]
struct Queue {
    sets: VecDeque<Arc<Set>>,
    idle: usize,
    closed: bool,
}
#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}
impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no panic under this lock")
    }
}

pub(crate) struct Pool {
    shared: Arc<Shared>,
    helpers: Mutex<Vec<thread::JoinHandle<()>>>,
    alone: bool,
}

impl Pool {
    pub(crate) fn new(threads: usize) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let pool = Pool { shared: shared.clone(), helpers: Mutex::default(), alone: threads <= 1 };
        for i in 1..threads {
            let s = shared.clone();
            let helper = winterbourne_base::thread::spawn_with_stack(&format!("task-{i}"), STACK, move || help(&s))?;
            pool.helpers.lock().expect("no panic under this lock").push(helper);
        }
        Ok(pool)
    }

    /// Runs `body(0..total)` and returns when all have ended.
    pub(crate) fn run(&self, total: usize, body: impl Fn(usize) + Send + Sync + 'static) {
        if total <= 1 || self.alone {
            return (0..total).for_each(body);
        }
        let latch = Arc::new(Latch { open: Mutex::new(Open { tasks: total, holders: 0 }), zero: Condvar::new() });
        let set = Arc::new(Set { next: AtomicUsize::new(0), total, body: Box::new(body), latch: latch.clone() });
        let idle = {
            let mut q = self.shared.queue();
            q.sets.push_back(set.clone());
            q.idle
        };
        for _ in 0..idle.min(total - 1) {
            self.shared.wake.notify_one();
        }
        let ran = set.work();
        self.shared.queue().sets.retain(|s| !Arc::ptr_eq(s, &set));
        latch.change(|open| open.tasks -= ran);
        latch.wait();
    }

    /// Ends the helpers. Called from one of them (a task that stops its own context), it leaves that one to end itself.
    pub(crate) fn close(&self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_all();
        let helpers: Vec<_> = self.helpers.lock().expect("no panic under this lock").drain(..).collect();
        for h in helpers {
            if h.thread().id() != thread::current().id() {
                // A helper runs only `body`, which does not unwind.
                let _ = h.join();
            }
        }
    }
}
impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

fn help(s: &Shared) {
    let mut q = s.queue();
    loop {
        if let Some(set) = q.sets.iter().find(|set| set.has_tasks()).cloned() {
            let latch = set.latch.clone();
            // Under the queue's lock: the caller has not withdrawn the set yet, so it has not begun to wait.
            latch.change(|open| open.holders += 1);
            drop(q);
            let ran = set.work();
            drop(set);
            latch.change(|open| {
                open.tasks -= ran;
                open.holders -= 1;
            });
            q = s.queue();
            continue;
        }
        if q.closed {
            return;
        }
        q.idle += 1;
        q = s.wake.wait(q).expect("no panic under this lock");
        q.idle -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    #[test]
    fn every_task_runs_once_for_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads).unwrap();
            for total in [0, 1, 2, 100] {
                let seen: Arc<Vec<AtomicU64>> = Arc::new((0..total).map(|_| AtomicU64::new(0)).collect());
                let s = seen.clone();
                pool.run(total, move |i| {
                    s[i].fetch_add(1, SeqCst);
                });
                assert!(seen.iter().all(|n| n.load(SeqCst) == 1));
                assert_eq!(Arc::strong_count(&seen), 1, "nothing holds the body after run");
            }
        }
    }
    #[test]
    fn sets_may_nest() {
        let pool = Arc::new(Pool::new(2).unwrap());
        let (inner, sum) = (pool.clone(), Arc::new(AtomicU64::new(0)));
        let s = sum.clone();
        pool.run(4, move |_| {
            let s = s.clone();
            inner.run(4, move |i| {
                s.fetch_add(i as u64, SeqCst);
            });
        });
        assert_eq!(sum.load(SeqCst), 24);
    }
}
