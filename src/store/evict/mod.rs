//! Who must go: S3-FIFO in place, per class.
//!
//! New items stand in a small ring. Leaving it with a hit they become main by one bit, without moving; without,
//! they are evicted and leave a tag in the ghost. Main is a clock hand over the class's chunks in page order.
//! Here victims are picked, under the class's lock; they are evicted later, under their stripe's lock, if
//! nothing changed meanwhile.

pub(crate) mod ghost;
mod ring;

pub(crate) use ring::{Blocks, Ring};

use super::arena::Arena;
use super::item::{Chunk, Ref, state};
use super::slab::ClassState;
use super::slab::classes::ClassId;
use super::slab::page::{PageId, Pages};
use super::slab::pool::Pool;
use super::table::Index;
use crate::sync::Ordering;
use crate::time::Seconds;

/// Chunks examined under one hold of the class's lock: about twenty microseconds of them.
const EXAMINED_MAX: u32 = 256;

/// The small queue's share of a class, in 1/1024: where it starts and how far it adapts. Measured over thirteen
/// traces: below a tenth all lose (a class is a small cache, and its small queue a tiny one), up to three
/// tenths hardly any does, and where sizes drift a longer one wins.
const SHARE_START: u32 = 102;
const SHARE_MIN: u32 = 102;
const SHARE_MAX: u32 = 512;
/// A small queue is never shorter than this while main has anything: what was just stored is there to be read.
const SMALL_ITEMS_MIN: usize = 16;
/// Ghost hits a dropped item, inverted: above the first the share grows, below the second it shrinks.
const RAISE: u32 = 16;
const LOWER: u32 = 64;
/// One step of adaptation.
const SHARE_STEP: u32 = 8;
/// A class is looked at for adaptation after so many of its items left the small queue.
const ADAPT_WINDOW: u32 = 64;

/// Both queues of a class. Guarded by the class's lock.
#[derive(Debug)]
pub(crate) struct ClassQueues {
    ring: Ring,
    hand: Option<PageId>,
    hand_chunk: u32,
    /// Chunks the hand has passed since it last met an item of the main queue.
    barren: u32,
    /// Items of the main queue that the hand met in its last whole turn and in this one.
    main_last_turn: Option<u32>,
    main_this_turn: u32,
    /// The least used item spared in the present pick.
    coldest: Option<(u8, Ref)>,
    /// Items picked to be evicted, ever, from both queues: the page mover compares how long items live.
    pub(crate) picked: u64,
    /// Of them, those the small queue dropped; and new items that the ghost knew, ever.
    pub(crate) dropped_ever: u64,
    pub(crate) returned_ever: u64,
    /// The small queue's share of the class in 1/1024.
    share: u32,
    /// Since the last adaptation: items that left the small queue with a hit, and without.
    promoted: u32,
    dropped: u32,
    /// Since the last adaptation: new items of this class that the ghost knew.
    ghost_hits: u32,
}

impl Default for ClassQueues {
    fn default() -> Self {
        Self {
            ring: Ring::default(),
            hand: None,
            hand_chunk: 0,
            barren: 0,
            main_last_turn: None,
            main_this_turn: 0,
            coldest: None,
            picked: 0,
            dropped_ever: 0,
            returned_ever: 0,
            share: SHARE_START,
            promoted: 0,
            dropped: 0,
            ghost_hits: 0,
        }
    }
}

/// An item picked to be evicted: whether it still is what it was is checked under its stripe's lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Victim {
    pub(crate) reference: Ref,
    pub(crate) hash: u64,
    /// Its version, if that matters: the chunk may hold another item by then, in the same bucket.
    pub(crate) cas: Option<u32>,
    pub(crate) reason: Reason,
}

/// Why an item was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its time is over.
    Dead,
    /// The same, found by the sweep and not for somebody who needs memory.
    Swept,
    /// It left the small queue without a hit: the ghost will remember it.
    Small,
    /// The hand found it unused.
    Main,
    /// Whatever its use: nothing colder was near, or its page is wanted.
    Forced,
}

/// How a pick ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// Go on: there are victims, or there will be.
    Progress,
    /// Nothing in the class can be evicted.
    Barren,
}

/// What the hand needs to know of the rest of the store.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) pages: &'a Pages,
    pub(crate) blocks: &'a Blocks,
    pub(crate) index: &'a Index,
    pub(crate) now: Seconds,
}

/// What a ring needs to grow.
#[derive(Debug)]
pub(crate) struct Means<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) pool: &'a Pool,
    pub(crate) pages: &'a Pages,
    pub(crate) blocks: &'a Blocks,
}

impl Surroundings<'_> {
    /// Whether the item's time is over, as far as can be seen without its stripe's lock.
    fn is_dead(&self, guard: &ClassState, chunk: Chunk<'_>) -> bool {
        chunk.expiry().has_passed(self.now)
            || self.index.any_flushed() && self.index.is_flushed(self.index.hash(chunk.key(guard)), chunk.cas())
    }
}

impl ClassQueues {
    /// The page the hand stands on.
    pub(crate) fn hand(&self) -> Option<PageId> {
        self.hand
    }

    /// Entries of the ring, for the audit.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The hand never stands on a page that left the class.
    pub(crate) fn forget_page(&mut self, page: PageId, next: Option<PageId>) {
        if self.hand == Some(page) {
            self.hand = next;
            self.hand_chunk = 0;
        }
    }

    /// Notes new items of this class that the ghost knew.
    pub(crate) fn note_ghost_hits(&mut self, hits: u32) {
        self.ghost_hits += hits;
        self.returned_ever += u64::from(hits);
    }
}

impl ClassState {
    /// Puts a committed new item at the end of the small queue, once. When the ring is longer than its share,
    /// because nothing had to be evicted yet, the oldest entry becomes main.
    pub(crate) fn push_small(&mut self, means: &Means<'_>, class: ClassId, reference: Ref) {
        let pages = means.pages;
        if !pages.is_chunk_of(reference, class) {
            return;
        }
        let chunk = pages.chunk(reference);
        if !chunk.is_item() || chunk.state() & (state::MAIN | state::IN_RING) != 0 {
            return;
        }
        if self.small_is_over(self.chunks_in(pages, class)) {
            self.promote_oldest(means, class);
        }
        if self.queues.ring.push(means.blocks, means.arena, means.pool, reference) {
            chunk.update_state(|bits| bits | state::IN_RING);
        }
    }

    /// Picks up to `wanted` victims of this class.
    pub(crate) fn pick(
        &mut self,
        around: &Surroundings<'_>,
        class: ClassId,
        wanted: usize,
        victims: &mut Vec<Victim>,
    ) -> Pick {
        let chunks = self.chunks_in(around.pages, class);
        self.queues.coldest = None;
        for _ in 0..EXAMINED_MAX {
            if victims.len() >= wanted {
                break;
            }
            // A step more than chunks per page: the hand rests once at every page's end.
            let main_is_empty = self.queues.barren >= chunks + self.pages;
            if self.queues.ring.len() > 0 && (main_is_empty || self.small_is_over(chunks)) {
                self.examine_small(around, class, victims);
            } else if main_is_empty {
                self.queues.barren = 0;
                return if victims.is_empty() { Pick::Barren } else { Pick::Progress };
            } else if self.examine_main(around, victims) {
                self.queues.barren = 0;
            } else {
                self.queues.barren += 1;
            }
        }
        self.adapt();
        // Everything met was used lately: the coldest of it goes, so that a set never waits for a whole turn.
        if victims.is_empty()
            && let Some((_, reference)) = self.queues.coldest
        {
            let chunk = around.pages.chunk(reference);
            let hash = around.index.hash(chunk.key(self));
            victims.push(Victim { reference, hash, cas: Some(chunk.cas()), reason: Reason::Forced });
        }
        Pick::Progress
    }

    /// Chunks of the class, formatted or not.
    fn chunks_in(&self, pages: &Pages, class: ClassId) -> u32 {
        self.pages * u32::try_from(pages.chunks_per_page(class)).expect("pages hold fewer than 2^32 chunks")
    }

    /// Whether the small queue has more than its share of the class's items. How many there are is known from
    /// the hand's last turn: chunks of large items' parts are none.
    fn small_is_over(&self, chunks: u32) -> bool {
        let small = u64::try_from(self.queues.ring.len()).expect("64 bits hold a usize");
        let items = self.queues.main_last_turn.map_or_else(|| u64::from(chunks), |main| u64::from(main) + small);
        self.queues.ring.len() > SMALL_ITEMS_MIN && small * 1024 > items * u64::from(self.queues.share)
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

    fn promote_oldest(&mut self, means: &Means<'_>, class: ClassId) {
        if let Some((_, chunk)) = self.pop_small(means.blocks, means.pages, class) {
            chunk.update_state(|bits| bits | state::MAIN);
        }
    }

    fn examine_small(&mut self, around: &Surroundings<'_>, class: ClassId, victims: &mut Vec<Victim>) {
        let Some((reference, chunk)) = self.pop_small(around.blocks, around.pages, class) else { return };
        let dead = around.is_dead(self, chunk);
        if !dead && (chunk.state() & state::FREQUENCY != 0 || is_pinned(chunk)) {
            self.queues.promoted += 1;
            self.queues.barren = 0;
            chunk.update_state(|bits| bits | state::MAIN);
            return;
        }
        self.queues.dropped += 1;
        self.queues.dropped_ever += 1;
        let hash = around.index.hash(chunk.key(self));
        let reason = if dead { Reason::Dead } else { Reason::Small };
        self.queues.picked += 1;
        victims.push(Victim { reference, hash, cas: Some(chunk.cas()), reason });
    }

    /// Moves the hand over one chunk; true when it met an item of the main queue.
    fn examine_main(&mut self, around: &Surroundings<'_>, victims: &mut Vec<Victim>) -> bool {
        let Some(reference) = self.advance_hand(around.pages) else { return false };
        let chunk = around.pages.chunk(reference);
        if !chunk.is_item() {
            return false;
        }
        let bits = chunk.state();
        let dead = around.is_dead(self, chunk);
        if !dead && bits & state::MAIN == 0 && bits & state::IN_RING != 0 {
            return false;
        }
        self.queues.main_this_turn += 1;
        if !dead && (bits & state::FREQUENCY != 0 || bits & state::MAIN == 0 || is_pinned(chunk)) {
            self.spare(reference, chunk);
            return true;
        }
        let hash = around.index.hash(chunk.key(self));
        let reason = if dead { Reason::Dead } else { Reason::Main };
        self.queues.picked += 1;
        victims.push(Victim { reference, hash, cas: Some(chunk.cas()), reason });
        true
    }

    /// Lets an item of the main queue live for another turn, a little cooler.
    fn spare(&mut self, reference: Ref, chunk: Chunk<'_>) {
        let frequency = chunk.update_state(|bits| cooled(bits) | state::MAIN) & state::FREQUENCY;
        if !is_pinned(chunk) && self.queues.coldest.is_none_or(|(coldest, _)| frequency < coldest) {
            self.queues.coldest = Some((frequency, reference));
        }
    }

    /// The chunk under the hand; the hand then stands on the next one, in page order, round and round.
    fn advance_hand(&mut self, pages: &Pages) -> Option<Ref> {
        let page = self.queues.hand.or_else(|| self.first_page())?;
        let entry = pages.entry(page);
        let chunk = self.queues.hand_chunk;
        // A draining page gives no chunks: what was evicted there would help nobody.
        if chunk >= entry.formatted.load(Ordering::Relaxed) || entry.is_draining() {
            self.queues.hand = self.page_after(pages, page);
            self.queues.hand_chunk = 0;
            if self.queues.hand == self.first_page() {
                self.queues.main_last_turn = Some(std::mem::take(&mut self.queues.main_this_turn));
            }
            return None;
        }
        self.queues.hand = Some(page);
        self.queues.hand_chunk = chunk + 1;
        let class = entry.class().expect("a page in a class's list is of the class");
        Some(pages.reference(page, class, chunk))
    }

    /// Lets the small queue's share follow what the ghost says: many of those it dropped come back, so it was
    /// too short; nearly none, so it may give room to main.
    fn adapt(&mut self) {
        let queues = &mut self.queues;
        if queues.dropped < ADAPT_WINDOW {
            return;
        }
        if queues.ghost_hits * RAISE > queues.dropped {
            queues.share = (queues.share + SHARE_STEP).min(SHARE_MAX);
        } else if queues.ghost_hits * LOWER < queues.dropped {
            queues.share = (queues.share - SHARE_STEP.min(queues.share)).max(SHARE_MIN);
        }
        (queues.promoted, queues.dropped, queues.ghost_hits) = (0, 0, 0);
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
