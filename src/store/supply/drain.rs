//! Emptying a page: one at a time, a few chunks a step.
//!
//! What is used moves to a free chunk of its class, for which the hand may evict something colder elsewhere; what is
//! dead or about to be evicted goes. A large item moves piece by piece: its head is named by the index, its parts by
//! directories. Free chunks come home through their class's lock, and when all have, the page is nobody's. A page
//! with something that is being read or still arriving is passed over: it cannot be emptied.

use super::reserve::Effort;
use crate::store::bytes::item::PART;
use crate::store::bytes::layout::{EXTENT_BYTES, Ref, u64_of};
use crate::store::bytes::state;
use crate::store::evict::{Reason, Victim};
use crate::store::index::LockedStripe;
use crate::store::local::Local;
use crate::store::memory::classes::ClassId;
use crate::store::memory::page::PageId;
use crate::store::memory::pool::Asker;
use crate::store::policy::mover::{BYTES_A_STEP, Drain, Mover};
use crate::store::shared::Store;
use crate::sync::{Ordering, keep_program_order};
use crate::telemetry::watch::Event;
use crate::time::Seconds;

/// Chunks of a draining page looked at in one step, unless they are large.
const CHUNKS_A_STEP: u32 = 32;
/// Passes over a draining page before the move is given up: something in it stays half filled, or is being read.
const PASSES_MAX: u32 = 64;
/// Where nothing may be evicted, what found no chunk in so many passes will find none.
const PASSES_WITHOUT_EVICTION_MAX: u32 = 3;
/// Chunks shorter than this are not looked at for readers before their page is chosen: there are many in a page, and
/// few of them are parts.
const LOOKED_AT_BYTES_MIN: usize = 512;
/// Parts of a large item whose head moves, as each of them names it, and of one whose parts move, as the way to where
/// one is named leads past those before it.
const PARTS_OF_MOVED_HEAD_MAX: usize = 256;
const PARTS_MAX: usize = 4096;
/// An item is young, it has just come, while fewer items of its stripe have been written since than this part of all.
const YOUNG_SHARE: u64 = 16;

/// What a step did for the draining page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// There is more of it.
    Partly,
    /// All of it was looked at, and something is still out.
    Stuck,
    /// It is its new class's now.
    Empty,
    /// It stays where it was.
    GivenUp,
}

/// A chunk of a draining page as it was seen under the class's lock.
struct Seen {
    hash: u64,
    /// The item, or the head of the one that the chunk is a part of.
    head: Ref,
    /// It is worth another chunk.
    is_kept: bool,
    /// It is worth the chunk of something colder in a larger class.
    is_warm: bool,
    /// It has just come: the page stays where it is rather than that it goes.
    is_young: bool,
}

impl Store {
    /// Begins to empty a page of a class; false when it has none that can be.
    pub(crate) fn begin_drain_of(
        &self,
        mover: &mut Mover,
        class: ClassId,
        to: Option<ClassId>,
        local: &mut Local,
    ) -> bool {
        self.surrender(local);
        let candidates = self.classes[class.index()].lock().pages_to_give(&self.pages, class);
        let may_give = |page: &PageId| !mover.shuns(*page) && !self.is_in_use(class, *page);
        let Some(page) = candidates.into_iter().find(may_give) else { return false };
        {
            let mut state = self.classes[class.index()].lock();
            if self.pages.entry(page).class() != Some(class) {
                // Its last chunk came home meanwhile: the pool has it.
                return true;
            }
            state.list.begin_drain(&self.pages, class, page);
        }
        let items = self.totals().curr_items / u64_of(self.index.stripe_count());
        let young_writes = u32::try_from(items / YOUNG_SHARE).unwrap_or(u32::MAX).max(1);
        mover.drain = Some(Drain { page, class, chunk: 0, passes: 0, to, young_writes });
        let number = |class| self.pages.classes.number(class);
        local.recorder.record(&Event::Move { from: number(class), to: to.map_or(0, number) });
        // Release: pairs with the load at the end of a turn: who sees the epoch sees the page draining.
        self.drain_epoch.fetch_add(1, Ordering::Release);
        true
    }

    /// Whether something in a page of large chunks is being read or still arriving.
    fn is_in_use(&self, class: ClassId, page: PageId) -> bool {
        if self.pages.classes.chunk_bytes(class) < LOOKED_AT_BYTES_MIN {
            return false;
        }
        self.owners_in(class, page).into_iter().any(|(head, hash)| {
            let stripe = self.index.lock(hash);
            // One that arrives, or is only being read, is not in the index.
            stripe.find_reference(hash, head).is_none() || self.pages.chunk(head).pins() > 1
        })
    }

    /// The heads of the large items that have a chunk in a page, and their hashes.
    fn owners_in(&self, class: ClassId, page: PageId) -> Vec<(Ref, u64)> {
        let guard = self.classes[class.index()].lock();
        let entry = self.pages.entry(page);
        if entry.class() != Some(class) {
            return Vec::new();
        }
        let owner = |number| {
            let reference = self.pages.reference(page, class, number);
            let chunk = self.pages.chunk(reference);
            match chunk.key_len() {
                0 => None,
                PART => Some(chunk.part_owner()),
                _ => chunk.is_large().then(|| (reference, self.index.hash(chunk.key(&*guard)))),
            }
        };
        (0..entry.formatted.load(Ordering::Acquire)).filter_map(owner).collect()
    }

    /// Empties some chunks of the draining page; ends the drain when the page is empty or stays stuck.
    pub(crate) fn drain_step(&self, mover: &mut Mover, local: &mut Local, now: Seconds) -> Drained {
        let Some(mut drain) = mover.drain else { return Drained::GivenUp };
        let end = self.pages.entry(drain.page).formatted.load(Ordering::Acquire);
        let until = end.min(drain.chunk + self.chunks_a_step(drain.class));
        for number in drain.chunk..until {
            let reference = self.pages.reference(drain.page, drain.class, number);
            if !self.empty_chunk(local, drain, reference, mover.is_patient(), now) {
                return self.give_up(mover, drain);
            }
        }
        drain.chunk = until;
        mover.drain = Some(drain);
        if until < end {
            return Drained::Partly;
        }
        self.surrender(local);
        if self.finish_drain(local, drain) {
            self.end_drain(mover);
            return Drained::Empty;
        }
        (drain.chunk, drain.passes) = (0, drain.passes + 1);
        mover.drain = Some(drain);
        if drain.passes == 1 {
            // What is still out is with idle threads: all are called.
            self.call_threads();
        }
        let passes_max = if self.options.evict { PASSES_MAX } else { PASSES_WITHOUT_EVICTION_MAX };
        if drain.passes > passes_max || self.is_in_use(drain.class, drain.page) {
            return self.give_up(mover, drain);
        }
        Drained::Stuck
    }

    fn give_up(&self, mover: &mut Mover, drain: Drain) -> Drained {
        self.classes[drain.class.index()].lock().list.abandon_drain(&self.pages, drain.class, drain.page);
        self.end_drain(mover);
        mover.shun(drain.page);
        Drained::GivenUp
    }

    fn end_drain(&self, mover: &mut Mover) {
        mover.drain = None;
        // Relaxed: threads that still think that a page drains give back earlier than they must.
        self.drain_epoch.fetch_add(1, Ordering::Relaxed);
    }

    fn chunks_a_step(&self, class: ClassId) -> u32 {
        let chunks = BYTES_A_STEP / self.pages.classes.chunk_bytes(class);
        u32::try_from(chunks).map_or(CHUNKS_A_STEP, |chunks| chunks.clamp(1, CHUNKS_A_STEP))
    }

    fn finish_drain(&self, local: &Local, drain: Drain) -> bool {
        if !self.classes[drain.class.index()].lock().finish_drain(&self.pages, drain.page) {
            return false;
        }
        local.counters.pages_moved.bump();
        match drain.to {
            Some(class) => self.add_page(&mut self.classes[class.index()].lock(), class, drain.page),
            None => self.pool.give(drain.page),
        }
        if self.line.wants_any() {
            self.line.call_for(drain.to.unwrap_or_else(|| self.pages.classes.extent()));
        }
        true
    }

    /// Empties one chunk of a draining page; false when what has just come finds no other chunk.
    fn empty_chunk(&self, local: &mut Local, drain: Drain, reference: Ref, is_patient: bool, now: Seconds) -> bool {
        let Some(seen) = self.look_at_chunk(drain, reference, now) else { return true };
        let target = if seen.is_kept { self.take_refuge(local, drain.class, seen.is_warm, now) } else { None };
        if let Some(target) = target {
            let is_moved = if seen.head == reference {
                self.commit_move(local, seen.hash, reference, target, now)
            } else {
                self.commit_part_move(local, &seen, reference, target, now)
            };
            if is_moved {
                local.counters.page_move_rescues.bump();
                return true;
            }
            self.keep_chunk(local, target);
        } else if seen.is_kept && seen.is_young && is_patient {
            return false;
        }
        let victim = Victim { reference: seen.head, hash: seen.hash, cas: None, reason: self.drain_reason() };
        if self.evict(local, victim, now) {
            local.counters.page_move_evictions.bump();
        }
        true
    }

    /// Without evictions only the dead go.
    fn drain_reason(&self) -> Reason {
        if self.options.evict { Reason::Forced } else { Reason::Dead }
    }

    fn look_at_chunk(&self, drain: Drain, reference: Ref, now: Seconds) -> Option<Seen> {
        let guard = self.classes[drain.class.index()].lock();
        let chunk = self.pages.chunk(reference);
        let (head, hash) = match chunk.key_len() {
            0 => return None,
            PART => chunk.part_owner(),
            _ => (reference, self.index.hash(chunk.key(&*guard))),
        };
        // For a part it is a hint: nothing is done to its head but what holds under its stripe's lock.
        let (_look, item) = if head == reference {
            (None, chunk)
        } else {
            let (look, item) = self.pages.head_hint(head, self.pages.classes.extent())?;
            (Some(look), item)
        };
        let bits = item.state();
        let is_young = self.index.writes_since(hash, item.cas()) < drain.young_writes;
        let is_warm = is_young || bits & state::FREQUENCY != 0;
        // The hand, which is about to come to this page, would evict it: where a move costs the class another item,
        // this one goes. One in the small queue moves even if nobody has asked for it yet.
        let is_spent = guard.list.free_chunks == 0 && bits & state::MAIN != 0 && !is_warm;
        let is_dead = head == reference && self.index.looks_dead(&*guard, chunk, now);
        Some(Seen { hash, head, is_kept: !is_dead && !is_spent, is_warm, is_young: is_young && !is_dead })
    }

    /// A chunk for what must leave its page: of its class, for which the class may evict, or, for what is warm, a free
    /// one of a larger class, or of a page that nobody needs where the class has no other.
    fn take_refuge(&self, local: &mut Local, class: ClassId, is_warm: bool, now: Seconds) -> Option<Ref> {
        let own = self.take_chunk(local, class, now, Effort::Rescue);
        if own.is_some() || !is_warm {
            return own;
        }
        self.take_larger_free(local, class).or_else(|| {
            let mut state = self.classes[class.index()].lock();
            let page = if state.list.pages == 1 { self.pool.take(&self.arena, Asker::Growing) } else { None }?;
            self.add_page(&mut state, class, page);
            state.list.take(&self.pages)
        })
    }

    /// Copies an item, of a large one the head, to another chunk; false when that cannot be done.
    fn commit_move(&self, local: &mut Local, hash: u64, reference: Ref, target: Ref, now: Seconds) -> bool {
        let mut stripe = self.index.lock(hash);
        let Some(slot) = stripe.find_reference(hash, reference) else { return false };
        let (chunk, copy) = (self.pages.chunk(reference), self.pages.chunk(target));
        if self.why_dead(&stripe, chunk, now).is_some() {
            return false;
        }
        if chunk.is_large() {
            if !self.copy_head(&stripe, reference, target) {
                return false;
            }
        } else {
            chunk.copy_to(&*stripe.state, copy);
        }
        copy.publish(chunk.key_len());
        stripe.replace(slot, target);
        self.count_stored(local, target);
        self.count_gone(local, reference, chunk);
        let gone = Self::leave(chunk, reference);
        self.note_expiry(target, copy.expiry());
        if !copy.is_main() {
            local.committed(self.class_of(target), target, false);
        }
        drop(stripe);
        self.give_back(local, gone);
        true
    }

    /// Copies the head of a large item that nobody is reading and has its parts name the copy; false when that cannot
    /// be done.
    fn copy_head(&self, _stripe: &LockedStripe<'_>, head: Ref, target: Ref) -> bool {
        let (chunk, copy) = (self.pages.chunk(head), self.pages.chunk(target));
        if chunk.pins() > 1 || chunk.shape().total > PARTS_OF_MOVED_HEAD_MAX * EXTENT_BYTES {
            return false;
        }
        chunk.copy_head_to(copy, EXTENT_BYTES);
        for part in self.pages.parts(head) {
            self.pages.chunk(part.chunk).set_part_head(target);
        }
        true
    }

    /// Copies a part of a large item that nobody is reading; false when that cannot be done.
    fn commit_part_move(&self, local: &mut Local, seen: &Seen, part: Ref, target: Ref, now: Seconds) -> bool {
        let stripe = self.index.lock(seen.hash);
        if stripe.find_reference(seen.hash, seen.head).is_none() {
            return false;
        }
        let (head, chunk) = (self.pages.chunk(seen.head), self.pages.chunk(part));
        if !head.is_large() || head.pins() > 1 || head.shape().total > PARTS_MAX * EXTENT_BYTES {
            return false;
        }
        // What is dead goes: moved, it could take the page that its move was to give back, again and again.
        if self.why_dead(&stripe, head, now).is_some() {
            return false;
        }
        let Some((directory, slot)) = self.pages.named_at(seen.head, chunk.part_number()) else { return false };
        if self.pages.chunk(directory).slot(slot) != part {
            return false;
        }
        chunk.copy_part_to(self.pages.chunk(target), self.pages.classes.chunk_bytes(self.class_of(part)));
        // The copy stands before anything names it, for another run as well.
        keep_program_order();
        self.pages.chunk(directory).set_slot(slot, target);
        let gone = Self::leave(chunk, part);
        drop(stripe);
        self.give_back(local, gone);
        true
    }
}
