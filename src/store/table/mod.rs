//! The index: stripes, each a lock and a column of buckets that grows one bucket at a time.
//!
//! Linear hashing: a stripe with `homes` home buckets splits bucket `homes - 2^k` into itself and a new one when
//! its load passes the limit, so growth never pauses and no second table exists. All stripes' nth buckets
//! lie side by side in row n, and memory is opened row by row; a cell of the column that is no home bucket
//! yet serves as an overflow bucket. A stripe's lock is taken with no other lock of the store held, and
//! nothing is locked under it.

mod bucket;
mod walk;

use std::sync::Arc;

use self::bucket::{Bucket, Buckets};
use super::arena::{Arena, STRIPE_RECORD_BYTES, StripeRecord};
use super::item::{Guard, Ref, StripeGuard};
use super::outcome::Key;
use super::slab::page::Pages;
use super::slab::pool::Pool;
use crate::hash::KeyHasher;
use crate::sync::{AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, Rank, TallyU64};
use crate::sys::prefetch;

pub(super) use self::bucket::Slot;

/// Rows a fresh index has: one for the first home bucket, one to grow into.
const ROWS_AT_START: u32 = 2;
/// A stripe splits a bucket above this load, in items per four home buckets (12 slots each): 10.25 a bucket.
const SPLIT_ABOVE: u32 = 41;
/// A stripe asks for a new row only when a tenth above that, so that one busy stripe does not open rows that
/// the others do not need yet.
const ROW_ABOVE: u32 = 45;
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
    /// Rows with memory.
    rows: AtomicU32,
    /// Serialises the opening of rows.
    opening: Mutex<()>,
    /// Stripes with a flush mark that is not swept yet.
    flushed: AtomicUsize,
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
    /// First of the free cells that were used before, plus one; linked through their overflow words.
    free: u32,
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
        let fresh = || StripeState { homes: 1, fresh: 1, free: 0, items: 0 };
        let index = Self {
            hasher,
            stripes: (0..stripes).map(|_| Stripe { state: Mutex::new(Rank::Stripe, fresh()) }).collect(),
            homes: (0..stripes).map(|_| TallyU64::new(1)).collect(),
            arena: Arc::clone(arena),
            buckets: Buckets::new(arena),
            rows: AtomicU32::new(0),
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
        let rows = usize::try_from(self.rows.load(Ordering::Relaxed)).expect("32 bits fit");
        let bytes = u64::try_from(rows * self.row_bytes()).expect("64 bits hold a usize");
        bytes + Self::fixed_bytes(self.stripes.len())
    }

    /// Bytes that the locks take on the heap.
    pub(crate) fn fixed_bytes(stripes: usize) -> u64 {
        u64::try_from(stripes * size_of::<Stripe>()).expect("64 bits hold a usize")
    }

    fn row_bytes(&self) -> usize {
        self.stripes.len() * bucket::BUCKET_BYTES
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

    /// The home bucket of a hash, as far as can be told without its stripe's lock.
    #[inline]
    fn hinted(&self, hash: u64) -> Bucket<'_> {
        let number = self.stripe_of(hash);
        // Relaxed: a hint. A stripe never has fewer homes than it had.
        let homes = self.homes[number].load(Ordering::Relaxed);
        let homes = u32::try_from(homes).expect("what was stored");
        self.buckets.bucket(home_of(hash, homes), number)
    }

    /// Has the home bucket of a hash come near, and its stripe's lock.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        prefetch::line((&raw const self.stripes[self.stripe_of(hash)]).cast());
        self.hinted(hash).prefetch();
    }

    /// The first item that may be the one of a hash: a hint.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<Ref> {
        let bucket = self.hinted(hash);
        let slot = bucket.candidates(hash).next()?;
        Some(bucket.reference(slot)).filter(|reference| reference.is_some())
    }

    /// Opens a row, if `row` is the next one: two stripes may ask for the same. False when memory is refused.
    pub(crate) fn add_row(&self, pool: &Pool, row: u32) -> bool {
        let _opening = self.opening.lock();
        if self.rows.load(Ordering::Relaxed) > row {
            return true;
        }
        let offset = usize::try_from(row).expect("32 bits fit") * self.row_bytes();
        let geometry = &self.arena.geometry;
        if offset + self.row_bytes() > geometry.index_bytes
            || !pool.open(&self.arena, geometry.index_at + offset, self.row_bytes())
        {
            return false;
        }
        // Release: pairs with the load in `spare_cell`: who counts on the row finds it opened.
        self.rows.store(row + 1, Ordering::Release);
        true
    }

    /// Rows with memory.
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
        let mut cell = self.home_of(key.hash);
        loop {
            let bucket = self.index.buckets.bucket(cell, self.number);
            for slot in bucket.candidates(key.hash) {
                let reference = bucket.reference(slot);
                if reference.is_some() && pages.chunk(reference).key(&*self.state) == key.bytes {
                    return Some(Found { slot: Slot { cell, slot }, reference });
                }
            }
            cell = bucket.next()?;
        }
    }

    /// The slot that holds this very reference.
    pub(crate) fn find_reference(&self, hash: u64, wanted: Ref) -> Option<Slot> {
        let mut cell = self.home_of(hash);
        loop {
            let bucket = self.index.buckets.bucket(cell, self.number);
            if let Some(slot) = (0..bucket::SLOTS).find(|&slot| bucket.reference(slot) == wanted) {
                return Some(Slot { cell, slot });
            }
            cell = bucket.next()?;
        }
    }

    /// Puts another reference in an occupied slot: same key, same tag.
    pub(crate) fn replace(&mut self, slot: Slot, reference: Ref) {
        self.index.buckets.bucket(slot.cell, self.number).set_reference(slot.slot, reference);
    }

    /// Gives an item that is not in the index its place. Before the item is published: what was public once may be
    /// looked at by whoever holds its class's lock, and could not be written again if there was no place for it.
    ///
    /// # Errors
    /// When the chain is full and the stripe has no cell for it.
    pub(crate) fn insert(&mut self, hash: u64, reference: Ref) -> Result<(), NoCell> {
        self.append(self.home_of(hash), hash, reference)?;
        self.state.items += 1;
        Ok(())
    }

    /// Splits a bucket if the stripe's load asks for it; all its items are published. True: the stripe would be
    /// better off with another row.
    pub(crate) fn grow(&mut self, pages: &Pages) -> bool {
        if self.is_over(SPLIT_ABOVE) && self.has_spare_cell() {
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

    /// Every cell below `fresh` is a home, in one chain, or free; buckets are dense.
    pub(crate) fn audit_cells(&self) -> Result<(), String> {
        let mut seen = vec![0u32; usize::try_from(self.state.fresh).expect("32 bits fit")];
        let mut mark = |cell: u32| {
            if let Some(count) = seen.get_mut(usize::try_from(cell).expect("32 bits fit")) {
                *count += 1;
            }
        };
        for home in 0..self.state.homes {
            self.cells_from(Some(home)).for_each(&mut mark);
        }
        self.cells_from(self.state.free.checked_sub(1)).for_each(&mut mark);
        match seen.iter().position(|&count| count != 1) {
            Some(cell) => Err(format!("cell {cell} is in {} places", seen[cell])),
            None => Ok(()),
        }
    }

    /// The cells of a chain from this one on.
    fn cells_from(&self, first: Option<u32>) -> impl Iterator<Item = u32> {
        std::iter::successors(first, |&cell| self.index.buckets.bucket(cell, self.number).next())
    }

    fn chain(&self, home: u32) -> impl Iterator<Item = (Ref, Slot)> {
        self.cells_from(Some(home))
            .flat_map(move |cell| {
                let bucket = self.index.buckets.bucket(cell, self.number);
                (0..bucket::SLOTS).map(move |slot| (bucket.reference(slot), Slot { cell, slot }))
            })
            .filter(|(reference, _)| reference.is_some())
    }

    #[inline(always)]
    fn home_of(&self, hash: u64) -> u32 {
        home_of(hash, self.state.homes)
    }

    fn is_over(&self, limit: u32) -> bool {
        u64::from(self.state.items) * 4 > u64::from(self.state.homes) * u64::from(limit)
    }

    fn has_spare_cell(&self) -> bool {
        self.state.free != 0 || self.state.fresh < self.index.rows.load(Ordering::Acquire)
    }

    /// Adds an entry at the end of a chain: only a chain's last bucket has empty slots.
    fn append(&mut self, home: u32, hash: u64, reference: Ref) -> Result<(), NoCell> {
        let mut cell = home;
        loop {
            let bucket = self.index.buckets.bucket(cell, self.number);
            if let Some(slot) = bucket.empty_slot() {
                bucket.set(slot, bucket::tag(hash), reference);
                return Ok(());
            }
            let Some(next) = bucket.next() else { break };
            cell = next;
        }
        let added = self.take_cell().ok_or(NoCell)?;
        self.index.buckets.bucket(added, self.number).set(0, bucket::tag(hash), reference);
        self.index.buckets.bucket(cell, self.number).set_next(Some(added));
        Ok(())
    }

    /// Empties a slot; the chain's last entry moves into the hole, and a bucket left empty becomes free.
    fn take_out(&mut self, home: u32, slot: Slot) {
        let (mut before, mut last) = (None, home);
        while let Some(next) = self.index.buckets.bucket(last, self.number).next() {
            (before, last) = (Some(last), next);
        }
        let tail = self.index.buckets.bucket(last, self.number);
        let moved = tail.last_slot().expect("a chain's last bucket has an entry");
        let hole = self.index.buckets.bucket(slot.cell, self.number);
        hole.set(slot.slot, tail.tag(moved), tail.reference(moved));
        tail.set(moved, 0, Ref::NONE);
        if let (Some(before), None) = (before, tail.last_slot()) {
            self.index.buckets.bucket(before, self.number).set_next(None);
            self.free_cell(last);
        }
    }

    /// A cell for an overflow bucket.
    fn take_cell(&mut self) -> Option<u32> {
        if let Some(cell) = self.state.free.checked_sub(1) {
            let bucket = self.index.buckets.bucket(cell, self.number);
            self.state.free = bucket.next().map_or(0, |next| next + 1);
            bucket.set_next(None);
            return Some(cell);
        }
        let cell = self.state.fresh;
        if cell >= self.index.rows.load(Ordering::Acquire) {
            return None;
        }
        self.state.fresh += 1;
        Some(cell)
    }

    fn free_cell(&mut self, cell: u32) {
        let next = self.state.free.checked_sub(1);
        self.index.buckets.bucket(cell, self.number).set_next(next);
        self.state.free = cell + 1;
    }

    /// Splits the next bucket in turn into itself and a new home bucket.
    fn split(&mut self, pages: &Pages) {
        let target = self.state.homes;
        let source = target - (1 << target.ilog2());
        self.vacate(pages, target);
        self.state.homes += 1;
        // Relaxed: a hint.
        self.index.homes[self.number].store(u64::from(self.state.homes), Ordering::Relaxed);
        let mut cell = source;
        let mut slot = 0;
        loop {
            let bucket = self.index.buckets.bucket(cell, self.number);
            let reference = bucket.reference(slot);
            if !reference.is_some() {
                return;
            }
            let hash = self.index.hash(pages.chunk(reference).key(&*self.state));
            if self.home_of(hash) == target {
                // The hole is filled from the chain's end, or ends the chain: look at the same slot again. If
                // that was the bucket's only entry, its cell is free now, and the walk is over.
                let was_only = slot == 0 && cell != source && bucket.last_slot() == Some(0);
                self.take_out(source, Slot { cell, slot });
                self.append(target, hash, reference).expect("what the source gave up makes room");
                if was_only {
                    return;
                }
                continue;
            }
            slot += 1;
            if slot == bucket::SLOTS {
                let Some(next) = bucket.next() else { return };
                (cell, slot) = (next, 0);
            }
        }
    }

    /// Makes a cell free to become a home bucket: it may be fresh, free, or somebody's overflow.
    fn vacate(&mut self, pages: &Pages, cell: u32) {
        if cell == self.state.fresh {
            self.state.fresh += 1;
            return;
        }
        if self.unlink_free(cell) {
            return;
        }
        let other = self.take_cell().expect("the caller saw a spare cell");
        let bucket = self.index.buckets.bucket(cell, self.number);
        let hash = self.index.hash(pages.chunk(bucket.reference(0)).key(&*self.state));
        let mut before = self.home_of(hash);
        loop {
            let next = self.index.buckets.bucket(before, self.number).next().expect("the chain leads to the cell");
            if next == cell {
                break;
            }
            before = next;
        }
        self.index.buckets.copy(cell, other, self.number);
        self.index.buckets.bucket(before, self.number).set_next(Some(other));
        bucket.clear();
    }

    /// Takes a cell out of the free list; false when it is not in there.
    fn unlink_free(&mut self, cell: u32) -> bool {
        let mut before: Option<u32> = None;
        let mut at = self.state.free.checked_sub(1);
        while let Some(here) = at {
            let bucket = self.index.buckets.bucket(here, self.number);
            if here != cell {
                (before, at) = (at, bucket.next());
                continue;
            }
            match before {
                Some(before) => self.index.buckets.bucket(before, self.number).set_next(bucket.next()),
                None => self.state.free = bucket.next().map_or(0, |next| next + 1),
            }
            bucket.set_next(None);
            return true;
        }
        false
    }
}

/// The home bucket of a hash among so many, by linear hashing: buckets already split in this doubling count
/// one bit more.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
fn home_of(hash: u64, homes: u32) -> u32 {
    let mask = u32::MAX >> (homes.leading_zeros());
    let home = hash as u32 & mask;
    if home < homes { home } else { home & (mask >> 1) }
}

#[cfg(test)]
mod tests {
    use super::home_of;

    #[test]
    fn splitting_moves_entries_only_from_the_bucket_in_turn() {
        for homes in 1..200u32 {
            let source = homes - (1 << homes.ilog2());
            for hash in (0..5000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
                let (old, new) = (home_of(hash, homes), home_of(hash, homes + 1));
                assert!(old < homes);
                assert!(new == old || (old == source && new == homes), "{homes}: {old} -> {new}");
            }
        }
    }
}
