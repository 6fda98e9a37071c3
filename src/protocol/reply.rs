//! What became of a request, as values: a dialect gives them words.

use super::Failure;
use crate::operation::Details;
use crate::time::{Expiry, Now};

/// What is answered, but for a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The value is stored.
    Stored,
    /// The mode's condition did not hold.
    NotStored,
    /// The item has another version.
    Exists,
    /// There is no such item.
    NotFound,
    /// The item is gone.
    Deleted,
    /// The number after an incr or decr.
    Number(u64),
    /// Done.
    Ok,
    /// The counters are back at zero.
    Reset,
    /// All requests before this one are answered.
    Noop,
    /// Who we are.
    Version,
    /// A list of hits or lines is over.
    End,
    /// It could not be done.
    Error(Failure),
}

/// What is answered to a step of SASL that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslReply<'a> {
    /// The mechanisms there are, parted by spaces.
    Mechanisms(&'a [u8]),
    /// The client is to respond to this.
    Challenge(&'a [u8]),
    /// The client is let in.
    Authenticated,
}

/// Which outcomes of a request are not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// None: every request is answered.
    No,
    /// That there is no such item.
    Misses,
    /// That what was asked for is done.
    Successes,
    /// All, errors too.
    All,
}

impl Quiet {
    /// Whether this outcome is not told.
    #[must_use]
    #[inline]
    pub fn hides(self, reply: Reply) -> bool {
        match self {
            Self::No => false,
            Self::Misses => reply == Reply::NotFound,
            Self::Successes => matches!(reply, Reply::Stored | Reply::Deleted | Reply::Number(_) | Reply::Ok),
            Self::All => true,
        }
    }
}

/// What became of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Found, and lent to the visitor.
    Hit,
    /// Not found.
    Miss,
    /// Found, but there is no memory for its new exptime.
    NoMemory,
}

/// An item that was found, but for its value.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The client's opaque number.
    pub client_flags: u32,
    /// The item's version.
    pub cas: u64,
    /// The rest, for a fetch with extras.
    pub details: Option<&'a Details>,
    /// The time, against which an expiry is shown.
    pub now: Now,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What is answered.
    pub reply: Reply,
    /// The item's new version; 0: not stored.
    pub cas: u64,
    /// Length of the item's whole value; not stored: of the one that was sent.
    pub value_len: usize,
}

/// What became of a number.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// What is answered.
    pub reply: Reply,
    /// The item's new version.
    pub cas: u64,
    /// Its expiry before; never, if it was made.
    pub expiry: Expiry,
    /// The key was missing and has its first number now.
    pub is_created: bool,
    /// The time, against which an expiry is shown.
    pub now: Now,
}

/// One item of a list of items. Times are Unix seconds.
#[derive(Clone, Copy, Debug)]
pub enum ItemLine<'a> {
    /// All that is known of it but its value.
    Metadump(Listed<'a>),
    /// A request that fetches it.
    Mgdump {
        /// The key's own bytes.
        key: &'a [u8],
        /// Whether it came encoded.
        is_base64: bool,
    },
    /// Its key, length and expiry.
    Cachedump {
        /// The key's own bytes.
        key: &'a [u8],
        /// Length of the value.
        value_len: usize,
        /// When it dies; 0: never.
        expires: i64,
    },
}

/// What a `metadump` says of an item. Times are Unix seconds.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The key's own bytes.
    pub key: &'a [u8],
    /// When it dies, if ever.
    pub expires: Option<i64>,
    /// When it was last asked for.
    pub accessed: i64,
    /// Version.
    pub cas: u64,
    /// It has been fetched since it was stored.
    pub was_fetched: bool,
    /// Slab class.
    pub class: u32,
    /// Room in memory.
    pub item_bytes: u64,
    /// The client's opaque number.
    pub client_flags: u32,
}
