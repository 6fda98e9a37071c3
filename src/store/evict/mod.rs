//! Who must go: S3-FIFO in place, per class.
//!
//! New items stand in a small ring. Leaving it with a hit they become main by one bit, without moving; without,
//! they are evicted and leave a tag in the ghost. Main is a clock hand over the class's chunks in page order.
//! Here victims are picked, under the class's lock; they are evicted later, under their stripe's lock, if
//! nothing changed meanwhile.

mod age;
mod class;
pub(crate) mod ghost;
mod pick;
mod queues;
mod ring;
mod victim;

pub(crate) use class::{Class, ClassState};
pub(crate) use pick::{Pick, PickContext, is_entry_for};
pub(crate) use ring::{Blocks, RingContext};
pub(crate) use victim::{Reason, Victim};
