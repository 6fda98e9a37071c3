//! Bytes to [`Request`]s, and what became of them to bytes, nothing else: what a request means is `command/`'s
//! business.
//!
//! A [`Dialect`] is one parser and one encoder over the same few operations. Nothing is copied to parse: a
//! request borrows from the input and its keys are already checked. What is answered are values until a dialect writes
//! them.

pub mod ascii;
mod background;
pub mod binary;
mod datagram;
mod dialect;
mod failure;
pub mod figures;
mod reply;
mod request;

pub use ascii::auth::{AuthParsed, TOKEN_ASKED, credentials, parse as parse_auth};
pub use ascii::dump::{push_item, push_items_end, push_uri};
pub use background::{Cachedump, Classes, Crawler, ItemLines, Lru, Millionths, Reassign, Slabs};
pub use binary::parse_unauthenticated;
pub use datagram::{DATAGRAM_BYTES_MAX, Message, parse_datagram};
pub(crate) use dialect::with_plain_form;
pub use dialect::{
    Asked, AskedKept, Dialect, Form, HEAD_BYTES_MAX, KeyLine, NextKey, ParseRoom, Parsed, Plain, PlainForm, PlainHead,
    PlainSet, TAIL_BYTES_MAX, Words,
};
pub use failure::Failure;
pub use reply::{Counted, Fetched, Hit, ItemLine, Listed, Quiet, Reply, SaslReply, Stored};
pub use request::{
    Admin, Arithmetic, ArithmeticExtras, Delete, DeleteExtras, Detail, Fetch, FetchExtras, FetchOptions, Operation,
    Refused, Request, Sasl, SaslStep, Shutdown, Store, StoreExtras,
};

/// Keys that `stats hotkeys` shows when nobody says how many.
pub const HOT_KEYS_SHOWN: u32 = 10;

/// What `version` answers: the memcached release whose behaviour this is, and nothing else, as clients and tools
/// compare it as a number.
pub const VERSION: &str = "1.6.45";

/// This program's own version.
pub const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");
