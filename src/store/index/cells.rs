//! The cells of a stripe's column: home buckets below, and the rest for overflow, cut into halves and quarters where
//! less is wanted and put together again. Guarded by the stripe's lock.

use super::bucket::{Bucket, Place, Size};
use super::stripe::{LockedStripe, NoCell};
use crate::sync::Ordering;

impl<'i> LockedStripe<'i> {
    /// The bucket or piece at a place.
    pub(super) fn piece(&self, place: Place) -> Bucket<'i> {
        self.index.buckets.piece(place, self.number)
    }

    /// Whether there is a whole cell to be had.
    pub(super) fn has_spare_cell(&self) -> bool {
        self.state.free.first(Size::Whole).is_some() || self.state.fresh < self.index.rows.load(Ordering::Acquire)
    }

    /// Whether what a cell holds could go elsewhere: it is nothing, or there is another whole cell.
    pub(super) fn can_vacate(&self, cell: u32) -> bool {
        let first = self.state.free.first(Size::Whole);
        let is_free = self.piece(Place::whole(cell)).begins() == (Size::Whole, true);
        is_free || first.is_some()
    }

    /// An empty piece for overflow: a free one, or part of a larger.
    pub(super) fn take_piece(&mut self, size: Size) -> Result<Place, NoCell> {
        let found = Size::ALL.into_iter().filter(|&larger| larger >= size).find_map(|size| self.state.free.first(size));
        let mut place = match found {
            Some(place) => {
                self.unlink_free(place);
                place
            }
            None => self.take_fresh()?,
        };
        while let Some(smaller) = place.size().smaller().filter(|&smaller| smaller >= size) {
            place = place.first(smaller);
            self.push_free(place.buddy().expect("smaller than a cell"));
        }
        Ok(place)
    }

    fn take_fresh(&mut self) -> Result<Place, NoCell> {
        let cell = self.state.fresh;
        if cell >= self.index.rows.load(Ordering::Acquire) {
            return Err(NoCell);
        }
        self.state.fresh += 1;
        Ok(Place::whole(cell))
    }

    /// Gives a piece back, whatever is in it.
    pub(super) fn give_piece(&mut self, place: Place) {
        self.piece(place).clear();
        let mut place = place;
        while let Some(buddy) = place.buddy().filter(|&buddy| self.piece(buddy).begins() == (buddy.size(), true)) {
            self.unlink_free(buddy);
            place = place.joined();
        }
        self.push_free(place);
    }

    fn push_free(&mut self, place: Place) {
        let next = self.state.free.first(place.size());
        if let Some(next) = next {
            self.piece(next).set_free_previous(Some(place));
        }
        self.piece(place).set_free(place.size(), next);
        self.state.free.set_first(place.size(), Some(place));
    }

    /// Takes a piece out of its list of free ones; it is empty then.
    pub(super) fn unlink_free(&mut self, place: Place) {
        let piece = self.piece(place);
        let (next, previous) = piece.free_links();
        match previous {
            Some(previous) => self.piece(previous).set_free_next(next),
            None => self.state.free.set_first(place.size(), next),
        }
        if let Some(next) = next {
            self.piece(next).set_free_previous(previous);
        }
        piece.clear();
    }

    /// The pieces of a cell that was used and is no home, and whether each is free.
    pub(super) fn pieces_of(&self, cell: u32) -> impl Iterator<Item = (Place, bool)> {
        let mut quarter = 0;
        std::iter::from_fn(move || {
            if quarter == Size::Whole.quarters() {
                return None;
            }
            let (size, is_free) = self.piece(Place::new(cell, quarter, Size::Quarter)).begins();
            let place = Place::new(cell, quarter, size);
            quarter += size.quarters();
            Some((place, is_free))
        })
    }

    /// Free pieces of all sizes.
    fn free_pieces(&self) -> impl Iterator<Item = Place> {
        Size::ALL.into_iter().flat_map(|size| {
            std::iter::successors(self.state.free.first(size), |&place| self.piece(place).free_links().0)
        })
    }

    /// Every part of a cell below `fresh` is a home, in one home's overflow, or in the list of its size; a piece is the
    /// smallest for what it holds, and home buckets know what stands behind them.
    pub(crate) fn audit_places(&self) -> Result<(), String> {
        let mut seen = std::collections::HashMap::new();
        for home in 0..self.state.homes {
            for place in self.pieces(home) {
                *seen.entry(place).or_insert(0) += 1;
                let entries = self.piece(place).len();
                if place != Place::whole(home) && Size::for_entries(entries) != place.size() {
                    return Err(format!("{place:?} holds {entries} entries"));
                }
            }
            let kinds = self.kinds_behind(home);
            if self.piece(Place::whole(home)).kinds_behind() != kinds {
                return Err(format!("home {home} does not know that kinds {kinds:b} stand behind it"));
            }
        }
        for place in self.free_pieces() {
            *seen.entry(place).or_insert(0) += 1;
        }
        let homes = (0..self.state.homes).map(Place::whole);
        let others = (self.state.homes..self.state.fresh).flat_map(|cell| self.pieces_of(cell).map(|(place, _)| place));
        for place in homes.chain(others) {
            match seen.remove(&place) {
                Some(1) => {}
                places => return Err(format!("{place:?} is in {} places", places.unwrap_or(0))),
            }
        }
        if seen.is_empty() { Ok(()) } else { Err(format!("{:?} overlap others", seen.keys())) }
    }
}
