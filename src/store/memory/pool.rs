//! The page pool and the budget: who may open how much, so that `-m` is the truth at every moment.

use super::arena::Arena;
use super::page::PageId;
use crate::sync::{Mutex, MutexGuard, Rank};
use crate::sys::memory::OS_PAGE_BYTES;

/// Pages of those kept back that only a class without any chunk gets.
const LAST_PAGES: u64 = 2;

/// Pages of no class, and what is still to be had of `-m`.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<PoolState>,
    page_bytes: u64,
}

/// Guarded by the pool's lock.
#[derive(Debug)]
pub(crate) struct PoolState {
    /// `-m` in bytes.
    limit_bytes: u64,
    /// The highest it ever was: the page table is in use so far.
    limit_bytes_peak: u64,
    /// Head, item pages, index, rings and ghost: never above the limit.
    committed_bytes: u64,
    /// Pages with memory and without a class.
    free: Vec<PageId>,
    /// Pages without memory that were used before.
    released: Vec<PageId>,
    /// First page never used.
    fresh: u32,
    /// Pages kept back for classes and tables that have nothing else.
    keep: u64,
    /// The system had no memory for a page beside so many committed bytes, and is not asked again until `ask_again`.
    refused_at: Option<u64>,
}

/// Who asks for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A class that could evict instead: leaves what is kept back.
    Growing,
    /// One that would evict what is warmer than other classes' memory: leaves the last pages.
    Hungry,
    /// One with nothing to evict.
    Destitute,
}

impl Pool {
    /// The pool of an arena of which `head_bytes` are in use already.
    pub(crate) fn new(arena: &Arena, limit_bytes: u64, head_bytes: u64) -> Self {
        let page_bytes = u64::try_from(arena.geometry.page_bytes).expect("64 bits hold a usize");
        let keep = (limit_bytes / 200 / page_bytes).max(2);
        let state = PoolState {
            limit_bytes,
            limit_bytes_peak: limit_bytes,
            committed_bytes: head_bytes,
            free: Vec::new(),
            released: Vec::new(),
            fresh: 0,
            keep: keep.min(limit_bytes / page_bytes / 8),
            refused_at: None,
        };
        Self { state: Mutex::new(Rank::Pool, state), page_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock()
    }

    /// A page with memory and without a class.
    pub(crate) fn take(&self, arena: &Arena, asker: Asker) -> Option<PageId> {
        let mut state = self.lock();
        let kept = match asker {
            Asker::Growing => state.keep,
            Asker::Hungry => state.keep.min(LAST_PAGES),
            Asker::Destitute => 0,
        };
        if state.available(self.page_bytes) <= kept {
            return None;
        }
        if state.committed_bytes <= state.limit_bytes
            && let Some(page) = state.free.pop()
        {
            return Some(page);
        }
        if state.committed_bytes + self.page_bytes > state.limit_bytes || state.refused_at.is_some() {
            return None;
        }
        let page = state.unopened(arena)?;
        state.committed_bytes += self.page_bytes;
        drop(state);
        if open_page(arena, page) {
            return Some(page);
        }
        let mut state = self.lock();
        state.released.push(page);
        state.committed_bytes -= self.page_bytes;
        state.refused_at = Some(state.committed_bytes);
        None
    }

    /// Whether the system has refused memory since the last call, for which it is asked again from now on: the bytes
    /// that there are.
    pub(crate) fn ask_again(&self) -> Option<u64> {
        self.lock().refused_at.take()
    }

    /// Gives a page without a class back. Memory above the limit stays until [`Self::trim`].
    pub(crate) fn give(&self, page: PageId) {
        self.lock().free.push(page);
    }

    /// Gives the memory of a free page above the limit back to the system; false when there is none. That takes so long
    /// (some 50 microseconds for 256 KiB) that nobody has to wait for the lock meanwhile.
    pub(crate) fn trim(&self, arena: &Arena) -> bool {
        let mut state = self.lock();
        if state.committed_bytes <= state.limit_bytes {
            return false;
        }
        let Some(page) = state.free.pop() else { return false };
        drop(state);
        self.release(arena, page);
        true
    }

    /// Gives the memory of a page that is in nobody's hands but the caller's back to the system.
    fn release(&self, arena: &Arena, page: PageId) {
        arena.release_page(page_offset(arena, page));
        let mut state = self.lock();
        state.released.push(page);
        state.committed_bytes -= self.page_bytes;
    }

    /// Sets a new limit; free pages above it are for [`Self::trim`].
    pub(crate) fn set_limit(&self, arena: &Arena, limit_bytes: u64) {
        let mut state = self.lock();
        state.limit_bytes = limit_bytes;
        if limit_bytes > state.limit_bytes_peak {
            state.committed_bytes += arena.head_bytes(limit_bytes) - arena.head_bytes(state.limit_bytes_peak);
            state.limit_bytes_peak = limit_bytes;
        }
    }

    /// Lets memory that is in use already be counted, whatever the limit is.
    pub(crate) fn begin_recovery(&self) {
        self.lock().limit_bytes = u64::MAX / 2;
    }

    /// Counts the pages that have a class, up to the last there is; those between them have no memory.
    pub(crate) fn end_recovery(&self, limit_bytes: u64, pages: u64, end: PageId, released: Vec<PageId>) {
        let mut state = self.lock();
        state.committed_bytes += pages * self.page_bytes;
        state.fresh = end.0;
        state.released = released;
        state.limit_bytes = limit_bytes;
    }

    /// Whether a lowered limit has not been reached yet.
    pub(crate) fn is_shrinking(&self) -> bool {
        let state = self.lock();
        state.committed_bytes > state.limit_bytes
    }

    /// Pages that were ever used: those from here on are fresh.
    pub(crate) fn pages_used(&self) -> usize {
        usize::try_from(self.lock().fresh).expect("32 bits fit")
    }

    /// Pages that could be given out now.
    pub(crate) fn available(&self) -> u64 {
        self.lock().available(self.page_bytes)
    }

    /// Whether a class that grows would get a page.
    pub(crate) fn has_more(&self) -> bool {
        let state = self.lock();
        state.available(self.page_bytes) > state.keep
    }

    /// Opens memory that is not an item page: index rows, rings, ghost. Takes the memory of free pages if the
    /// budget asks for it; false when that is not enough.
    pub(crate) fn open(&self, arena: &Arena, offset: usize, bytes: usize) -> bool {
        let wanted = u64::try_from(bytes).expect("64 bits hold a usize");
        loop {
            let mut state = self.lock();
            if state.committed_bytes + wanted <= state.limit_bytes {
                state.committed_bytes += wanted;
                break;
            }
            let Some(page) = state.free.pop() else { return false };
            drop(state);
            self.release(arena, page);
        }
        let is_open = arena.memory.open(offset, bytes).is_ok();
        if !is_open {
            self.lock().committed_bytes -= wanted;
        }
        is_open
    }

    /// Gives back memory that `open` opened, which is zero and behind which nothing is open to the end of its OS page.
    pub(crate) fn close(&self, arena: &Arena, offset: usize, bytes: usize) {
        arena.memory.release(offset, (offset + bytes).next_multiple_of(OS_PAGE_BYTES) - offset);
        self.lock().committed_bytes -= u64::try_from(bytes).expect("64 bits hold a usize");
    }

    /// How many pages are missing from what is to be kept back, and from what a lowered limit asks for.
    pub(crate) fn missing(&self) -> u64 {
        let state = self.lock();
        let over = state.committed_bytes.saturating_sub(state.limit_bytes).div_ceil(self.page_bytes);
        (over + state.keep).saturating_sub(state.available(self.page_bytes))
    }

    /// Pages with memory and without a class.
    pub(crate) fn free_pages(&self) -> usize {
        self.lock().free.len()
    }

    /// Bytes of superblock, stripe records and page table in use.
    pub(crate) fn head_bytes(&self, arena: &Arena) -> u64 {
        arena.head_bytes(self.lock().limit_bytes_peak)
    }

    /// Committed bytes and their limit.
    pub(crate) fn budget(&self) -> (u64, u64) {
        let state = self.lock();
        (state.committed_bytes, state.limit_bytes)
    }
}

impl PoolState {
    /// Pages that could be given out now.
    fn available(&self, page_bytes: u64) -> u64 {
        let most = self.refused_at.map_or(self.limit_bytes, |bytes| bytes.min(self.limit_bytes));
        let unopened = most.saturating_sub(self.committed_bytes) / page_bytes;
        unopened + u64::try_from(self.free.len()).expect("64 bits hold a usize")
    }

    fn unopened(&mut self, arena: &Arena) -> Option<PageId> {
        if let Some(page) = self.released.pop() {
            return Some(page);
        }
        let page = PageId(self.fresh);
        if page.index() >= arena.geometry.pages_max {
            return None;
        }
        self.fresh += 1;
        Some(page)
    }
}

fn page_offset(arena: &Arena, page: PageId) -> usize {
    arena.geometry.pages_at + page.index() * arena.geometry.page_bytes
}

fn open_page(arena: &Arena, page: PageId) -> bool {
    arena.memory.open(page_offset(arena, page), arena.geometry.page_bytes).is_ok()
}
