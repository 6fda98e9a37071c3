//! The page pool and the budget: who may open how much, so that `-m` is the truth at every moment.

use super::page::PageId;
use crate::store::arena::Arena;
use crate::sync::{Mutex, MutexGuard, Rank};
use crate::sys::memory::OS_PAGE_BYTES;

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
}

/// Who asks for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A class that could evict instead: leaves what is kept back.
    Growing,
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
            committed_bytes: head_bytes,
            free: Vec::new(),
            released: Vec::new(),
            fresh: 0,
            keep: keep.min(limit_bytes / page_bytes / 8),
        };
        Self { state: Mutex::new(Rank::Pool, state), page_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock()
    }

    /// A page with memory and without a class.
    pub(crate) fn take(&self, arena: &Arena, asker: Asker) -> Option<PageId> {
        let mut state = self.lock();
        if asker == Asker::Growing && state.available(self.page_bytes) <= state.keep {
            return None;
        }
        if state.committed_bytes <= state.limit_bytes
            && let Some(page) = state.free.pop()
        {
            return Some(page);
        }
        if state.committed_bytes + self.page_bytes > state.limit_bytes {
            return None;
        }
        let page = state.unopened(arena)?;
        if !open_page(arena, page) {
            state.released.push(page);
            return None;
        }
        state.committed_bytes += self.page_bytes;
        Some(page)
    }

    /// Gives a page without a class back. Over the limit, its memory goes back to the system, which takes so long (some
    /// 50 microseconds for 256 KiB) that nobody has to wait for the lock meanwhile.
    pub(crate) fn give(&self, arena: &Arena, page: PageId) {
        {
            let mut state = self.lock();
            if state.committed_bytes <= state.limit_bytes {
                state.free.push(page);
                return;
            }
        }
        arena.memory.release(page_offset(arena, page), arena.geometry.page_bytes);
        let mut state = self.lock();
        state.released.push(page);
        state.committed_bytes -= self.page_bytes;
    }

    /// Gives the memory of a free page back to the system; false when there is none.
    fn release_one(&self, arena: &Arena, state: &mut PoolState) -> bool {
        let Some(page) = state.free.pop() else { return false };
        arena.memory.release(page_offset(arena, page), arena.geometry.page_bytes);
        state.released.push(page);
        state.committed_bytes -= self.page_bytes;
        true
    }

    /// Sets a new limit; free pages above it go at once.
    pub(crate) fn set_limit(&self, arena: &Arena, limit_bytes: u64) {
        let mut state = self.lock();
        state.limit_bytes = limit_bytes;
        while state.committed_bytes > state.limit_bytes && self.release_one(arena, &mut state) {}
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
        let mut state = self.lock();
        while state.committed_bytes + wanted > state.limit_bytes {
            if !self.release_one(arena, &mut state) {
                return false;
            }
        }
        if arena.memory.open(offset, bytes).is_err() {
            return false;
        }
        state.committed_bytes += wanted;
        true
    }

    /// Gives back memory that `open` opened, which is zero and behind which nothing is open to the end of its OS page.
    pub(crate) fn close(&self, arena: &Arena, offset: usize, bytes: usize) {
        arena.memory.release(offset, (offset + bytes).next_multiple_of(OS_PAGE_BYTES) - offset);
        self.lock().committed_bytes -= u64::try_from(bytes).expect("64 bits hold a usize");
    }

    /// How many pages are missing from what is to be kept back.
    pub(crate) fn missing(&self) -> u64 {
        let state = self.lock();
        let over = state.committed_bytes.saturating_sub(state.limit_bytes).div_ceil(self.page_bytes);
        over + state.keep.saturating_sub(state.available(self.page_bytes))
    }

    /// Pages with memory and without a class.
    pub(crate) fn free_pages(&self) -> usize {
        self.lock().free.len()
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
        let unopened = self.limit_bytes.saturating_sub(self.committed_bytes) / page_bytes;
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
