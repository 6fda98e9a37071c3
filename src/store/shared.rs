//! What all threads share: the [`Store`].

use std::fs::File;
use std::sync::{Arc, OnceLock};

use super::bytes::layout::Ref;
use super::bytes::marks::Kept;
use super::evict::ghost::Ghost;
use super::evict::{Blocks, Class};
use super::index::{Hint, Index};
use super::memory::arena::{Arena, Geometry};
use super::memory::classes::{ClassId, ClassTable};
use super::memory::page::Pages;
use super::memory::pool::Pool;
use super::memory::superblock::Word;
use super::policy::curve::Curve;
use super::policy::line::{Callback, Line};
use super::policy::mover::{Elsewhere, Mover};
use super::policy::settings::Settings;
use super::words::options::Options;
use super::words::outcome::{Key, OpenError};
use super::words::sizes::Sizes;
use crate::hash::KeyHasher;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, Ordering, Rank, fence};
use crate::telemetry::{ClassCounters, Registry, StoreCounters, StoreTotals};
use crate::time::Seconds;

/// All items and the memory they live in.
pub struct Store {
    pub(crate) options: Options,
    pub(crate) kept: Kept,
    pub(crate) arena: Arc<Arena>,
    pub(crate) pages: Pages,
    pub(crate) pool: Pool,
    pub(crate) classes: Box<[Class]>,
    pub(crate) index: Index,
    pub(crate) blocks: Blocks,
    pub(crate) ghost: Ghost,
    pub(crate) counters: Registry<StoreCounters>,
    pub(crate) class_counters: Registry<Vec<ClassCounters>>,
    pub(crate) sizes: Registry<Sizes>,
    pub(crate) curve: Curve,
    /// Rises when a page begins to drain, and when that ends: odd meanwhile. Threads then give back what they hold.
    pub(crate) drain_epoch: AtomicU32,
    pub(crate) mover: Mutex<Mover>,
    pub(crate) settings: Settings,
    /// Bytes of chunks taken for new items: the clock by which classes are compared.
    pub(crate) clock: AtomicU64,
    /// Who gives the next page.
    pub(crate) elsewhere: Elsewhere,
    /// Arriving values that wait for memory.
    pub(crate) line: Line,
    /// Bytes of large items that are gone from the index and still being read.
    pub(crate) orphaned_bytes: AtomicU64,
    /// See [`Store::flush_all`]; `u32::MAX`: never.
    pub(crate) unseen_from: AtomicU32,
    /// The second in which the last pass of the sweep that has ended began.
    pub(crate) swept: AtomicU32,
    /// The background thread has been called since it last looked.
    pub(crate) nudged: AtomicBool,
    pub(crate) nudge: OnceLock<Callback>,
    pub(crate) call_threads: OnceLock<Callback>,
}

impl Store {
    /// Reserves the memory and lays an empty store into it.
    ///
    /// # Errors
    /// When the system refuses the address space, or the limit does not hold a page of items beside the tables.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Self::open_empty(options, None)
    }

    /// The same in the memory of a file, if there is one, which is empty.
    ///
    /// # Errors
    /// As for [`Store::open`], and when the file system refuses the memory in front of the pages.
    pub(crate) fn open_empty(options: &Options, file: Option<&File>) -> Result<Self, OpenError> {
        let (geometry, memory) = Arena::reserve(options, file).map_err(OpenError::Memory)?;
        let Geometry { page_bytes, granule, .. } = geometry;
        let pages = usize::try_from(options.limit_bytes).unwrap_or(usize::MAX) / page_bytes;
        let table = ClassTable::new(pages, page_bytes, granule, options.growth_factor, options.chunk_bytes_min);
        let arena = Arena::new(options, geometry, memory).map_err(OpenError::Memory)?;
        arena.write_superblock(options, table.chunk_sizes());
        arena.superblock.set(Word::LimitPeak, options.limit_bytes);
        let (growth, chunk_min) = options.classes_as_words();
        arena.superblock.set(Word::GrowthFactor, growth);
        arena.superblock.set(Word::ChunkBytesMin, chunk_min);
        let store = Self::over(options, arena, table)?;
        if store.pool.available() < 2 { Err(OpenError::TooSmall) } else { Ok(store) }
    }

    /// A store over an arena with these classes, nothing of which is in use yet.
    pub(crate) fn over(options: &Options, arena: Arena, table: ClassTable) -> Result<Self, OpenError> {
        let arena = Arc::new(arena);
        let page_table_at = arena.geometry.page_table_at();
        let heap_bytes = Index::fixed_bytes(arena.geometry.stripes);
        let pool = Pool::new(&arena, options.limit_bytes, arena.head_bytes(options.limit_bytes) + heap_bytes);
        let hasher = KeyHasher::with_seed(options.hash_seed);
        let index = Index::new(&arena, &pool, hasher).ok_or(OpenError::TooSmall)?;
        let classes: Box<[Class]> = table.all().map(|_| Class::new()).collect();
        Ok(Self {
            options: options.clone(),
            kept: if options.evict { Kept::NOTHING } else { Kept::EXPTIME_AND_MARK },
            mover: Mutex::new(Rank::Mover, Mover::new(&table)),
            pages: Pages::new(&arena, page_table_at, table),
            blocks: Blocks::new(&arena),
            ghost: Ghost::new(&arena),
            settings: Settings::new(options),
            arena,
            pool,
            classes,
            index,
            counters: Registry::new(),
            class_counters: Registry::new(),
            sizes: Registry::new(),
            curve: Curve::new(options.limit_bytes),
            drain_epoch: AtomicU32::new(0),
            clock: AtomicU64::new(0),
            elsewhere: Elsewhere::default(),
            line: Line::new(options.limit_bytes),
            orphaned_bytes: AtomicU64::new(0),
            unseen_from: AtomicU32::new(u32::MAX),
            swept: AtomicU32::new(0),
            nudged: AtomicBool::new(false),
            nudge: OnceLock::new(),
            call_threads: OnceLock::new(),
        })
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

    /// Prefetches the bucket of a hash. No lock is taken: what is found then may be out of date.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) -> Hint {
        self.index.prefetch(hash)
    }

    /// Prefetches the first item that may be the one of a hash whose bucket was prefetched.
    #[inline]
    pub fn prefetch_item(&self, hint: Hint) {
        if let Some(reference) = self.index.guess(hint) {
            self.pages.prefetch(reference);
        }
    }

    /// Sets what calls the background thread when there is work for it before its time. Once.
    pub fn on_work(&self, nudge: impl Fn() + Send + Sync + 'static) {
        // A second caller would be a second background thread: the first stays.
        let _ = self.nudge.set(Box::new(nudge));
    }

    /// Sets what wakes all threads that hold a [`Local`](super::Local), so that they come to [`Store::end_turn`]. Once.
    pub fn on_drain(&self, call: impl Fn() + Send + Sync + 'static) {
        // As for `on_work`.
        let _ = self.call_threads.set(Box::new(call));
    }

    /// The class of a chunk somebody holds: its page cannot leave the class meanwhile.
    #[inline(always)]
    pub(crate) fn class_of(&self, reference: Ref) -> ClassId {
        self.pages.class_of(reference).expect("a chunk that is held lies in a page of a class")
    }

    /// All threads' counters.
    #[must_use]
    pub fn totals(&self) -> StoreTotals {
        let mut totals = StoreTotals::default();
        self.counters.for_each(|block| totals.add(block));
        totals
    }

    pub(crate) fn call_threads(&self) {
        if let Some(call) = self.call_threads.get() {
            call();
        }
    }

    /// Calls the background thread, unless it has been called already.
    pub(crate) fn nudge(&self) {
        // SeqCst: pairs with the fence of `step`, which takes the call back before it looks at what there is to do. So
        // either it sees what the caller has done, or the caller sees that nobody has been called.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        if self.nudged.load(Ordering::Relaxed) || self.nudged.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(nudge) = self.nudge.get() {
            nudge();
        }
    }

    /// Sets a new limit of memory in bytes; false above the reserve (16 times the limit at start, or as far as items
    /// can be named). Lowering takes effect as pages are emptied.
    pub fn set_limit_bytes(&self, limit_bytes: u64) -> bool {
        if limit_bytes > self.arena.geometry.limit_bytes_max || !self.arena.open_head(limit_bytes) {
            return false;
        }
        self.arena.superblock.raise(Word::LimitPeak, limit_bytes);
        self.pool.set_limit(&self.arena, limit_bytes);
        self.curve.set_limit(limit_bytes);
        self.line.set_limit(limit_bytes);
        self.nudge();
        true
    }

    /// What [`Store::note_planned_flush`] noted last, in this run or one before; 0: nothing.
    #[must_use]
    pub fn planned_flush(&self) -> u64 {
        let superblock = &self.arena.superblock;
        let planned = superblock.get(Word::PlannedFlush);
        due::left_of(planned, superblock.get(Word::DueFlush), self.arena.flushes_left())
    }

    /// Makes a planned flush whose time has come. Another run finds it planned, or made: it comes once, wherever the
    /// process ends.
    pub fn make_planned_flush(&self, planned: u64) {
        self.flush_by(None, |count| self.arena.superblock.set(Word::DueFlush, due::word(planned, count)));
    }

    /// Notes when everything is to be flushed, for another run: above 32 bits the last second in which that happens,
    /// below them the next one; 0: not.
    pub fn note_planned_flush(&self, planned: u64) {
        self.arena.superblock.set(Word::PlannedFlush, planned);
    }

    /// Whether the system has refused memory since the last call: the bytes there are then. It is asked again from now
    /// on.
    #[must_use]
    pub fn ask_for_memory_again(&self) -> Option<u64> {
        self.pool.ask_again()
    }

    /// Makes everything stored so far invisible; what is stored right after stays. What was stored or asked for from
    /// the second `unseen_from` on goes without a trace in the counters when somebody misses it.
    pub fn flush_all(&self, unseen_from: Option<Seconds>) {
        self.flush_by(unseen_from, |_| ());
    }

    fn flush_by(&self, unseen_from: Option<Seconds>, announce: impl Fn(u64)) {
        // Relaxed: decides only what is counted.
        self.unseen_from.store(unseen_from.map_or(u32::MAX, |second| second.0), Ordering::Relaxed);
        self.index.flush(announce);
        self.curve.clear();
        self.nudge();
    }
}

/// A planned flush whose time has come: which one it is, and what the count of flushes is once it has been made.
mod due {
    const LOW: u64 = u32::MAX as u64;

    /// The word that announces it.
    pub(super) fn word(planned: u64, count: u64) -> u64 {
        (count & LOW) << 32 | planned & LOW
    }

    /// What is left of a plan, if the flush that was announced last has been made by now.
    pub(super) fn left_of(planned: u64, due: u64, count: u64) -> u64 {
        let (next, last) = (planned & LOW, planned >> 32);
        // The counts turn round at 2^32.
        let since = (count & LOW).wrapping_sub(due >> 32) & LOW;
        if due & LOW != next || since > LOW / 2 {
            planned
        } else if last > next {
            last << 32 | last
        } else {
            0
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("options", &self.options).finish_non_exhaustive()
    }
}
