//! [`Part`]: what one task, or one chunk, added to one accumulator.
use super::{Accumulate, DoubleSum, LongSum};
use std::any::Any;

/// A value of a kind that whoever holds it does not know. The two commonest kinds need no box, and no check at run time
/// which kind it is: that check costs as much as the rest of an addition.
pub(super) enum Part {
    Long(LongSum),
    Double(DoubleSum),
    Other(Box<dyn Any + Send>),
}
impl Part {
    pub(super) fn new<A: Accumulate>(value: A) -> Self {
        let any: &dyn Any = &value;
        if let Some(long) = any.downcast_ref() {
            return Part::Long(*long);
        }
        if let Some(double) = any.downcast_ref() {
            return Part::Double(*double);
        }
        Part::Other(Box::new(value))
    }
    #[inline]
    pub(super) fn as_mut<A: Accumulate>(&mut self) -> &mut A {
        let any: Option<&mut A> = match self {
            // Both types are known here, so these are decided when compiling.
            Part::Long(long) => (long as &mut dyn Any).downcast_mut(),
            Part::Double(double) => (double as &mut dyn Any).downcast_mut(),
            Part::Other(other) => other.downcast_mut(),
        };
        any.expect("a part is of its accumulator's kind")
    }
    pub(super) fn take<A: Accumulate>(mut self) -> A {
        match self {
            Part::Other(other) => *other.downcast().expect("a part is of its accumulator's kind"),
            _ => self.as_mut::<A>().clone(),
        }
    }
}
