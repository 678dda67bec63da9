//! A key without serde.
use winterbourne::prelude::*;

#[derive(Clone, PartialEq, Eq, Hash)]
struct User(u64);

fn visits(users: &Rdd<User>) -> Rdd<(User, Vec<u64>)> {
    users.map(|user| (user, 1)).group_by_key()
}

fn main() {}
