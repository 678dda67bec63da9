//! The mechanism of all joins: the left side of a partition lies in a table, the right one is read past it and not kept,
//! unless the left one is too large for that. What a join makes of both, and of what has no partner, is a [`Kind`].
use super::{
    gather::{ByHash, Gather, Limit, load, split},
    side::{Opened, Side},
    table::{Row, Table},
};
use crate::{CHUNK, Chunk, Data, Flow, Key, Rdd, Result, Site, Task, Wire, at, lineage::Partitioner};
use std::{cell::RefCell, marker::PhantomData, rc::Rc, vec::IntoIter};

/// Pairs that are made at once for one record of the right side; of more a few at a time.
const AT_ONCE: usize = 64;

/// What a join makes; functions of its type only, so that nothing is asked for each record.
pub(super) trait Kind<V, W>: 'static {
    type Out: Data;
    /// Whether values with an equal key are made into pairs.
    const PAIRS: bool = true;
    /// Whether the left side's values without a partner are wanted; if so `Found` remembers.
    const LEFT: bool = false;
    type Found: Found;
    fn both(v: V, w: W) -> Self::Out;
    /// What becomes of a value of the right side that has no partner.
    fn right(_: W) -> Option<Self::Out> {
        None
    }
    fn left(_: V) -> Option<Self::Out> {
        None
    }
}
/// Whether a key of the left side was seen on the right one.
pub(super) trait Found: Data + Default {
    fn set(&mut self) {}
    fn is_set(&self) -> bool {
        true
    }
}
impl Found for () {}
impl Found for bool {
    fn set(&mut self) {
        *self = true;
    }
    fn is_set(&self) -> bool {
        *self
    }
}

/// The values of a key: one, mostly, and then nothing is allocated.
#[derive(Clone)]
enum Few<V> {
    One(V),
    Many(Vec<V>),
}
impl<V> Few<V> {
    fn push(&mut self, v: V) {
        match self {
            Few::Many(all) => all.push(v),
            Few::One(_) => {
                if let Few::One(first) = std::mem::replace(self, Few::Many(Vec::with_capacity(4))) {
                    self.push(first);
                }
                self.push(v);
            }
        }
    }
    fn as_slice(&self) -> &[V] {
        match self {
            Few::One(v) => std::slice::from_ref(v),
            Few::Many(all) => all,
        }
    }
    fn into_vec(self) -> Vec<V> {
        match self {
            Few::One(v) => vec![v],
            Few::Many(all) => all,
        }
    }
}

type Left<K, V, F> = Table<K, (Few<V>, F)>;

type Gathered<K, V, F> = Gather<K, (Few<V>, F), Vec<V>>;

fn gathered<K: Key, V: Wire, F: Found>(
    left: Opened<K, V>,
    rows: usize,
    site: Site,
    task: &Task,
) -> Result<Gathered<K, V, F>> {
    let mut all = Gathered::keeping::<V>(rows, task, |(few, _), f| split(few.into_vec(), f));
    left.gather(&mut all, site, |t, h, k, v| {
        t.upsert_hashed(h, k, v, |v| (Few::One(v), F::default()), |(few, _), v| few.push(v));
    })?;
    Ok(all)
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// A join of this kind with the other RDD.
    pub(super) fn probed<W: Wire, J: Kind<V, W>>(
        &self,
        name: &'static str,
        site: Site,
        other: &Rdd<(K, W)>,
        partitioner: Partitioner,
        _: J,
    ) -> Rdd<(K, J::Out)>
    where
        K: Key,
        V: Wire,
    {
        self.with_sides(name, site, other, partitioner, move |left: &Side<K, V>, right, p, task| {
            // SUBTLE: opening a parent recurses as deep as the lineage is long. What needs stack is in functions of its
            // own, which have returned by then, and each `?` would need some as well.
            let opened = left.open(p, task).and_then(|opened| gathered(opened, left.longest(p), site, task));
            let both = opened.and_then(|all| right.open(p, task).map(|right| (all, right)));
            both.and_then(|(all, right)| joined::<K, V, W, J>(all, right, Limit::of(name, site, task), task))
        })
    }
}

/// The right side past the left one: past a table of it, or, if that would be too large, past one table after another,
/// both sides being sorted by hash for it.
fn joined<K: Key, V: Wire, W: Wire, J: Kind<V, W>>(
    left: Gathered<K, V, J::Found>,
    right: Opened<K, W>,
    limit: Limit,
    task: &Task,
) -> Result<Flow<(K, J::Out)>> {
    let site = limit.site;
    if !left.has_spilled() {
        let (table, grant) = left.into_table();
        let mut flow = probe::<K, V, W, J>(table, right, site, task.clone());
        return Ok(Flow::new(move || {
            let _held = &grant;
            flow.next_chunk()
        }));
    }
    let mut left = left.sorted()?;
    let mut all: Gather<K, Vec<W>, Vec<W>> = Gather::keeping::<W>(0, task, split);
    right.gather(&mut all, site, |t, h, k, w| t.upsert_hashed(h, k, w, |w| vec![w], |all, w| all.push(w)))?;
    let right = Rc::new(RefCell::new(all.sorted()?));
    let (mut open, mut over, task) = (Flow::empty(), false, task.clone());
    Ok(Flow::new(move || {
        loop {
            if let Some(chunk) = open.next_chunk()? {
                return Ok(Some(chunk));
            }
            if over {
                return Ok(None);
            }
            task.check()?;
            at(site);
            let loaded = load(&mut left, Some(limit), |t: &mut Left<K, V, J::Found>, h, k, vs: Vec<V>| {
                for v in vs {
                    t.upsert_hashed(h, k.clone(), v, |v| (Few::One(v), J::Found::default()), |(few, _), v| few.push(v));
                }
            })?;
            // Behind the last of the left side comes the rest of the right one.
            let (table, last) = loaded.unwrap_or_else(|| (Table::with_capacity(0), u64::MAX));
            over = left.peek().is_none();
            let last = if over { u64::MAX } else { last };
            let rows = rows_up_to(right.clone(), last);
            open = probe::<K, V, W, J>(table, Opened::Shuffled(rows), site, task.clone());
        }
    }))
}
/// The next rows, while their hashes are not greater.
fn rows_up_to<K: Key, W: Wire>(rows: Rc<RefCell<ByHash<K, Vec<W>>>>, last: u64) -> Flow<Row<K, W>> {
    Flow::new(move || {
        let (mut some, mut rows) = (Vec::new(), rows.borrow_mut());
        while some.len() < CHUNK && rows.peek().is_some_and(|row| row.0 <= last) {
            let Some((h, (k, ws))) = rows.next()? else { break };
            let keys = std::iter::repeat_n(k, ws.len());
            some.extend(keys.zip(ws).map(|record| (h, record)));
        }
        Ok((!some.is_empty()).then_some(Chunk::Own(some)))
    })
}

fn probe<K: Key, V: Wire, W: Wire, J: Kind<V, W>>(
    table: Left<K, V, J::Found>,
    right: Opened<K, W>,
    site: Site,
    task: Task,
) -> Flow<(K, J::Out)> {
    let none = Vec::new().into_iter();
    let mut probe = Probe::<K, V, W, J> { table, right, rows: none, open: None, out: Vec::new(), kind: PhantomData };
    let mut rest: Option<Box<dyn Iterator<Item = (K, J::Out)>>> = None;
    Flow::new(move || {
        // A source as well: one key with many values on both sides yields a great many pairs.
        task.check()?;
        at(site);
        if rest.is_none() {
            if let Some(some) = probe.next(site)? {
                return Ok(Some(Chunk::Own(some)));
            }
            let table = std::mem::replace(&mut probe.table, Table::with_capacity(0));
            let alone = table.into_entries().filter(|(_, (_, found))| J::LEFT && !found.is_set());
            let values = alone.flat_map(|(k, (few, _))| {
                let all = few.into_vec();
                std::iter::repeat_n(k, all.len()).zip(all).filter_map(|(k, v)| Some((k, J::left(v)?)))
            });
            rest = Some(Box::new(values));
        }
        let some: Vec<_> = rest.iter_mut().flatten().take(CHUNK).collect();
        Ok((!some.is_empty()).then_some(Chunk::Own(some)))
    })
}

/// Some records of a result.
type Made<K, U> = Vec<(K, U)>;

struct Probe<K, V, W, J: Kind<V, W>> {
    table: Left<K, V, J::Found>,
    right: Opened<K, W>,
    rows: IntoIter<Row<K, W>>,
    /// A record of the right side with many partners, and how many of them had their turn.
    open: Option<(Row<K, W>, usize)>,
    out: Made<K, J::Out>,
    kind: PhantomData<J>,
}
impl<K: Key, V: Wire, W: Wire, J: Kind<V, W>> Probe<K, V, W, J> {
    /// The next records of the result, until the right side ends.
    fn next(&mut self, site: Site) -> Result<Option<Made<K, J::Out>>> {
        self.out = Vec::with_capacity(CHUNK + AT_ONCE);
        while self.out.len() < CHUNK {
            if self.open.is_some() {
                self.go_on();
            } else if self.rows.len() > 0 {
                self.look_up();
            } else if let Some(rows) = self.right.next_rows()? {
                at(site);
                self.rows = rows.into_iter();
            } else {
                break;
            }
        }
        Ok(Some(std::mem::take(&mut self.out)).filter(|out| !out.is_empty()))
    }
    /// As many records of the right side as there is room for.
    fn look_up(&mut self) {
        let Probe { table, rows, open, out, .. } = self;
        for (h, (k, w)) in rows.by_ref() {
            match table.get_hashed(h, &k) {
                None => out.extend(J::right(w).map(|u| (k, u))),
                Some((few, found)) => {
                    found.set();
                    match few {
                        _ if !J::PAIRS => {}
                        Few::One(v) => out.push((k, J::both(v.clone(), w))),
                        Few::Many(all) if all.len() <= AT_ONCE => {
                            // The last use of the key and of the right value moves them.
                            let rights = std::iter::repeat_n((k, w), all.len());
                            out.extend(all.iter().zip(rights).map(|(v, (k, w))| (k, J::both(v.clone(), w))));
                        }
                        Few::Many(_) => {
                            *open = Some(((h, (k, w)), 0));
                            return;
                        }
                    }
                }
            }
            if out.len() >= CHUNK {
                return;
            }
        }
    }
    /// As many partners of the open record as there is room for.
    fn go_on(&mut self) {
        let Some(((h, (k, w)), from)) = self.open.take() else { return };
        let Some((few, _)) = self.table.get_hashed(h, &k) else { return };
        let left = &few.as_slice()[from..];
        let some = &left[..left.len().min(CHUNK - self.out.len())];
        self.out.extend(some.iter().map(|v| (k.clone(), J::both(v.clone(), w.clone()))));
        if some.len() < left.len() {
            self.open = Some(((h, (k, w)), from + some.len()));
        }
    }
}
