//! The shape of a large item: its chunks, and the directories that name them.
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
//! bytes never change: an overwrite makes another item. An item with a reader gives no memory back, so what
//! readers hold together is counted.

use super::layout::{EXTENT_BYTES, Ref};

/// Bytes before the key of a large item's head: the header with both optional fields always present, then
/// total length, pins and a client's own cas. Its marks lie in front of the total length.
pub(crate) const LARGE_HEAD_BYTES: usize = 36;
/// Bytes before the value bytes of a part of a large item.
pub(crate) const PART_HEADER_BYTES: usize = 24;

/// Parts that a directory names.
const DIRECTORY_PARTS: u32 = 64;

/// Bytes of a directory's slot.
const SLOT_BYTES: usize = size_of::<u32>();

/// What says where everything lies in a large item's chunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) key_len: usize,
    /// Bytes of the whole value.
    pub(crate) total: usize,
}

/// A chunk of a large item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub(crate) chunk: Ref,
    /// 0: the head, else the part with this number.
    pub(crate) number: u32,
    /// The chunk with the directory that names the part behind this one.
    pub(crate) directory: Ref,
    /// Where value bytes begin in the chunk.
    pub(crate) first: usize,
    /// Value bytes the chunk holds or will hold.
    pub(crate) len: usize,
    /// Offset in the value of the chunk's first value byte.
    pub(crate) start: usize,
}

impl Cursor {
    /// Offset in the value of the byte behind the chunk's last.
    pub(crate) fn end(&self) -> usize {
        self.start + self.len
    }
}

impl Shape {
    /// The head.
    pub(crate) fn head(self, head: Ref) -> Cursor {
        let first = self.value_at();
        Cursor { chunk: head, number: 0, directory: head, first, len: self.total.min(EXTENT_BYTES - first), start: 0 }
    }

    /// The chunk behind another, if it is there.
    pub(crate) fn behind(self, at: Cursor, chunk: Ref) -> Cursor {
        let (number, start) = (at.number + 1, at.end());
        let missing = self.total - start;
        let first = PART_HEADER_BYTES + part_directory_bytes(number, missing);
        let directory = if has_directory(number) { chunk } else { at.directory };
        Cursor { chunk, number, directory, first, len: missing.min(EXTENT_BYTES - first), start }
    }

    /// How many chunks a value lies in, the head among them, if each but the last is an extent.
    pub(crate) fn chunks(self) -> usize {
        let mut at = self.head(Ref::NONE);
        let mut chunks = 1;
        while at.end() < self.total {
            at = self.behind(at, Ref::NONE);
            chunks += 1;
        }
        chunks
    }

    /// Bytes that the chunk behind another needs for all the rest; a value goes on in another part if it gets less.
    pub(crate) fn bytes_behind(self, at: Cursor) -> usize {
        let missing = self.total - at.end();
        PART_HEADER_BYTES + part_directory_bytes(at.number + 1, missing) + missing
    }

    /// Where the part behind a chunk is named: a chunk, and the slot's offset in it.
    pub(crate) fn slot_behind(self, at: Cursor) -> (Ref, usize) {
        let directory_at = if at.number < DIRECTORY_PARTS { self.head_directory_at() } else { PART_HEADER_BYTES };
        (at.directory, directory_at + slots(at.number % DIRECTORY_PARTS))
    }

    /// Where the value begins in the head.
    pub(crate) fn value_at(self) -> usize {
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

/// A large value that is being written to a client. Holds its memory until
/// [`Store::unpin`](crate::store::Store::unpin).
#[derive(Debug)]
pub struct Pinned {
    pub(crate) head: Ref,
    pub(crate) shape: Shape,
    /// The chunk that was last read from.
    pub(crate) cursor: Cursor,
}

impl Pinned {
    /// A large item that the caller holds a pin of.
    pub(crate) fn new(head: Ref, shape: Shape) -> Self {
        Self { head, shape, cursor: shape.head(head) }
    }

    /// Length of the whole value in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a large value is never empty")]
    pub fn len(&self) -> usize {
        self.shape.total
    }

    /// Another reader's place in the same value, under the same pin.
    pub(crate) fn again(&self) -> Self {
        Self { cursor: self.shape.head(self.head), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, EXTENT_BYTES, PART_HEADER_BYTES, Ref, Shape};

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
                slots.push((holder.number, slot));
            }
            let count = slots.len();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), count, "no slot names two parts of a value of {total}");
            assert!(chunks.iter().all(|chunk| chunk.first + chunk.len <= EXTENT_BYTES));
        }
    }
}
