//! Local properties: groups, tags, descriptions and their like, as guards.
use crate::common::*;
use winterbourne_engine::{Error, TaskContext};

#[test]
fn guards_take_back_what_they_set_in_any_order() {
    let sc = threads(1);
    let tags = || Vec::from_iter(sc.job_tags()).join(" ");
    let a = sc.add_job_tag("a").unwrap();
    let b = sc.add_job_tag("b").unwrap();
    let again = sc.add_job_tag("a").unwrap();
    assert_eq!(tags(), "a b");
    drop(a);
    assert_eq!(tags(), "a b", "set twice");
    let none = sc.clear_job_tags();
    let c = sc.add_job_tag("c").unwrap();
    assert_eq!(tags(), "c");
    drop(none);
    assert_eq!(tags(), "a b c");
    let without = sc.remove_job_tag("b").unwrap();
    assert_eq!(tags(), "a c");
    drop((again, b, without));
    assert_eq!(tags(), "c");
    drop(c);
    assert!(sc.job_tags().is_empty() && sc.local_properties().iter().next().is_none());
}
#[test]
fn tags_that_cannot_be_are_refused_in_sparks_words() {
    let sc = threads(1);
    let (e, line) = (sc.add_job_tag("a,b").err().unwrap(), line!());
    assert!(e.to_string().starts_with("Spark job tag cannot contain ','"), "{e}");
    assert!(e.to_string().contains(&format!("jobs_scopes.rs:{line}:")), "{e}");
    let e = sc.remove_job_tag("").err().unwrap();
    assert!(matches!(e, Error::JobTag { .. }) && e.to_string().contains("cannot be an empty string"), "{e}");
}
#[test]
fn tasks_see_the_properties_of_the_thread_that_called_the_action() {
    for n in [1, 3] {
        let sc = threads(n);
        let seen = |sc: &winterbourne_engine::SparkContext, key: &'static str| {
            let of = sc.range(0..4, 4).map(move |_| TaskContext::get().unwrap().local_property(key).map(str::to_owned));
            let mut all = of.collect().unwrap();
            all.dedup();
            all
        };
        let outer = sc.set_local_property("tenant", "blue");
        assert_eq!(seen(&sc, "tenant"), [Some("blue".to_owned())]);
        let hidden = sc.set_local_property("tenant", None);
        assert_eq!(seen(&sc, "tenant"), [None]);
        drop(hidden);
        let what = sc.job_description("report");
        assert_eq!(seen(&sc, "spark.job.description"), [Some("report".to_owned())]);
        // Another thread has none of it, unless it is handed over.
        let mine = sc.local_properties();
        let other = sc.clone();
        let run = move || {
            let before = seen(&other, "tenant");
            let _as_there = mine.enter();
            (before, seen(&other, "tenant"))
        };
        let there = winterbourne_base::thread::spawn("other", run).unwrap().join().unwrap();
        assert_eq!(there, (vec![None], vec![Some("blue".to_owned())]));
        drop((outer, what));
    }
}
#[test]
fn a_group_inside_a_cleared_one_is_a_group() {
    let sc = threads(1);
    let a = sc.job_group("a");
    let cleared = sc.clear_job_group();
    assert_eq!(sc.local_properties().job_group(), None);
    let b = sc.job_group("b");
    assert_eq!(sc.local_properties().job_group(), Some("b"));
    drop((cleared, b));
    assert_eq!(sc.local_properties().job_group(), Some("a"));
    drop(a);
}
