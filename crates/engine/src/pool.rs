//! The task pool of `local[n]`: n-1 helper threads and the caller itself.
//!
//! The caller works on its own task set, so `local[1]` runs everything in one thread in a fixed order, a job never
//! waits for a thread that is not there (nesting cannot deadlock), and a tiny job is over before a helper wakes. Idle
//! helpers sleep on a condition variable and cost nothing.
use crate::fair::Rank;
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
pub(crate) const STACK: usize = 16 << 20;

type Body = Box<dyn Fn(usize) + Send + Sync>;
struct Set {
    next: AtomicUsize,
    total: usize,
    body: Body,
    latch: Arc<Latch>,
    /// Whether the latch counts tasks, or only those who hold the set.
    counted: bool,
    rank: Rank,
}
impl Set {
    /// Takes tasks until none is left to take, or until `enough` says so. `body` must not unwind.
    fn work(&self, enough: impl Fn() -> bool) -> usize {
        let mut ran = 0;
        let share = self.rank.share.as_deref();
        if let Some(s) = share {
            s.running.fetch_add(1, Relaxed);
        }
        loop {
            let i = self.next.fetch_add(1, Relaxed);
            if i >= self.total {
                break;
            }
            (self.body)(i);
            ran += 1;
            if enough() {
                break;
            }
        }
        if let Some(s) = share {
            s.running.fetch_sub(1, Relaxed);
        }
        ran
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
    /// `queue.idle` again, to look at without the lock.
    idle: AtomicUsize,
    /// Under FAIR scheduling, how many sets are in the queue; else zero. A helper that sees several looks again after
    /// each task; a lone set, the common case, is worked off without touching the lock.
    rivals: AtomicUsize,
    fair: bool,
}
impl Shared {
    /// Puts a set where helpers look, and wakes as many as it can use.
    fn offer(&self, set: &Arc<Set>, most: usize) {
        let idle = {
            let mut q = self.queue();
            q.sets.push_back(set.clone());
            self.count(&q);
            q.idle
        };
        for _ in 0..idle.min(most) {
            self.wake.notify_one();
        }
    }
    fn withdraw(&self, set: &Arc<Set>) {
        let mut q = self.queue();
        q.sets.retain(|s| !Arc::ptr_eq(s, set));
        self.count(&q);
    }
    fn count(&self, q: &Queue) {
        if self.fair {
            self.rivals.store(q.sets.len(), Relaxed);
        }
    }
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
    pub(crate) fn new(threads: usize, fair: bool) -> io::Result<Self> {
        let shared = Arc::new(Shared { fair, ..Shared::default() });
        let pool = Pool { shared: shared.clone(), helpers: Mutex::default(), alone: threads <= 1 };
        for i in 1..threads {
            let s = shared.clone();
            let helper = winterbourne_base::thread::spawn_with_stack(&format!("task-{i}"), STACK, move || help(&s))?;
            pool.helpers.lock().expect("no panic under this lock").push(helper);
        }
        Ok(pool)
    }

    /// Runs `body(0..total)` and returns when all have ended.
    pub(crate) fn run(&self, rank: Rank, total: usize, body: impl Fn(usize) + Send + Sync + 'static) {
        if total <= 1 || self.alone {
            return (0..total).for_each(body);
        }
        let latch = Arc::new(Latch { open: Mutex::new(Open { tasks: total, holders: 0 }), zero: Condvar::new() });
        let set = Arc::new(Set {
            next: AtomicUsize::new(0),
            total,
            body: Box::new(body),
            latch: latch.clone(),
            counted: true,
            rank,
        });
        self.shared.offer(&set, total - 1);
        let ran = set.work(|| false);
        self.shared.withdraw(&set);
        latch.change(|open| open.tasks -= ran);
        latch.wait();
    }
    /// What a task needs to ask the pool for help.
    pub(crate) fn helpers(&self) -> Helpers {
        Helpers(self.shared.clone())
    }

    /// Ends the helpers. Called from within a task it does not wait for them: they may wait for something that task holds.
    pub(crate) fn close(&self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_all();
        let helpers: Vec<_> = self.helpers.lock().expect("no panic under this lock").drain(..).collect();
        if crate::task::inside().is_some() {
            return;
        }
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

/// The helpers of a pool, as a running task sees them.
#[derive(Clone)]
pub(crate) struct Helpers(Arc<Shared>);
impl Helpers {
    /// Whether some have nothing to do: no task of any job waits.
    pub(crate) fn are_idle(&self) -> bool {
        self.0.idle.load(Relaxed) > 0
    }
    /// Lets every idle helper run `body` once, beside the caller, which must see to it that they end. `body` must not
    /// unwind.
    pub(crate) fn lend(&self, body: impl Fn(usize) + Send + Sync + 'static) -> Lent {
        let total = self.0.idle.load(Relaxed);
        let latch = Arc::new(Latch { open: Mutex::new(Open { tasks: 0, holders: 0 }), zero: Condvar::new() });
        let (next, body) = (AtomicUsize::new(0), Box::new(body));
        let rank = Rank { share: None, job: u64::MAX };
        let set = Arc::new(Set { next, total, body, latch, counted: false, rank });
        self.0.offer(&set, total);
        Lent { shared: self.0.clone(), set }
    }
}
/// Help under way; dropping it waits for those who came.
pub(crate) struct Lent {
    shared: Arc<Shared>,
    set: Arc<Set>,
}
impl Drop for Lent {
    fn drop(&mut self) {
        self.shared.withdraw(&self.set);
        self.set.latch.wait();
    }
}

fn help(s: &Shared) {
    let mut q = s.queue();
    loop {
        let open = q.sets.iter().filter(|set| set.has_tasks());
        if let Some(set) = open.min_by(|a, b| a.rank.before(&b.rank)).cloned() {
            let latch = set.latch.clone();
            // Under the queue's lock: the caller has not withdrawn the set yet, so it has not begun to wait.
            latch.change(|open| open.holders += 1);
            drop(q);
            let ran = set.work(|| s.rivals.load(Relaxed) > 1);
            let ended = if set.counted { ran } else { 0 };
            drop(set);
            latch.change(|open| {
                open.tasks -= ended;
                open.holders -= 1;
            });
            q = s.queue();
            continue;
        }
        if q.closed {
            return;
        }
        q.idle += 1;
        s.idle.store(q.idle, Relaxed);
        q = s.wake.wait(q).expect("no panic under this lock");
        q.idle -= 1;
        s.idle.store(q.idle, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    const RANK: Rank = Rank { share: None, job: 0 };

    #[test]
    fn every_task_runs_once_for_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads, false).unwrap();
            for total in [0, 1, 2, 100] {
                let seen: Arc<Vec<AtomicU64>> = Arc::new((0..total).map(|_| AtomicU64::new(0)).collect());
                let s = seen.clone();
                pool.run(RANK, total, move |i| {
                    s[i].fetch_add(1, SeqCst);
                });
                assert!(seen.iter().all(|n| n.load(SeqCst) == 1));
                assert_eq!(Arc::strong_count(&seen), 1, "nothing holds the body after run");
            }
        }
    }
    #[test]
    fn sets_may_nest() {
        let pool = Arc::new(Pool::new(2, true).unwrap());
        let (inner, sum) = (pool.clone(), Arc::new(AtomicU64::new(0)));
        let s = sum.clone();
        pool.run(RANK, 4, move |_| {
            let s = s.clone();
            inner.run(RANK, 4, move |i| {
                s.fetch_add(i as u64, SeqCst);
            });
        });
        assert_eq!(sum.load(SeqCst), 24);
    }
}
