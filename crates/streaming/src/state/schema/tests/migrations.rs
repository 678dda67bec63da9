//! Migrations: which one is taken, and what it may do.
use super::*;

state! {
    struct V1 { sum: u64 }
    struct V2 { sum: u64, n: u32 }
    struct Now { mean: f64 }
}

fn from_v1() -> Migration<Now> {
    migrate_from(|old: V1| Ok(Now { mean: old.sum as f64 }))
}
fn from_v2() -> Migration<Now> {
    migrate_from(|old: V2| {
        if old.n == 0 {
            Err("there is no mean of nothing".into())
        } else {
            Ok(Now { mean: old.sum as f64 / f64::from(old.n) })
        }
    })
}
fn with(stored: &Schema, migrations: &[Migration<Now>]) -> Result<Upgrade<Now>, Refused> {
    Upgrade::new_with(stored, &Schema::of::<Now>(), migrations)
}

#[test]
fn the_one_from_exactly_the_stored_layout_is_taken() {
    let migrations = [from_v1(), from_v2()];
    let v1 = with(&stored::<V1>(), &migrations).unwrap();
    assert!(v1.is_migrated());
    assert_eq!(v1.decode(&bytes(&V1 { sum: 6 })), Ok(Now { mean: 6.0 }));
    let v2 = with(&stored::<V2>(), &migrations).unwrap();
    assert_eq!(v2.decode(&bytes(&V2 { sum: 6, n: 4 })), Ok(Now { mean: 1.5 }));
    let failed = v2.decode(&bytes(&V2 { sum: 6, n: 0 })).unwrap_err();
    assert_eq!(failed, "the migration failed: there is no mean of nothing");
    assert!(v2.decode(&bytes(&V1 { sum: 6 })).is_err(), "bytes that end early");
    let same = with(&stored::<Now>(), &migrations).unwrap();
    assert!(same.is_same(), "today's layout needs none");
}
#[test]
fn one_whose_old_type_can_read_the_stored_layout_will_do() {
    state! { struct V0 { sum: u8 } struct Alien { sum: String } }
    let v0 = with(&stored::<V0>(), &[from_v2(), from_v1()]).unwrap();
    assert_eq!(v0.decode(&bytes(&V0 { sum: 6 })), Ok(Now { mean: 6.0 }), "u8 is widened first");
    let refused = with(&stored::<Alien>(), &[from_v1()]).map(drop).unwrap_err().to_string();
    assert!(refused.contains("the migration from") && refused.contains("V1 is for another layout"), "{refused}");
}
#[test]
fn it_goes_before_a_conversion_that_would_do() {
    state! { struct Was { n: u32 } struct Is { n: u64, #[serde(default)] twice: u64 } }
    let twice = migrate_from(|old: Was| Ok(Is { n: old.n.into(), twice: 2 * u64::from(old.n) }));
    let upgrade = Upgrade::new_with(&stored::<Was>(), &Schema::of::<Is>(), &[twice]).unwrap();
    assert_eq!(upgrade.decode(&bytes(&Was { n: 4 })), Ok(Is { n: 4, twice: 8 }));
    assert_eq!(carry::<Was, Is>(&Was { n: 4 }), Is { n: 4, twice: 0 });
}
