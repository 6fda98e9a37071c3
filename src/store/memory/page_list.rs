//! The pages of one class: which of them have chunks to give, and the chunks themselves. Guarded by the class's lock.

use super::classes::ClassId;
use super::page::{AVAILABLE, DRAINING, FULL, PageId, Pages};
use crate::store::bytes::layout::Ref;
use crate::sync::Ordering;

/// Pages looked at for the one that costs least.
const CANDIDATES: usize = 8;

/// The pages of a class, in the order that the hand follows.
#[derive(Debug, Default)]
pub(crate) struct PageList {
    /// First and last page of the class's list.
    first: Option<PageId>,
    last: Option<PageId>,
    /// First page with chunks to give.
    available: Option<PageId>,
    /// Pages of the class.
    pub(crate) pages: u32,
    /// Chunks nobody has: in free lists or not yet formatted, in pages that are not draining.
    pub(crate) free_chunks: u32,
    /// Chunks taken for new items, ever.
    pub(crate) taken: u64,
}

impl PageList {
    /// Takes a free chunk; nothing is evicted for it.
    pub(crate) fn take(&mut self, pages: &Pages) -> Option<Ref> {
        let page = self.available?;
        let entry = pages.entry(page);
        let class = entry.class().expect("a page in a class's list is of the class");
        let head = Ref(entry.free_head.load(Ordering::Relaxed));
        let reference = if head.is_some() {
            let next = pages.chunk(head).free_next();
            // It may not have been near for long: who takes it would wait for its own link.
            pages.prefetch_header(next);
            entry.free_head.store(next.0, Ordering::Relaxed);
            entry.free_count.fetch_sub(1, Ordering::Relaxed);
            head
        } else {
            let chunk = entry.formatted.load(Ordering::Relaxed);
            let reference = pages.reference(page, class, chunk);
            pages.chunk(reference).format();
            // Release: whoever sees the count sees the zeroed header.
            entry.formatted.store(chunk + 1, Ordering::Release);
            reference
        };
        self.free_chunks -= 1;
        self.taken += 1;
        if self.nothing_to_give(pages, page) {
            self.leave_available(pages, page, FULL);
        }
        Some(reference)
    }

    fn nothing_to_give(&self, pages: &Pages, page: PageId) -> bool {
        let entry = pages.entry(page);
        let class = entry.class().expect("a page in a class's list is of the class");
        let per_page = u32::try_from(pages.chunks_per_page(class)).expect("pages hold fewer than 2^32 chunks");
        entry.free_head.load(Ordering::Relaxed) == 0 && entry.formatted.load(Ordering::Relaxed) == per_page
    }

    /// Takes a chunk back whose key length is 0. A page that has no other chunk out leaves the class: it is the
    /// caller's, for the pool.
    #[must_use]
    pub(crate) fn give(&mut self, pages: &Pages, class: ClassId, reference: Ref) -> Option<PageId> {
        let page = pages.page_of(reference);
        let entry = pages.entry(page);
        let chunk = pages.chunk(reference);
        debug_assert_eq!(chunk.key_len(), 0, "only retired chunks are handed in");
        chunk.set_free_next(Ref(entry.free_head.load(Ordering::Relaxed)));
        entry.free_head.store(reference.0, Ordering::Relaxed);
        entry.free_count.fetch_add(1, Ordering::Relaxed);
        match entry.standing.load(Ordering::Relaxed) {
            DRAINING => return None,
            FULL => self.enter_available(pages, page),
            _ => {}
        }
        self.free_chunks += 1;
        if entry.free_count.load(Ordering::Relaxed) != entry.formatted.load(Ordering::Relaxed) {
            return None;
        }
        self.free_chunks -= self.free_in(pages, class, page);
        self.leave_available(pages, page, FULL);
        self.unlink(pages, page);
        Some(page)
    }

    /// Adds a page of no class to this one; its ring's entries count from a number on.
    pub(crate) fn add_page(&mut self, pages: &Pages, class: ClassId, page: PageId, ring_from: u64) {
        let entry = pages.entry(page);
        entry.formatted.store(0, Ordering::Relaxed);
        entry.free_head.store(0, Ordering::Relaxed);
        entry.free_count.store(0, Ordering::Relaxed);
        entry.ring_from.store(ring_from, Ordering::Relaxed);
        entry.begin_sweep();
        self.link_in_order(pages, page);
        entry.set_class(Some(class));
        pages.note_use(page);
        self.pages += 1;
        self.free_chunks += u32::try_from(pages.chunks_per_page(class)).expect("pages hold fewer than 2^32 chunks");
        self.enter_available(pages, page);
    }

    /// Adds a page that another run left with the class: its chunks, its free list and its earliest expiry stand.
    pub(crate) fn adopt(&mut self, pages: &Pages, class: ClassId, page: PageId) {
        let entry = pages.entry(page);
        entry.ring_from.store(0, Ordering::Relaxed);
        entry.standing.store(FULL, Ordering::Relaxed);
        self.link_in_order(pages, page);
        pages.note_use(page);
        self.pages += 1;
        self.free_chunks += self.free_in(pages, class, page);
        if !self.nothing_to_give(pages, page) {
            self.enter_available(pages, page);
        }
    }

    /// The class's pages form a ring that the hand follows; a new one goes behind the last.
    fn link_in_order(&mut self, pages: &Pages, page: PageId) {
        let entry = pages.entry(page);
        entry.previous.store(PageId::link(self.last), Ordering::Relaxed);
        entry.next.store(0, Ordering::Relaxed);
        match self.last {
            Some(last) => pages.entry(last).next.store(PageId::link(Some(page)), Ordering::Relaxed),
            None => self.first = Some(page),
        }
        self.last = Some(page);
    }

    /// The page behind this one in the class's ring of pages.
    pub(crate) fn page_after(&self, pages: &Pages, page: PageId) -> Option<PageId> {
        PageId::from_link(pages.entry(page).next.load(Ordering::Relaxed)).or(self.first)
    }

    /// The first page of the class.
    pub(crate) fn first_page(&self) -> Option<PageId> {
        self.first
    }

    /// Pages to empty, the one that costs least first: one with many free chunks, else the one the hand is about to
    /// reach, or one soon after it.
    pub(crate) fn pages_to_give(&self, pages: &Pages, class: ClassId, hand: Option<PageId>) -> Vec<PageId> {
        let free = |page: &PageId| self.free_in(pages, class, *page);
        let per_page = u32::try_from(pages.chunks_per_page(class)).expect("pages hold fewer than 2^32 chunks");
        let open = self.available_pages(pages).take(CANDIDATES).max_by_key(free);
        let open = open.filter(|page| free(page) * 4 >= per_page);
        let first = hand.map_or(self.first, |hand| self.page_after(pages, hand));
        let behind = std::iter::successors(first, |page| self.page_after(pages, *page));
        let candidates = CANDIDATES.min(usize::try_from(self.pages).expect("32 bits fit"));
        open.into_iter().chain(behind.take(candidates)).collect()
    }

    /// Pages with chunks to give, the one that came last first.
    fn available_pages(&self, pages: &Pages) -> impl Iterator<Item = PageId> {
        let next = |page: &PageId| PageId::from_link(pages.entry(*page).next_available.load(Ordering::Relaxed));
        std::iter::successors(self.available, next)
    }

    /// Begins to empty a page: it gives no chunks from now on.
    pub(crate) fn begin_drain(&mut self, pages: &Pages, class: ClassId, page: PageId) {
        let entry = pages.entry(page);
        self.free_chunks -= self.free_in(pages, class, page);
        if entry.standing.load(Ordering::Relaxed) == AVAILABLE {
            self.leave_available(pages, page, DRAINING);
        } else {
            entry.standing.store(DRAINING, Ordering::Relaxed);
        }
    }

    /// Gives up emptying a page: it serves on.
    pub(crate) fn abandon_drain(&mut self, pages: &Pages, class: ClassId, page: PageId) {
        pages.entry(page).standing.store(FULL, Ordering::Relaxed);
        self.free_chunks += self.free_in(pages, class, page);
        if !self.nothing_to_give(pages, page) {
            self.enter_available(pages, page);
        }
    }

    /// Takes an emptied page out of the class; false while a chunk of it is still out.
    pub(crate) fn finish_drain(&mut self, pages: &Pages, page: PageId) -> bool {
        let entry = pages.entry(page);
        if entry.free_count.load(Ordering::Relaxed) != entry.formatted.load(Ordering::Relaxed) {
            return false;
        }
        self.unlink(pages, page);
        true
    }

    /// Takes a page all of whose chunks are free, and which stands nowhere, out of the class.
    fn unlink(&mut self, pages: &Pages, page: PageId) {
        let entry = pages.entry(page);
        let previous = PageId::from_link(entry.previous.load(Ordering::Relaxed));
        let next = PageId::from_link(entry.next.load(Ordering::Relaxed));
        match previous {
            Some(previous) => pages.entry(previous).next.store(PageId::link(next), Ordering::Relaxed),
            None => self.first = next,
        }
        match next {
            Some(next) => pages.entry(next).previous.store(PageId::link(previous), Ordering::Relaxed),
            None => self.last = previous,
        }
        self.pages -= 1;
        entry.standing.store(FULL, Ordering::Relaxed);
        entry.set_class(None);
        entry.formatted.store(0, Ordering::Release);
    }

    /// Chunks of a page that nobody has.
    fn free_in(&self, pages: &Pages, class: ClassId, page: PageId) -> u32 {
        let entry = pages.entry(page);
        let per_page = u32::try_from(pages.chunks_per_page(class)).expect("pages hold fewer than 2^32 chunks");
        per_page - entry.formatted.load(Ordering::Relaxed) + entry.free_count.load(Ordering::Relaxed)
    }

    fn enter_available(&mut self, pages: &Pages, page: PageId) {
        let entry = pages.entry(page);
        entry.standing.store(AVAILABLE, Ordering::Relaxed);
        entry.previous_available.store(0, Ordering::Relaxed);
        entry.next_available.store(PageId::link(self.available), Ordering::Relaxed);
        if let Some(next) = self.available {
            pages.entry(next).previous_available.store(PageId::link(Some(page)), Ordering::Relaxed);
        }
        self.available = Some(page);
    }

    fn leave_available(&mut self, pages: &Pages, page: PageId, standing: u32) {
        let entry = pages.entry(page);
        let previous = PageId::from_link(entry.previous_available.load(Ordering::Relaxed));
        let next = PageId::from_link(entry.next_available.load(Ordering::Relaxed));
        match previous {
            Some(previous) => pages.entry(previous).next_available.store(PageId::link(next), Ordering::Relaxed),
            None => self.available = next,
        }
        if let Some(next) = next {
            pages.entry(next).previous_available.store(PageId::link(previous), Ordering::Relaxed);
        }
        entry.standing.store(standing, Ordering::Relaxed);
    }
}
