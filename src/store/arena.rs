//! The arena: one reservation of address space, what lies where in it, and the superblock at its start.
//!
//! Nothing but the arena is needed to find all items again: the superblock says how to read the rest.
//! The picture is `LAYOUT.md` beside this file.

use std::io;
use std::sync::Arc;

use super::options::Options;
use super::slab::classes::{CHUNK_BYTES_MIN, ClassTable, EXTENT_BYTES, GRANULE_BYTES_MIN};
use super::slab::page::PageEntry;
use super::table::{BUCKET_BYTES, CELLS_MAX};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sys::memory::{HUGE_PAGE_BYTES, OS_PAGE_BYTES, Reservation, Table};
use crate::time::Now;

/// First word of every arena: "FLAGSTON" read as a little-endian number.
const MAGIC: u64 = u64::from_le_bytes(*b"FLAGSTON");
/// Number of the layout that `LAYOUT.md` describes.
const LAYOUT: u64 = 4;
/// Bytes of the superblock.
const SUPERBLOCK_BYTES: usize = OS_PAGE_BYTES;
/// Most stripes: 4096 locks keep two of a hundred threads apart.
const STRIPES_MAX: usize = 4096;
/// Memory per stripe below that number. All stripes have the rows that the fullest needs: the more items a stripe, the
/// less do they differ. With a quarter of it the index took 4 % more.
const STRIPE_SHARE_BYTES: u64 = 1 << 20;
/// Small memories have so many stripes for their threads' sake, as long as each has its least share.
const STRIPES_MIN: u64 = 64;
const STRIPE_SHARE_BYTES_MIN: u64 = 64 << 10;
/// The reserve has room for a memory limit twice the one at start.
const RESERVE_FACTOR: u64 = 2;
/// From this memory limit on huge pages are asked for without `-L`, too: what they round up no longer matters.
const HUGE_PAGES_FROM: u64 = 1 << 30;
/// Share of the memory limit that `-L` takes at the start: what pages of items come to where items are small.
const POPULATED_QUARTERS: usize = 3;
/// Words a stripe keeps in the arena.
pub(super) const STRIPE_RECORD_BYTES: usize = 16;

#[cfg(not(loom))]
const _: () = assert!(size_of::<StripeRecord>() == STRIPE_RECORD_BYTES);

/// What of a stripe must survive: written under the stripe's lock.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct StripeRecord {
    /// The version of the item written last in this stripe.
    pub(super) cas: AtomicU32,
    /// `flush_all`: items up to this version are gone, if `flushed` says so.
    pub(super) flush_mark: AtomicU32,
    /// Whether `flush_mark` counts.
    pub(super) flushed: AtomicU32,
    _spare: AtomicU32,
}

/// The words of the superblock.
enum Word {
    Magic,
    Layout,
    PageBytes,
    Granule,
    Stripes,
    PagesMax,
    HashSeed,
    Epoch,
    LastTick,
    Classes,
    FirstClassSize,
}

/// Sizes and offsets in bytes, all fixed at start.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub(super) page_bytes: usize,
    pub(super) granule: usize,
    pub(super) stripes: usize,
    pub(super) pages_max: usize,
    records_at: usize,
    page_table_at: usize,
    pub(super) pages_at: usize,
    pub(super) index_at: usize,
    pub(super) index_bytes: usize,
    pub(super) rings_at: usize,
    pub(super) rings_bytes: usize,
    pub(super) ghost_at: usize,
    pub(super) ghost_bytes: usize,
    total_bytes: usize,
}

impl Geometry {
    /// Page sizes: 64 KiB below 1 GiB, 256 KiB to 4 GiB, 1 MiB above: few enough to keep a table of, small enough
    /// that a class with one page wastes little. With 256 KiB at `-m` 128 four traces had .4 % more misses.
    fn page_bytes(limit_bytes: u64) -> usize {
        if cfg!(loom) {
            // A model's store has a few pages of a few chunks.
            EXTENT_BYTES
        } else if limit_bytes < 1 << 30 {
            64 << 10
        } else if limit_bytes <= 4 << 30 {
            256 << 10
        } else {
            1 << 20
        }
    }

    /// Granules: items are named by 32 bits, so the item pages end within 2^32 of them.
    fn granule(reserve_bytes: u64) -> usize {
        usize::try_from(reserve_bytes.div_ceil(1 << 32).next_power_of_two())
            .unwrap_or(usize::MAX)
            .max(GRANULE_BYTES_MIN)
    }

    pub(super) fn new(options: &Options) -> Self {
        let limit = options.limit_bytes;
        let page_bytes = Self::page_bytes(limit);
        let reserve = usize::try_from(limit * RESERVE_FACTOR).unwrap_or(usize::MAX / 8);
        let pages_max = reserve.div_ceil(page_bytes) + 2;
        let stripes = (limit / STRIPE_SHARE_BYTES).max(STRIPES_MIN.min(limit / STRIPE_SHARE_BYTES_MIN));
        let stripes = usize::try_from(stripes).unwrap_or(STRIPES_MAX).clamp(1, STRIPES_MAX);
        let records_at = SUPERBLOCK_BYTES;
        let page_table_at = (records_at + stripes * STRIPE_RECORD_BYTES).next_multiple_of(64);
        let pages_at = (page_table_at + pages_max * size_of::<PageEntry>()).next_multiple_of(page_bytes);
        let index_at = (pages_at + pages_max * page_bytes).next_multiple_of(HUGE_PAGE_BYTES);
        // The smallest items, twelve to a bucket of 64 bytes, at half load.
        let rows_max = (reserve / CHUNK_BYTES_MIN / 6).div_ceil(stripes).min(CELLS_MAX);
        let index_bytes = rows_max * stripes * BUCKET_BYTES;
        let rings_at = (index_at + index_bytes).next_multiple_of(OS_PAGE_BYTES);
        // Half of the smallest chunks there could be, four bytes each.
        let rings_bytes = (reserve / CHUNK_BYTES_MIN * 4).next_multiple_of(OS_PAGE_BYTES) + OS_PAGE_BYTES;
        let ghost_at = (rings_at + rings_bytes).next_multiple_of(OS_PAGE_BYTES);
        let ghost_bytes = (reserve / CHUNK_BYTES_MIN * 2).next_multiple_of(OS_PAGE_BYTES);
        let items_end = u64::try_from(index_at).unwrap_or(u64::MAX);
        Self {
            page_bytes,
            granule: Self::granule(items_end),
            stripes,
            pages_max,
            records_at,
            page_table_at,
            pages_at,
            index_at,
            index_bytes,
            rings_at,
            rings_bytes,
            ghost_at,
            ghost_bytes,
            total_bytes: ghost_at + ghost_bytes,
        }
    }

    /// Where the page table lies.
    pub(super) fn page_table_at(&self) -> usize {
        self.page_table_at
    }

    /// Bytes in front of the item pages that are in use when `pages` pages are.
    fn head_bytes(&self, pages: usize) -> usize {
        self.page_table_at + pages * size_of::<PageEntry>()
    }
}

/// The reservation and the tables that lie at its start.
#[derive(Debug)]
pub(super) struct Arena {
    pub(super) memory: Arc<Reservation>,
    pub(super) geometry: Geometry,
    superblock: Table<AtomicU64>,
    pub(super) records: Table<StripeRecord>,
}

impl Arena {
    /// Reserves the address space and writes the superblock.
    pub(super) fn new(options: &Options, geometry: Geometry, classes: &ClassTable) -> io::Result<Self> {
        let memory = Arc::new(Reservation::new(geometry.total_bytes)?);
        if options.large_pages || options.limit_bytes >= HUGE_PAGES_FROM {
            // Without `-L` memory is opened bit by bit, in small pages, and the system makes huge ones of them in time.
            memory.prefer_huge_pages(0, geometry.rings_at);
        }
        if options.large_pages {
            // Each first touch of a huge page would keep a request waiting, 100 us and more.
            memory.open(0, geometry.total_bytes)?;
            let limit = usize::try_from(options.limit_bytes).unwrap_or(usize::MAX);
            memory.populate(0, (limit / 4 * POPULATED_QUARTERS).min(geometry.index_at));
        }
        memory.open(0, geometry.pages_at)?;
        let superblock = Table::new(&memory, 0, SUPERBLOCK_BYTES / 8);
        let records = Table::new(&memory, geometry.records_at, geometry.stripes);
        let arena = Self { memory, geometry, superblock, records };
        arena.write_superblock(options, classes);
        Ok(arena)
    }

    fn write_superblock(&self, options: &Options, classes: &ClassTable) {
        let geometry = &self.geometry;
        self.set(Word::Layout, LAYOUT);
        self.set(Word::PageBytes, number(geometry.page_bytes));
        self.set(Word::Granule, number(geometry.granule));
        self.set(Word::Stripes, number(geometry.stripes));
        self.set(Word::PagesMax, number(geometry.pages_max));
        self.set(Word::HashSeed, options.hash_seed);
        self.set(Word::Classes, number(classes.count()));
        for class in classes.all() {
            let word = Word::FirstClassSize as usize + class.index();
            self.superblock[word].store(number(classes.chunk_bytes(class)), Ordering::Relaxed);
        }
        // The magic last: an arena without it was never finished.
        self.set(Word::Magic, MAGIC);
    }

    fn set(&self, word: Word, value: u64) {
        self.superblock[word as usize].store(value, Ordering::Release);
    }

    /// Notes the clock: Unix time of the epoch, and the last second known to have been.
    pub(super) fn tick(&self, now: &Now) {
        self.set(Word::Epoch, now.unix_epoch.cast_unsigned());
        self.set(Word::LastTick, u64::from(now.seconds.0));
    }

    /// Bytes used by superblock, stripe records and page table at this limit.
    pub(super) fn head_bytes(&self, limit_bytes: u64) -> u64 {
        let pages = usize::try_from(limit_bytes).unwrap_or(usize::MAX) / self.geometry.page_bytes;
        number(self.geometry.head_bytes(pages.min(self.geometry.pages_max)))
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).expect("64 bits hold a usize")
}

const _: () = assert!(EXTENT_BYTES.is_multiple_of(64), "extents are multiples of every granule");
const _: () = assert!(Word::FirstClassSize as usize + 250 <= SUPERBLOCK_BYTES / 8, "the class table fits");

#[cfg(test)]
mod tests {
    use super::Geometry;
    use crate::store::Options;

    #[test]
    fn granules_grow_where_32_bits_end() {
        for (gib, granule) in [(1, 4), (7, 4), (8, 8), (15, 8), (16, 16), (31, 16), (32, 32), (64, 64)] {
            let options = Options { limit_bytes: gib << 30, ..Options::default() };
            let geometry = Geometry::new(&options);
            assert_eq!(geometry.granule, granule, "{gib} GiB");
            assert!(geometry.index_at / geometry.granule <= 1 << 32);
        }
    }
}
