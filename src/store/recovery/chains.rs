//! Which parts belong to large items: those that heads lead to. All others are free.

use super::pages::Share;
use crate::store::bytes::item::PART;
use crate::store::bytes::layout::{EXTENT_BYTES, Ref};
use crate::store::bytes::shape::{Cursor, PART_HEADER_BYTES, Shape};
use crate::store::local::Local;
use crate::store::memory::page::PageId;
use crate::store::shared::Store;
use crate::sync::Ordering;

impl Store {
    /// Follows the chains of all large items that are in the index. One of which a part is missing goes.
    pub(super) fn recover_chains(&self, local: &Local, share: &mut Share) {
        for (hash, head) in std::mem::take(&mut share.heads) {
            let chunk = self.pages.chunk(head);
            // Another with its key took its place.
            if !chunk.is_item() {
                continue;
            }
            if self.reach_parts(head, hash, chunk.shape()) {
                continue;
            }
            self.index.take_out_again(hash, head);
            self.count_gone(local, head, chunk);
            chunk.retire();
            share.lost.push(head);
            share.found.kept -= 1;
            share.found.broken += 1;
        }
    }

    /// Says of all parts of an item that they belong to it; false, and of none: one is not what it should be.
    fn reach_parts(&self, head: Ref, hash: u64, shape: Shape) -> bool {
        let mut at = shape.head(head);
        while at.end() < shape.total {
            match self.part_behind(shape, at, hash) {
                Some(next) => at = next,
                None => {
                    self.leave_parts(head, shape, at.number);
                    return false;
                }
            }
            // A head that was being moved may have left parts that name the copy.
            self.pages.chunk(at.chunk).set_part_head(head);
        }
        true
    }

    fn part_behind(&self, shape: Shape, at: Cursor, hash: u64) -> Option<Cursor> {
        let (directory, slot) = shape.slot_behind(at);
        // A directory's chunk is an extent, or there would be no slots in it to look at.
        if slot + size_of::<u32>() > EXTENT_BYTES || self.pages.room_of(directory) != Some(EXTENT_BYTES) {
            return None;
        }
        let reference = self.pages.chunk(directory).slot(slot);
        let room = self.pages.room_of(reference).filter(|room| *room >= PART_HEADER_BYTES)?;
        let chunk = self.pages.chunk(reference);
        if chunk.key_len() != PART || chunk.part_number() != at.number + 1 || chunk.part_owner().1 != hash {
            return None;
        }
        let next = shape.behind(at, reference);
        // A short part is the last.
        (next.first + next.len <= room && chunk.note_reached()).then_some(next)
    }

    /// Takes back that the first so many parts belong to an item.
    fn leave_parts(&self, head: Ref, shape: Shape, count: u32) {
        let mut at = shape.head(head);
        for _ in 0..count {
            at = self.pages.next_cursor(shape, at);
            self.pages.chunk(at.chunk).forget_reached();
        }
    }

    /// Frees the parts that no head led to.
    pub(super) fn free_unreached(&self, page: PageId) {
        let entry = self.pages.entry(page);
        let Some(class) = entry.class() else { return };
        for number in 0..entry.formatted.load(Ordering::Acquire) {
            let reference = self.pages.reference(page, class, number);
            let chunk = self.pages.chunk(reference);
            if chunk.key_len() != PART {
                continue;
            }
            if chunk.is_reached() {
                chunk.forget_reached();
            } else {
                chunk.retire();
                entry.link_free(chunk, reference);
            }
        }
    }
}
