//! Items: where they live, how they are found, who must go. No protocol, no sockets, no clock: `now` is an
//! argument.
//!
//! A [`Store`] is shared by all threads. Each thread that touches items does so through a [`Local`] of its
//! own: chunks in hand, frees to hand in, counters. `LAYOUT.md` in this folder has the pictures.

mod background;
mod bytes;
mod evict;
mod index;
mod local;
#[cfg(all(test, loom))]
mod loom;
mod memory;
mod operations;
mod policy;
mod recovery;
mod shared;
mod supply;
#[cfg(all(test, not(loom)))]
mod tests;
mod under_lock;
mod words;

pub use self::background::audit::Audit;
pub use self::background::control::{PageMove, PagePlace};
pub use self::background::populate::Population;
pub use self::bytes::shape::Pinned;
pub use self::index::Hint;
pub use self::local::Local;
pub use self::memory::classes::ClassSet;
pub use self::operations::large::{Incoming, Room};
pub use self::operations::walk::{ClassWalk, Held, Walk, Walked};
pub use self::policy::curve::{CurveReport, HitRatios};
pub use self::policy::line::Claim;
pub use self::recovery::{Opened, Recovery, Share, memory_file_owner, memory_file_refusal};
pub use self::shared::Store;
pub use self::words::options::Options;
pub use self::words::outcome::{
    Arithmetic, ArithmeticExtras, ArithmeticOutcome, ArithmeticRequest, ClassReport, Create, DeleteExtras,
    DeleteOutcome, Details, Emptied, Fetch, FetchExtras, FetchOutcome, ItemView, Key, MemoryReport, Miss, Mode,
    OpenError, Peeked, Progress, StoreExtras, StoreOutcome, StoreRequest, Value,
};
pub use self::words::refusal::Refusal;
pub use self::words::restart::{Recovered, Restart};
