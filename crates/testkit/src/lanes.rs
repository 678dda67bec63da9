//! [`Lanes`]: several runs of one program, side by side in one process, exchanging what they compute through memory.
//!
//! The rules a program must keep to run on several machines (same jobs in the same order, nothing decided from what
//! only one process knows) are tested with it before there is a cluster. It encodes nothing and knows no network; it
//! never waits for a lane that cannot come.
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use winterbourne_engine::{
    BoxError, Error, Result, SparkConf, SparkContext,
    backend::{Backend, Block, Label},
    guard_driver,
};

/// Makes the lanes of one program.
///
/// Each call of one lane waits for the same call of all others. Calls that differ break the meeting for good: every
/// lane gets [`Error::Diverged`], now and ever after. So it is when a lane is waited for whose backend was dropped.
pub struct Lanes;

impl Lanes {
    /// `n` lanes that meet each other.
    #[expect(clippy::new_ret_no_self, reason = "one lane alone is of no use")]
    pub fn new(n: usize) -> Vec<Arc<dyn Backend>> {
        lanes(n).into_iter().map(|lane| lane as Arc<dyn Backend>).collect()
    }
}

/// Runs `program` once per lane, each on a thread and a context of its own; the results by lane. A panic of the program
/// comes out as an error.
///
/// ```
/// use winterbourne_engine::SparkConf;
/// use winterbourne_testkit::lanes::run_on_lanes;
/// let conf = SparkConf::empty().set_app_name("doc").set_master("local[1]");
/// let counted = run_on_lanes(2, &conf, |sc| {
///     let sums = sc.range(0..100, 4).map(|x| (x % 3, x)).reduce_by_key(|a, b| a + b);
///     sums.count()
/// });
/// assert!(counted.into_iter().all(|n| n.unwrap() == 3));
/// ```
pub fn run_on_lanes<R: Send + 'static>(
    n: usize,
    conf: &SparkConf,
    program: impl Fn(&SparkContext) -> Result<R> + Send + Sync + 'static,
) -> Vec<Result<R>> {
    let program = Arc::new(program);
    let start = |lane: Arc<Lane>| {
        let (conf, program) = (conf.clone(), program.clone());
        winterbourne_base::thread::spawn(&format!("lane-{}", lane.number), move || {
            // Also if the program panics, or its result keeps the context alive.
            let _left_at_the_end = Leave(lane.clone());
            guard_driver(|| {
                let sc = SparkContext::with_backend(conf, lane)?;
                program(&sc).map_err(BoxError::from)
            })
        })
    };
    let all: Vec<_> = lanes(n).into_iter().map(start).collect();
    let join = |started: std::io::Result<std::thread::JoinHandle<Result<R>>>| {
        started.map_err(Error::Threads)?.join().expect("a lane catches the panics of its program")
    };
    all.into_iter().map(join).collect()
}

fn lanes(n: usize) -> Vec<Arc<Lane>> {
    let table = Table { offers: none(n), answers: none(n), gone: vec![false; n], broken: None };
    let meeting = Arc::new(Meeting { table: Mutex::new(table), changed: Condvar::new() });
    (0..n).map(|number| Arc::new(Lane { number, lanes: n, meeting: meeting.clone() })).collect()
}
fn none<T>(n: usize) -> Vec<Option<T>> {
    (0..n).map(|_| None).collect()
}

struct Lane {
    number: usize,
    lanes: usize,
    meeting: Arc<Meeting>,
}
struct Leave(Arc<Lane>);
impl Drop for Leave {
    fn drop(&mut self) {
        self.0.leave();
    }
}
impl Drop for Lane {
    fn drop(&mut self) {
        self.leave();
    }
}

#[derive(Default)]
struct Table {
    /// What each lane that waits has brought.
    offers: Vec<Option<Offer>>,
    /// What each lane gets; taken by it before it offers again.
    answers: Vec<Option<Result<All>>>,
    gone: Vec<bool>,
    /// What each lane was doing when the meeting broke; none for one that had not come.
    broken: Option<Vec<Option<String>>>,
}
struct Meeting {
    table: Mutex<Table>,
    changed: Condvar,
}
struct Offer {
    /// What is being done, for the comparison and for people.
    what: String,
    part: Part,
}
enum Part {
    Blocks(Result<Vec<(usize, Block)>>),
    Vote(bool),
}
/// What all lanes brought.
#[derive(Clone)]
struct All {
    blocks: Vec<(usize, Block)>,
    yes: bool,
}

impl Lane {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.meeting.table.lock().expect("no user code runs under this lock")
    }
    fn leave(&self) {
        self.table().gone[self.number] = true;
        self.meeting.changed.notify_all();
    }
    fn meet(&self, what: String, part: Part) -> Result<All> {
        let mut table = self.table();
        table.offers[self.number] = Some(Offer { what: what.clone(), part });
        table.step();
        self.meeting.changed.notify_all();
        loop {
            if let Some(answer) = table.answers[self.number].take() {
                return answer;
            }
            table.step();
            if table.broken.is_some() {
                table.offers[self.number] = None;
                return Err(table.diverged(self.number, what));
            }
            table = self.meeting.changed.wait(table).expect("no user code runs under this lock");
        }
    }
}

impl Table {
    /// Decides as soon as there is something to decide: two differ, one is missing for good, or all have come.
    fn step(&mut self) {
        if self.broken.is_some() {
            return;
        }
        let mut came = self.offers.iter().flatten();
        let Some(first) = came.next() else { return };
        let differ = came.any(|offer| offer.what != first.what);
        let missing = self.offers.iter().zip(&self.gone).any(|(offer, gone)| offer.is_none() && *gone);
        if differ || missing {
            self.broken = Some(self.offers.iter().map(|o| o.as_ref().map(|o| o.what.clone())).collect());
        } else if self.offers.iter().all(Option::is_some) {
            self.answer();
        }
    }
    fn answer(&mut self) {
        let mut all = All { blocks: Vec::new(), yes: true };
        let mut failures = none(self.offers.len());
        for (lane, offer) in self.offers.iter_mut().enumerate() {
            match offer.take().expect("all have come").part {
                Part::Blocks(Ok(mut mine)) => all.blocks.append(&mut mine),
                Part::Blocks(Err(e)) => failures[lane] = Some(e),
                Part::Vote(yes) => all.yes &= yes,
            }
        }
        let first = failures.iter().enumerate().find_map(|(i, e)| Some(format!("lane {i} failed: {}", e.as_ref()?)));
        for (answer, own) in self.answers.iter_mut().zip(failures) {
            *answer = Some(match (own, &first) {
                (Some(e), _) => Err(e),
                (None, Some(text)) => Err(Error::User(text.clone().into())),
                (None, None) => Ok(all.clone()),
            });
        }
    }
    fn diverged(&self, lane: usize, here: String) -> Error {
        let then = self.broken.as_deref().unwrap_or_default();
        let differs = |other: &usize| *other != lane && then[*other].as_ref() != Some(&here);
        // First one that was doing something else, then one that had left.
        let other = (0..then.len()).filter(differs).max_by_key(|&o| (then[o].is_some(), self.gone[o], then.len() - o));
        let other = other.unwrap_or(lane);
        let there = match &then[other] {
            Some(what) if other != lane => what.clone(),
            _ if self.gone[other] => "nothing any more".to_owned(),
            _ => "something else since the programs diverged before".to_owned(),
        };
        Error::Diverged { lane, here, other, there }
    }
}

impl Backend for Lane {
    fn lanes(&self) -> usize {
        self.lanes
    }
    fn lane(&self) -> usize {
        self.number
    }
    fn gather(&self, label: &Label, mine: Result<Vec<(usize, Block)>>) -> Result<Vec<(usize, Block)>> {
        Ok(self.meet(format!("{label}"), Part::Blocks(mine))?.blocks)
    }
    fn agree(&self, label: &Label, mine: bool) -> Result<bool> {
        Ok(self.meet(format!("a decision before {label}"), Part::Vote(mine))?.yes)
    }
}
