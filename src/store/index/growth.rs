//! Growth by one home bucket at a time, and the way back: linear hashing.

use super::bucket::{Entry, Place};
use super::homes::home_of;
use super::stripe::LockedStripe;
use crate::store::memory::page::Pages;
use crate::sync::Ordering;

/// Entries of the fullest home that is split. At the load where buckets are split one of 64 is rarer than one
/// in 10^9.
const HOME_ENTRIES_MAX: usize = 96;

/// Entries on their way from one home to others.
struct Entries {
    list: [Entry; HOME_ENTRIES_MAX],
    len: usize,
}

impl Entries {
    fn new() -> Self {
        Self { list: [Entry::NONE; HOME_ENTRIES_MAX], len: 0 }
    }

    fn push(&mut self, entry: Entry) {
        self.list[self.len] = entry;
        self.len += 1;
    }

    fn as_slice(&self) -> &[Entry] {
        &self.list[..self.len]
    }
}

impl LockedStripe<'_> {
    /// Splits the next bucket in turn into itself and a new home bucket, if there is a spare cell.
    pub(super) fn split(&mut self, pages: &Pages) {
        let target = self.state.homes;
        let source = target - (1 << target.ilog2());
        if !self.has_spare_cell() || self.entries_of(source).nth(HOME_ENTRIES_MAX).is_some() {
            return;
        }
        self.entries_of(source).for_each(|(reference, _)| pages.prefetch(reference));
        let (mut staying, mut moving) = (Entries::new(), Entries::new());
        for (reference, slot) in self.entries_of(source) {
            let hash = self.index.hash(pages.chunk(reference).key(&*self.state));
            let entries = if home_of(hash, target + 1) == target { &mut moving } else { &mut staying };
            entries.push(self.piece(slot.place).entry(slot.slot));
        }
        self.empty(source);
        self.vacate(pages, target);
        self.set_homes(target + 1);
        // Two homes need no more pieces than the one did, whose pieces are free now, and for those that stood where
        // the new home is there was the spare cell.
        self.fill(source, staying.as_slice());
        self.fill(target, moving.as_slice());
    }

    /// Puts what two homes hold into the first of them, and makes the last home bucket, the second's, a free cell.
    /// There must be a spare cell if both have overflow. False, and nothing done: they hold too much.
    pub(super) fn join(&mut self, source: u32, target: u32) -> bool {
        let mut entries = Entries::new();
        if self.entries_of(source).chain(self.entries_of(target)).nth(HOME_ENTRIES_MAX).is_some() {
            return false;
        }
        for (_, slot) in self.entries_of(source).chain(self.entries_of(target)) {
            entries.push(self.piece(slot.place).entry(slot.slot));
        }
        self.empty(source);
        self.empty(target);
        self.set_homes(target);
        self.give_piece(Place::whole(target));
        self.fill(source, entries.as_slice());
        true
    }

    pub(super) fn set_homes(&mut self, homes: u32) {
        self.state.homes = homes;
        // Relaxed: a hint.
        self.index.homes[self.number].store(u64::from(homes), Ordering::Relaxed);
    }

    /// Makes the first cell that is no home empty and nobody's: what overflow it holds goes elsewhere. There must be a
    /// spare cell: this one or another.
    pub(super) fn vacate(&mut self, pages: &Pages, cell: u32) {
        if cell == self.state.fresh {
            self.state.fresh += 1;
            return;
        }
        let mut pieces = [None; 4];
        self.pieces_of(cell).zip(&mut pieces).for_each(|(piece, noted)| *noted = Some(piece));
        let pieces = || pieces.into_iter().flatten();
        // The free pieces first: nothing must move to them.
        pieces().filter(|&(_, is_free)| is_free).for_each(|(place, _)| self.unlink_free(place));
        pieces().filter(|&(_, is_free)| !is_free).for_each(|(place, _)| self.relocate(pages, place));
    }

    /// Moves a piece of overflow to another place.
    fn relocate(&mut self, pages: &Pages, place: Place) {
        let piece = self.piece(place);
        let target = self.take_piece(place.size()).expect("there is a spare cell");
        let hash = self.index.hash(pages.chunk(piece.entry(0).reference).key(&*self.state));
        let before = self.pieces(self.home_of(hash)).find(|&before| self.piece(before).next() == Some(place));
        piece.copy_to(self.piece(target));
        self.piece(before.expect("the home leads to the piece")).set_next(Some(target));
        piece.clear();
    }
}
