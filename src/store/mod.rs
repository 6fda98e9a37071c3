//! Items: where they live, how they are found, who must go. No protocol, no sockets, no clock: `now` is an
//! argument.
//!
//! A [`Store`] is shared by all threads. Each thread that touches items does so through a [`Local`] of its
//! own: chunks in hand, frees to hand in, counters. `LAYOUT.md` in this folder has the pictures.

mod arena;
mod arithmetic;
mod audit;
mod chain;
mod curve;
mod delete;
mod earnings;
mod evict;
mod expire;
mod fetch;
mod item;
mod large;
#[cfg(all(test, loom))]
mod loom;
mod marks;
mod options;
mod outcome;
mod rebalance;
mod report;
mod reserve;
mod sizes;
mod slab;
mod table;
mod upkeep;
mod walk;
mod write;

use std::sync::{Arc, OnceLock};

pub use audit::Audit;
pub use chain::Pinned;
pub use curve::{CurveReport, HitRatios};
pub use large::{Incoming, Room};
pub use options::Options;
pub use outcome::{
    Arithmetic, ArithmeticExtras, ArithmeticOutcome, ArithmeticRequest, ClassReport, Create, DeleteExtras,
    DeleteOutcome, Details, Emptied, Fetch, FetchExtras, FetchOutcome, ItemView, Key, MemoryReport, Miss, Mode,
    OpenError, Peeked, Progress, StoreExtras, StoreOutcome, StoreRequest, Value,
};
pub use reserve::Local;
pub use table::Hint;
pub use upkeep::{PageMove, PagePlace};
pub use walk::{ClassSet, ClassWalk, Held, Walk, Walked};

use self::arena::{Arena, Geometry};
use self::curve::Curve;
use self::evict::Blocks;
use self::evict::ghost::Ghost;
use self::item::{Chunk, small_item_bytes};
use self::rebalance::Mover;
use self::report::ClassCounters;
use self::sizes::Sizes;
use self::slab::classes::ClassTable;
use self::slab::page::Pages;
use self::slab::pool::Pool;
use self::slab::{Class, ClassState};
use self::table::{Index, LockedStripe};
use self::upkeep::Upkeep;
use crate::hash::KeyHasher;
use crate::limits::{CLIENT_FLAGS_BYTES, MEMCACHED_ITEM_OVERHEAD_BYTES};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, Rank};
use crate::telemetry::{Registry, StoreCounters};
use crate::time::{Expiry, Seconds};

/// All items and the memory they live in.
pub struct Store {
    options: Options,
    arena: Arc<Arena>,
    pages: Pages,
    pool: Pool,
    classes: Box<[Class]>,
    index: Index,
    blocks: Blocks,
    ghost: Ghost,
    counters: Registry<StoreCounters>,
    class_counters: Registry<Vec<ClassCounters>>,
    sizes: Registry<Sizes>,
    curve: Curve,
    /// Rises when a page begins to drain: threads then give back what they hold.
    drain_epoch: AtomicU32,
    mover: Mutex<Mover>,
    upkeep: Upkeep,
    /// Class that found nothing to evict, plus one: the page mover looks here first.
    wanted: AtomicU32,
    /// Bytes of large values that are arriving.
    incoming_bytes: AtomicU64,
    /// Bytes of large items that are gone from the index and still being read.
    orphaned_bytes: AtomicU64,
    /// See [`Store::flush_all`]; `u32::MAX`: never.
    unseen_from: AtomicU32,
    /// The background thread has been called since it last looked.
    nudged: AtomicBool,
    nudge: OnceLock<Callback>,
    call_threads: OnceLock<Callback>,
}

/// Something the server does for the store.
type Callback = Box<dyn Fn() + Send + Sync>;

/// A slab class whose lock is held.
type ClassLock<'a> = MutexGuard<'a, ClassState>;

impl Store {
    /// Reserves the memory and lays an empty store into it.
    ///
    /// # Errors
    /// When the system refuses the address space, or the limit does not hold a page of items beside the tables.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let geometry = Geometry::new(options);
        let Geometry { page_bytes, granule, .. } = geometry;
        let pages = usize::try_from(options.limit_bytes).unwrap_or(usize::MAX) / page_bytes;
        let table = ClassTable::new(pages, page_bytes, granule, options.growth_factor, options.chunk_bytes_min);
        let page_table_at = geometry.page_table_at();
        let arena = Arc::new(Arena::new(options, geometry, &table).map_err(OpenError::Memory)?);
        let heap_bytes = Index::fixed_bytes(arena.geometry.stripes);
        let pool = Pool::new(&arena, options.limit_bytes, arena.head_bytes(options.limit_bytes) + heap_bytes);
        let hasher = KeyHasher::with_seed(options.hash_seed);
        let index = Index::new(&arena, &pool, hasher).ok_or(OpenError::TooSmall)?;
        let classes: Box<[Class]> = table.all().map(|_| Class::new()).collect();
        let store = Self {
            options: options.clone(),
            mover: Mutex::new(Rank::Mover, Mover::new(&table)),
            pages: Pages::new(&arena, page_table_at, table),
            blocks: Blocks::new(&arena),
            ghost: Ghost::new(&arena),
            upkeep: Upkeep::new(options),
            arena,
            pool,
            classes,
            index,
            counters: Registry::new(),
            class_counters: Registry::new(),
            sizes: Registry::new(),
            curve: Curve::new(options.limit_bytes),
            drain_epoch: AtomicU32::new(0),
            wanted: AtomicU32::new(0),
            incoming_bytes: AtomicU64::new(0),
            orphaned_bytes: AtomicU64::new(0),
            unseen_from: AtomicU32::new(u32::MAX),
            nudged: AtomicBool::new(false),
            nudge: OnceLock::new(),
            call_threads: OnceLock::new(),
        };
        if store.pool.available() < 2 { Err(OpenError::TooSmall) } else { Ok(store) }
    }

    /// A thread's own part of the store: one per worker and one for background work.
    #[must_use]
    pub fn local(&self) -> Local {
        Local::new(self)
    }

    /// The options it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Hashes a key, once a request.
    #[must_use]
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, hash: self.index.hash(bytes) }
    }

    /// Whether there are so many items that they do not fit the caches of one core. A hint.
    #[must_use]
    #[inline]
    pub fn is_past_caches(&self) -> bool {
        self.pages.reach_beyond_caches()
    }

    /// Has the bucket of a hash come near. No lock is taken: what is found then may be out of date.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) -> Hint {
        self.index.prefetch(hash)
    }

    /// Has the first item come near that may be the one of a hash, its bucket having come.
    #[inline]
    pub fn prefetch_item(&self, hint: Hint) {
        if let Some(reference) = self.index.guess(hint) {
            self.pages.prefetch(reference);
        }
    }

    /// Whether memcached would refuse such an item at the same `-I`.
    #[must_use]
    #[inline]
    pub fn is_too_large(&self, key_len: usize, client_flags: u32, value_len: usize) -> bool {
        let flags = if client_flags == 0 { 0 } else { CLIENT_FLAGS_BYTES };
        let cas = if self.options.cas { 0 } else { 8 };
        key_len + value_len + flags + MEMCACHED_ITEM_OVERHEAD_BYTES - cas > self.options.item_bytes_max
    }

    /// Sets what calls the background thread when there is work for it before its time. Once.
    pub fn on_work(&self, nudge: impl Fn() + Send + Sync + 'static) {
        // A second caller would be a second background thread: the first stays.
        let _ = self.nudge.set(Box::new(nudge));
    }

    /// Sets what wakes all threads that hold a [`Local`], so that they come to [`Store::end_turn`]. Once.
    pub fn on_drain(&self, call: impl Fn() + Send + Sync + 'static) {
        // As for `on_work`.
        let _ = self.call_threads.set(Box::new(call));
    }

    /// The number of the class that an item of such a value would be of: that of its first part, if it takes several.
    #[must_use]
    pub fn class_number(&self, key_len: usize, client_flags: u32, expiry: Expiry, value_len: usize) -> u32 {
        let bytes = small_item_bytes(key_len, client_flags, expiry, value_len);
        let last = || self.pages.classes.all().last().expect("there are classes");
        self.small_class(bytes, value_len).unwrap_or_else(last).number()
    }

    /// The number on the wire for an item's version: a client's own, or ours; 0 with `-C`.
    #[inline]
    fn wire_cas(&self, stripe: &LockedStripe<'_>, chunk: Chunk<'_>) -> u64 {
        if !self.options.cas {
            return 0;
        }
        match chunk.marks().own_cas {
            0 => stripe.wire_cas(chunk.cas()),
            own => own,
        }
    }

    /// A client's own cas as far as items have one at all.
    fn own_cas(&self, asked: u64) -> u64 {
        if self.options.cas { asked } else { 0 }
    }

    fn call_threads(&self) {
        if let Some(call) = self.call_threads.get() {
            call();
        }
    }

    /// Whether a flushed item is one that memcached would have looked for and removed during its `flush_all`.
    #[cold]
    fn vanished_at_flush(&self, chunk: Chunk<'_>) -> bool {
        let unseen_from = self.unseen_from.load(Ordering::Relaxed);
        // Access times wrap: half of their range lies in the past.
        let since = chunk.access().wrapping_sub(item::access_of(Seconds(unseen_from)));
        unseen_from != u32::MAX && since <= u16::MAX / 2
    }

    /// Calls the background thread, unless it has been called already.
    fn nudge(&self) {
        // Relaxed: a hint; the call itself orders what it needs.
        if self.nudged.load(Ordering::Relaxed) || self.nudged.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(nudge) = self.nudge.get() {
            nudge();
        }
    }

    /// Sets a new limit of memory in bytes; false above the reserve (twice the limit at start). Lowering takes
    /// effect as pages are emptied.
    pub fn set_limit_bytes(&self, limit_bytes: u64) -> bool {
        if limit_bytes > self.options.limit_bytes.saturating_mul(2) {
            return false;
        }
        self.pool.set_limit(&self.arena, limit_bytes);
        self.curve.set_limit(limit_bytes);
        self.nudge();
        true
    }

    /// Makes everything stored so far invisible; what is stored right after stays. What was stored or asked for from
    /// the second `unseen_from` on goes without a trace in the counters when somebody misses it.
    pub fn flush_all(&self, unseen_from: Option<Seconds>) {
        // Relaxed: decides only what is counted.
        self.unseen_from.store(unseen_from.map_or(u32::MAX, |second| second.0), Ordering::Relaxed);
        self.index.flush();
        self.curve.clear();
        self.nudge();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("options", &self.options).finish_non_exhaustive()
    }
}
