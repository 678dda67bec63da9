//! What an RDD says of itself.
use super::Rdd;
use crate::{
    Data, RddId,
    lineage::{Dep, Link, Node},
};
use std::{collections::HashSet, fmt::Write};

impl<T: Data> Rdd<T> {
    /// Its identity in this context.
    pub fn id(&self) -> RddId {
        self.op.meta.id
    }
    /// The operator that made it.
    pub fn name(&self) -> &'static str {
        self.op.meta.name
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
            writeln!(out, "{lead}{} [{}] at {}{cached}{note}", meta.name, meta.id.0, meta.site)
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
