//! The chunks of a large item, the directories that name them, and how a value is read from them.
//!
//! ```text
//! head    | header 10 | exptime 4 | flags 4 | marks 1 | - 1 | total 4 | pins 4 | own cas 8 |
//!         | key | - 0..3 | directory | value bytes ...                                     |
//! part    | 254 | state | - 2 | number 4 | head 4 | - 4 | key hash 8 | value bytes ...     |
//!         or, every 64th:                            ... | directory | value bytes ...     |
//! ```
//!
//! A directory is the references of the next 64 parts, or as many as can be needed. So whoever hands a value to the
//! kernel knows where its pieces lie without having touched one: with a link in each part instead, waiting for
//! memory at each was 11 % of the CPU of a get of 1 MB.
//!
//! The index's hold on the item is one pin, every reader's another; the last to unpin frees the chain. Pinned
//! bytes never change: an overwrite makes another item.

use super::Store;
use super::item::{Chunk, LARGE_HEAD_BYTES, LARGE_PINS_AT, PART_HEADER_BYTES, Ref};
use super::reserve::Local;
use super::slab::classes::EXTENT_BYTES;
use super::table::LockedStripe;
use crate::sync::Ordering;

/// Parts that a directory names.
const DIRECTORY_PARTS: u32 = 64;

/// Bytes of a directory's slot.
const SLOT_BYTES: usize = size_of::<u32>();

/// What says where everything lies in a large item's chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) key_len: usize,
    /// Bytes of the whole value.
    pub(super) total: usize,
}

/// A chunk of a large item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) chunk: Ref,
    /// 0: the head, else the part with this number.
    pub(super) number: u32,
    /// The chunk with the directory that names the part behind this one.
    directory: Ref,
    /// Where value bytes begin in the chunk.
    pub(super) first: usize,
    /// Value bytes the chunk holds or will hold.
    pub(super) len: usize,
    /// Offset in the value of the chunk's first value byte.
    pub(super) start: usize,
}

impl Cursor {
    /// Offset in the value of the byte behind the chunk's last.
    pub(super) fn end(&self) -> usize {
        self.start + self.len
    }
}

impl Shape {
    /// The head.
    pub(super) fn head(self, head: Ref) -> Cursor {
        let first = self.value_at();
        Cursor { chunk: head, number: 0, directory: head, first, len: self.total.min(EXTENT_BYTES - first), start: 0 }
    }

    /// The chunk behind another, if it is there.
    pub(super) fn behind(self, at: Cursor, chunk: Ref) -> Cursor {
        let (number, start) = (at.number + 1, at.end());
        let missing = self.total - start;
        let first = PART_HEADER_BYTES + part_directory_bytes(number, missing);
        let directory = if has_directory(number) { chunk } else { at.directory };
        Cursor { chunk, number, directory, first, len: missing.min(EXTENT_BYTES - first), start }
    }

    /// Bytes that the chunk behind another needs for all the rest; a value goes on in another part if it gets less.
    pub(super) fn bytes_behind(self, at: Cursor) -> usize {
        let missing = self.total - at.end();
        PART_HEADER_BYTES + part_directory_bytes(at.number + 1, missing) + missing
    }

    /// Where the part behind a chunk is named: a chunk, and the slot's offset in it.
    pub(super) fn slot_behind(self, at: Cursor) -> (Ref, usize) {
        let directory_at = if at.number < DIRECTORY_PARTS { self.head_directory_at() } else { PART_HEADER_BYTES };
        (at.directory, directory_at + slots(at.number % DIRECTORY_PARTS))
    }

    /// Where the head names the part with this number, if there is one and the head does: what lies in other slots
    /// was left there by another item.
    pub(super) fn head_slot_of(self, number: u32) -> Option<usize> {
        let before = number.checked_sub(1).filter(|before| *before < DIRECTORY_PARTS)?;
        let full_parts = usize::try_from(before).ok()? * (EXTENT_BYTES - PART_HEADER_BYTES);
        let is_there = self.head(Ref::NONE).len + full_parts < self.total;
        is_there.then(|| self.head_directory_at() + slots(before))
    }

    /// Where the value begins in the head.
    pub(super) fn value_at(self) -> usize {
        self.head_directory_at() + directory_bytes(self.total)
    }

    fn head_directory_at(self) -> usize {
        (LARGE_HEAD_BYTES + self.key_len).next_multiple_of(SLOT_BYTES)
    }
}

/// Bytes of the directory in a chunk from which on so much of the value is left: a slot or more for each part behind.
fn directory_bytes(left: usize) -> usize {
    let parts_max = left.div_ceil(EXTENT_BYTES - PART_HEADER_BYTES);
    parts_max.saturating_mul(SLOT_BYTES).min(slots(DIRECTORY_PARTS))
}

/// The same for a part: the last needs none.
fn part_directory_bytes(number: u32, left: usize) -> usize {
    let is_last = PART_HEADER_BYTES + left <= EXTENT_BYTES;
    if has_directory(number) && !is_last { directory_bytes(left) } else { 0 }
}

fn has_directory(number: u32) -> bool {
    number.is_multiple_of(DIRECTORY_PARTS)
}

/// Bytes of so many slots.
fn slots(count: u32) -> usize {
    usize::try_from(count).expect("at most 64") * SLOT_BYTES
}

/// A large value that is being written to a client. Holds its memory until [`Store::unpin`].
#[derive(Debug)]
pub struct Pinned {
    head: Ref,
    shape: Shape,
    cursor: Cursor,
}

impl Pinned {
    /// Length of the whole value in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a large value is never empty")]
    pub fn len(&self) -> usize {
        self.shape.total
    }

    /// Another reader's place in the same value, under the same pin.
    pub(super) fn again(&self) -> Self {
        Self { cursor: self.shape.head(self.head), ..*self }
    }
}

/// The bytes of a pinned value from somewhere on, in the pieces they lie in.
#[derive(Debug)]
pub struct PinnedPieces<'p> {
    store: &'p Store,
    pinned: &'p Pinned,
    cursor: Cursor,
    offset: usize,
}

impl<'p> Iterator for PinnedPieces<'p> {
    type Item = &'p [u8];

    fn next(&mut self) -> Option<&'p [u8]> {
        if self.offset >= self.pinned.len() {
            return None;
        }
        if self.offset >= self.cursor.end() {
            self.cursor = self.store.next_cursor(self.pinned.shape, self.cursor);
        }
        let Cursor { chunk, first, len, start, .. } = self.cursor;
        let into = self.offset - start;
        let piece = self.store.pages.chunk(chunk).pinned_bytes(self.pinned, first + into, len - into);
        self.offset += piece.len();
        Some(piece)
    }
}

impl Store {
    /// Takes a reader's pin of a large item, under its stripe's lock.
    pub(super) fn pin(&self, _stripe: &LockedStripe<'_>, head: Ref) -> Pinned {
        let chunk = self.pages.chunk(head);
        chunk.pin();
        Self::pinned(head, shape_of(chunk))
    }

    /// A large item that the caller holds a pin of.
    pub(super) fn pinned(head: Ref, shape: Shape) -> Pinned {
        Pinned { head, shape, cursor: shape.head(head) }
    }

    /// The bytes of a pinned value from `offset` on, as far as they lie in one piece; empty at the end. Cheap when
    /// offsets rise.
    #[must_use]
    pub fn pinned_bytes<'p>(&'p self, pinned: &'p mut Pinned, offset: usize) -> &'p [u8] {
        self.pinned_pieces(pinned, offset).next().unwrap_or_default()
    }

    /// The same, piece by piece to the end.
    pub fn pinned_pieces<'p>(&'p self, pinned: &'p mut Pinned, offset: usize) -> PinnedPieces<'p> {
        if offset < pinned.cursor.start {
            pinned.cursor = pinned.shape.head(pinned.head);
        }
        while offset < pinned.len() && offset >= pinned.cursor.end() {
            pinned.cursor = self.next_cursor(pinned.shape, pinned.cursor);
        }
        PinnedPieces { store: self, cursor: pinned.cursor, pinned, offset }
    }

    /// The chunk behind another that is not the last.
    pub(super) fn next_cursor(&self, shape: Shape, at: Cursor) -> Cursor {
        let (chunk, slot) = shape.slot_behind(at);
        shape.behind(at, self.pages.chunk(chunk).slot(slot))
    }

    /// Gives a pin back.
    pub fn unpin(&self, local: &mut Local, pinned: Pinned) {
        let chunk = self.pages.chunk(pinned.head);
        if chunk.unpin() {
            // Relaxed: a sum for a limit; the pin count ordered the rest.
            self.orphaned_bytes.fetch_sub(length(pinned.len()), Ordering::Relaxed);
            self.free_chain(local, pinned.head, pinned.shape, pinned.len());
        }
    }

    /// Whether readers hold more of what is gone than they may: an eighth of `-m`.
    #[must_use]
    pub fn orphans_over_limit(&self) -> bool {
        self.orphaned_bytes.load(Ordering::Relaxed) > self.options.limit_bytes / 8
    }

    /// Whether a pinned value is among those: only its readers hold its memory.
    #[must_use]
    pub fn is_orphan(&self, pinned: &Pinned) -> bool {
        self.pages.chunk(pinned.head).key_len() == 0
    }

    /// Ends the index's hold on a large item that was just taken out of it, under its stripe's lock.
    pub(super) fn let_go_large(&self, local: &mut Local, head: Ref) {
        let chunk = self.pages.chunk(head);
        let shape = shape_of(chunk);
        // The readers' sum first: whoever unpins last takes it off again.
        self.orphaned_bytes.fetch_add(length(shape.total), Ordering::Relaxed);
        chunk.retire();
        if chunk.unpin() {
            self.orphaned_bytes.fetch_sub(length(shape.total), Ordering::Relaxed);
            self.free_chain(local, head, shape, shape.total);
        }
    }

    /// Frees the chunks of the first `end` bytes of a value that nobody has a pin of.
    pub(super) fn free_chain(&self, local: &mut Local, head: Ref, shape: Shape, end: usize) {
        let mut at = shape.head(head);
        loop {
            let next = (at.end() < end).then(|| self.next_cursor(shape, at));
            self.pages.chunk(at.chunk).retire();
            local.free(self.class_of(at.chunk), at.chunk);
            match next {
                Some(next) => at = next,
                None => return,
            }
        }
    }

    /// The parts of a committed large item, for who holds its stripe or is alone.
    pub(super) fn parts(&self, head: Ref) -> Vec<Cursor> {
        let shape = shape_of(self.pages.chunk(head));
        let mut at = shape.head(head);
        let mut parts = Vec::new();
        while at.end() < shape.total {
            at = self.next_cursor(shape, at);
            parts.push(at);
        }
        parts
    }
}

impl Chunk<'_> {
    /// Adds a reader's pin; only under the stripe's lock of a linked item, whose own pin keeps the count above 0.
    pub(super) fn pin(self) {
        let before = self.u32_at(LARGE_PINS_AT).fetch_add(1, Ordering::Relaxed);
        debug_assert!(before > 0, "the index holds a pin");
    }

    /// Takes a pin back; true for the last one, who frees the chain. AcqRel: what other pin holders read or
    /// wrote happens before the chunks are used again.
    #[must_use]
    pub(super) fn unpin(self) -> bool {
        let before = self.u32_at(LARGE_PINS_AT).fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "every pin is taken back once");
        before == 1
    }

    /// How many pins the item has, the index's among them.
    pub(super) fn pins(self) -> u32 {
        // Acquire: pairs with `unpin`, for the page mover, which goes on where no reader is left.
        self.u32_at(LARGE_PINS_AT).load(Ordering::Acquire)
    }

    /// The reference in a directory's slot at this offset of a large item's chunk.
    pub(super) fn slot(self, at: usize) -> Ref {
        // Relaxed, as is the store: who may look at a large item's bytes may look at these.
        Ref(self.u32_at(at).load(Ordering::Relaxed))
    }

    /// Names a part in a directory's slot.
    pub(super) fn set_slot(self, at: usize, part: Ref) {
        self.u32_at(at).store(part.0, Ordering::Relaxed);
    }
}

/// The shape of a live large item.
pub(super) fn shape_of(head: Chunk<'_>) -> Shape {
    Shape { key_len: usize::from(head.key_len()), total: head.value_len() }
}

pub(super) fn length(n: usize) -> u64 {
    u64::try_from(n).expect("64 bits hold a usize")
}

#[cfg(test)]
mod tests {
    use super::{Cursor, DIRECTORY_PARTS, EXTENT_BYTES, Shape};
    use crate::store::item::{PART_HEADER_BYTES, Ref};

    /// The chunks of a value, each part's number for its reference.
    fn chunks(shape: Shape) -> Vec<Cursor> {
        let mut chunks = vec![shape.head(Ref(0))];
        while let Some(&last) = chunks.last().filter(|last| last.end() < shape.total) {
            chunks.push(shape.behind(last, Ref(last.number + 1)));
        }
        chunks
    }

    #[test]
    fn each_part_is_named_in_a_slot_of_its_own_in_front_of_the_value() {
        let room = EXTENT_BYTES - PART_HEADER_BYTES;
        let totals = [1, 2, 63, 64, 65, 128, 200].map(|parts| parts * room);
        for total in
            totals.into_iter().flat_map(|total| total - 300..total + 300).filter(|total| *total >= EXTENT_BYTES)
        {
            let shape = Shape { key_len: total % 250 + 1, total };
            let chunks = chunks(shape);
            let mut slots = Vec::new();
            for pair in chunks.windows(2) {
                let (holder, slot) = shape.slot_behind(pair[0]);
                let holder = chunks[usize::try_from(holder.0).expect("its number")];
                assert!(holder.number <= pair[0].number && slot + 4 <= holder.first, "{total}: {pair:?} in {holder:?}");
                assert!(slot.is_multiple_of(4));
                let named_by_head = (pair[1].number <= DIRECTORY_PARTS).then_some(slot);
                assert_eq!(shape.head_slot_of(pair[1].number), named_by_head);
                slots.push((holder.number, slot));
            }
            let (count, next) = (slots.len(), u32::try_from(chunks.len()).expect("a few"));
            assert_eq!((shape.head_slot_of(0), shape.head_slot_of(next)), (None, None), "{total}");
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), count, "no slot names two parts of a value of {total}");
            assert!(chunks.iter().all(|chunk| chunk.first + chunk.len <= EXTENT_BYTES));
        }
    }
}
