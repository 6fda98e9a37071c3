//! Chunks for new items: a thread's own magazines, and where they are filled from.
//!
//! A set takes its chunk from the magazine of its class and touches no lock for it. An empty magazine is
//! refilled under the class's lock from free chunks, else from a page of the pool, else from what was flushed or has
//! expired. Then the class evicts its own, unless what it would evict is far warmer than other classes' memory: then
//! one of their pages is emptied. A larger class's chunk comes last.

use crate::store::bytes::layout::{EXTENT_BYTES, Ref, u64_of};
use crate::store::evict::{ClassState, Pick, PickContext, RingContext};
use crate::store::local::{Ending, Local, MAGAZINE_CHUNKS_MAX};
use crate::store::memory::classes::ClassId;
use crate::store::memory::page::PageId;
use crate::store::memory::pool::Asker;
use crate::store::policy::mover::BYTES_A_STEP;
use crate::store::policy::pace::Pace;
use crate::store::shared::Store;
use crate::sync::Ordering;
use crate::time::Seconds;

/// Parts of large values that are gone which a thread frees in a turn, and again where it needs memory: each costs a
/// miss of the caches.
pub(crate) const PARTS_A_TURN: usize = 64;
/// Frees handed in under one hold of a class's lock.
const HANDED_IN_MAX: usize = 128;
/// Frees a thread collects before it hands them in at the end of a turn.
const FREES_MAX: usize = 32;
/// A class evicts at most this part of its chunks at a time: of ninety small classes each would else keep half a
/// magazine of free chunks, a fiftieth of a small memory.
const EVICTED_SHARE: usize = 128;
/// Rounds of eviction before a class counts as having nothing to give.
const ROUNDS_MAX: usize = 64;
/// Bytes of freed chunks that are handed in at the end of a turn, however few they are.
const FREED_BYTES_MAX: usize = 64 * 1024;
/// A class whose chunks are used again so many times as fast as those of the class that is to give the next page takes
/// that page instead of evicting its own; while it grows, as soon as they are used faster at all. Misses over 25 runs
/// are .8104 of memcached's with 16, .8107 with 8, .8113 with 3.
const HUNGRY_RATIO: u64 = 16;
/// Steps of the page mover that a thread makes for a chunk: for an item that could evict, or wait; and without a way
/// out.
const STEPS_MAX: usize = 64;
pub(crate) const STEPS_WITHOUT_CHOICE_MAX: usize = 16 * 1024;

/// How far to go for a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Empties a page of another class if nothing else helps.
    Everything,
    /// Makes some steps of that and leaves the rest to the page mover: it can wait.
    SomeSteps,
    /// For an item on a page that is being emptied: the class's own chunks. A page of the pool would be the very page
    /// that the move is to bring it.
    Rescue,
}

impl Store {
    /// A free chunk of the class, or of a larger one.
    #[inline]
    pub(crate) fn take_chunk(&self, local: &mut Local, class: ClassId, now: Seconds, effort: Effort) -> Option<Ref> {
        match self.chunk_in_hand(local, class) {
            Some(reference) => Some(reference),
            None => self.refill(local, class, now, effort),
        }
    }

    /// A chunk out of the thread's magazine: no lock is taken for it.
    #[inline]
    pub(crate) fn chunk_in_hand(&self, local: &mut Local, class: ClassId) -> Option<Ref> {
        let reference = local.magazines[class.index()].chunks.pop()?;
        local.held_bytes -= self.pages.classes.chunk_bytes(class);
        Some(reference)
    }

    /// Puts a chunk that was not used back.
    pub(crate) fn keep_chunk(&self, local: &mut Local, reference: Ref) {
        let class = self.class_of(reference);
        local.magazines[class.index()].chunks.push(reference);
        local.held_bytes += self.pages.classes.chunk_bytes(class);
    }

    #[cold]
    fn refill(&self, local: &mut Local, class: ClassId, now: Seconds, effort: Effort) -> Option<Ref> {
        for _ in 0..ROUNDS_MAX {
            // What is gone comes first, that of the round before, too: else as much again would be evicted.
            self.free_parts(local, PARTS_A_TURN);
            let asker = if self.options.evict { Asker::Growing } else { Asker::Destitute };
            if let Some(reference) = self.fill_magazine(local, class, asker, effort) {
                return Some(reference);
            }
            let is_behind = effort != Effort::Rescue && (self.index.any_flushed() || self.sweep_lags(now));
            if is_behind && self.drive_sweep(local, Some(class), now) {
                continue;
            }
            if effort != Effort::Rescue && self.options.evict && self.is_hungry(class) {
                if let Some(reference) = self.fill_magazine(local, class, Asker::Hungry, effort) {
                    self.drive_mover(local, 1 + self.steps_for(class), false, now);
                    return Some(reference);
                }
                if self.drive_mover(local, STEPS_MAX, false, now) {
                    continue;
                }
            }
            if self.options.evict && self.evict_from(local, class, self.magazine_chunks(class), now) == Pick::Progress {
                continue;
            }
            if effort == Effort::Rescue {
                return None;
            }
            if let Some(reference) = self.fill_magazine(local, class, Asker::Destitute, effort) {
                return Some(reference);
            }
            // Without evictions only a page that costs nobody an item can be emptied.
            if !self.options.evict && !self.next_donor().is_some_and(|donor| donor.is_spare) {
                return self.take_larger_free(local, class);
            }
            let is_urgent = self.options.evict && effort == Effort::Everything;
            let steps_max = if is_urgent { STEPS_WITHOUT_CHOICE_MAX } else { STEPS_MAX };
            if self.drive_mover(local, steps_max, is_urgent, now) {
                continue;
            }
            match self.take_larger(local, class, now) {
                Larger::Chunk(reference) => return Some(reference),
                Larger::Evicted => {}
                Larger::Nothing => break,
            }
        }
        self.nudge();
        None
    }

    /// Frees chunks of values that are gone: so many at most. No lock is taken.
    pub(crate) fn free_parts(&self, local: &mut Local, count: usize) {
        for _ in 0..count {
            let Some(mut ending) = local.ending.pop() else { return };
            let Ending { at, shape, end } = ending;
            let next = (at.end() < end).then(|| self.pages.next_cursor(shape, at));
            // A directory is read until all that it names is passed.
            if at.chunk != at.directory {
                self.free_part(local, at.chunk);
            }
            if next.is_none_or(|next| next.directory != at.directory) {
                self.free_part(local, at.directory);
            }
            if let Some(next) = next {
                ending.at = next;
                local.ending.push(ending);
            }
        }
    }

    fn free_part(&self, local: &mut Local, chunk: Ref) {
        self.pages.chunk(chunk).retire();
        local.free(self.class_of(chunk), chunk);
    }

    /// Whether what the class would evict is far warmer than the memory of the class that is to give the next page, or
    /// there is a page that costs nobody an item. A hint.
    fn is_hungry(&self, class: ClassId) -> bool {
        let Some(elsewhere) = self.next_donor().filter(|donor| donor.class != class) else { return false };
        if elsewhere.is_spare {
            return true;
        }
        let state = self.classes[class.index()].lock();
        let chunks = self.pages.chunks_of(class, state.list.pages);
        let interval = state.pace.interval(self.clock.load(Ordering::Relaxed), state.list.taken, chunks);
        let ratio = if state.is_growing(chunks) { 1 } else { HUNGRY_RATIO };
        interval.saturating_mul(ratio) < elsewhere.interval
    }

    /// Steps of the mover that empty as much memory as a magazine of the class takes.
    fn steps_for(&self, class: ClassId) -> usize {
        2 * self.magazine_chunks(class) * self.pages.classes.chunk_bytes(class) / BYTES_A_STEP
    }

    /// Takes chunks of the class into the magazine, as many as it may hold, without evicting; returns one.
    fn fill_magazine(&self, local: &mut Local, class: ClassId, asker: Asker, effort: Effort) -> Option<Ref> {
        let mut state = self.classes[class.index()].lock();
        self.hand_in(local, class, &mut state);
        if state.list.free_chunks == 0 {
            let page = if effort == Effort::Rescue { None } else { self.pool.take(&self.arena, asker) }?;
            self.add_page(&mut state, class, page);
        }
        let chunk_bytes = self.pages.classes.chunk_bytes(class);
        let first = state.list.take(&self.pages)?;
        let chunks = self.pages.chunks_of(class, state.list.pages);
        let share = usize::try_from(chunks).unwrap_or(usize::MAX) / (8 * self.options.workers.max(1));
        let room = self.held_bytes_max().saturating_sub(local.held_bytes) / chunk_bytes;
        let mut taken = 1;
        for _ in 1..self.magazine_chunks(class).min(share).min(room) {
            let Some(reference) = state.list.take(&self.pages) else { break };
            local.magazines[class.index()].chunks.push(reference);
            taken += 1;
        }
        local.held_bytes += (taken - 1) * chunk_bytes;
        // Relaxed: a clock to compare classes by; nothing is ordered by it.
        let clock = self.clock.fetch_add(u64_of(taken * chunk_bytes), Ordering::Relaxed);
        let uses = state.list.taken;
        state.pace.renew(clock, uses, chunks);
        Some(first)
    }

    /// Gives a page to a class.
    pub(crate) fn add_page(&self, state: &mut ClassState, class: ClassId, page: PageId) {
        if state.list.pages == 0 {
            state.pace = Pace::starting(self.clock.load(Ordering::Relaxed), state.list.taken);
            state.picked_before = state.queues.picked;
        }
        state.add_page(&self.pages, class, page);
    }

    /// What all magazines of one thread may hold together: a hundredth of `-m` over all threads.
    fn held_bytes_max(&self) -> usize {
        usize::try_from(self.options.limit_bytes / 100).unwrap_or(usize::MAX) / self.options.workers.max(1)
    }

    fn magazine_chunks(&self, class: ClassId) -> usize {
        (EXTENT_BYTES / self.pages.classes.chunk_bytes(class)).clamp(1, MAGAZINE_CHUNKS_MAX)
    }

    /// Gives the class what the thread has for it: freed chunks, new items for the ring, ghost hits.
    fn hand_in(&self, local: &mut Local, class: ClassId, state: &mut ClassState) {
        let context = RingContext { arena: &self.arena, pool: &self.pool, pages: &self.pages, blocks: &self.blocks };
        let magazine = &mut local.magazines[class.index()];
        if !magazine.frees.is_empty() && self.line.wants(class) {
            local.news = local.news.max(Some(class));
        }
        let kept = magazine.frees.len().saturating_sub(HANDED_IN_MAX);
        let given = magazine.frees.len() - kept;
        local.frees -= given;
        local.freed_bytes -= given * magazine.chunk_bytes;
        for reference in magazine.frees.drain(kept..) {
            if let Some(page) = state.give(&self.pages, class, reference) {
                self.pool.give(page);
                if self.line.wants_any() {
                    local.news = Some(self.pages.classes.extent());
                }
            }
        }
        let unused = std::mem::take(&mut magazine.unused);
        state.list.taken -= unused;
        self.clock.fetch_sub(unused * u64_of(magazine.chunk_bytes), Ordering::Relaxed);
        for reference in magazine.committed.drain(..) {
            state.push_small(&context, class, reference);
        }
        state.queues.note_ghost_hits(std::mem::take(&mut magazine.ghost_hits));
    }

    /// Evicts up to `wanted` items of a class.
    fn evict_from(&self, local: &mut Local, class: ClassId, wanted: usize, now: Seconds) -> Pick {
        let context = PickContext { pages: &self.pages, blocks: &self.blocks, index: &self.index, now };
        let mut victims = std::mem::take(&mut local.victims);
        let pick = {
            let mut state = self.classes[class.index()].lock();
            self.hand_in(local, class, &mut state);
            let chunks = usize::try_from(self.pages.chunks_of(class, state.list.pages)).unwrap_or(usize::MAX);
            state.pick(&context, class, wanted.min(chunks / EVICTED_SHARE).max(1), &mut victims)
        };
        local.evicted += victims.len();
        for victim in victims.drain(..) {
            self.evict(local, victim, now);
        }
        local.victims = victims;
        local.evicted_in = Some(now);
        self.nudge();
        pick
    }

    /// A larger class's free chunk.
    pub(crate) fn take_larger_free(&self, local: &mut Local, class: ClassId) -> Option<Ref> {
        self.pages.classes.all().skip(class.index() + 1).find_map(|larger| {
            let mut state = self.classes[larger.index()].lock();
            self.hand_in(local, larger, &mut state);
            state.list.take(&self.pages)
        })
    }

    /// A larger class's free chunk, or the eviction of one of its items.
    fn take_larger(&self, local: &mut Local, class: ClassId, now: Seconds) -> Larger {
        if let Some(reference) = self.take_larger_free(local, class) {
            return Larger::Chunk(reference);
        }
        let evicts = |larger: ClassId| self.evict_from(local, larger, 1, now) == Pick::Progress;
        if self.options.evict && self.pages.classes.all().skip(class.index() + 1).any(evicts) {
            Larger::Evicted
        } else {
            Larger::Nothing
        }
    }

    /// Ends a thread's turn: frees are handed in by the batch, and while a page is being emptied everything
    /// the thread holds goes back.
    #[inline]
    pub fn end_turn(&self, local: &mut Local) {
        // Acquire: pairs with the mover's Release: the page is draining for whoever sees its epoch.
        let epoch = self.drain_epoch.load(Ordering::Acquire);
        // After a turn of gets, and of sets in place, there is nothing.
        if epoch != local.drain_epoch || local.has_left_something() {
            self.end_busy_turn(local, epoch);
        }
    }

    #[inline(never)]
    fn end_busy_turn(&self, local: &mut Local, epoch: u32) {
        if local.is_freeing() {
            self.free_parts(local, PARTS_A_TURN);
        }
        let is_due = local.frees >= FREES_MAX || local.freed_bytes >= FREED_BYTES_MAX;
        if is_due || epoch != local.drain_epoch || is_draining(epoch) && local.frees > 0 {
            self.hand_in_all(local, epoch != local.drain_epoch);
            local.drain_epoch = epoch;
        }
        if let Some(class) = local.news.take() {
            self.line.call_for(class);
        }
        if let Some(now) = local.evicted_in {
            self.help_mover(local, now);
            // What the step itself evicted asks for no other.
            local.evicted_in = None;
        }
    }

    /// Gives back everything a thread holds.
    pub fn surrender(&self, local: &mut Local) {
        while local.is_freeing() {
            self.free_parts(local, HANDED_IN_MAX);
            self.hand_in_all(local, false);
        }
        self.hand_in_all(local, true);
        if let Some(class) = local.news.take() {
            self.line.call_for(class);
        }
    }

    pub(crate) fn hand_in_all(&self, local: &mut Local, with_magazines: bool) {
        for class in self.pages.classes.all() {
            if local.frees == 0 && !(with_magazines && local.held_bytes > 0) {
                return;
            }
            let magazine = &mut local.magazines[class.index()];
            if with_magazines {
                let bytes = magazine.chunks.len() * magazine.chunk_bytes;
                local.held_bytes -= bytes;
                local.freed_bytes += bytes;
                local.frees += magazine.chunks.len();
                magazine.unused += u64_of(magazine.chunks.len());
                magazine.frees.append(&mut magazine.chunks);
            }
            while !local.magazines[class.index()].frees.is_empty() {
                let mut state = self.classes[class.index()].lock();
                self.hand_in(local, class, &mut state);
            }
        }
    }
}

/// Whether a page is being emptied in this epoch: what is freed meanwhile is handed in at each turn's end.
fn is_draining(epoch: u32) -> bool {
    epoch % 2 == 1
}

/// What the larger classes had to give.
enum Larger {
    Chunk(Ref),
    Evicted,
    Nothing,
}
