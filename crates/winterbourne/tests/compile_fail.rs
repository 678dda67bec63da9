//! What rustc says to the mistakes people make. Each file of `compile_fail/` holds one; the text beside it was read by
//! a person and is what the pinned compiler prints. After a change of either:
//!
//!     TRYBUILD=overwrite cargo test -p winterbourne --test compile_fail
//!
//! and read what has changed before it is committed.
#[test]
fn messages_say_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
