//! The index: stripes, each a lock and a column of buckets that grows one bucket at a time.
//!
//! Linear hashing: a stripe with `homes` home buckets splits bucket `homes - 2^k` into itself and a new one when
//! its load passes the limit, so growth never pauses and no second table exists. All stripes' nth cells
//! lie side by side in row n, and memory is opened row by row. Cells that are no home buckets yet serve for overflow,
//! in pieces: in the middle of a doubling half of the entries are in buckets that are not split yet and have up to
//! twice their room in entries, and what overflows is dense. A home bucket knows eight kinds of tags, and of which
//! of them there are entries behind it: few lookups read a second line for nothing. A stripe's lock is taken with no
//! other lock of the store held, and nothing is locked under it.

use std::sync::Arc;

use super::bucket::{Bucket, Buckets, Entry, FreePieces, Place, Slot};
use super::flush_word::Flushes;
use super::homes::home_of;
use super::numbers;
use crate::hash::KeyHasher;
use crate::store::bytes::item::{Chunk, Guard, StripeGuard};
use crate::store::bytes::layout::{BUCKET_BYTES, Ref};
use crate::store::memory::arena::{Arena, StripeRecord};
use crate::store::memory::page::Pages;
use crate::store::memory::pool::Pool;
use crate::store::words::outcome::Key;
use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering, Rank, TallyU64};
use crate::sys::prefetch;
use crate::time::Seconds;

/// Rows a fresh index has: one for the first home bucket, one to grow into.
pub(super) const ROWS_AT_START: u32 = 2;
/// A stripe splits a bucket above this load, in items a home bucket of 12 slots. Simulated over a doubling, bytes of
/// the index an item, and shares of hits and of misses that read a second line: at 11.5 6.84, .14 and .19; at 12 6.72,
/// .16 and .22 (.4 % of hits a third); at 12.5 6.62, .18 and .24.
pub(super) const SPLIT_ABOVE: u32 = 12;
/// A stripe asks for a new row only when a twelfth above that, so that one busy stripe does not open rows that
/// the others do not need yet.
const ROW_ABOVE: u32 = 13;
/// A stripe of more items than so many shares, and some because shares may be small, opens no rows: hashes that are
/// keyed come to that by chance never, keys chosen for it would have every stripe pay for them.
const SHARES_MAX: u64 = 2;
const ITEMS_BESIDE_SHARES: u64 = 128;

/// The way from a key to its item.
#[derive(Debug)]
pub(crate) struct Index {
    pub(super) hasher: KeyHasher,
    pub(super) stripes: Box<[Stripe]>,
    /// Each stripe's `homes`, as hints for who looks ahead without its lock: close together, so that they stay near.
    pub(super) homes: Box<[TallyU64]>,
    pub(super) arena: Arc<Arena>,
    pub(super) buckets: Buckets,
    /// Rows that stripes may use.
    pub(super) rows: AtomicU32,
    /// Rows with memory: one more while the last is being given up.
    pub(super) opened: AtomicU32,
    /// Serialises the opening and closing of rows; who holds it writes both counts.
    pub(super) opening: Mutex<()>,
    /// The last `flush_all`, and whether what it left is swept.
    pub(super) flushes: Flushes,
}

/// A hash, and where its home bucket seemed to be: for
/// [`Store::prefetch_item`](crate::store::Store::prefetch_item).
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint {
    /// The hash.
    pub hash: u64,
    first_word: usize,
}

/// A stripe's lock and what it guards, on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Stripe {
    state: Mutex<StripeState>,
}

/// Guarded by the stripe's lock. The buckets of the stripe's column are, too.
#[derive(Debug)]
pub(crate) struct StripeState {
    /// Home buckets: cells `0..homes`.
    pub(super) homes: u32,
    /// Cells from here on were never used.
    pub(super) fresh: u32,
    /// Pieces of cells below that no home has.
    pub(super) free: FreePieces,
    /// Items in the stripe.
    pub(super) items: u32,
}

impl Guard for StripeState {}
impl StripeGuard for StripeState {}

/// A stripe whose lock is held.
#[derive(Debug)]
pub(crate) struct LockedStripe<'i> {
    pub(super) index: &'i Index,
    pub(super) number: usize,
    /// Items may be flushed: so it was when the lock was taken.
    pub(super) marks_count: bool,
    pub(crate) state: MutexGuard<'i, StripeState>,
}

/// An item in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) slot: Slot,
    pub(crate) reference: Ref,
}

/// What a stripe that would be better off with another row has to say for it: its items; 0: it needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowWish(u32);

impl RowWish {
    /// No row is needed.
    pub(crate) const NONE: Self = Self(0);

    /// Whether a row is wished for.
    #[inline]
    pub(crate) fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// The bucket and its overflow are full and the stripe has no cell left: a row must be opened first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoCell;

impl Index {
    /// An index over the arena's records, with its first rows opened; `None` when memory does not suffice.
    pub(crate) fn new(arena: &Arc<Arena>, pool: &Pool, hasher: KeyHasher) -> Option<Self> {
        let stripes = arena.geometry.stripes;
        assert!(stripes <= numbers::STRIPES_MAX, "numbers tell stripes apart");
        let fresh = || StripeState { homes: 1, fresh: 1, free: FreePieces::default(), items: 0 };
        let index = Self {
            hasher,
            stripes: (0..stripes).map(|_| Stripe { state: Mutex::new(Rank::Stripe, fresh()) }).collect(),
            homes: (0..stripes).map(|_| TallyU64::new(1)).collect(),
            arena: Arc::clone(arena),
            buckets: Buckets::new(arena),
            rows: AtomicU32::new(0),
            opened: AtomicU32::new(0),
            opening: Mutex::new(Rank::Tables, ()),
            flushes: Flushes::default(),
        };
        (0..ROWS_AT_START).all(|row| index.add_row(pool, row)).then_some(index)
    }

    /// The hash of a key.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// How many stripes there are.
    pub(crate) fn stripe_count(&self) -> usize {
        self.stripes.len()
    }

    /// Bytes of memory in use: opened rows, locks and records.
    pub(crate) fn bytes(&self) -> u64 {
        let rows = usize::try_from(self.opened.load(Ordering::Relaxed)).expect("32 bits fit");
        let bytes = u64::try_from(rows * self.row_bytes()).expect("64 bits hold a usize");
        bytes + Self::fixed_bytes(self.stripes.len())
    }

    /// Bytes that the locks and the hints take on the heap.
    pub(crate) fn fixed_bytes(stripes: usize) -> u64 {
        u64::try_from(stripes * (size_of::<Stripe>() + size_of::<TallyU64>())).expect("64 bits hold a usize")
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.stripes.len() * BUCKET_BYTES
    }

    /// Buckets with memory, home and overflow.
    pub(crate) fn bucket_count(&self) -> u64 {
        u64::from(self.rows.load(Ordering::Relaxed)) * u64::try_from(self.stripes.len()).expect("64 bits hold a usize")
    }

    #[inline]
    pub(crate) fn stripe_of(&self, hash: u64) -> usize {
        let stripes = u64::try_from(self.stripes.len()).expect("64 bits hold a usize");
        usize::try_from(((hash >> 32) * stripes) >> 32).expect("below the number of stripes")
    }

    /// Takes the lock of the stripe a hash belongs to.
    #[inline(always)]
    pub(crate) fn lock(&self, hash: u64) -> LockedStripe<'_> {
        self.lock_number(self.stripe_of(hash))
    }

    /// Takes the lock of a stripe by number.
    #[inline(always)]
    pub(crate) fn lock_number(&self, number: usize) -> LockedStripe<'_> {
        let state = self.stripes[number].state.lock();
        let flush = self.flushes.last();
        let marks_count = flush.is_pending();
        if marks_count {
            self.catch_up(number, flush);
        }
        LockedStripe { index: self, number, marks_count, state }
    }

    /// Prefetches the home bucket of a hash, as far as that can be told without its stripe's lock, and the lock.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) -> Hint {
        let number = self.stripe_of(hash);
        prefetch::line((&raw const self.stripes[number]).cast());
        // Relaxed: a hint. A stripe that had more homes before lends its cells to others: a closed row reads as zero.
        let homes = self.homes[number].load(Ordering::Relaxed);
        let homes = u32::try_from(homes).expect("what was stored");
        let first_word = self.buckets.first_word(home_of(hash, homes), number);
        self.buckets.bucket_at(first_word).prefetch();
        Hint { hash, first_word }
    }

    /// The first item that may be the one of a hash, whose bucket was prefetched.
    #[inline]
    pub(crate) fn guess(&self, hint: Hint) -> Option<Ref> {
        let bucket = self.buckets.bucket_at(hint.first_word);
        let slot = bucket.candidates(hint.hash).next()?;
        Some(bucket.reference(slot)).filter(|reference| reference.is_some())
    }

    /// Opens a row, if `row` is the next one: two stripes may ask for the same. False when memory is refused.
    pub(crate) fn add_row(&self, pool: &Pool, row: u32) -> bool {
        let _opening = self.opening.lock();
        if self.rows.load(Ordering::Relaxed) > row {
            return true;
        }
        if self.opened.load(Ordering::Relaxed) > row {
            // It is being given up: it has its memory still.
            self.rows.store(row + 1, Ordering::Release);
            return true;
        }
        if self.opened.load(Ordering::Relaxed) < row {
            // One was given up since the caller counted: the next is another.
            return true;
        }
        let offset = usize::try_from(row).expect("32 bits fit") * self.row_bytes();
        let geometry = &self.arena.geometry;
        if offset + self.row_bytes() > geometry.index_bytes
            || !pool.open(&self.arena, geometry.index_at + offset, self.row_bytes())
        {
            return false;
        }
        // Release: pairs with the loads in `cells`: who counts on the row finds it opened.
        self.opened.store(row + 1, Ordering::Relaxed);
        self.rows.store(row + 1, Ordering::Release);
        true
    }

    /// Opens another row for a stripe, unless it has far more than its share of so many items in all, or memory is
    /// refused; then it must live with what it has. A row is memory for all stripes.
    pub(crate) fn grant(&self, pool: &Pool, wish: RowWish, items: u64) -> bool {
        let share = items / u64::try_from(self.stripes.len()).expect("64 bits hold a usize");
        let is_fair = u64::from(wish.0) <= share * SHARES_MAX + ITEMS_BESIDE_SHARES;
        is_fair && self.add_row(pool, self.rows())
    }

    /// Rows that stripes may use.
    pub(crate) fn rows(&self) -> u32 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Whether an item's time is over, as far as can be seen without its stripe's lock.
    pub(crate) fn looks_dead<G: Guard>(&self, guard: &G, chunk: Chunk<'_>, now: Seconds) -> bool {
        chunk.expiry().has_passed(now)
            || self.any_flushed() && self.is_flushed(self.hash(chunk.key(guard)), chunk.cas())
    }

    /// How many items of its stripe have been written since an item of this hash and version: a hint without the
    /// stripe's lock.
    pub(crate) fn writes_since(&self, hash: u64, cas: u32) -> u32 {
        self.arena.records[self.stripe_of(hash)].cas.load(Ordering::Relaxed).wrapping_sub(cas)
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Stripe>() == 64, "two stripes never share a cache line");

impl<'i> LockedStripe<'i> {
    pub(super) fn record(&self) -> &'i StripeRecord {
        &self.index.arena.records[self.number]
    }

    /// The next version of this stripe's items; never 0.
    pub(crate) fn next_cas(&mut self) -> u32 {
        let record = self.record();
        let cas = record.cas.load(Ordering::Relaxed).wrapping_add(1).max(1);
        record.cas.store(cas, Ordering::Relaxed);
        cas
    }

    /// Goes on behind another version.
    #[cfg(test)]
    pub(crate) fn set_last_version(&mut self, cas: u32) {
        self.record().cas.store(cas, Ordering::Relaxed);
    }

    /// The number on the wire for a version of this stripe.
    #[inline]
    pub(crate) fn wire_cas(&self, cas: u32) -> u64 {
        numbers::number(cas, self.number)
    }

    /// Whether a number on the wire stands for an older version of this stripe than `cas`; `None`: it is none of ours.
    pub(crate) fn is_older(&self, unique: u64, cas: u32) -> Option<bool> {
        let (version, stripe) = numbers::version(unique)?;
        // Versions wrap. None is newer than the last, so the one farther from it is the older.
        let last = self.record().cas.load(Ordering::Relaxed);
        (stripe == self.number).then(|| last.wrapping_sub(version) > last.wrapping_sub(cas))
    }

    /// The item with this key. Inline in each of its few callers: a call would cost every get 18 instructions.
    #[inline(always)]
    pub(crate) fn find(&self, pages: &Pages, key: Key<'_>) -> Option<Found> {
        let home = self.home_of(key.hash);
        let bucket = self.index.buckets.bucket(home, self.number);
        for slot in bucket.candidates(key.hash) {
            let reference = bucket.reference(slot);
            if reference.is_some() && pages.chunk(reference).key(&*self.state) == key.bytes {
                return Some(Found { slot: Slot { place: Place::whole(home), slot }, reference });
            }
        }
        if bucket.may_follow(key.hash) { self.find_behind(bucket, pages, key) } else { None }
    }

    /// Goes on behind a home bucket.
    #[inline(never)]
    fn find_behind(&self, home: Bucket<'_>, pages: &Pages, key: Key<'_>) -> Option<Found> {
        let mut next = home.next();
        while let Some(place) = next {
            let piece = self.piece(place);
            for slot in piece.candidates(key.hash) {
                let reference = piece.reference(slot);
                if pages.chunk(reference).key(&*self.state) == key.bytes {
                    return Some(Found { slot: Slot { place, slot }, reference });
                }
            }
            next = piece.next();
        }
        None
    }

    /// The slot that holds this very reference, of an item with this hash.
    pub(crate) fn find_reference(&self, hash: u64, wanted: Ref) -> Option<Slot> {
        self.pieces(self.home_of(hash)).find_map(|place| {
            let piece = self.piece(place);
            let slot = piece.candidates(hash).find(|&slot| piece.reference(slot) == wanted)?;
            Some(Slot { place, slot })
        })
    }

    /// Puts another reference in an occupied slot: same key, same tag.
    pub(crate) fn replace(&mut self, slot: Slot, reference: Ref) {
        self.piece(slot.place).set_reference(slot.slot, reference);
    }

    /// Gives an item that is not in the index its place. Before the item is published: what was public once may be
    /// looked at by whoever holds its class's lock, and could not be written again if there was no place for it.
    ///
    /// # Errors
    /// When the home is full and the stripe has no cell for it.
    pub(crate) fn insert(&mut self, hash: u64, reference: Ref) -> Result<(), NoCell> {
        self.append(self.home_of(hash), Entry::new(hash, reference))?;
        self.state.items += 1;
        Ok(())
    }

    /// Splits a bucket if the stripe's load asks for it; all its items are published. Says whether the stripe would be
    /// better off with another row.
    pub(crate) fn grow(&mut self, pages: &Pages) -> RowWish {
        if self.is_over(SPLIT_ABOVE) {
            self.split(pages);
        }
        let wants_row = self.is_over(ROW_ABOVE) && !self.has_spare_cell() && self.state.items.is_multiple_of(8);
        if wants_row { RowWish(self.state.items) } else { RowWish::NONE }
    }

    /// The wish of a stripe that cannot go on without a row.
    pub(crate) fn needs_row(&self) -> RowWish {
        RowWish(self.state.items)
    }

    /// Takes an item out.
    pub(crate) fn remove(&mut self, hash: u64, slot: Slot) {
        self.state.items -= 1;
        self.take_out(self.home_of(hash), slot);
    }

    /// References of all items with the home of this hash.
    pub(crate) fn neighbours(&self, hash: u64) -> impl Iterator<Item = (Ref, Slot)> {
        self.entries_of(self.home_of(hash))
    }

    /// All items of the stripe.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Ref, Slot)> {
        (0..self.state.homes).flat_map(|home| self.entries_of(home))
    }

    /// Items in the stripe.
    pub(crate) fn items(&self) -> u32 {
        self.state.items
    }

    #[inline(always)]
    pub(super) fn home_of(&self, hash: u64) -> u32 {
        home_of(hash, self.state.homes)
    }

    fn is_over(&self, limit: u32) -> bool {
        u64::from(self.state.items) > u64::from(self.state.homes) * u64::from(limit)
    }
}
