//! The chain of a large item's chunks, followed from directory to directory.

use super::page::Pages;
use crate::store::bytes::layout::Ref;
use crate::store::bytes::shape::{Cursor, Pinned, Shape};

/// The bytes of a pinned value from somewhere on, in the pieces they lie in.
#[derive(Debug)]
pub struct PinnedPieces<'p> {
    pages: &'p Pages,
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
            self.cursor = self.pages.next_cursor(self.pinned.shape, self.cursor);
        }
        let Cursor { chunk, first, len, start, .. } = self.cursor;
        let into = self.offset - start;
        let piece = self.pages.chunk(chunk).pinned_bytes(self.pinned, first + into, len - into);
        self.offset += piece.len();
        Some(piece)
    }
}

impl Pages {
    /// The bytes of a pinned value from `offset` on, piece by piece to the end. Cheap when offsets rise.
    pub(crate) fn pinned_pieces<'p>(&'p self, pinned: &'p mut Pinned, offset: usize) -> PinnedPieces<'p> {
        if offset < pinned.cursor.start {
            pinned.cursor = pinned.shape.head(pinned.head);
        }
        while offset < pinned.len() && offset >= pinned.cursor.end() {
            pinned.cursor = self.next_cursor(pinned.shape, pinned.cursor);
        }
        PinnedPieces { pages: self, cursor: pinned.cursor, pinned, offset }
    }

    /// The chunk behind another that is not the last.
    pub(crate) fn next_cursor(&self, shape: Shape, at: Cursor) -> Cursor {
        let (chunk, slot) = shape.slot_behind(at);
        shape.behind(at, self.chunk(chunk).slot(slot))
    }

    /// Where a committed large item names its part with this number: a chunk, and the slot's offset in it; `None`: it
    /// has no such part.
    pub(crate) fn named_at(&self, head: Ref, number: u32) -> Option<(Ref, usize)> {
        let shape = self.chunk(head).shape();
        let mut at = shape.head(head);
        while at.number + 1 < number && at.end() < shape.total {
            at = self.next_cursor(shape, at);
        }
        (at.number + 1 == number && at.end() < shape.total).then(|| shape.slot_behind(at))
    }

    /// The parts of a committed large item, for who holds its stripe or is alone.
    pub(crate) fn parts(&self, head: Ref) -> Vec<Cursor> {
        let shape = self.chunk(head).shape();
        let mut at = shape.head(head);
        let mut parts = Vec::new();
        while at.end() < shape.total {
            at = self.next_cursor(shape, at);
            parts.push(at);
        }
        parts
    }
}
