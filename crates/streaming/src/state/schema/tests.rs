//! Layouts are traced, compared and converted as the module promises; broken ones are refused.
mod hostile;
mod migrations;
mod refused;
mod traced;
mod upgrades;

use super::{upgrade::*, *};

/// Derives what a state type needs.
macro_rules! state {
    ($($item:item)*) => { $(
        #[derive(Clone, Debug, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
        #[allow(dead_code, clippy::allow_attributes, reason = "layouts are looked at, not values")]
        $item
    )* };
}
use state;

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap()
}

/// The layout as a checkpoint would hand it back.
fn stored<T: Serialize + DeserializeOwned + 'static>() -> Schema {
    let schema = Schema::of::<T>();
    assert!(matches!(schema, Schema::Known(_)), "{:?}", Schema::trace::<T>());
    postcard::from_bytes(&bytes(&schema)).unwrap()
}

fn upgrade<Old, New>() -> Result<Upgrade<New>, Refused>
where
    Old: Serialize + DeserializeOwned + 'static,
    New: Serialize + DeserializeOwned + 'static,
{
    Upgrade::new(&stored::<Old>(), &Schema::of::<New>())
}

/// What becomes of a stored value.
fn carry<Old, New>(old: &Old) -> New
where
    Old: Serialize + DeserializeOwned + 'static,
    New: Serialize + DeserializeOwned + 'static,
{
    match upgrade::<Old, New>() {
        Ok(upgrade) => upgrade.decode(&bytes(old)).unwrap(),
        Err(refused) => panic!("{refused}"),
    }
}

/// The differences that are in the way.
fn refusals<Old, New>() -> Vec<String>
where
    Old: Serialize + DeserializeOwned + 'static,
    New: Serialize + DeserializeOwned + 'static,
{
    match upgrade::<Old, New>() {
        Ok(_) => panic!("{} was taken for {}", Schema::of::<Old>(), Schema::of::<New>()),
        Err(refused) => refused.changes.iter().filter(|c| !c.compatible).map(ToString::to_string).collect(),
    }
}
