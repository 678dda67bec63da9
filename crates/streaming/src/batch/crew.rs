//! [`Crew`]: the threads that run the output operations of a batch side by side, as many as `spark.streaming.concurrentJobs`
//! says. The batch loop is one of them; with one there is no other, and jobs run one after the other.
//!
//! The others, `streaming-jobs-1` and so on, are started for the first batch that has work for them, wait for their next
//! work, and end when the crew is dropped. Refuses to know what a batch is: it takes jobs and says what came of each.
use super::Control;
use crate::graph::Job;
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};
use winterbourne_base::{Clock, Time, thread as threads};
use winterbourne_engine::{LocalProperties, Result, SparkContext, guard_driver};

/// What the jobs of the engine are told of where they belong: listeners find it at their start, tasks too.
const BATCH: &str = "spark.streaming.internal.batchTime";
const OUTPUT: &str = "spark.streaming.internal.outputOpId";
/// Lineages recurse.
const STACK: usize = 16 << 20;

/// What came of a job.
pub(super) struct Ran {
    /// Its number.
    pub(super) job: usize,
    pub(super) duration_us: u64,
    pub(super) result: Result<()>,
}

pub(crate) struct Crew {
    /// Besides the caller.
    wanted: usize,
    helpers: Vec<Helper>,
    control: Arc<Control>,
}
struct Helper {
    work: Sender<(Arc<Round>, Sender<Ran>)>,
    thread: JoinHandle<()>,
}
impl Helper {
    fn start(number: usize, control: Arc<Control>) -> io::Result<Self> {
        let (work, rounds): (_, Receiver<(Arc<Round>, Sender<Ran>)>) = mpsc::channel();
        let thread = threads::spawn_with_stack(&format!("streaming-jobs-{number}"), STACK, move || {
            // A job must not wait for its own batch.
            control.shared().workers.push(thread::current().id());
            for (round, tell) in rounds {
                round.work(&tell);
            }
        })?;
        Ok(Helper { work, thread })
    }
}
/// Jobs that are run side by side.
struct Round {
    /// In their order; nobody takes one behind a failure.
    waiting: Mutex<VecDeque<(usize, Job)>>,
    /// Of each of them, but for its number.
    properties: LocalProperties,
    clock: Arc<dyn Clock>,
}

impl Crew {
    /// Of so many threads, the caller of [`run`](Crew::run) among them.
    pub(crate) fn new(threads: usize, control: &Arc<Control>) -> Self {
        Crew { wanted: threads.saturating_sub(1), helpers: Vec::new(), control: control.clone() }
    }
    /// Runs jobs, begun in their order. A job that fails lets nobody begin another one; those that run are waited for. What
    /// came of each that was begun, in their order.
    pub(super) fn run(&mut self, sc: &SparkContext, time: Time, jobs: VecDeque<(usize, Job)>) -> Vec<Ran> {
        let helpers = self.wanted.min(jobs.len().saturating_sub(1));
        self.muster(helpers);
        let (tell, told) = mpsc::channel();
        let (waiting, clock) = (Mutex::new(jobs), self.control.clock.clone());
        let properties = sc.local_properties().with(BATCH, time.as_millis().to_string());
        let round = Arc::new(Round { waiting, properties, clock });
        let helpers = &self.helpers[..helpers.min(self.helpers.len())];
        for helper in helpers {
            // Nobody but the crew ends them.
            let _ = helper.work.send((round.clone(), tell.clone()));
        }
        round.work(&tell);
        drop(tell);
        let mut all: Vec<Ran> = told.into_iter().collect();
        all.sort_by_key(|ran| ran.job);
        all
    }
    /// Has so many threads, or as many as the system gives.
    fn muster(&mut self, helpers: usize) {
        while self.helpers.len() < helpers {
            match Helper::start(self.helpers.len() + 1, self.control.clone()) {
                Ok(helper) => self.helpers.push(helper),
                Err(e) => {
                    self.wanted = self.helpers.len();
                    tracing::warn!(
                        "no more than {} job(s) run at once: the system gives no thread: {e}",
                        self.wanted + 1
                    );
                    return;
                }
            }
        }
    }
}
impl Drop for Crew {
    fn drop(&mut self) {
        for Helper { work, thread } in self.helpers.drain(..) {
            drop(work);
            // It does not unwind: whatever a job does is caught.
            let _ = thread.join();
        }
    }
}
impl Round {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(usize, Job)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn next(&self) -> Option<(usize, Job)> {
        self.waiting().pop_front()
    }
    fn work(&self, tell: &Sender<Ran>) {
        while let Some((number, mut job)) = self.next() {
            let begun = self.clock.nanos();
            let _as_the_caller = self.properties.with(OUTPUT, number.to_string()).enter();
            let result = guard_driver(|| Ok(job()?));
            if result.is_err() {
                let left = std::mem::take(&mut *self.waiting());
                drop(left); // what closures hold dies outside the lock
            }
            let duration_us = (self.clock.nanos() - begun) / 1000;
            // The caller listens until all are done.
            let _ = tell.send(Ran { job: number, duration_us, result });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };
    use winterbourne_base::ManualClock;
    use winterbourne_engine::{Error, SparkConf};

    fn crew(threads: usize) -> (SparkContext, Crew) {
        let sc = SparkContext::new(SparkConf::empty().set_app_name("crew").set_master("local[2]")).expect("a context");
        (sc, Crew::new(threads, &Control::new(ManualClock::new(Time::from_millis(0)))))
    }
    fn jobs(all: Vec<Job>) -> VecDeque<(usize, Job)> {
        all.into_iter().enumerate().collect()
    }
    fn came_of(ran: &[Ran]) -> Vec<(usize, bool)> {
        ran.iter().map(|r| (r.job, r.result.is_ok())).collect()
    }

    #[test]
    fn alone_they_run_in_order_until_one_fails() {
        let (sc, mut crew) = crew(1);
        let (tell, told) = mpsc::channel();
        let job = |n: u64, ok: bool| -> Job {
            let tell = tell.clone();
            Box::new(move || {
                tell.send(n).expect("somebody listens");
                if ok { Ok(()) } else { Err(Error::User("on purpose".into())) }
            })
        };
        let ran = crew.run(&sc, Time::from_millis(0), jobs(vec![job(0, true), job(1, false), job(2, true)]));
        assert_eq!(came_of(&ran), [(0, true), (1, false)]);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [0, 1]);
        assert!(crew.helpers.is_empty());
    }
    #[test]
    fn so_many_run_at_once_and_a_panic_is_a_failure() {
        let (sc, mut crew) = crew(3);
        let _group = sc.job_group("theirs");
        for _ in 0..3 {
            // Nobody passes before three are there.
            let (met, running, own) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)), sc.clone());
            let sc_of_jobs = Arc::new(Mutex::new(own));
            let job = || -> Job {
                let (met, running, sc) = (met.clone(), running.clone(), sc_of_jobs.clone());
                Box::new(move || {
                    met.wait();
                    running.fetch_add(1, SeqCst);
                    let sc = sc.lock().expect("not poisoned").clone();
                    assert_eq!(sc.local_properties().job_group(), Some("theirs"));
                    assert_eq!(sc.range(0..10, 3).count()?, 10);
                    Ok(())
                })
            };
            let ran = crew.run(&sc, Time::from_millis(0), jobs((0..6).map(|_| job()).collect()));
            assert_eq!(came_of(&ran), (0..6).map(|n| (n, true)).collect::<Vec<_>>());
            assert_eq!(running.load(SeqCst), 6);
        }
        let met = Arc::new(Barrier::new(2));
        let (one, two) = (met.clone(), met);
        let ran = crew.run(
            &sc,
            Time::from_millis(0),
            jobs(vec![
                Box::new(move || {
                    one.wait();
                    panic!("on purpose")
                }),
                Box::new(move || {
                    two.wait();
                    Ok(())
                }),
            ]),
        );
        assert_eq!(came_of(&ran), [(0, false), (1, true)], "what runs is waited for");
        assert_eq!(crew.helpers.len(), 2);
    }
}
