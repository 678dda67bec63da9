//! What an RDD says of itself.
use super::Rdd;
use crate::{
    Data, RddId, ShuffleId, Site,
    lineage::{Dep, Link, Node},
};
use std::{collections::HashSet, fmt::Write};

/// What an RDD is computed from: another, and whether by way of a shuffle. See [`Rdd::dependencies`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Dependency {
    /// The parent.
    pub rdd: RddId,
    /// Its name, or its operator.
    pub name: String,
    /// Where it was defined.
    pub site: Site,
    /// The shuffle between them; `None` if a partition is computed in one task with those of the parent.
    pub shuffle: Option<ShuffleId>,
}

impl<T: Data> Rdd<T> {
    /// Its identity in this context.
    pub fn id(&self) -> RddId {
        self.op.meta.id
    }
    /// Its name, if [`set_name`](Rdd::set_name) gave it one; else its operator.
    pub fn name(&self) -> String {
        name_of(&*self.op)
    }
    /// The operator that made it.
    pub fn operator(&self) -> &'static str {
        self.op.meta.name
    }
    /// Where it was defined.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let squares = sc.range(0..10, 2).map(|x| x * x);
    /// assert!(squares.site().to_string().contains(".rs:"));
    /// assert_eq!(squares.operator(), "map");
    /// assert_ne!(squares.id(), squares.filter(|x| *x > 3).id());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn site(&self) -> Site {
        self.op.meta.site
    }
    /// Gives it a name, for [`to_debug_string`](Rdd::to_debug_string) and whatever else shows it. All handles of it show
    /// the name given last.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let users = sc.range(0..10, 2).map(|x| x * x).set_name("users");
    /// assert_eq!((users.name(), users.operator()), ("users".to_string(), "map"));
    /// assert!(users.to_debug_string().starts_with("(2) users map [1] at "));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "setName")]
    pub fn set_name(self, name: &str) -> Self {
        self.op.meta.label.set(name);
        self
    }
    /// What it is computed from, in the order in which its operator reads it.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.range(0..10, 2).map(|x| (x % 3, x));
    /// let sums = pairs.reduce_by_key(|a, b| a + b);
    /// let parents = sums.dependencies();
    /// assert_eq!((parents[0].rdd, parents[0].name.as_str()), (pairs.id(), "map"));
    /// assert!(parents[0].shuffle.is_some() && pairs.dependencies()[0].shuffle.is_none());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn dependencies(&self) -> Vec<Dependency> {
        let on = |node: &dyn Node, shuffle| {
            let meta = node.meta();
            Dependency { rdd: meta.id, name: name_of(node), site: meta.site, shuffle }
        };
        let mut all = Vec::new();
        self.op.peek_deps(&mut |d| {
            all.push(match d {
                Dep::Narrow(parent) => on(&***parent, None),
                Dep::Shuffle(s) => on(s.parent(), Some(s.id())),
            });
        });
        all
    }
    /// Its lineage, one node a line, parents indented below; `+-` starts another stage, as in Spark. In brackets the
    /// number of partitions, `?` while files have not been listed.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sums = sc.range(0..10, 4).map(|x| (x % 3, x)).reduce_by_key(|a, b| a + b);
    /// let plan = sums.to_debug_string();
    /// assert!(plan.starts_with("(4) reduce_by_key [2] at "), "{plan}");
    /// assert!(plan.contains("\n +-(4) map [1] at "), "{plan}");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "toDebugString")]
    pub fn to_debug_string(&self) -> String {
        let (mut out, mut seen) = (String::new(), HashSet::new());
        let mut todo: Vec<(Link<dyn Node>, usize, bool)> = vec![(Link::erased(&self.op), 0, true)];
        while let Some((node, indent, new_stage)) = todo.pop() {
            let meta = node.meta();
            let mut deps = Vec::new();
            node.peek_deps(&mut |d| deps.push(d.clone()));
            let partitions = meta.partitions.if_known().map_or("?".into(), |n| n.to_string());
            let lead = match (indent, new_stage) {
                (0, _) => format!("({partitions}) "),
                (n, true) => format!("{:n$}+-({partitions}) ", ""),
                (n, false) => format!("{:n$}|  ", ""),
            };
            let again = !seen.insert(meta.id);
            let cached = if node.is_persisted() { " (cached)" } else { "" };
            let note = if again && !deps.is_empty() { " (as above)" } else { "" };
            let label = meta.label.get().map_or(String::new(), |l| format!("{l} "));
            writeln!(out, "{lead}{label}{} [{}] at {}{cached}{note}", meta.name, meta.id.0, meta.site)
                .expect("writing to a string");
            if again {
                continue;
            }
            for d in deps.into_iter().rev() {
                match d {
                    Dep::Narrow(p) => todo.push((p, indent.max(1), false)),
                    Dep::Shuffle(s) => todo.push((s.parent_link(), indent + if indent == 0 { 1 } else { 3 }, true)),
                }
            }
        }
        out
    }
}

fn name_of(node: &dyn Node) -> String {
    let meta = node.meta();
    meta.label.get().map_or(meta.name.into(), |l| l.to_string())
}
