//! The arena: one reservation of address space, and what lies where in it.
//!
//! Nothing but the arena is needed to find all items again: the superblock says how to read the rest.
//! The picture is `LAYOUT.md` beside this file.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::superblock::{Fixed, SUPERBLOCK_BYTES, Superblock, Word, hash_proof};
use crate::limits::MEMORY_BYTES_MAX;
use crate::store::bytes::layout::{
    BUCKET_BYTES, CELLS_MAX, CHUNK_BYTES_MIN, EXTENT_BYTES, GRANULE_BYTES_MIN, PAGE_ENTRY_BYTES, STRIPE_RECORD_BYTES,
    STRIPES_MAX, u64_of,
};
use crate::store::words::options::Options;
use crate::store::words::refusal::Refusal;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence, yield_now};
use crate::sys::memory::{HUGE_PAGE_BYTES, OS_PAGE_BYTES, Reservation, Table};
use crate::time::Now;

/// Memory per stripe below that number. All stripes have the rows that the fullest needs: the more items a stripe, the
/// less do they differ. With a quarter of it the index took 4 % more.
const STRIPE_SHARE_BYTES: u64 = 1 << 20;
/// Small memories have so many stripes for their threads' sake, as long as each has its least share.
const STRIPES_MIN: u64 = 64;
const STRIPE_SHARE_BYTES_MIN: u64 = 64 << 10;
/// The reserve has room for a memory limit so many times the one at start, as far as items can be named there:
/// addresses cost nothing.
const RESERVE_FACTOR: u64 = 16;
/// The granule is chosen for a limit so many times the one at start: a coarser one for room that is hardly ever asked
/// for would cost memory at once. `-L` reserves so much, as all its addresses are open from the start.
const RESERVE_FACTOR_LEAST: u64 = 2;
/// Addresses left to threads' stacks, buffers and the allocator where they are limited (`ulimit -v`), while the arena
/// can do with fewer: without them the server aborts.
const OTHERS_BYTES: usize = 256 << 20;
/// How many granules a reference can name.
const GRANULES_MAX: u64 = 1 << 32;
/// From this memory limit on huge pages are asked for without `-L`, too: what they round up no longer matters.
const HUGE_PAGES_FROM: u64 = 1 << 30;

#[cfg(not(loom))]
const _: () = assert!(size_of::<StripeRecord>() == STRIPE_RECORD_BYTES);

/// What of a stripe must survive: written under the stripe's lock.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct StripeRecord {
    /// The version of the item written last in this stripe.
    pub(crate) cas: AtomicU32,
    /// Items up to this version are gone, while the superblock's count of flushes is odd and the next word equals it.
    pub(crate) flush_mark: AtomicU32,
    /// The count of flushes for which the mark was set.
    pub(crate) flushes_seen: AtomicU64,
}

/// Sizes and offsets in bytes, all fixed at start.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) page_bytes: usize,
    pub(crate) granule: usize,
    pub(crate) stripes: usize,
    pub(crate) pages_max: usize,
    records_at: usize,
    page_table_at: usize,
    pub(crate) pages_at: usize,
    pub(crate) index_at: usize,
    pub(crate) index_bytes: usize,
    pub(crate) rings_at: usize,
    pub(crate) rings_bytes: usize,
    pub(crate) ghost_at: usize,
    pub(crate) ghost_bytes: usize,
    total_bytes: usize,
    /// The most that the memory limit may become.
    pub(crate) limit_bytes_max: u64,
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

    /// The granule with which references name all of `bytes`. Above an extent there is none.
    fn granule(bytes: u64) -> usize {
        usize::try_from(bytes.div_ceil(GRANULES_MAX).next_power_of_two())
            .unwrap_or(EXTENT_BYTES)
            .clamp(GRANULE_BYTES_MIN, EXTENT_BYTES)
    }

    /// The geometry for `options.limit_bytes` with a reserve of at most `factor` times as much.
    fn new(options: &Options, factor: u64) -> Self {
        let limit = options.limit_bytes;
        let page_bytes = Self::page_bytes(limit);
        let stripes = (limit / STRIPE_SHARE_BYTES).max(STRIPES_MIN.min(limit / STRIPE_SHARE_BYTES_MIN));
        let stripes = usize::try_from(stripes).unwrap_or(STRIPES_MAX).clamp(1, STRIPES_MAX);
        let stripes = options.stripes.unwrap_or(stripes);
        let heads = Heads::new(page_bytes, stripes);
        let pages_for = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX / 64).div_ceil(page_bytes) + 2;
        let least = heads.pages_end(pages_for(limit.saturating_mul(factor.min(RESERVE_FACTOR_LEAST))));
        let granule = Self::granule(u64_of(least));
        let named = GRANULES_MAX * u64_of(granule);
        // All that comes before the pages, and what is lost to rounding, with room to spare.
        let other = u64_of(heads.page_table_at + 2 * page_bytes + HUGE_PAGE_BYTES);
        let pages_named = (named - other) / u64_of(page_bytes + PAGE_ENTRY_BYTES);
        let limit_bytes_max = limit.saturating_mul(factor).min(named);
        let pages_max = pages_for(limit_bytes_max).min(usize::try_from(pages_named).unwrap_or(usize::MAX));
        Self::with(page_bytes, granule, stripes, pages_max, limit_bytes_max)
    }

    /// The geometry that a superblock says; `None`: references do not reach so far.
    fn of(fixed: &Fixed) -> Option<Self> {
        let Fixed { page_bytes, granule, stripes, pages_max, limit_bytes_max, .. } = *fixed;
        let geometry = Self::with(page_bytes, granule, stripes, pages_max, limit_bytes_max);
        (u64_of(geometry.index_at / granule) <= GRANULES_MAX).then_some(geometry)
    }

    fn with(page_bytes: usize, granule: usize, stripes: usize, pages_max: usize, limit_bytes_max: u64) -> Self {
        let heads = Heads::new(page_bytes, stripes);
        let Heads { records_at, page_table_at, .. } = heads;
        let (pages_at, index_at) = (heads.pages_at(pages_max), heads.pages_end(pages_max));
        let reserve = pages_max * page_bytes;
        // The smallest items, twelve to a bucket of 64 bytes, at half load.
        let rows_max = (reserve / CHUNK_BYTES_MIN / 6).div_ceil(stripes).min(CELLS_MAX);
        let index_bytes = rows_max * stripes * BUCKET_BYTES;
        let rings_at = (index_at + index_bytes).next_multiple_of(OS_PAGE_BYTES);
        // Half of the smallest chunks there could be, four bytes each.
        let rings_bytes = (reserve / CHUNK_BYTES_MIN * 4).next_multiple_of(OS_PAGE_BYTES) + OS_PAGE_BYTES;
        let ghost_at = (rings_at + rings_bytes).next_multiple_of(OS_PAGE_BYTES);
        let ghost_bytes = (reserve / CHUNK_BYTES_MIN * 2).next_multiple_of(OS_PAGE_BYTES);
        Self {
            page_bytes,
            granule,
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
            limit_bytes_max,
        }
    }

    /// Where the page table lies.
    pub(crate) fn page_table_at(&self) -> usize {
        self.page_table_at
    }

    /// Addresses for all of it; the item pages and what is in front of them are the file's.
    fn reserve(&self, file: Option<&File>) -> io::Result<Arc<Reservation>> {
        let memory = match file {
            None => Reservation::new(self.total_bytes)?,
            Some(file) => Reservation::on_file(file.try_clone()?, self.index_at, self.total_bytes)?,
        };
        Ok(Arc::new(memory))
    }

    /// Bytes in front of the item pages that are in use at a memory limit.
    fn head_bytes_at(&self, limit_bytes: u64) -> usize {
        let pages = usize::try_from(limit_bytes).unwrap_or(usize::MAX) / self.page_bytes;
        self.page_table_at + pages.min(self.pages_max) * PAGE_ENTRY_BYTES
    }
}

/// What lies in front of the item pages.
struct Heads {
    page_bytes: usize,
    records_at: usize,
    page_table_at: usize,
}

impl Heads {
    fn new(page_bytes: usize, stripes: usize) -> Self {
        let records_at = SUPERBLOCK_BYTES;
        let page_table_at = (records_at + stripes * STRIPE_RECORD_BYTES).next_multiple_of(64);
        Self { page_bytes, records_at, page_table_at }
    }

    fn pages_at(&self, pages: usize) -> usize {
        (self.page_table_at + pages * PAGE_ENTRY_BYTES).next_multiple_of(self.page_bytes)
    }

    fn pages_end(&self, pages: usize) -> usize {
        (self.pages_at(pages) + pages * self.page_bytes).next_multiple_of(HUGE_PAGE_BYTES)
    }
}

/// Looks at chunks whose pages nothing keeps in their class. A file's memory may be gone by then, and a look at a hole
/// asks the file system for memory: where that has none, the process ends by SIGBUS. So the memory of a page that has
/// left its class is given back when nobody looks who may have seen it there.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    count: AtomicU32,
}

/// One such look.
#[derive(Debug)]
pub(crate) struct Look<'l> {
    looks: &'l Looks,
}

impl Looks {
    /// Begins a look, before it is asked of what class the page is. It ends soon, whatever other threads do.
    pub(crate) fn begin(&self) -> Look<'_> {
        self.count.fetch_add(1, Ordering::Relaxed);
        // Pairs with the one in `wait`: either this thread sees that the page has no class, or that one sees the look.
        fence(Ordering::SeqCst);
        Look { looks: self }
    }

    /// Waits until those looks have ended that may have found a class with a page that has none now.
    fn wait(&self) {
        fence(Ordering::SeqCst);
        // Acquire: pairs with the end of a look.
        while self.count.load(Ordering::Acquire) != 0 {
            yield_now();
        }
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.looks.count.fetch_sub(1, Ordering::Release);
    }
}

/// The reservation and the tables that lie at its start.
#[derive(Debug)]
pub(crate) struct Arena {
    pub(crate) looks: Arc<Looks>,
    pub(crate) memory: Arc<Reservation>,
    pub(crate) geometry: Geometry,
    pub(crate) superblock: Superblock,
    pub(crate) records: Table<StripeRecord>,
}

impl Arena {
    /// Reserves the address space for an empty store: as much as the system lets us have, which may have a limit for
    /// it (`ulimit -v`). The item pages and what is in front of them are the file's, if there is one.
    ///
    /// # Errors
    /// When there are not even addresses for the limit at start.
    pub(crate) fn reserve(options: &Options, file: Option<&File>) -> io::Result<(Geometry, Arc<Reservation>)> {
        if options.limit_bytes > MEMORY_BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        let is_scarce = options.large_pages || options.few_addresses;
        let mut factor = if is_scarce { RESERVE_FACTOR_LEAST } else { RESERVE_FACTOR };
        // Held until the arena has its own.
        let mut for_others = Reservation::new(OTHERS_BYTES).ok();
        loop {
            let geometry = Geometry::new(options, factor);
            match geometry.reserve(file) {
                Ok(memory) => return Ok((geometry, memory)),
                Err(_) if factor > 1 => factor /= 2,
                Err(error) if for_others.take().is_none() => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// The same as a superblock says, for what another run left in the file.
    ///
    /// # Errors
    /// When the system refuses the addresses.
    pub(crate) fn reserve_as(fixed: &Fixed, file: &File) -> io::Result<Result<(Geometry, Arc<Reservation>), Refusal>> {
        let Some(geometry) = Geometry::of(fixed) else { return Ok(Err(Refusal::Damaged)) };
        if file.metadata()?.len() != u64_of(geometry.index_at) {
            return Ok(Err(Refusal::Truncated));
        }
        let memory = geometry.reserve(Some(file))?;
        Ok(Ok((geometry, memory)))
    }

    /// Opens what lies in front of the item pages.
    ///
    /// # Errors
    /// When the system has no memory for it.
    pub(crate) fn new(options: &Options, geometry: Geometry, memory: Arc<Reservation>) -> io::Result<Self> {
        let used_bytes = geometry.head_bytes_at(options.limit_bytes);
        let head_bytes = used_bytes.next_multiple_of(HUGE_PAGE_BYTES).min(geometry.pages_at);
        if options.large_pages || options.limit_bytes >= HUGE_PAGES_FROM {
            // Without `-L` memory is opened bit by bit, in small pages, and the system makes huge ones of them in time.
            memory.prefer_huge_pages(0, head_bytes);
            memory.prefer_huge_pages(geometry.pages_at, geometry.rings_at - geometry.pages_at);
        }
        // Of the page table little is in use before the limit rises.
        memory.refuse_huge_pages(head_bytes, geometry.pages_at - head_bytes);
        if options.large_pages {
            // Nothing has to be opened for `populate`, nor while that is at work: to open waits for it.
            memory.open_all()?;
        }
        // To open anonymous memory costs nothing before it is touched, a file's memory does.
        memory.open(0, if memory.has_file() { used_bytes } else { geometry.pages_at })?;
        let superblock = Superblock::new(&memory);
        let records = Table::new(&memory, geometry.records_at, geometry.stripes);
        Ok(Self { looks: Arc::default(), memory, geometry, superblock, records })
    }

    /// Writes the superblock of a new arena.
    pub(crate) fn write_superblock(&self, options: &Options, chunk_sizes: impl Iterator<Item = usize>) {
        let Geometry { page_bytes, granule, stripes, pages_max, limit_bytes_max, .. } = self.geometry;
        let (hash_seed, hash_proof) = (options.hash_seed, hash_proof(options.hash_seed));
        let (with_cas, chunk_sizes) = (options.cas, chunk_sizes.collect());
        self.superblock.write(&Fixed {
            page_bytes,
            granule,
            stripes,
            pages_max,
            limit_bytes_max,
            hash_seed,
            hash_proof,
            with_cas,
            chunk_sizes,
        });
    }

    /// Gives the memory of a page that has no class back to the system.
    pub(crate) fn release_page(&self, offset: usize) {
        // Anonymous memory reads as zero afterwards, and nobody minds.
        if self.memory.has_file() {
            self.looks.wait();
        }
        self.memory.release(offset, self.geometry.page_bytes);
    }

    /// Empties the page table behind what a limit has in use, but for entries that share an OS page with that: returns
    /// the first entry behind these.
    pub(crate) fn clear_head_behind(&self, limit_bytes: u64) -> usize {
        let Geometry { page_table_at, pages_at, .. } = self.geometry;
        let end = self.geometry.head_bytes_at(limit_bytes).next_multiple_of(OS_PAGE_BYTES).min(pages_at);
        self.memory.release(end, pages_at - end);
        (end - page_table_at) / PAGE_ENTRY_BYTES
    }

    /// Opens the page table as far as a higher limit needs it; false when the system has no memory for that.
    pub(crate) fn open_head(&self, limit_bytes: u64) -> bool {
        !self.memory.has_file() || self.memory.open(0, self.geometry.head_bytes_at(limit_bytes)).is_ok()
    }

    /// Notes the clock: Unix time of the epoch, and the last second known to have been.
    pub(crate) fn tick(&self, now: &Now) {
        self.superblock.set(Word::Epoch, now.unix_epoch.cast_unsigned());
        self.superblock.set(Word::LastTick, u64::from(now.seconds.0));
    }

    /// Notes the count of flushes; of two threads that do, the higher one stays.
    pub(crate) fn note_flushes(&self, flushes: u64) {
        self.superblock.raise(Word::Flushes, flushes);
    }

    /// The count of flushes that another run left: a stripe may have seen one before the superblock heard of it.
    pub(crate) fn flushes_left(&self) -> u64 {
        let seen = self.records.iter().map(|record| record.flushes_seen.load(Ordering::Relaxed)).max();
        self.superblock.get(Word::Flushes).max(seen.unwrap_or(0))
    }

    /// Bytes used by superblock, stripe records and page table at this limit.
    pub(crate) fn head_bytes(&self, limit_bytes: u64) -> u64 {
        u64_of(self.geometry.head_bytes_at(limit_bytes))
    }
}

const _: () = assert!(EXTENT_BYTES.is_multiple_of(64), "extents are multiples of every granule");
const _: () = assert!(MEMORY_BYTES_MAX / GRANULES_MAX * RESERVE_FACTOR_LEAST <= 16 << 10, "extents can be named");

#[cfg(test)]
mod tests {
    use super::{Geometry, RESERVE_FACTOR};
    use crate::store::words::options::Options;

    fn geometry(limit_bytes: u64) -> Geometry {
        Geometry::new(&Options { limit_bytes, ..Options::default() }, RESERVE_FACTOR)
    }

    #[cfg(not(loom))]
    #[test]
    fn memory_is_not_given_back_while_somebody_looks() {
        use super::Looks;
        use crate::sync::{AtomicBool, Ordering, yield_now};

        let (looks, is_given) = (Looks::default(), AtomicBool::new(false));
        let look = looks.begin();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                looks.wait();
                is_given.store(true, Ordering::Relaxed);
            });
            for _ in 0..1000 {
                yield_now();
                assert!(!is_given.load(Ordering::Relaxed));
            }
            drop(look);
        });
        assert!(is_given.load(Ordering::Relaxed));
    }

    #[test]
    fn granules_grow_where_32_bits_end() {
        for (gib, granule) in
            [(1, 4), (7, 4), (8, 8), (15, 8), (16, 16), (31, 16), (32, 32), (64, 64), (1 << 15, 1 << 14)]
        {
            let geometry = geometry(gib << 30);
            assert_eq!(geometry.granule, granule, "{gib} GiB");
            assert!(geometry.index_at / geometry.granule <= 1 << 32);
        }
    }

    /// Room for a higher limit costs no bit of a reference: the granule is that of twice the limit.
    #[test]
    fn the_limit_may_rise_sixteen_times_or_as_far_as_references_reach() {
        for (megabytes, most) in [
            (1, 16),
            (8, 128),
            (64, 1024),
            (1024, 16 << 10),
            (1025, 16 << 10),
            (4096, 16 << 10),
            (7 << 10, 16 << 10),
            (8 << 10, 32 << 10),
            (64 << 10, 256 << 10),
            (32 << 20, 64 << 20),
        ] {
            let geometry = geometry(megabytes << 20);
            assert_eq!(geometry.limit_bytes_max, most << 20, "{megabytes} MB");
            let pages_bytes = u64::try_from(geometry.pages_max * geometry.page_bytes).expect("64 bits");
            assert!(pages_bytes >= (most << 20) / 1000 * 998, "{megabytes} MB: pages for {pages_bytes}");
            let least = Geometry::new(&Options { limit_bytes: megabytes << 20, ..Options::default() }, 2);
            assert_eq!(geometry.granule, least.granule, "{megabytes} MB");
        }
    }
}
