//! The words in which the store is asked and answers.

use std::fmt;

use crate::time::{Expiry, Seconds};

/// A key and its hash, computed once a request by [`Store::key`](super::Store::key).
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

/// What few fetches ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchExtras {
    /// The fetch is no use of the item: it counts neither as an access nor as fetched.
    pub no_bump: bool,
    /// The fetch is about the item, not for its value: no hit in the class's counters, and it wins nothing.
    pub inspects: bool,
    /// The value is not wanted if the item's version is this one.
    pub unless_cas: Option<u64>,
    /// Win the item if it expires before this.
    pub recache: Option<Expiry>,
    /// `recache` looks at the expiry that the touch gave.
    pub recache_after_touch: bool,
    /// A miss makes an empty item, which is won.
    pub create: Option<Create>,
}

/// An item that is made when a key is missing.
#[derive(Clone, Copy, Debug)]
pub struct Create {
    /// How long.
    pub expiry: Expiry,
    /// Its version; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded, and is shown encoded.
    pub binary_key: bool,
}

/// More of an item than most fetches want to know: as it was before the fetch, but for `is_won`.
#[derive(Clone, Copy, Debug)]
pub struct Details {
    /// Length of the value, wanted or not, in bytes.
    pub value_len: usize,
    /// Room of the whole item in bytes.
    pub item_bytes: u64,
    /// The number of its class.
    pub class: u32,
    /// When it dies; never, for an item made by this fetch.
    pub expiry: Expiry,
    /// Seconds since it was last accessed.
    pub idle_seconds: u32,
    /// It has been fetched since it was stored.
    pub was_fetched: bool,
    /// Its value is out of date.
    pub is_stale: bool,
    /// Somebody has won it and is bringing a new value.
    pub was_won: bool,
    /// This fetch has won it: nobody else will until a new value is there.
    pub is_won: bool,
    /// This fetch made it.
    pub is_created: bool,
    /// Its key came encoded, and is to be shown encoded.
    pub has_binary_key: bool,
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
    Pinned(super::Pinned),
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

/// When a value may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Always.
    Set,
    /// If the key is missing.
    Add,
    /// If the key exists.
    Replace,
    /// Behind the existing value, keeping its flags and expiry.
    Append,
    /// Before the existing value, keeping its flags and expiry.
    Prepend,
    /// If the item's version is this one.
    Cas(u64),
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
    /// What few stores ask for.
    pub extras: Option<&'k StoreExtras>,
}

/// What few stores ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreExtras {
    /// append and prepend: only to an item of this version.
    pub compare: Option<u64>,
    /// [`Mode::Cas`] with an older version than the item's stores, too, but what it stores is out of date from the
    /// start: it keeps the item's expiry and whether it is won.
    pub or_stale: bool,
    /// append and prepend to a missing key store the value, with this expiry.
    pub create: Option<Expiry>,
    /// The item's version; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded, and is shown encoded.
    pub binary_key: bool,
}

/// What became of a store operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// Stored; the item's new version (0 with `-C`).
    Stored {
        /// The new version.
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

/// What few deletes ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteExtras {
    /// Only an item of this version.
    pub compare: Option<u64>,
    /// The item stays, with a new version, as out of date: the next reader wins it.
    pub invalidate: bool,
    /// The new expiry of an invalidated item.
    pub touch: Option<Expiry>,
    /// The item stays, empty.
    pub empty: Option<Emptied>,
    /// The version of an item that stays; 0: one of ours.
    pub own_cas: u64,
}

/// What an item becomes that stays without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emptied {
    /// The client's opaque number.
    pub client_flags: u32,
    /// How long.
    pub expiry: Expiry,
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

/// What few incrs and decrs ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArithmeticExtras {
    /// Only an item of this version.
    pub compare: Option<u64>,
    /// A missing key gets this number and expiry.
    pub create: Option<(u64, Expiry)>,
    /// The new expiry.
    pub touch: Option<Expiry>,
    /// The item's version; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded, and is shown encoded.
    pub binary_key: bool,
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
        /// The new version.
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

/// One slab class, for `stats items` and `stats slabs`. The names are memcached's. All but the gauges count from
/// the start on; who resets them remembers an earlier report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassReport {
    /// The class's number, from 1 on.
    pub class: u32,
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
    /// Live items (gauge).
    pub number: u64,
    /// Bytes of live items in memcached's count (gauge).
    pub mem_requested: u64,
    /// Seconds since the item next to be evicted was last used, as far as known: that of the last one (gauge).
    pub age: u64,
    /// Seconds the last evicted item had gone unused (gauge).
    pub evicted_time: u64,
    /// Items evicted.
    pub evicted: u64,
    /// Of them, items with an exptime.
    pub evicted_nonzero: u64,
    /// Of them, items never fetched.
    pub evicted_unfetched: u64,
    /// Stores no memory was found for.
    pub outofmemory: u64,
    /// Expired items whose memory a store took.
    pub reclaimed: u64,
    /// Expired items never fetched.
    pub expired_unfetched: u64,
    /// Items the sweep removed.
    pub crawler_reclaimed: u64,
    /// Items the sweep looked at.
    pub crawler_items_checked: u64,
    /// Fetches that hit.
    pub get_hits: u64,
    /// Stores.
    pub cmd_set: u64,
    /// Deletes that hit.
    pub delete_hits: u64,
    /// incrs that hit.
    pub incr_hits: u64,
    /// decrs that hit.
    pub decr_hits: u64,
    /// cas with the item's own number.
    pub cas_hits: u64,
    /// cas with another number.
    pub cas_badval: u64,
    /// touches that hit.
    pub touch_hits: u64,
}

impl ClassReport {
    /// Takes off what an earlier report had counted; gauges stay.
    pub fn forget(&mut self, earlier: &Self) {
        macro_rules! forget {
            ($($counter:ident)*) => { $(self.$counter = self.$counter.wrapping_sub(earlier.$counter);)* };
        }
        forget!(evicted evicted_nonzero evicted_unfetched outofmemory reclaimed expired_unfetched crawler_reclaimed);
        forget!(crawler_items_checked get_hits cmd_set delete_hits incr_hits decr_hits cas_hits cas_badval touch_hits);
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
