//! A state without serde.
use winterbourne::prelude::*;

#[derive(Clone)]
struct Session {
    pages: Vec<String>,
}

fn sessions(visits: &DStream<(u64, String)>) -> DStream<(u64, Session)> {
    visits.update_state_by_key(|pages, session: Option<Session>| {
        let mut session = session.unwrap_or(Session { pages: vec![] });
        session.pages.extend(pages);
        Some(session)
    })
}

fn main() {}
