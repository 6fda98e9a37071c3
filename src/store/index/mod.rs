//! The index: stripes, each a lock and a column of buckets that grows one bucket at a time.

mod bucket;
mod cells;
mod flush;
mod flush_word;
mod growth;
mod homes;
mod numbers;
mod overflow;
mod rebuild;
mod shrink;
mod stripe;
mod walk;

pub(crate) use self::flush_word::Flush;
pub(crate) use self::rebuild::TakenIn;
pub(super) use self::shrink::Shrinking;
pub use self::stripe::Hint;
pub(crate) use self::stripe::{Found, Index, LockedStripe, NoCell, RowWish};
