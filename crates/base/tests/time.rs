//! Every operator that Spark's `Duration`, `Time` and `Interval` have, once each, with Spark's results.
use winterbourne_base::{
    Duration, Interval, Time,
    time::{milliseconds, minutes, seconds},
};

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// `<`, `<=`, `>`, `>=`, `==`, `!=`.
fn compared<T: PartialOrd>(a: T, b: T) -> [bool; 6] {
    [a < b, a <= b, a > b, a >= b, a == b, a != b]
}
/// Whether a is before b, by every comparison.
fn before<T: PartialOrd + Copy>(a: T, b: T) -> bool {
    compared(a, b) == [true, true, false, false, false, true]
        && compared(b, a) == [false, false, true, true, false, true]
        && compared(a, a) == [false, true, false, true, true, false]
}

#[test]
fn durations_are_made_compared_and_reckoned_with() {
    assert_eq!((milliseconds(1500).as_millis(), seconds(2).as_millis(), minutes(3).as_millis()), (1500, 2000, 180_000));
    let (a, b) = (seconds(1), seconds(2));
    assert!(before(a, b) && a == milliseconds(1000));
    assert_eq!([a + b, b - a, a * 3], [3000, 1000, 3000].map(milliseconds));
    assert_eq!((seconds(3) / seconds(2), a / b), (1.5, 0.5));
    assert!(b.is_multiple_of(a) && !a.is_multiple_of(b) && !milliseconds(1500).is_multiple_of(a));
    assert_eq!((a.min(b), a.max(b)), (a, b));
    assert!(Duration::ZERO.is_zero() && !a.is_zero());
    let mut sum = a;
    sum += b;
    sum -= milliseconds(500);
    assert_eq!(sum, milliseconds(2500));
}
#[test]
fn durations_are_written_in_three_ways() {
    assert_eq!((seconds(1).to_string(), seconds(1).to_formatted_string()), ("1000 ms".into(), "1000".into()));
    let pretty = [milliseconds(1500), milliseconds(100), minutes(90), minutes(120)].map(Duration::pretty_print);
    assert_eq!(pretty, ["1.5 s", "100 ms", "1.50 h", "2.00 h"]);
}
#[test]
fn times_are_compared_and_reckoned_with() {
    let (a, b) = (at(1000), at(2500));
    assert!(before(a, b) && a == at(1000));
    assert_eq!((a + seconds(1), b - seconds(1), b - a), (at(2000), at(1500), milliseconds(1500)));
    assert_eq!((b.floor(seconds(1)), b.floor_from(seconds(1), at(300))), (at(2000), at(2300)));
    assert!(a.is_multiple_of(seconds(1)) && !b.is_multiple_of(seconds(1)));
    assert_eq!((a.min(b), a.max(b)), (a, b));
    let mut moved = a;
    moved += seconds(2);
    moved -= milliseconds(1);
    assert_eq!((moved, at(1500).to_string()), (at(2999), "1500 ms".into()));
    let mut all = vec![at(3), at(1), at(2)];
    all.sort();
    assert_eq!(all, [at(1), at(2), at(3)]);
}
#[test]
fn times_are_counted_with_and_without_the_end() {
    let ms = |times: Vec<Time>| times.into_iter().map(Time::as_millis).collect::<Vec<_>>();
    assert_eq!(ms(at(1000).until(at(3000), seconds(1)).collect()), [1000, 2000]);
    assert_eq!(ms(at(1000).to(at(3000), seconds(1)).collect()), [1000, 2000, 3000]);
}
#[test]
fn intervals_are_moved_compared_and_written() {
    let first = Interval::new(at(0), at(1000));
    let next = first + seconds(1);
    assert_eq!((next, next - seconds(1)), (Interval::new(at(1000), at(2000)), first));
    assert!(before(first, next));
    assert_eq!((first.to_string(), first.duration()), ("[0 ms, 1000 ms]".into(), seconds(1)));
    assert_eq!((next.begin, next.end), (at(1000), at(2000)));
}
