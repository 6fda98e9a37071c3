//! Items: where they live, how they are found, who must go. No protocol, no sockets, no clock: `now` is an
//! argument.
//!
//! A [`Store`] is shared by all threads. Each thread that touches items does so through a [`Local`] of its
//! own: chunks in hand, frees to hand in, counters.

mod naive;
mod options;
mod outcome;

pub use naive::{Incoming, Local, Pinned, Store};
pub use options::Options;
pub use outcome::{
    Arithmetic, ArithmeticOutcome, ClassReport, DeleteOutcome, Fetch, FetchOutcome, ItemView, Key, MemoryReport, Miss,
    Mode, OpenError, Progress, RefusedReserve, StoreOutcome, StoreRequest, Value,
};
