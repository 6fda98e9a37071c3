//! The index: stripes, each a lock and a column of buckets that grows one bucket at a time.
//!
//! Linear hashing: a stripe with `homes` home buckets splits bucket `homes - 2^k` into itself and a new one when
//! its load passes the limit, so growth never pauses and no second table exists. All stripes' nth cells
//! lie side by side in row n, and memory is opened row by row. Cells that are no home buckets yet serve for overflow,
//! in pieces: in the middle of a doubling half of the entries are in buckets that are not split yet and have up to
//! twice their room in entries, and what overflows is dense. A home bucket knows eight kinds of tags, and of which
//! of them there are entries behind it: few lookups read a second line for nothing. A stripe's lock is taken with no
//! other lock of the store held, and nothing is locked under it.

mod bucket;
mod cells;
mod chain;
mod growth;
mod shrink;
mod walk;

use std::sync::Arc;

use self::bucket::{Bucket, Buckets, Entry};
use self::cells::FreePieces;
use self::growth::home_of;
use super::arena::{Arena, STRIPE_RECORD_BYTES, StripeRecord};
use super::item::{Guard, Ref, StripeGuard};
use super::outcome::Key;
use super::slab::page::Pages;
use super::slab::pool::Pool;
use crate::hash::KeyHasher;
use crate::sync::{AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, Rank, TallyU64};
use crate::sys::prefetch;

use self::bucket::Place;
pub(super) use self::bucket::{BUCKET_BYTES, CELLS_MAX, Slot};
pub(super) use self::shrink::Shrinking;

/// Rows a fresh index has: one for the first home bucket, one to grow into.
const ROWS_AT_START: u32 = 2;
/// A stripe splits a bucket above this load, in items a home bucket of 12 slots. Simulated over a doubling, bytes of
/// the index an item, and shares of hits and of misses that read a second line: at 11.5 6.84, .14 and .19; at 12 6.72,
/// .16 and .22 (.4 % of hits a third); at 12.5 6.62, .18 and .24.
const SPLIT_ABOVE: u32 = 12;
/// A stripe asks for a new row only when a twelfth above that, so that one busy stripe does not open rows that
/// the others do not need yet.
const ROW_ABOVE: u32 = 13;
/// Bits of the wire's cas number that name the stripe.
const STRIPE_BITS: u32 = 12;

/// The way from a key to its item.
#[derive(Debug)]
pub(crate) struct Index {
    hasher: KeyHasher,
    stripes: Box<[Stripe]>,
    /// Each stripe's `homes`, as hints for who looks ahead without its lock: close together, so that they stay near.
    homes: Box<[TallyU64]>,
    arena: Arc<Arena>,
    buckets: Buckets,
    /// Rows that stripes may use.
    rows: AtomicU32,
    /// Rows with memory: one more while the last is being given up.
    opened: AtomicU32,
    /// Serialises the opening and closing of rows; who holds it writes both counts.
    opening: Mutex<()>,
    /// Stripes with a flush mark that is not swept yet.
    flushed: AtomicUsize,
}

/// A hash, and where its home bucket seemed to be: for [`Store::prefetch_item`](crate::store::Store::prefetch_item).
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint {
    /// The hash.
    pub hash: u64,
    first_word: usize,
}

/// A stripe's lock and what it guards, on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Stripe {
    state: Mutex<StripeState>,
}

/// Guarded by the stripe's lock. The buckets of the stripe's column are, too.
#[derive(Debug)]
pub(crate) struct StripeState {
    /// Home buckets: cells `0..homes`.
    homes: u32,
    /// Cells from here on were never used.
    fresh: u32,
    /// Pieces of cells below that are in no chain.
    free: FreePieces,
    /// Items in the stripe.
    items: u32,
}

impl Guard for StripeState {}
impl StripeGuard for StripeState {}

/// A stripe whose lock is held.
#[derive(Debug)]
pub(crate) struct LockedStripe<'i> {
    index: &'i Index,
    number: usize,
    pub(crate) state: MutexGuard<'i, StripeState>,
}

/// An item in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) slot: Slot,
    pub(crate) reference: Ref,
}

/// The bucket and its chain are full and the stripe has no cell left: a row must be opened first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoCell;

impl Index {
    /// An index over the arena's records, with its first rows opened; `None` when memory does not suffice.
    pub(crate) fn new(arena: &Arc<Arena>, pool: &Pool, hasher: KeyHasher) -> Option<Self> {
        let stripes = arena.geometry.stripes;
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
            flushed: AtomicUsize::new(0),
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

    fn row_bytes(&self) -> usize {
        self.stripes.len() * BUCKET_BYTES
    }

    /// Buckets with memory, home and overflow.
    pub(crate) fn bucket_count(&self) -> u64 {
        u64::from(self.rows.load(Ordering::Relaxed)) * u64::try_from(self.stripes.len()).expect("64 bits hold a usize")
    }

    #[inline]
    fn stripe_of(&self, hash: u64) -> usize {
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
        LockedStripe { index: self, number, state: self.stripes[number].state.lock() }
    }

    /// Has the home bucket of a hash come near, as far as that can be told without its stripe's lock, and the lock.
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

    /// The first item that may be the one of a hash, whose bucket has come near.
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

    /// Rows that stripes may use.
    pub(crate) fn rows(&self) -> u32 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Whether any stripe has items that a `flush_all` made invisible.
    #[inline]
    pub(crate) fn any_flushed(&self) -> bool {
        self.flushed.load(Ordering::Relaxed) != 0
    }

    /// Whether an item of this hash and version is older than a `flush_all`: a hint without the stripe's lock.
    pub(crate) fn is_flushed(&self, hash: u64, cas: u32) -> bool {
        is_flushed(&self.arena.records[self.stripe_of(hash)], cas)
    }

    /// Marks all that is in the index now as flushed, stripe by stripe.
    pub(crate) fn flush(&self) {
        for number in 0..self.stripes.len() {
            let locked = self.lock_number(number);
            let record = locked.record();
            record.flush_mark.store(record.cas.load(Ordering::Relaxed), Ordering::Relaxed);
            if record.flushed.swap(1, Ordering::Relaxed) == 0 {
                self.flushed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Ends a flush in one stripe, once nothing older than `mark` is left in it.
    pub(crate) fn end_flush(&self, number: usize, mark: u32) {
        let locked = self.lock_number(number);
        let record = locked.record();
        let same = record.flush_mark.load(Ordering::Relaxed) == mark;
        if same && record.flushed.swap(0, Ordering::Relaxed) == 1 {
            self.flushed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The flush mark of a stripe, if it counts.
    pub(crate) fn flush_mark(&self, number: usize) -> Option<u32> {
        let locked = self.lock_number(number);
        let record = locked.record();
        (record.flushed.load(Ordering::Relaxed) == 1).then(|| record.flush_mark.load(Ordering::Relaxed))
    }
}

/// Versions wrap: an item is at or before the mark when it is less than half the circle behind it.
fn is_flushed(record: &StripeRecord, cas: u32) -> bool {
    record.flushed.load(Ordering::Relaxed) != 0
        && record.flush_mark.load(Ordering::Relaxed).wrapping_sub(cas) < u32::MAX / 2
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Stripe>() == 64, "two stripes never share a cache line");
const _: () = assert!(STRIPE_RECORD_BYTES == 16);

impl<'i> LockedStripe<'i> {
    fn record(&self) -> &'i StripeRecord {
        &self.index.arena.records[self.number]
    }

    /// The next version of this stripe's items; never 0.
    pub(crate) fn next_cas(&mut self) -> u32 {
        let record = self.record();
        let cas = record.cas.load(Ordering::Relaxed).wrapping_add(1).max(1);
        record.cas.store(cas, Ordering::Relaxed);
        cas
    }

    /// The number on the wire for a version of this stripe.
    #[inline]
    pub(crate) fn wire_cas(&self, cas: u32) -> u64 {
        u64::from(cas) << STRIPE_BITS | u64::try_from(self.number).expect("64 bits hold a usize")
    }

    /// Whether an item of this version is older than a `flush_all`.
    #[inline]
    pub(crate) fn is_flushed(&self, cas: u32) -> bool {
        self.index.any_flushed() && is_flushed(self.record(), cas)
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

    /// The slot that holds this very reference.
    pub(crate) fn find_reference(&self, hash: u64, wanted: Ref) -> Option<Slot> {
        self.chain(self.home_of(hash)).find(|&(reference, _)| reference == wanted).map(|(_, slot)| slot)
    }

    /// Puts another reference in an occupied slot: same key, same tag.
    pub(crate) fn replace(&mut self, slot: Slot, reference: Ref) {
        self.piece(slot.place).set_reference(slot.slot, reference);
    }

    /// Gives an item that is not in the index its place. Before the item is published: what was public once may be
    /// looked at by whoever holds its class's lock, and could not be written again if there was no place for it.
    ///
    /// # Errors
    /// When the chain is full and the stripe has no cell for it.
    pub(crate) fn insert(&mut self, hash: u64, reference: Ref) -> Result<(), NoCell> {
        self.append(self.home_of(hash), Entry::new(hash, reference))?;
        self.state.items += 1;
        Ok(())
    }

    /// Splits a bucket if the stripe's load asks for it; all its items are published. True: the stripe would be
    /// better off with another row.
    pub(crate) fn grow(&mut self, pages: &Pages) -> bool {
        if self.is_over(SPLIT_ABOVE) {
            self.split(pages);
        }
        self.is_over(ROW_ABOVE) && !self.has_spare_cell() && self.state.items.is_multiple_of(8)
    }

    /// Takes an item out.
    pub(crate) fn remove(&mut self, hash: u64, slot: Slot) {
        self.state.items -= 1;
        self.take_out(self.home_of(hash), slot);
    }

    /// References of all items whose chain begins where this hash's does.
    pub(crate) fn neighbours(&self, hash: u64) -> impl Iterator<Item = (Ref, Slot)> {
        self.chain(self.home_of(hash))
    }

    /// All items of the stripe.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Ref, Slot)> {
        (0..self.state.homes).flat_map(|home| self.chain(home))
    }

    /// Items in the stripe.
    pub(crate) fn items(&self) -> u32 {
        self.state.items
    }

    #[inline(always)]
    fn home_of(&self, hash: u64) -> u32 {
        home_of(hash, self.state.homes)
    }

    fn is_over(&self, limit: u32) -> bool {
        u64::from(self.state.items) > u64::from(self.state.homes) * u64::from(limit)
    }
}
