//! The same RDD in every batch.
use super::{Input, Planned, Tick};
use winterbourne_engine::{BoxError, Data, Rdd, SparkContext};

/// It can come back after a restart: the program defines its RDD again.
pub(crate) struct ConstantInput<T: Data>(pub(crate) Rdd<T>);
impl<T: Data> Input<T> for ConstantInput<T> {
    type Plan = u64;
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        Ok(Some(Planned { plan: tick.time.as_millis(), records: None, description: "the same RDD".into() }))
    }
    fn read(&mut self, _: &SparkContext, _: &u64) -> Result<Rdd<T>, BoxError> {
        Ok(self.0.clone())
    }
}
