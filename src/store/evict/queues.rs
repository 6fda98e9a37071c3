//! The two queues of a class, and how long the small one is.

use super::ring::Ring;
use super::victim::Owner;
use crate::store::bytes::layout::Ref;
use crate::store::memory::page::PageId;

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
    pub(super) ring: Ring,
    pub(super) hand: Option<PageId>,
    pub(super) hand_chunk: u32,
    /// Chunks the hand has passed since it last met an item of the main queue.
    pub(super) barren: u32,
    /// Items of the main queue that the hand met in its last whole turn and in this one.
    pub(super) main_last_turn: Option<u32>,
    pub(super) main_this_turn: u32,
    /// The least used item spared in the present pick.
    pub(super) coldest: Option<(u8, Ref)>,
    /// Parts met in the present pick, and of their owners the least used and oldest.
    pub(super) parts_met: u32,
    pub(super) coldest_owner: Option<Owner>,
    /// Items picked to be evicted, ever, from both queues: the page mover compares how long items live.
    pub(crate) picked: u64,
    /// Of them, those the small queue dropped; and new items that the ghost knew, ever.
    pub(crate) dropped_ever: u64,
    pub(crate) returned_ever: u64,
    /// The small queue's share of the class in 1/1024.
    share: u32,
    /// Since the last adaptation: items that left the small queue without a hit.
    pub(super) dropped: u32,
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
            parts_met: 0,
            coldest_owner: None,
            picked: 0,
            dropped_ever: 0,
            returned_ever: 0,
            share: SHARE_START,
            dropped: 0,
            ghost_hits: 0,
        }
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

    /// Whether the small queue has more than its share of the class's items. How many there are is known from
    /// the hand's last turn: chunks of large items' parts are none.
    pub(super) fn small_is_over(&self, chunks: u32) -> bool {
        let small = u64::try_from(self.ring.len()).expect("64 bits hold a usize");
        let items = self.main_last_turn.map_or_else(|| u64::from(chunks), |main| u64::from(main) + small);
        self.ring.len() > SMALL_ITEMS_MIN && small * 1024 > items * u64::from(self.share)
    }

    /// Lets the small queue's share follow what the ghost says: many of those it dropped come back, so it was
    /// too short; nearly none, so it may give room to main.
    pub(super) fn adapt(&mut self) {
        if self.dropped < ADAPT_WINDOW {
            return;
        }
        if self.ghost_hits * RAISE > self.dropped {
            self.share = (self.share + SHARE_STEP).min(SHARE_MAX);
        } else if self.ghost_hits * LOWER < self.dropped {
            self.share = (self.share - SHARE_STEP.min(self.share)).max(SHARE_MIN);
        }
        (self.dropped, self.ghost_hits) = (0, 0);
    }
}
