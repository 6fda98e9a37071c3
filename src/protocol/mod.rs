//! Bytes to [`Request`] and [`Reply`] to bytes, nothing else: what a request means is `command/`'s business.
//!
//! A dialect is one parser and one encoder over the same few operations. Nothing is copied to parse: a
//! request borrows from the input and its keys are already checked.

pub mod ascii;
mod errors;
mod reply;
mod request;
mod upkeep;

pub use errors::ErrorText;
pub use reply::Reply;
pub use request::{
    Admin, Arithmetic, ArithmeticExtras, Delete, DeleteExtras, Detail, Fetch, FetchExtras, FetchOptions, MetaCommand,
    MetaLine, Mode, Refused, Request, Shutdown, Store, StoreExtras,
};
pub use upkeep::{Cachedump, Classes, Crawler, ItemLines, Lru, Millionths, Reassign, Slabs};

/// What `version` answers: the memcached release whose behaviour this is, and ours.
pub const VERSION: &str = concat!("1.6.45-flagstone-", env!("CARGO_PKG_VERSION"));
