//! The operators of a program beside those of its log: what is kept, new, moved, dropped, changed. Pure.
use crate::state::Layout;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an operator does that outlives a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Input,
    State,
    Output,
}

/// An operator with an id, as checkpoints list it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operator {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) role: Role,
    /// Of state.
    pub(crate) layout: Option<Layout>,
}

/// What became of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    New,
    /// Its layout is another one, which can be loaded all the same: how.
    Changed(Vec<String>),
    /// Not in the program any more.
    Dropped,
    /// As `Dropped`, but the program has one new operator of the same kind, with this id.
    Moved(String),
    /// Its state cannot be loaded: why.
    Refused(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) role: Role,
    pub(crate) fate: Fate,
}

/// The comparison, in the program's order, dropped ones last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison(pub(crate) Vec<Line>);

/// `accepts` says whether a stored layout can be loaded into the operator of that id.
pub(crate) fn compare(
    stored: &[Operator],
    now: &[Operator],
    accepts: impl Fn(&str, &Layout) -> Result<Vec<String>, String>,
) -> Comparison {
    let mut lines = Vec::new();
    for op in now {
        let before = stored.iter().find(|s| s.id == op.id && s.role == op.role);
        let fate = match before {
            None => Fate::New,
            Some(before) => match &before.layout {
                None => Fate::Kept,
                Some(layout) => match accepts(&op.id, layout) {
                    Ok(changes) if changes.is_empty() => Fate::Kept,
                    Ok(changes) => Fate::Changed(changes),
                    Err(why) => Fate::Refused(why),
                },
            },
        };
        lines.push(Line { id: op.id.clone(), kind: op.kind.clone(), role: op.role, fate });
    }
    let is_there = |s: &&Operator| !now.iter().any(|o| o.id == s.id && o.role == s.role);
    let gone: Vec<&Operator> = stored.iter().filter(is_there).collect();
    for s in &gone {
        let alike = |l: &&Line| l.fate == Fate::New && l.kind == s.kind && l.role == s.role;
        let mut heirs = lines.iter().filter(alike);
        let rivals = gone.iter().filter(|g| g.kind == s.kind && g.role == s.role).count();
        let fate = match (heirs.next(), heirs.next(), rivals) {
            (Some(heir), None, 1) => Fate::Moved(heir.id.clone()),
            _ => Fate::Dropped,
        };
        lines.push(Line { id: s.id.clone(), kind: s.kind.clone(), role: s.role, fate });
    }
    Comparison(lines)
}

impl Comparison {
    /// What would be lost, and is not among the ids its user lets go (`all` lets everything go). Outputs hold nothing.
    pub(crate) fn objections(&self, consent: &[String]) -> Vec<String> {
        let may_go = |id: &String| consent.iter().any(|c| c == id || c == "all");
        let mut out = Vec::new();
        for l in &self.0 {
            let (what, id, kind) = (l.role, &l.id, &l.kind);
            match &l.fate {
                Fate::Refused(why) if !may_go(id) => out.push(format!(
                    "{what} {id} ({kind}): {why}; or let its state go with spark.streaming.recovery.drop={id}"
                )),
                Fate::Moved(heir) if l.role != Role::Output && !may_go(id) => out.push(format!(
                    "{what} {id} ({kind}) is not in the program any more, and {heir} is new: if it is the same one, give it \
                     the old name with .uid(\"{id}\"); if not, let it go with spark.streaming.recovery.drop={id}"
                )),
                Fate::Dropped if l.role != Role::Output && !may_go(id) => out.push(format!(
                    "{what} {id} ({kind}) is not in the program any more: put it back, or let it go with \
                     spark.streaming.recovery.drop={id}"
                )),
                _ => {}
            }
        }
        out
    }
    /// Whether the state of this operator is to be loaded.
    pub(crate) fn loads(&self, id: &str) -> bool {
        let mut state = self.0.iter().filter(|l| l.id == id && l.role == Role::State);
        state.any(|l| matches!(l.fate, Fate::Kept | Fate::Changed(_)))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Input => "input",
            Role::State => "state",
            Role::Output => "output",
        })
    }
}
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for l in &self.0 {
            let (id, role) = (&l.id, l.role);
            match &l.fate {
                Fate::Kept => write!(f, "\n  kept     {role} {id}")?,
                Fate::New => write!(f, "\n  new      {role} {id}")?,
                Fate::Changed(how) => write!(f, "\n  changed  {role} {id}: {}", how.join("; "))?,
                Fate::Dropped => write!(f, "\n  dropped  {role} {id}")?,
                Fate::Moved(heir) => write!(f, "\n  dropped  {role} {id}, perhaps moved to {heir}")?,
                Fate::Refused(why) => write!(f, "\n  refused  {role} {id}: {why}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Schema;

    fn op(role: Role, id: &str, layout: Option<&str>) -> Operator {
        let schema = |s: &str| Schema::Opaque(s.into());
        let layout =
            layout.map(|l| Layout { key: schema("k"), state: schema(l), key_type: "K".into(), state_type: l.into() });
        Operator { id: id.into(), kind: id.split('-').next().unwrap_or(id).into(), role, layout }
    }
    /// `new!` cannot be loaded, `wide` can with a change.
    fn accepts(_: &str, l: &Layout) -> Result<Vec<String>, String> {
        match l.state_type.as_str() {
            "bad" => Err("count was a String".into()),
            "wide" => Ok(vec!["count is wider".into()]),
            _ => Ok(vec![]),
        }
    }
    fn fates(stored: &[Operator], now: &[Operator]) -> Vec<(String, Fate)> {
        compare(stored, now, accepts).0.into_iter().map(|l| (l.id, l.fate)).collect()
    }

    #[test]
    fn an_equal_program_keeps_everything() {
        let ops = [op(Role::Input, "socket-1", None), op(Role::State, "map-1", Some("u64"))];
        let got = compare(&ops, &ops, accepts);
        assert!(got.0.iter().all(|l| l.fate == Fate::Kept));
        assert!(got.objections(&[]).is_empty() && got.loads("map-1"));
    }
    #[test]
    fn what_is_gone_needs_consent_by_name() {
        let stored = [op(Role::State, "map-1", Some("u64")), op(Role::State, "map-2", Some("u64"))];
        let got = compare(&stored, &stored[..1], accepts);
        assert_eq!(got.0[1].fate, Fate::Dropped);
        assert!(got.objections(&[])[0].contains("spark.streaming.recovery.drop=map-2"));
        assert!(got.objections(&["map-2".into()]).is_empty() && got.objections(&["all".into()]).is_empty());
        assert_eq!(got.objections(&["map-1".into()]).len(), 1);
    }
    #[test]
    fn one_gone_and_one_new_of_a_kind_may_have_moved() {
        let (old, new) = ([op(Role::State, "map-1", Some("u64"))], [op(Role::State, "map-9", Some("u64"))]);
        assert_eq!(fates(&old, &new), [("map-9".into(), Fate::New), ("map-1".into(), Fate::Moved("map-9".into()))]);
        assert!(compare(&old, &new, accepts).objections(&[])[0].contains(".uid(\"map-1\")"));
        let two = [new[0].clone(), op(Role::State, "map-8", Some("u64"))];
        assert_eq!(fates(&old, &two)[2].1, Fate::Dropped, "no telling which");
    }
    #[test]
    fn layouts_are_loaded_changed_or_refused() {
        let now = [op(Role::State, "map-1", Some("u64"))];
        let changed = compare(&[op(Role::State, "map-1", Some("wide"))], &now, accepts);
        assert!(changed.loads("map-1") && changed.objections(&[]).is_empty());
        let refused = compare(&[op(Role::State, "map-1", Some("bad"))], &now, accepts);
        assert!(!refused.loads("map-1") && refused.objections(&[])[0].contains("count was a String"));
        assert!(refused.objections(&["map-1".into()]).is_empty());
    }
    #[test]
    fn outputs_come_and_go_freely() {
        let (old, new) = ([op(Role::Output, "print-1~0", None)], [op(Role::Output, "save-1~0", None)]);
        assert!(compare(&old, &new, accepts).objections(&[]).is_empty());
    }
}
