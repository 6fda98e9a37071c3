//! The words in which the store is asked and answers.

use std::fmt;

use crate::operation;
pub use crate::operation::{Details, Mode};
use crate::store::bytes::shape::Pinned;
use crate::telemetry::ClassTotals;
use crate::time::{Expiry, Seconds};

/// What few fetches ask for, in deadlines.
pub type FetchExtras = operation::FetchExtras<Expiry>;
/// What few stores ask for, in deadlines.
pub type StoreExtras = operation::StoreExtras<Expiry>;
/// What few deletes ask for, in deadlines.
pub type DeleteExtras = operation::DeleteExtras<Expiry>;
/// What few incrs and decrs ask for, in deadlines.
pub type ArithmeticExtras = operation::ArithmeticExtras<Expiry>;
/// An item that is made when a key is missing, with its deadline.
pub type Create = operation::Create<Expiry>;
/// What an item becomes that stays without its value, with its deadline.
pub type Emptied = operation::Emptied<Expiry>;

/// A key and its hash, computed once a request by [`Store::key`](crate::store::shared::Store::key).
#[derive(Clone, Copy, Debug)]
pub struct Key<'k> {
    /// 1 to `KEY_BYTES_MAX` bytes: the protocol checked it.
    pub bytes: &'k [u8],
    /// The keyed hash of the bytes.
    pub hash: u64,
}

/// Options of a fetch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fetch<'f> {
    /// The new expiry of a hit (touch, gat).
    pub touch: Option<Expiry>,
    /// Whether the value is wanted: a touch leaves it where it is.
    pub value: bool,
    /// Whether the version is wanted.
    pub cas: bool,
    /// What few fetches ask for. `None` costs nothing; `Some` shows [`Details`] even when it asks for nothing.
    pub extras: Option<&'f FetchExtras>,
}

/// What a fetch lends to its visitor, under the stripe's lock. Nothing may block or allocate in there
/// beyond room made ready before.
#[derive(Debug)]
pub struct ItemView<'a> {
    /// The client's opaque number.
    pub client_flags: u32,
    /// The item's version; 0 with `-C`, and when it was not asked for.
    pub cas: u64,
    /// The value, or nothing when it was not asked for.
    pub value: Value<'a>,
    /// The rest, for a fetch with extras.
    pub details: Option<Details>,
}

/// A fetched value.
#[derive(Debug)]
pub enum Value<'a> {
    /// Not asked for.
    Unwanted,
    /// Whole, up to `WHOLE_VALUE_BYTES_MAX`, to be copied now.
    Whole(&'a [u8]),
    /// Large: pinned, to be written from its extents later and given back by `Store::unpin`.
    Pinned(Pinned),
}

/// What became of a fetch.
#[derive(Debug, PartialEq, Eq)]
pub enum FetchOutcome<R> {
    /// Found; what the visitor returned.
    Hit(R),
    /// Not found, and why.
    Miss(Miss),
    /// Found, but the touch needed memory for an exptime and there was none.
    NoMemory,
}

/// What is under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// The number of its class.
    pub class: u32,
    /// Length of the value in bytes.
    pub value_len: usize,
    /// When it dies.
    pub expiry: Expiry,
}

/// Why a fetch missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No such item.
    Absent,
    /// There was one; its time was over.
    Expired,
    /// There was one; a `flush_all` was younger.
    Flushed,
}

/// All of a store operation but the value.
#[derive(Clone, Copy, Debug)]
pub struct StoreRequest<'k> {
    /// Where.
    pub key: Key<'k>,
    /// When.
    pub mode: Mode,
    /// The client's opaque number.
    pub client_flags: u32,
    /// How long.
    pub expiry: Expiry,
    /// Whether the new version is wanted: it may be told as 0 otherwise.
    pub shows_cas: bool,
    /// What few stores ask for.
    pub extras: Option<&'k StoreExtras>,
}

/// What became of a store operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// Stored.
    Stored {
        /// The item's new version; 0 with `-C`, and when a small item was stored without extras.
        cas: u64,
        /// Length of the whole value: more than was sent, after an append.
        value_len: usize,
    },
    /// The mode's condition did not hold, or an append would grow too large.
    NotStored,
    /// cas: another version.
    Exists,
    /// cas: no such item.
    NotFound,
    /// Over the item size limit.
    TooLarge,
    /// No memory, and nothing to evict.
    NoMemory,
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// Gone, or what was asked for instead.
    Deleted,
    /// There was none.
    NotFound,
    /// It has another version.
    Exists,
    /// An emptied item found no memory.
    NoMemory,
}

/// All of an incr or decr.
#[derive(Clone, Copy, Debug)]
pub struct ArithmeticRequest<'k> {
    /// Where.
    pub key: Key<'k>,
    /// What.
    pub change: Arithmetic,
    /// What few ask for.
    pub extras: Option<&'k ArithmeticExtras>,
}

/// incr or decr, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Wraps modulo 2^64.
    Incr(u64),
    /// Stops at 0.
    Decr(u64),
}

/// What became of an incr or decr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticOutcome {
    /// Done.
    Value {
        /// The new number.
        number: u64,
        /// The new version; 0 without extras.
        cas: u64,
        /// The expiry before; never, for a new item.
        expiry: Expiry,
        /// The key was missing.
        is_created: bool,
    },
    /// No such item.
    NotFound,
    /// It has another version.
    Exists,
    /// The value is not a decimal of 64 bits.
    NonNumeric,
    /// The number grew and found no memory.
    NoMemory,
}

/// Whether there is more background work to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The budget ended first: call again soon.
    More,
    /// There is more, but nobody waits for it: call again after a pause.
    MoreAfter {
        /// The pause in microseconds.
        micros: u32,
    },
    /// Nothing is due before this second.
    IdleUntil(Seconds),
}

/// One slab class, or all that clients know by one number, for `stats items` and `stats slabs`. The names are
/// memcached's. All but the gauges count from the start on; who resets them remembers an earlier report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassReport {
    /// The number clients know the class by, 1 to 63: neighbours may share it.
    pub class: u32,
    /// The class's place among all, from 1 on; of several the largest's.
    pub place: u32,
    /// Room of one chunk in bytes.
    pub chunk_size: u64,
    /// Chunks of one page.
    pub chunks_per_page: u64,
    /// Pages the class holds (gauge).
    pub total_pages: u64,
    /// Bytes of those pages (gauge).
    pub page_bytes: u64,
    /// Chunks taken by items (gauge).
    pub used_chunks: u64,
    /// Chunks free to take (gauge).
    pub free_chunks: u64,
    /// Seconds that the item unused longest has gone unused, as far as a few looks tell (gauge).
    pub age: u64,
    /// What all threads have counted.
    pub counts: ClassTotals,
}

impl ClassReport {
    /// Takes off what an earlier report had counted; gauges stay.
    pub fn forget(&mut self, earlier: &Self) {
        self.counts = self.counts.since(&earlier.counts);
    }

    /// Takes in another class that clients know by the same number. Counts, pages, chunks and bytes add up, seconds
    /// are those of the older; the size of a chunk stays: that of the number's largest class.
    pub(crate) fn take_in(&mut self, other: &Self) {
        self.total_pages += other.total_pages;
        self.page_bytes += other.page_bytes;
        self.used_chunks += other.used_chunks;
        self.free_chunks += other.free_chunks;
        self.age = self.age.max(other.age);
        self.counts.merge(&other.counts);
    }
}

/// Where the store's memory is, for `stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// The limit, as `-m` or `cache_memlimit` set it, in bytes.
    pub limit_bytes: u64,
    /// What is in use of it: never more, but while a lowered limit is being reached.
    pub committed_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Buckets of the index.
    pub index_buckets: u64,
    /// Pages that belong to no class.
    pub pool_pages: u64,
    /// Bytes of these.
    pub free_page_bytes: u64,
    /// Bytes of all pages that belong to a class: the next three together.
    pub page_bytes: u64,
    /// Bytes of chunks that items have, or threads have in hand.
    pub used_chunk_bytes: u64,
    /// Bytes of chunks free to take.
    pub free_chunk_bytes: u64,
    /// Bytes at the ends of pages where no chunk fits.
    pub page_tail_bytes: u64,
    /// Bytes of the eviction queues and the ghost.
    pub eviction_bytes: u64,
    /// Bytes of superblock and page table.
    pub head_bytes: u64,
}

/// Why a store could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The address space could not be reserved or opened.
    Memory(std::io::Error),
    /// The limit is too small for even one item of the largest size.
    TooSmall,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => write!(f, "failed to reserve memory: {error}"),
            Self::TooSmall => write!(f, "the memory limit is too small"),
        }
    }
}

impl std::error::Error for OpenError {}
