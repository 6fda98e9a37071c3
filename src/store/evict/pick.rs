//! Picking victims: the small queue's oldest, or what the hand meets in page order.

use super::class::ClassState;
use super::ring::{Blocks, RingContext};
use super::victim::{Owner, Reason, Victim};
use crate::store::bytes::item::{Chunk, PART};
use crate::store::bytes::layout::Ref;
use crate::store::bytes::state;
use crate::store::index::Index;
use crate::store::memory::classes::ClassId;
use crate::store::memory::page::Pages;
use crate::sync::Ordering;
use crate::time::Seconds;

/// Chunks examined under one hold of the class's lock: about twenty microseconds of them.
const EXAMINED_MAX: u32 = 256;

/// Parts of large items met before the coldest of their owners goes.
const PARTS_EXAMINED_MAX: u32 = 16;

/// How a pick ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// Go on: there are victims, or there will be.
    Progress,
    /// Nothing in the class can be evicted.
    Barren,
}

/// What a pick looks at beside its class.
#[derive(Debug)]
pub(crate) struct PickContext<'a> {
    pub(crate) pages: &'a Pages,
    pub(crate) blocks: &'a Blocks,
    pub(crate) index: &'a Index,
    pub(crate) now: Seconds,
}

impl ClassState {
    /// Puts a committed new item at the end of the small queue, once. When the ring is longer than its share,
    /// because nothing had to be evicted yet, the oldest entry becomes main.
    pub(crate) fn push_small(&mut self, context: &RingContext<'_>, class: ClassId, reference: Ref) {
        let pages = context.pages;
        if !pages.is_chunk_of(reference, class) {
            return;
        }
        let chunk = pages.chunk(reference);
        if !chunk.is_item() || chunk.state() & (state::MAIN | state::IN_RING) != 0 {
            return;
        }
        if self.queues.small_is_over(self.chunks_in(pages, class)) {
            self.promote_oldest(context, class);
        }
        if self.queues.ring.push(context, reference) {
            chunk.update_state(|bits| bits | state::IN_RING);
        }
    }

    /// Puts an item that another run left, and that is not main, at the end of the small queue. Without memory for that
    /// it becomes main.
    pub(crate) fn take_in_small(&mut self, context: &RingContext<'_>, reference: Ref) {
        let has_entry = self.queues.ring.push(context, reference);
        let bit = if has_entry { state::IN_RING } else { state::MAIN };
        context.pages.chunk(reference).update_state(|bits| bits | bit);
    }

    /// Picks up to `wanted` victims of this class.
    pub(crate) fn pick(
        &mut self,
        context: &PickContext<'_>,
        class: ClassId,
        wanted: usize,
        victims: &mut Vec<Victim>,
    ) -> Pick {
        let chunks = self.chunks_in(context.pages, class);
        (self.queues.coldest, self.queues.coldest_owner, self.queues.parts_met) = (None, None, 0);
        for _ in 0..EXAMINED_MAX {
            if victims.len() >= wanted || victims.is_empty() && self.queues.parts_met >= PARTS_EXAMINED_MAX {
                break;
            }
            // A step more than chunks per page: the hand rests once at every page's end.
            let main_is_empty = self.queues.barren >= chunks + self.list.pages;
            if self.queues.ring.len() > 0 && (main_is_empty || self.queues.small_is_over(chunks)) {
                self.examine_small(context, class, victims);
            } else if main_is_empty {
                self.queues.barren = 0;
                if victims.is_empty() && self.queues.coldest_owner.is_none() {
                    return Pick::Barren;
                }
                break;
            } else if self.examine_main(context, class, victims) {
                self.queues.barren = 0;
            } else {
                self.queues.barren += 1;
            }
        }
        self.queues.adapt();
        if victims.is_empty() {
            victims.extend(self.coldest_met(context));
        }
        Pick::Progress
    }

    /// Everything met was used lately, or is part of an item elsewhere: the coldest of it goes, so that a set never
    /// waits for a whole turn.
    fn coldest_met(&self, context: &PickContext<'_>) -> Option<Victim> {
        let owner = self.queues.coldest_owner;
        let Some((frequency, reference)) = self.queues.coldest else { return owner.map(|owner| owner.victim) };
        if let Some(colder) = owner.filter(|owner| owner.frequency < frequency && owner.writes_since > 0) {
            return Some(colder.victim);
        }
        let chunk = context.pages.chunk(reference);
        let hash = context.index.hash(chunk.key(self));
        Some(Victim { reference, hash, cas: Some(chunk.cas()), reason: Reason::Forced })
    }

    /// Chunks of the class, formatted or not.
    fn chunks_in(&self, pages: &Pages, class: ClassId) -> u32 {
        self.list.pages * u32::try_from(pages.chunks_per_page(class)).expect("pages hold fewer than 2^32 chunks")
    }

    /// Takes the oldest valid entry out of the ring.
    fn pop_small<'p>(&mut self, blocks: &Blocks, pages: &'p Pages, class: ClassId) -> Option<(Ref, Chunk<'p>)> {
        let (number, reference) = self.queues.ring.pop(blocks)?;
        if !is_entry_for(pages, class, number, reference) {
            return None;
        }
        let chunk = pages.chunk(reference);
        let bits = chunk.update_state(|bits| bits & !state::IN_RING);
        let is_valid = bits & state::IN_RING != 0 && bits & state::MAIN == 0 && chunk.is_item();
        // An item of a draining page gets an entry again with its next chunk; here it would give none to anybody.
        (is_valid && !is_draining(pages, reference)).then_some((reference, chunk))
    }

    fn promote_oldest(&mut self, context: &RingContext<'_>, class: ClassId) {
        if let Some((_, chunk)) = self.pop_small(context.blocks, context.pages, class) {
            chunk.update_state(|bits| bits | state::MAIN);
        }
    }

    fn examine_small(&mut self, context: &PickContext<'_>, class: ClassId, victims: &mut Vec<Victim>) {
        let Some((reference, chunk)) = self.pop_small(context.blocks, context.pages, class) else { return };
        let dead = context.index.looks_dead(self, chunk, context.now);
        if !dead && (chunk.state() & state::FREQUENCY != 0 || is_pinned(chunk)) {
            self.queues.barren = 0;
            chunk.update_state(|bits| bits | state::MAIN);
            return;
        }
        self.queues.dropped += 1;
        self.queues.dropped_ever += 1;
        let hash = context.index.hash(chunk.key(self));
        let reason = if dead { Reason::Dead } else { Reason::Small };
        self.queues.picked += 1;
        victims.push(Victim { reference, hash, cas: Some(chunk.cas()), reason });
    }

    /// Moves the hand over one chunk; true when it met an item of the main queue.
    fn examine_main(&mut self, context: &PickContext<'_>, class: ClassId, victims: &mut Vec<Victim>) -> bool {
        let Some(reference) = self.advance_hand(context.pages) else { return false };
        let chunk = context.pages.chunk(reference);
        if !chunk.is_item() {
            self.examine_part(context, class, chunk);
            return false;
        }
        if is_pinned(chunk) {
            return false;
        }
        let bits = chunk.state();
        let dead = context.index.looks_dead(self, chunk, context.now);
        if !dead && bits & state::MAIN == 0 && bits & state::IN_RING != 0 {
            return false;
        }
        self.queues.main_this_turn += 1;
        if !dead && (bits & state::FREQUENCY != 0 || bits & state::MAIN == 0) {
            self.spare(reference, chunk);
            return true;
        }
        let hash = context.index.hash(chunk.key(self));
        let reason = if dead { Reason::Dead } else { Reason::Main };
        self.queues.picked += 1;
        victims.push(Victim { reference, hash, cas: Some(chunk.cas()), reason });
        true
    }

    /// Notes whose part the hand has met, where large items have only their ends: their heads are another hand's.
    fn examine_part(&mut self, context: &PickContext<'_>, class: ClassId, part: Chunk<'_>) {
        let extent = context.pages.classes.extent();
        if class == extent || part.key_len() != PART {
            return;
        }
        let (reference, hash) = part.part_owner();
        // All of it is a hint: the head is another class's. It is evicted only if the index still has it with this cas.
        let Some((_look, head)) = context.pages.head_hint(reference, extent) else { return };
        if !head.is_item() || !head.is_large() || is_pinned(head) {
            return;
        }
        self.queues.parts_met += 1;
        let cas = head.cas();
        let owner = Owner {
            frequency: head.state() & state::FREQUENCY,
            writes_since: context.index.writes_since(hash, cas),
            victim: Victim { reference, hash, cas: Some(cas), reason: Reason::Forced },
        };
        if self.queues.coldest_owner.is_none_or(|coldest| coldest.coldness() < owner.coldness()) {
            self.queues.coldest_owner = Some(owner);
        }
    }

    /// Lets an item of the main queue live for another turn, a little cooler.
    fn spare(&mut self, reference: Ref, chunk: Chunk<'_>) {
        let frequency = chunk.update_state(|bits| cooled(bits) | state::MAIN) & state::FREQUENCY;
        if self.queues.coldest.is_none_or(|(coldest, _)| frequency < coldest) {
            self.queues.coldest = Some((frequency, reference));
        }
    }

    /// The chunk under the hand; the hand then stands on the next one, in page order, round and round.
    fn advance_hand(&mut self, pages: &Pages) -> Option<Ref> {
        let page = self.queues.hand.or_else(|| self.list.first_page())?;
        let entry = pages.entry(page);
        let chunk = self.queues.hand_chunk;
        // A draining page gives no chunks: what was evicted there would help nobody.
        if chunk >= entry.formatted.load(Ordering::Relaxed) || entry.is_draining() {
            self.queues.hand = self.list.page_after(pages, page);
            self.queues.hand_chunk = 0;
            if self.queues.hand == self.list.first_page() {
                self.queues.main_last_turn = Some(std::mem::take(&mut self.queues.main_this_turn));
            }
            return None;
        }
        self.queues.hand = Some(page);
        self.queues.hand_chunk = chunk + 1;
        let class = entry.class().expect("a page in a class's list is of the class");
        Some(pages.reference(page, class, chunk))
    }
}

/// Whether a ring's entry was pushed for a chunk that is there: its page may have left the class meanwhile, or left
/// and come back with chunks that have bits of their own.
pub(crate) fn is_entry_for(pages: &Pages, class: ClassId, number: u64, reference: Ref) -> bool {
    // Relaxed: written under the class's lock, which is held.
    pages.is_chunk_of(reference, class)
        && number >= pages.entry(pages.page_of(reference)).ring_from.load(Ordering::Relaxed)
}

fn is_draining(pages: &Pages, reference: Ref) -> bool {
    pages.entry(pages.page_of(reference)).is_draining()
}

/// A large item somebody is reading gives no memory back when evicted: better spared.
fn is_pinned(chunk: Chunk<'_>) -> bool {
    chunk.is_large() && chunk.pins() > 1
}

/// The state with its frequency one lower, at least 0.
fn cooled(bits: u8) -> u8 {
    if bits & state::FREQUENCY == 0 { bits } else { bits - state::FREQUENCY_ONE }
}
