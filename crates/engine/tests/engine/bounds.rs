//! Where handles may go. What must not compile at all is in the `contracts` module of the crate.
use winterbourne_engine::{Canceller, Error, Rdd, SparkContext, Task, Text};

/// Does not compile for a type that has the trait: the method would be ambiguous.
macro_rules! assert_lacks {
    ($type:ty, $lacks:path) => {
        const _: fn() = || {
            trait Ambiguous<A> {
                fn some() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Has;
            impl<T: ?Sized + $lacks> Ambiguous<Has> for T {}
            let _ = <$type as Ambiguous<_>>::some;
        };
    };
}
assert_lacks!(Rdd<u64>, Sync);
assert_lacks!(Rdd<(Text, u64)>, Sync);
assert_lacks!(SparkContext, Sync);

#[test]
fn handles_go_where_they_may() {
    fn send<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    send::<Rdd<u64>>();
    send::<Rdd<(Text, Vec<Option<u64>>)>>();
    send::<SparkContext>();
    shared::<Canceller>();
    shared::<Task>();
    shared::<Text>();
    shared::<Error>();
}
