//! What another run left in a chunk, as far as it can be believed. Nothing is: a length that leads out of the chunk,
//! a key length that there is not.

use super::idle::{IDLE_SECONDS_MAX, access_of, idle_since};
use super::item::{Chunk, INDEX_PIN, LARGE, LARGE_PINS_AT, PART, REWRITING, VALUE_LEN_AT, VALUE_LEN_BITS};
use super::layout::EXTENT_BYTES;
use super::marks::{MARKS_BYTES, OWN_CAS_BYTES, mark};
use super::state;
use crate::limits::{ITEM_BYTES_MAX_MOST, KEY_BYTES_MAX};
use crate::sync::Ordering;
use crate::time::Seconds;

/// What a chunk holds after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// A part of a large item, or what was one.
    Part,
    /// An item, all of whose bytes lie in the chunk; of a large one the head.
    Item,
    /// An item that was being changed.
    HalfWritten,
    /// What no item looks like.
    Broken,
}

/// What the value length of a part says while parts are told apart from what is left of others.
const REACHED: u16 = 1;

impl Chunk<'_> {
    /// What another run left in this chunk of `room` bytes. For who is alone with it.
    #[inline]
    pub(crate) fn left(self, room: usize) -> Left {
        let key_len = usize::from(self.key_len());
        match self.key_len() {
            0 => return Left::Nothing,
            PART => return Left::Part,
            _ if key_len > KEY_BYTES_MAX => return Left::Broken,
            _ => {}
        }
        let len = self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed);
        if len & REWRITING != 0 {
            return Left::HalfWritten;
        }
        let fits = if len & VALUE_LEN_BITS == LARGE {
            room == EXTENT_BYTES && self.large_fits()
        } else {
            self.small_fits(self.key_at() + key_len + usize::from(len & VALUE_LEN_BITS), room)
        };
        if fits { Left::Item } else { Left::Broken }
    }

    /// Whether an item in one chunk ends in it, with its marks.
    #[inline]
    fn small_fits(self, end: usize, room: usize) -> bool {
        if self.state() & state::EXTENDED == 0 {
            return end <= room;
        }
        if end + MARKS_BYTES > room {
            return false;
        }
        let has_cas = self.u8_at(end).load(Ordering::Relaxed) & mark::OWN_CAS != 0;
        !has_cas || end + MARKS_BYTES + OWN_CAS_BYTES <= room
    }

    fn large_fits(self) -> bool {
        let shape = self.shape();
        shape.total <= ITEM_BYTES_MAX_MOST && shape.value_at() <= EXTENT_BYTES
    }

    /// Takes the ring's bit away: rings are made anew.
    #[inline]
    pub(crate) fn leave_ring(self) {
        if self.state() & state::IN_RING != 0 {
            self.update_state(|bits| bits & !state::IN_RING);
        }
    }

    /// Leaves the index's pin alone on a large item: who read it is gone.
    pub(crate) fn forget_readers(self) {
        self.u32_at(LARGE_PINS_AT).store(INDEX_PIN, Ordering::Relaxed);
    }

    /// Says of a part that no head has led to it yet.
    pub(crate) fn forget_reached(self) {
        self.u16_at(VALUE_LEN_AT).store(0, Ordering::Relaxed);
    }

    /// Says of a part that a head has led to it; false: another had.
    pub(crate) fn note_reached(self) -> bool {
        self.u16_at(VALUE_LEN_AT).swap(REACHED, Ordering::Relaxed) != REACHED
    }

    /// Whether a head has led to a part.
    pub(crate) fn is_reached(self) -> bool {
        self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed) == REACHED
    }

    /// Lets the time go by in which nobody served: from `stopped` to `now`. What the access was before that is told
    /// apart as far as ever.
    #[inline]
    pub(crate) fn pass_outage(self, stopped: Seconds, now: Seconds) {
        let away = now.0.saturating_sub(stopped.0);
        let idle = u32::from(idle_since(self.access(), stopped)).saturating_add(away);
        if idle > u32::from(IDLE_SECONDS_MAX) {
            self.set_access(access_of(now).wrapping_sub(IDLE_SECONDS_MAX));
        }
    }
}
