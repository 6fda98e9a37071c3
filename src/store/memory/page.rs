//! Pages: what the page table knows of each, and the way from a [`Ref`] to its chunk.

#![expect(unsafe_code, reason = "pointers from references by arithmetic on the arena's base")]

use std::sync::Arc;

use super::arena::{Arena, Geometry, Look, Looks};
use super::classes::{ClassId, ClassTable};
use crate::store::bytes::item::Chunk;
use crate::store::bytes::layout::Ref;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, crash, fence};
use crate::sys::memory::{Reservation, Table, ZeroedAtomics};
use crate::sys::prefetch;
use crate::time::Seconds;

/// A page by its place in the page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PageId(pub(crate) u32);

impl PageId {
    /// As an index into the page table.
    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).expect("32 bits fit")
    }

    /// Links in the page table are page numbers plus one, 0 for none.
    pub(crate) fn link(page: Option<Self>) -> u32 {
        page.map_or(0, |page| page.0 + 1)
    }

    pub(crate) fn from_link(link: u32) -> Option<Self> {
        link.checked_sub(1).map(Self)
    }
}

/// Bytes of item pages that are taken to fit the caches of one core. From 10,000 items of 144 bytes on, looking ahead
/// saved an eighth of the CPU time of pipelined requests, with 40,000 half of it; with 5,000 nothing.
const IN_CACHES_BYTES: usize = 1 << 20;

/// Cache lines of a chunk that are asked for ahead: an item of 150 bytes reaches into the third.
const LINES_AHEAD: usize = 3;

/// An earliest expiry that says: nothing in this page expires.
pub(crate) const NEVER: u32 = u32::MAX;

/// The page stands nowhere: it has no chunk to give.
pub(crate) const FULL: u32 = 0;
/// The page is in the list of those with chunks to give.
pub(crate) const AVAILABLE: u32 = 1;
/// The page gives no chunks: it is being emptied.
pub(crate) const DRAINING: u32 = 2;

/// What is known of a page. All zero: free, never used.
///
/// `class` and `formatted` are stored with Release and read by anyone with Acquire; `earliest_expiry` is a
/// lower bound anyone may lower; the rest is guarded by the class's lock.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct PageEntry {
    /// Class number plus one; 0: of no class.
    class: AtomicU32,
    /// Chunks whose headers are valid: nobody looks further.
    pub(crate) formatted: AtomicU32,
    /// First chunk of the free list, as a reference.
    pub(crate) free_head: AtomicU32,
    /// Chunks in the free list.
    pub(crate) free_count: AtomicU32,
    /// No item of the page expires before this second.
    earliest_expiry: AtomicU32,
    /// The class's pages in a list, page order.
    pub(crate) next: AtomicU32,
    pub(crate) previous: AtomicU32,
    /// The class's pages with chunks to give, in a list.
    pub(crate) next_available: AtomicU32,
    pub(crate) previous_available: AtomicU32,
    /// [`FULL`], [`AVAILABLE`] or [`DRAINING`].
    pub(crate) standing: AtomicU32,
    /// Entries of the class's ring before this one were pushed for chunks of an earlier stay of the page. Counts
    /// from the ring's making: another run begins at 0.
    pub(crate) ring_from: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<PageEntry>() == crate::store::bytes::layout::PAGE_ENTRY_BYTES);

// SAFETY: an atomic integer; zero is a value.
unsafe impl ZeroedAtomics for AtomicU32 {}
// SAFETY: an atomic integer; zero is a value.
unsafe impl ZeroedAtomics for AtomicU64 {}
// SAFETY: all fields are atomics; all-zero is a free page.
unsafe impl ZeroedAtomics for PageEntry {}
// SAFETY: all fields are 32-bit atomics; all-zero is a stripe without items.
unsafe impl ZeroedAtomics for super::arena::StripeRecord {}

impl PageEntry {
    /// The page's class.
    #[inline(always)]
    pub(crate) fn class(&self) -> Option<ClassId> {
        // Acquire: pairs with `set_class`: formatted is valid for the class that is seen.
        self.class.load(Ordering::Acquire).checked_sub(1).and_then(|class| u8::try_from(class).ok()).map(ClassId)
    }

    /// Gives the page to a class, or to none; last of all its fields.
    pub(crate) fn set_class(&self, class: Option<ClassId>) {
        crash::point();
        self.class.store(class.map_or(0, |class| u32::from(class.0) + 1), Ordering::Release);
        crash::point();
    }

    /// Whether the page is being emptied. Written under its class's lock.
    pub(crate) fn is_draining(&self) -> bool {
        // Relaxed: who must know holds the class's lock.
        self.standing.load(Ordering::Relaxed) == DRAINING
    }

    /// No item of the page expires before this second.
    pub(crate) fn earliest_expiry(&self) -> u32 {
        // Relaxed: a bound; what must not be lost is ordered by the fences below.
        self.earliest_expiry.load(Ordering::Relaxed)
    }

    /// Begins a sweep: from now on only what commits and the sweep itself find counts.
    ///
    /// The fence pairs with the one in `note_expiry`: either the sweep's scan sees the committed item, or the
    /// commit sees this store and lowers the bound again.
    pub(crate) fn begin_sweep(&self) {
        self.earliest_expiry.store(NEVER, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Notes the expiry of an item that was just published in this page: a plain load first, since most
    /// are later than what is known.
    #[inline]
    pub(crate) fn note_expiry(&self, deadline: Seconds) {
        fence(Ordering::SeqCst);
        if self.earliest_expiry.load(Ordering::Relaxed) > deadline.0 {
            self.earliest_expiry.fetch_min(deadline.0, Ordering::Relaxed);
        }
    }

    /// Ends the stay of a page of which nothing is to be kept, for who is alone with it.
    pub(crate) fn forget(&self) {
        self.set_class(None);
        self.formatted.store(0, Ordering::Release);
    }

    /// Links a chunk that holds nothing into the free list, for who is alone with the page.
    pub(crate) fn link_free(&self, chunk: Chunk<'_>, reference: Ref) {
        chunk.set_free_next(Ref(self.free_head.load(Ordering::Relaxed)));
        self.free_head.store(reference.0, Ordering::Relaxed);
        self.free_count.store(self.free_count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Notes the earliest deadline a sweep's scan left behind.
    pub(crate) fn lower_expiry(&self, deadline: u32) {
        self.earliest_expiry.fetch_min(deadline, Ordering::Relaxed);
    }
}

/// All pages: the table and the memory behind it.
#[derive(Debug)]
pub(crate) struct Pages {
    memory: Arc<Reservation>,
    looks: Arc<Looks>,
    table: Table<PageEntry>,
    pub(crate) classes: ClassTable,
    first_at: usize,
    pub(crate) page_bytes: usize,
    page_shift: u32,
    granule_shift: u32,
    /// See [`Self::reach_beyond_caches`].
    beyond_caches: AtomicBool,
}

impl Pages {
    /// The pages of an arena.
    pub(crate) fn new(arena: &Arena, page_table_at: usize, classes: ClassTable) -> Self {
        let Geometry { page_bytes, granule, pages_at, pages_max, .. } = arena.geometry;
        Self {
            memory: Arc::clone(&arena.memory),
            looks: Arc::clone(&arena.looks),
            table: Table::new(&arena.memory, page_table_at, pages_max),
            classes,
            first_at: pages_at,
            page_bytes,
            page_shift: page_bytes.trailing_zeros(),
            granule_shift: granule.trailing_zeros(),
            beyond_caches: AtomicBool::new(false),
        }
    }

    /// What is known of a page.
    #[inline]
    pub(crate) fn entry(&self, page: PageId) -> &PageEntry {
        &self.table[page.index()]
    }

    /// How many pages the table has.
    pub(crate) fn count(&self) -> usize {
        self.table.len()
    }

    /// Whether a page was given to a class that lies behind what one core's caches hold: pages are used from the first
    /// one on. A hint.
    #[inline(always)]
    pub(crate) fn reach_beyond_caches(&self) -> bool {
        self.beyond_caches.load(Ordering::Relaxed)
    }

    /// Notes that a page has a class.
    pub(crate) fn note_use(&self, page: PageId) {
        if page.index() * self.page_bytes >= IN_CACHES_BYTES {
            self.beyond_caches.store(true, Ordering::Relaxed);
        }
    }

    /// Offset of a page in the arena in bytes.
    pub(crate) fn offset_of(&self, page: PageId) -> usize {
        self.first_at + page.index() * self.page_bytes
    }

    /// The page a chunk lies in.
    #[inline]
    pub(crate) fn page_of(&self, reference: Ref) -> PageId {
        let page = (self.offset(reference) - self.first_at) >> self.page_shift;
        PageId(u32::try_from(page).expect("the table has fewer than 2^32 pages"))
    }

    /// The class of the page a chunk lies in.
    #[inline(always)]
    pub(crate) fn class_of(&self, reference: Ref) -> Option<ClassId> {
        self.table[(self.offset(reference) - self.first_at) >> self.page_shift].class()
    }

    #[inline]
    fn offset(&self, reference: Ref) -> usize {
        usize::try_from(reference.0).expect("32 bits fit") << self.granule_shift
    }

    /// The name of the chunk that is number `chunk` in a page of the class.
    pub(crate) fn reference(&self, page: PageId, class: ClassId, chunk: u32) -> Ref {
        let chunk = usize::try_from(chunk).expect("32 bits fit");
        let offset = self.offset_of(page) + chunk * self.classes.chunk_bytes(class);
        debug_assert!(chunk < self.chunks_per_page(class));
        Ref(u32::try_from(offset >> self.granule_shift).expect("the granule was chosen for this"))
    }

    /// How many chunks of the class a page holds.
    pub(crate) fn chunks_per_page(&self, class: ClassId) -> usize {
        self.page_bytes / self.classes.chunk_bytes(class)
    }

    /// How many chunks of the class so many pages hold.
    pub(crate) fn chunks_of(&self, class: ClassId, pages: u32) -> u64 {
        u64::from(pages) * u64::try_from(self.chunks_per_page(class)).expect("64 bits hold a usize")
    }

    /// Whether a reference read as a hint names a formatted chunk of this class.
    pub(crate) fn is_chunk_of(&self, reference: Ref, class: ClassId) -> bool {
        let page = self.page_of(reference);
        let entry = self.entry(page);
        if entry.class() != Some(class) {
            return false;
        }
        let within = self.offset(reference) - self.offset_of(page);
        let size = self.classes.chunk_bytes(class);
        within.is_multiple_of(size)
            && within / size < usize::try_from(entry.formatted.load(Ordering::Acquire)).expect("32 bits fit")
    }

    /// The page's free list; for the audit.
    pub(crate) fn free_list(&self, page: PageId) -> impl Iterator<Item = Ref> {
        let some = |reference: Ref| reference.is_some().then_some(reference);
        let head = some(Ref(self.entry(page).free_head.load(Ordering::Relaxed)));
        std::iter::successors(head, move |&reference| some(self.chunk(reference).free_next()))
    }

    /// Whether a reference that another run left names a chunk of a page of some class, as far as that was formatted;
    /// how many bytes it has.
    pub(crate) fn room_of(&self, reference: Ref) -> Option<usize> {
        let page = self.offset(reference).checked_sub(self.first_at)? >> self.page_shift;
        let class = self.table.get(page)?.class().filter(|class| class.index() < self.classes.count())?;
        self.is_chunk_of(reference, class).then(|| self.classes.chunk_bytes(class))
    }

    /// The chunk that a part names as its head, if it lies in a page of the class: it may have become another's. It has
    /// memory as long as the look lasts.
    pub(crate) fn head_hint(&self, head: Ref, class: ClassId) -> Option<(Look<'_>, Chunk<'_>)> {
        let look = self.looks.begin();
        let is_there = self.class_of(head) == Some(class);
        is_there.then(|| (look, self.chunk_of_bytes(head, self.classes.chunk_bytes(class))))
    }

    /// Prefetches the beginning of a chunk: header, key and a short value. The reference may be out of date.
    #[inline]
    pub(crate) fn prefetch(&self, reference: Ref) {
        let start = self.memory.base().as_ptr().wrapping_add(self.offset(reference));
        for line in 0..LINES_AHEAD {
            prefetch::line(start.wrapping_add(line * prefetch::LINE_BYTES));
        }
    }

    /// Prefetches a chunk's header.
    #[inline]
    pub(crate) fn prefetch_header(&self, reference: Ref) {
        prefetch::line(self.memory.base().as_ptr().wrapping_add(self.offset(reference)));
    }

    /// The chunk with this name.
    #[inline(always)]
    pub(crate) fn chunk(&self, reference: Ref) -> Chunk<'_> {
        #[cfg(debug_assertions)]
        let bytes = self.class_of(reference).map_or(0, |class| self.classes.chunk_bytes(class));
        #[cfg(not(debug_assertions))]
        let bytes = crate::store::bytes::layout::CHUNK_BYTES_MIN;
        self.chunk_of_bytes(reference, bytes)
    }

    #[inline(always)]
    fn chunk_of_bytes(&self, reference: Ref, bytes: usize) -> Chunk<'_> {
        let offset = self.offset(reference);
        // SAFETY: references are made by `reference` from pages of the table, whose memory lies in the
        // reservation and was opened before the page got its class.
        let start = unsafe { self.memory.base().add(offset) };
        // SAFETY: as above; granules are multiples of 4, and no chunk is smaller than 16 bytes.
        unsafe { Chunk::new(start, bytes) }
    }
}
