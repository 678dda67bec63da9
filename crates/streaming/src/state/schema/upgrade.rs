//! [`Upgrade`]: how bytes of a stored layout become values of today's type, decided before any are read.
//!
//! Layouts say what differs; whether the type can live with it only the type can say. So made-up values of the stored
//! layout are converted first: a field without a default is missing in one of them, a field that is gone is ignored in
//! one, a variant that is gone is refused in one. What is an alias is none of these. Only then is the answer given.
use super::{
    Change, Fault, Id, Known, Schema, What,
    change::Site,
    guarded,
    guess::Guess,
    read::{self, Cursor, Given, Probe},
    sample::{self, Choices},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, sync::Arc};
use winterbourne_engine::BoxError;

/// How stored bytes become values of `T`.
pub(crate) struct Upgrade<T> {
    how: How<T>,
    changes: Vec<Change>,
}

enum How<T> {
    Same,
    Convert(Known),
    Migrate(Decode<T>),
}

type Decode<T> = Arc<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;

impl<T: DeserializeOwned + 'static> Upgrade<T> {
    /// [`Upgrade::new_with`] without migrations.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn new(stored: &Schema, now: &Schema) -> Result<Upgrade<T>, Refused> {
        Self::new_with(stored, now, &[])
    }

    /// How to read the stored layout as `T`, whose layout is `now`: as it is if nothing differs; else by the first
    /// migration from exactly that layout; else field by field if every difference is compatible; else by the first
    /// migration whose old type can read the stored layout.
    ///
    /// # Errors
    /// Every difference, and what to do about it. Nothing has been read.
    pub(crate) fn new_with(stored: &Schema, now: &Schema, migrations: &[Migration<T>]) -> Result<Self, Refused> {
        if let Schema::Known(known) = stored {
            known.check().map_err(|why| Refused { changes: vec![rejected(String::new(), why)], migrations: vec![] })?;
        }
        let mut changes = Schema::changes(stored, now);
        if changes.is_empty() {
            return Ok(Upgrade { how: How::Same, changes });
        }
        if let Some(exact) = migrations.iter().find(|m| m.old == *stored)
            && let Ok(decode) = (exact.decoder)(stored)
        {
            return Ok(Upgrade { how: How::Migrate(decode), changes });
        }
        if changes.iter().all(Change::keeps_bytes) {
            return Ok(Upgrade { how: How::Same, changes });
        }
        if let (Schema::Known(stored), Schema::Known(now)) = (stored, now) {
            if !changes.iter().any(|c| !c.compatible && !may_be_alias(c)) {
                try_out::<T>(stored, now, &mut changes);
            }
            if changes.iter().all(|c| c.compatible) {
                return Ok(Upgrade { how: How::Convert(stored.clone()), changes });
            }
        }
        if let Some(decode) = migrations.iter().find_map(|m| (m.decoder)(stored).ok()) {
            return Ok(Upgrade { how: How::Migrate(decode), changes });
        }
        Err(Refused { changes, migrations: migrations.iter().map(|m| m.old_type).collect() })
    }

    /// One value, made of all of `bytes`. Bytes read as they are get postcard's own checks, which do not bound the depth
    /// of recursive types.
    ///
    /// # Errors
    /// What is wrong with the bytes, or what a migration said.
    #[inline]
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<T, String> {
        match &self.how {
            How::Same => match postcard::take_from_bytes(bytes) {
                Ok((value, [])) => Ok(value),
                Ok((_, rest)) => Err(at(&format!("{} byte(s) are left over", rest.len()), bytes, rest.len())),
                Err(e) => Err(format!("{e}, in a value of {} byte(s)", bytes.len())),
            },
            How::Convert(stored) => {
                let mut cursor = Cursor::new(bytes);
                read::read(stored, &mut cursor, None).map_err(|fault| at(&fault.to_string(), bytes, cursor.left()))
            }
            How::Migrate(decode) => decode(bytes),
        }
    }

    /// What differs, for a report; empty if nothing does.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }
    /// Whether bytes are read as they are.
    pub(crate) fn is_same(&self) -> bool {
        matches!(self.how, How::Same)
    }
    /// Whether a migration is used.
    pub(crate) fn is_migrated(&self) -> bool {
        matches!(self.how, How::Migrate(_))
    }
}

fn at(what: &str, bytes: &[u8], left: usize) -> String {
    format!("{what}, at byte {} of {}", bytes.len() - left, bytes.len())
}

fn rejected(path: String, why: String) -> Change {
    Change { path, what: What::Rejected(why), compatible: false, at: None }
}

/// What looks removed may be read under another name.
fn may_be_alias(c: &Change) -> bool {
    use What::{RemovedField, RemovedVariant, RenamedField, RenamedVariant};
    matches!(c.what, RemovedField | RemovedVariant | RenamedField { .. } | RenamedVariant { .. })
}

/// Converts made-up values and corrects the verdicts.
fn try_out<T: DeserializeOwned>(stored: &Known, now: &Known, changes: &mut Vec<Change>) {
    let mut probe = Probe::new(now);
    let mut all_well = true;
    for (variant, choices) in sample::choices(stored) {
        let well = try_one::<T>(stored, &choices, &mut probe, changes);
        all_well &= well;
        let here = |c: &&mut Change| c.at.as_ref().is_some_and(|at| Some(at.site) == variant);
        let gone = |c: &&mut Change| matches!(c.what, What::RemovedVariant | What::RenamedVariant { .. });
        if well && let Some(change) = changes.iter_mut().filter(here).find(gone) {
            change.compatible = true;
        }
    }
    let ignored = probe.ignored.take();
    for (site, name) in &ignored {
        if !changes.iter().any(|c| !c.compatible && is_at(c, *site, name)) {
            changes.push(rejected(name.clone(), "it is no longer read, and would be lost".to_owned()));
        }
    }
    for c in changes.iter_mut().filter(|_| all_well) {
        if let (What::RemovedField | What::RenamedField { .. }, Some(at)) = (&c.what, &c.at) {
            c.compatible = !ignored.contains(&(at.site, at.name.clone()));
        }
    }
}

fn is_at(c: &Change, site: Site, name: &str) -> bool {
    c.at.as_ref().is_some_and(|at| at.site == site && at.name == name)
}

/// Converts one made-up value, with other leaves if the type refuses them and with fields it misses; whether it works.
fn try_one<T: DeserializeOwned>(
    stored: &Known,
    choices: &Choices,
    probe: &mut Probe<'_>,
    changes: &mut Vec<Change>,
) -> bool {
    let mut guess = Guess::default();
    loop {
        guess.rewind();
        let bytes = match sample::sample(stored, 0, choices, &mut guess) {
            Ok(bytes) => bytes,
            Err(why) => {
                changes.push(rejected(String::new(), why));
                return false;
            }
        };
        probe.reset();
        let mut cursor = Cursor::new(&bytes);
        let tried = guarded(|| read::read::<T>(stored, &mut cursor, Some(&*probe)));
        let (fault, path) = match tried {
            Ok(_) => return !changes.iter().any(|c| !c.compatible && c.what == What::AddedField),
            Err(fault) => (fault, probe.path()),
        };
        match &fault {
            Fault::Said(_) if guess.another(cursor.leaves) => continue,
            Fault::Missing(field) if missing(field, probe, changes) => continue,
            Fault::UnknownVariant(name) if changes.iter().any(|c| may_be_alias(c) && named(c, name)) => {}
            _ if changes.iter().any(|c| c.path == path && matches!(c.what, What::Rejected(_))) => {}
            _ => changes.push(rejected(path, fault.to_string())),
        }
        return false;
    }
}

fn named(c: &Change, name: &str) -> bool {
    c.at.as_ref().is_some_and(|at| at.name == name)
}

/// Notes that a field has no default, and gives it a value for the next round. `false`: that was done before, or it is
/// not known as added.
fn missing(field: &str, probe: &mut Probe<'_>, changes: &mut [Change]) -> bool {
    let Some(site) = probe.missing.take() else { return false };
    let mut now: Option<Id> = None;
    for c in changes {
        let is_it = match &c.what {
            What::AddedField => is_at(c, site, field),
            What::RenamedField { to } => to == field && c.at.as_ref().is_some_and(|at| at.site == site),
            _ => false,
        };
        if is_it {
            c.compatible = false;
            now = c.at.as_ref().and_then(|at| at.now);
        }
    }
    let known = probe.now;
    let given = probe.given.entry(site).or_default();
    let Some(id) = now.filter(|_| given.iter().all(|g| g.field != field)) else { return false };
    let Ok(bytes) = sample::sample(known, id, &Choices::new(), &mut Guess::default()) else { return false };
    given.push(Given { field: field.to_owned(), id, bytes });
    true
}

type Decoder<T> = dyn Fn(&Schema) -> Result<Decode<T>, Refused> + Send + Sync;

/// A way from a type that is no longer used to `T`.
pub(crate) struct Migration<T> {
    old: Schema,
    old_type: &'static str,
    /// For a stored layout that the old type can read.
    decoder: Arc<Decoder<T>>,
}

impl<T> Clone for Migration<T> {
    fn clone(&self) -> Self {
        Migration { old: self.old.clone(), old_type: self.old_type, decoder: self.decoder.clone() }
    }
}

/// Reads stored values as `Old` and has `f` make today's of them. `Old` keeps the fields as they were, under any name of
/// the type. `f` runs once for each stored value, and again if a load is repeated; an error ends the load.
pub(crate) fn migrate_from<Old, T>(f: impl Fn(Old) -> Result<T, BoxError> + Send + Sync + 'static) -> Migration<T>
where
    Old: Serialize + DeserializeOwned + 'static,
    T: 'static,
{
    let (old, f) = (Schema::of::<Old>(), Arc::new(f));
    let layout = old.clone();
    let decoder = move |stored: &Schema| {
        let (upgrade, f) = (Upgrade::<Old>::new(stored, &layout)?, f.clone());
        let decode = move |bytes: &[u8]| f(upgrade.decode(bytes)?).map_err(|e| format!("the migration failed: {e}"));
        Ok(Arc::new(decode) as Decode<T>)
    };
    Migration { old, old_type: std::any::type_name::<Old>(), decoder: Arc::new(decoder) }
}

/// Stored state that today's type cannot read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    /// All differences, also the harmless ones.
    pub(crate) changes: Vec<Change>,
    /// The old types of migrations that do not fit either.
    migrations: Vec<&'static str>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is stored cannot become today's type:")?;
        let (fine, not): (Vec<_>, Vec<_>) = self.changes.iter().partition(|c| c.compatible);
        not.iter().try_for_each(|c| write!(f, "\n  {c}"))?;
        fine.iter().try_for_each(|c| write!(f, "\n  (fine) {c}"))?;
        for old in &self.migrations {
            write!(f, "\n  the migration from {old} is for another layout")?;
        }
        f.write_str(
            "\nwhat helps: a default for a new field, an alias for a new name, \
             `.migrate(|old: Old| …)` from a copy of the old type, or the consent to drop this state",
        )
    }
}
impl std::error::Error for Refused {}
