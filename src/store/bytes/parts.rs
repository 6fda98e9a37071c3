//! What the chunks of a large item say: of the head its pins, of a part whose it is, of both which parts follow.

use super::item::{Chunk, INDEX_PIN, LARGE_PINS_AT, PART_HASH_AT, PART_HEAD_AT, PART_NUMBER_AT};
use super::layout::Ref;
use crate::sync::Ordering;

impl Chunk<'_> {
    /// Adds a reader's pin; only under the stripe's lock of a linked item, whose own pin is there. True for the first.
    #[must_use]
    pub(crate) fn pin(self) -> bool {
        let before = self.u32_at(LARGE_PINS_AT).fetch_add(1, Ordering::Relaxed);
        debug_assert!(before & INDEX_PIN != 0, "the index holds a pin");
        before == INDEX_PIN
    }

    /// Takes a reader's pin back; who is left. AcqRel: what other pin holders read or wrote happens before the
    /// chunks are used again.
    #[must_use]
    pub(crate) fn unpin(self) -> Pins {
        let before = self.u32_at(LARGE_PINS_AT).fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before & !INDEX_PIN != 0, "every pin is taken back once");
        match before - 1 {
            0 => Pins::None,
            INDEX_PIN => Pins::Index,
            _ => Pins::Readers,
        }
    }

    /// Ends the index's pin; true if no reader is left: then the chain is free. AcqRel as for `unpin`.
    #[must_use]
    pub(crate) fn let_go(self) -> bool {
        let before = self.u32_at(LARGE_PINS_AT).fetch_and(!INDEX_PIN, Ordering::AcqRel);
        debug_assert!(before & INDEX_PIN != 0, "the index lets go once");
        before == INDEX_PIN
    }

    /// How many pins the item has, the index's among them.
    pub(crate) fn pins(self) -> u32 {
        // Acquire: pairs with `unpin`, for the page mover, which goes on where no reader is left.
        let pins = self.u32_at(LARGE_PINS_AT).load(Ordering::Acquire);
        (pins & !INDEX_PIN) + pins / INDEX_PIN
    }

    /// Has a part name another head: its own has moved there.
    pub(crate) fn set_part_head(self, head: Ref) {
        self.u32_at(PART_HEAD_AT).store(head.0, Ordering::Relaxed);
    }

    /// The number of a part: which one behind the head it is.
    pub(crate) fn part_number(self) -> u32 {
        self.u32_at(PART_NUMBER_AT).load(Ordering::Relaxed)
    }

    /// The head of a part, and its key's hash: who reads it under the class's lock sees a pair that belonged
    /// together when the part was made; whether it still does is for the stripe's holder to find out.
    pub(crate) fn part_owner(self) -> (Ref, u64) {
        let low = u64::from(self.u32_at(PART_HASH_AT).load(Ordering::Relaxed));
        let high = u64::from(self.u32_at(PART_HASH_AT + 4).load(Ordering::Relaxed));
        (Ref(self.u32_at(PART_HEAD_AT).load(Ordering::Relaxed)), high << 32 | low)
    }

    /// The reference in a directory's slot at this offset of a large item's chunk.
    pub(crate) fn slot(self, at: usize) -> Ref {
        // Relaxed, as is the store: who may look at a large item's bytes may look at these.
        Ref(self.u32_at(at).load(Ordering::Relaxed))
    }

    /// Names a part in a directory's slot.
    pub(crate) fn set_slot(self, at: usize, part: Ref) {
        self.u32_at(at).store(part.0, Ordering::Relaxed);
    }
}

/// Who is left when a reader has taken its pin back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pins {
    /// Other readers.
    Readers,
    /// The index alone.
    Index,
    /// Nobody: the chain is to be freed.
    None,
}
