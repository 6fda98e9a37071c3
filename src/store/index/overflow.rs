//! The entries of one home: its bucket and the pieces of overflow behind it, whole ones first. Entries are dense: only
//! the last piece has empty slots. Guarded by the stripe's lock.

use super::bucket::{Entry, Place, SLOTS, Size, Slot};
use super::stripe::{LockedStripe, NoCell};
use crate::store::bytes::layout::Ref;

impl LockedStripe<'_> {
    /// The places of a home, its bucket first.
    pub(super) fn pieces(&self, home: u32) -> impl Iterator<Item = Place> {
        std::iter::successors(Some(Place::whole(home)), |&place| self.piece(place).next())
    }

    /// All entries of a home.
    pub(super) fn entries_of(&self, home: u32) -> impl Iterator<Item = (Ref, Slot)> {
        self.pieces(home)
            .flat_map(move |place| {
                let piece = self.piece(place);
                (0..piece.slots()).map(move |slot| (piece.reference(slot), Slot { place, slot }))
            })
            .filter(|(reference, _)| reference.is_some())
    }

    /// The last piece of a home, and the one before it.
    fn end_of(&self, home: u32) -> (Option<Place>, Place) {
        let (mut before, mut last) = (None, Place::whole(home));
        while let Some(next) = self.piece(last).next() {
            (before, last) = (Some(last), next);
        }
        (before, last)
    }

    /// Adds an entry at the end of a home.
    pub(super) fn append(&mut self, home: u32, entry: Entry) -> Result<(), NoCell> {
        let (before, last) = self.end_of(home);
        let piece = self.piece(last);
        let entries = piece.len();
        if entries < piece.slots() {
            piece.set(entries, entry);
            if before.is_none() {
                return Ok(());
            }
        } else if let (Some(before), Some(larger)) = (before, last.size().larger()) {
            let place = self.take_piece(larger)?;
            let target = self.piece(place);
            (0..entries).for_each(|slot| target.set(slot, piece.entry(slot)));
            target.set(entries, entry);
            self.piece(before).set_next(Some(place));
            self.give_piece(last);
        } else {
            let place = self.take_piece(Size::Quarter)?;
            self.piece(place).set(0, entry);
            piece.set_next(Some(place));
        }
        let bucket = self.piece(Place::whole(home));
        bucket.set_kinds_behind(bucket.kinds_behind() | entry.kind());
        Ok(())
    }

    /// Empties a slot: the home's last entry moves into the hole, and a piece that is larger than it need be shrinks.
    pub(super) fn take_out(&mut self, home: u32, slot: Slot) {
        let (before, last) = self.end_of(home);
        let piece = self.piece(last);
        let left = piece.len() - 1;
        self.piece(slot.place).set(slot.slot, piece.entry(left));
        piece.set(left, Entry::NONE);
        let Some(before) = before else { return };
        if left == 0 {
            self.piece(before).set_next(None);
            self.give_piece(last);
        } else if Size::for_entries(left) < last.size() {
            self.shrink(before, last, left);
        }
        self.piece(Place::whole(home)).set_kinds_behind(self.kinds_behind(home));
    }

    /// Gives back the second half of a piece that fits the first.
    fn shrink(&mut self, before: Place, place: Place, entries: usize) {
        let piece = self.piece(place);
        let kept: [Entry; SLOTS / 2] =
            std::array::from_fn(|slot| if slot < entries { piece.entry(slot) } else { Entry::NONE });
        piece.clear();
        let first = place.first(Size::for_entries(entries));
        let target = self.piece(first);
        (0..entries).for_each(|slot| target.set(slot, kept[slot]));
        self.piece(before).set_next(Some(first));
        self.give_piece(first.buddy().expect("smaller than it was"));
    }

    /// Empties a home down to its bucket.
    pub(super) fn empty(&mut self, home: u32) {
        let bucket = self.piece(Place::whole(home));
        let mut next = bucket.next();
        bucket.clear();
        while let Some(place) = next {
            next = self.piece(place).next();
            self.give_piece(place);
        }
    }

    /// Gives an empty home its entries. There must be room for the pieces it needs.
    pub(super) fn fill(&mut self, home: u32, entries: &[Entry]) {
        let mut before = Place::whole(home);
        for (nth, part) in entries.chunks(SLOTS).enumerate() {
            if nth > 0 {
                let place = self.take_piece(Size::for_entries(part.len())).expect("what was emptied makes room");
                self.piece(before).set_next(Some(place));
                before = place;
            }
            let piece = self.piece(before);
            part.iter().enumerate().for_each(|(slot, &entry)| piece.set(slot, entry));
        }
        self.piece(Place::whole(home)).set_kinds_behind(self.kinds_behind(home));
    }

    /// The kinds of all entries behind a home bucket.
    pub(super) fn kinds_behind(&self, home: u32) -> u8 {
        self.pieces(home).skip(1).fold(0, |kinds, place| kinds | self.piece(place).kinds())
    }
}
