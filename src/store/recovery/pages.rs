//! Going over the chunks of all pages: what is an item is checked and gets its place in the index, all else is free.

use std::collections::VecDeque;

use crate::store::bytes::item::{Chunk, Guard, StripeGuard};
use crate::store::bytes::layout::Ref;
use crate::store::bytes::left::Left;
use crate::store::evict::RingContext;
use crate::store::index::TakenIn;
use crate::store::local::Local;
use crate::store::memory::classes::ClassId;
use crate::store::memory::page::PageId;
use crate::store::memory::superblock::Word;
use crate::store::shared::Store;
use crate::store::words::outcome::Key;
use crate::store::words::restart::Recovered;
use crate::sync::{AtomicBool, AtomicUsize, Ordering};
use crate::time::{Expiry, Seconds};

/// Items between the look at their bytes and their entry into the index: their buckets come near meanwhile.
const AHEAD: usize = 24;

/// The recovery of what another run left: pages to go over, and the time.
#[derive(Debug)]
pub struct Recovery {
    next: AtomicUsize,
    /// Pages from here on have no class.
    pub(super) end: usize,
    /// The last second known to have been served, and the present one.
    stopped: Seconds,
    now: Seconds,
}

/// What one thread has found.
#[derive(Debug, Default)]
pub struct Share {
    /// Items on their way into the index.
    pending: VecDeque<(u64, Ref)>,
    /// Large items' heads and hashes.
    pub(super) heads: Vec<(u64, Ref)>,
    /// Pages with parts of large items.
    pub(super) with_parts: Vec<PageId>,
    /// Chunks of items that are not kept after all.
    pub(super) lost: Vec<Ref>,
    /// Items of the small queue in the page at hand.
    small: Vec<Ref>,
    pub(super) found: Recovered,
}

/// A witness that nobody else is at work in the store.
#[derive(Debug)]
pub(super) struct Alone;

impl Guard for Alone {}
impl StripeGuard for Alone {}

/// A page as its entry says, as far as that can be.
#[derive(Clone, Copy, Debug)]
struct LeftPage {
    class: ClassId,
    formatted: u32,
    room: usize,
}

impl Store {
    /// Makes ready to go over the pages.
    pub(super) fn prepare_recovery(&self, stopped: Seconds, now: Seconds) -> Recovery {
        self.pool.begin_recovery();
        let most = self.arena.geometry.limit_bytes_max;
        let peak = self.arena.superblock.get(Word::LimitPeak).clamp(self.options.limit_bytes.min(most), most);
        let known = usize::try_from(peak).unwrap_or(usize::MAX) / self.pages.page_bytes;
        let (mut end, mut items) = (0, 0);
        for page in (0..known.min(self.pages.count())).map(page_id) {
            if let Some(LeftPage { formatted, .. }) = self.left_page(page) {
                let free = self.pages.entry(page).free_count.load(Ordering::Relaxed).min(formatted);
                end = page.index() + 1;
                items += u64::from(formatted - free);
            } else {
                self.pages.entry(page).forget();
            }
        }
        // No run has used an entry behind them, so whatever says otherwise lies.
        for page in (known..self.arena.clear_head_behind(peak).min(self.pages.count())).map(page_id) {
            self.pages.entry(page).forget();
        }
        self.index.prepare(&self.pool, items);
        Recovery { next: AtomicUsize::new(0), end, stopped, now }
    }

    /// Goes over pages that no other thread has taken, until there are none, or `stop` says so.
    pub fn recover_pages(&self, recovery: &Recovery, local: &mut Local, stop: &AtomicBool) -> Share {
        let mut share = Share::default();
        while !stop.load(Ordering::Relaxed) {
            let page = recovery.next.fetch_add(1, Ordering::Relaxed);
            if page >= recovery.end {
                break;
            }
            self.recover_page(recovery, local, &mut share, page_id(page));
        }
        while let Some((hash, reference)) = share.pending.pop_front() {
            self.take_in(local, &mut share, hash, reference);
        }
        share
    }

    /// What a page's entry says, if it may be so.
    fn left_page(&self, page: PageId) -> Option<LeftPage> {
        let entry = self.pages.entry(page);
        let class = entry.class().filter(|class| class.index() < self.pages.classes.count())?;
        let formatted = entry.formatted.load(Ordering::Acquire);
        let fits = usize::try_from(formatted).is_ok_and(|formatted| formatted <= self.pages.chunks_per_page(class));
        fits.then(|| LeftPage { class, formatted, room: self.pages.classes.chunk_bytes(class) })
    }

    fn recover_page(&self, recovery: &Recovery, local: &mut Local, share: &mut Share, page: PageId) {
        let entry = self.pages.entry(page);
        // A hole in the file that an entry leads to is no memory yet, and there may be none.
        let is_there = |_: &LeftPage| self.arena.memory.open(self.pages.offset_of(page), self.pages.page_bytes).is_ok();
        let Some(left) = self.left_page(page).filter(is_there) else {
            entry.forget();
            return;
        };
        entry.free_head.store(0, Ordering::Relaxed);
        entry.free_count.store(0, Ordering::Relaxed);
        entry.begin_sweep();
        let (mut earliest, mut has_parts) = (u32::MAX, false);
        for number in 0..left.formatted {
            let reference = self.pages.reference(page, left.class, number);
            let chunk = self.pages.chunk(reference);
            chunk.leave_ring();
            match self.look_at(recovery, share, chunk, left.room) {
                Left::Item => self.recover_item(recovery, local, share, reference, &mut earliest),
                Left::Part => {
                    has_parts = true;
                    chunk.forget_reached();
                }
                Left::Nothing | Left::HalfWritten | Left::Broken => {
                    chunk.retire();
                    entry.link_free(chunk, reference);
                }
            }
        }
        entry.lower_expiry(earliest);
        if has_parts {
            share.with_parts.push(page);
        }
        self.queue_small(share, left.class);
    }

    /// What is in a chunk; what is dead is nothing.
    #[inline]
    fn look_at(&self, recovery: &Recovery, share: &mut Share, chunk: Chunk<'_>, room: usize) -> Left {
        let left = chunk.left(room);
        let found = &mut share.found;
        match left {
            Left::Nothing | Left::Part => return left,
            Left::HalfWritten => found.half_written += 1,
            Left::Broken => found.broken += 1,
            Left::Item if chunk.expiry().has_passed(recovery.now) => found.expired += 1,
            Left::Item if self.index.any_flushed() && self.is_flushed_item(chunk) => found.flushed += 1,
            Left::Item => return Left::Item,
        }
        Left::Nothing
    }

    fn is_flushed_item(&self, chunk: Chunk<'_>) -> bool {
        self.index.is_flushed(self.index.hash(chunk.key(&Alone)), chunk.cas())
    }

    #[inline]
    fn recover_item(
        &self,
        recovery: &Recovery,
        local: &mut Local,
        share: &mut Share,
        reference: Ref,
        earliest: &mut u32,
    ) {
        let chunk = self.pages.chunk(reference);
        chunk.pass_outage(recovery.stopped, recovery.now);
        if let Expiry::At(Seconds(deadline)) = chunk.expiry() {
            *earliest = deadline.min(*earliest);
        }
        let hash = self.index.hash(chunk.key(&Alone));
        if chunk.is_large() {
            chunk.forget_readers();
            share.heads.push((hash, reference));
        }
        if !chunk.is_main() {
            share.small.push(reference);
        }
        self.index.prefetch(hash);
        share.pending.push_back((hash, reference));
        if share.pending.len() > AHEAD
            && let Some((hash, reference)) = share.pending.pop_front()
        {
            self.take_in(local, share, hash, reference);
        }
    }

    /// Gives an item its place in the index, unless there is a later one with its key.
    #[inline]
    fn take_in(&self, local: &Local, share: &mut Share, hash: u64, reference: Ref) {
        let chunk = self.pages.chunk(reference);
        let key = Key { bytes: chunk.key(&Alone), hash };
        let lost = match self.index.take_in(&self.pages, &self.pool, key, reference) {
            TakenIn::New => {
                share.found.kept += 1;
                self.count_stored(local, reference);
                return;
            }
            TakenIn::Instead(old) => {
                self.count_stored(local, reference);
                self.count_gone(local, old, self.pages.chunk(old));
                share.found.superseded += 1;
                old
            }
            TakenIn::Superseded => {
                share.found.superseded += 1;
                reference
            }
            TakenIn::NoRoom => {
                share.found.no_room += 1;
                reference
            }
        };
        self.pages.chunk(lost).retire();
        share.lost.push(lost);
    }

    /// Puts a page's items that are not main into the small queue.
    fn queue_small(&self, share: &mut Share, class: ClassId) {
        let context = RingContext { arena: &self.arena, pool: &self.pool, pages: &self.pages, blocks: &self.blocks };
        let mut state = self.classes[class.index()].lock();
        for reference in share.small.drain(..) {
            state.take_in_small(&context, reference);
        }
    }
}

pub(super) fn page_id(page: usize) -> PageId {
    PageId(u32::try_from(page).expect("the table has fewer than 2^32 pages"))
}
