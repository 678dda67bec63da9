//! Broadcast values.
use crate::common::*;
use std::sync::Arc;
use winterbourne_engine::{Error, TaskCause};

#[test]
fn tasks_read_one_value_and_copy_nothing() {
    for n in [1, 3] {
        let sc = threads(n);
        let table = sc.broadcast(Arc::new(vec![10, 20, 30]));
        let of = table.clone();
        let seen = sc.range(0..3, 3).map(move |x| of.value()[x as usize]).collect().unwrap();
        assert_eq!(seen, [10, 20, 30]);
        assert_eq!(Arc::strong_count(&table), 1, "the value was not cloned");
        table.unpersist();
        assert_eq!(table.len(), 3, "usable after unpersist");
        let next = sc.broadcast(());
        assert_eq!(
            (table.id(), table.to_string(), next.to_string()),
            (0, "Broadcast(0)".into(), "Broadcast(1)".into())
        );
    }
}
#[test]
fn use_after_destroy_names_both_places() {
    let sc = context("local[2,2]");
    let (made, table) = (line!(), sc.broadcast(7u64));
    let of = table.clone();
    let scaled = sc.range(0..4, 2).map(move |x| x * *of);
    assert_eq!(scaled.collect().unwrap(), [0, 7, 14, 21]);
    let destroyed = line!() + 1;
    table.destroy();
    table.destroy();
    let e = scaled.collect().unwrap_err();
    let Error::Task { cause: TaskCause::Engine(why), .. } = &e else { panic!("{e}") };
    assert!(matches!(&**why, Error::BroadcastDestroyed { id: 0, .. }), "{e}");
    for text in [
        "Attempted to use Broadcast(0)".to_owned(),
        format!("broadcast.rs:{made}:"),
        "after it was destroyed".to_owned(),
        format!("broadcast.rs:{destroyed}:"),
    ] {
        assert!(e.to_string().contains(&text), "{text}: {e}");
    }
    assert!(matches!(table.try_value(), Err(Error::BroadcastDestroyed { .. })));
    let ask = winterbourne_base::thread::spawn("driver", move || *table).unwrap();
    let payload = ask.join().unwrap_err();
    assert!(payload.downcast_ref::<String>().unwrap().contains("after it was destroyed"), "a panic on the driver");
}
#[test]
fn the_memory_is_free_with_the_last_handle() {
    let sc = threads(2);
    let (value, table) = (Arc::new(()), sc.broadcast(Arc::new(())));
    drop(table);
    let table = sc.broadcast(value.clone());
    let of = table.clone();
    let used = sc.range(0..4, 2).map(move |_| Arc::strong_count(&of));
    used.count().unwrap();
    drop(table);
    assert_eq!(Arc::strong_count(&value), 2, "the closure has one");
    drop(used);
    assert_eq!(Arc::strong_count(&value), 1);
}
