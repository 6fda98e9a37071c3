//! An operation on a key's item, which takes as many attempts as it needs: what it lacks under its stripe's lock it
//! gets after unlocking, and looks again. What it has taken out of the index is given back after unlocking, too.

use crate::store::bytes::layout::Ref;
use crate::store::index::{Found, LockedStripe, NoCell, RowWish};
use crate::store::local::Local;
use crate::store::memory::classes::ClassId;
use crate::store::shared::Store;
use crate::store::supply::reserve::Effort;
use crate::store::under_lock::{Dead, Gone, Link, Linked};
use crate::store::words::outcome::{Key, Miss};
use crate::time::Seconds;

/// An operation on a key's item. Ends in [`Store::end`].
#[derive(Debug)]
#[must_use = "what it has in hand is to be given back"]
pub(crate) struct Attempt<'l, 'k> {
    pub(crate) local: &'l mut Local,
    pub(crate) key: Key<'k>,
    pub(crate) now: Seconds,
    /// A chunk that an attempt before lacked.
    spare: Option<Ref>,
    /// What this attempt has taken out of the index.
    gone: Option<Gone>,
    wants_row: RowWish,
}

/// What an attempt lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// A chunk of this class or a larger one.
    Chunk(ClassId),
    /// Room for another entry in the stripe.
    Cell,
    /// A chunk larger than there are.
    Hopeless,
}

impl From<NoCell> for Halt {
    fn from(NoCell: NoCell) -> Self {
        Self::Cell
    }
}

impl<'l, 'k> Attempt<'l, 'k> {
    #[inline(always)]
    pub(crate) fn new(local: &'l mut Local, key: Key<'k>, now: Seconds) -> Self {
        Self { local, key, now, spare: None, gone: None, wants_row: RowWish::NONE }
    }

    /// Has what was taken out of the index given back at the end. One lock hold takes out one item: what a key has is
    /// live or dead.
    fn note_gone(&mut self, gone: Gone) {
        debug_assert!(self.gone.is_none(), "one item a lock hold");
        self.gone = Some(gone);
    }
}

impl Store {
    /// Makes attempts under the lock of the key's stripe until one lacks nothing.
    ///
    /// # Errors
    /// What was lacking and is not to be had.
    #[inline(always)]
    pub(crate) fn retry<'s, 'k, T>(
        &'s self,
        attempt: &mut Attempt<'_, 'k>,
        operation: impl FnMut(&mut Attempt<'_, 'k>, &mut LockedStripe<'s>) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        let stripe = self.index.lock(attempt.key.hash);
        self.retry_from(attempt, stripe, operation)
    }

    /// The same from a first attempt on whose stripe is locked.
    #[inline(always)]
    pub(crate) fn retry_from<'s, 'k, T>(
        &'s self,
        attempt: &mut Attempt<'_, 'k>,
        mut stripe: LockedStripe<'s>,
        mut operation: impl FnMut(&mut Attempt<'_, 'k>, &mut LockedStripe<'s>) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        loop {
            let attempted = operation(attempt, &mut stripe);
            drop(stripe);
            match attempted {
                Ok(done) => return Ok(done),
                Err(halt) => self.help(attempt, halt)?,
            }
            stripe = self.index.lock(attempt.key.hash);
        }
    }

    /// An operation that lacks nothing, under one hold of the stripe's lock.
    #[inline(always)]
    pub(crate) fn once<'s, 'k, T>(
        &'s self,
        mut attempt: Attempt<'_, 'k>,
        operation: impl FnOnce(&mut Attempt<'_, 'k>, &mut LockedStripe<'s>) -> T,
    ) -> T {
        let mut stripe = self.index.lock(attempt.key.hash);
        let done = operation(&mut attempt, &mut stripe);
        drop(stripe);
        self.end(attempt);
        done
    }

    /// Ends an operation, with no lock held: what it has in hand goes back, and the index gets the row that a link
    /// asked for. Refused, the stripe lives with longer chains.
    #[inline(always)]
    pub(crate) fn end<'l>(&self, attempt: Attempt<'l, '_>) -> &'l mut Local {
        let Attempt { local, spare, gone, wants_row, .. } = attempt;
        if let Some(gone) = gone {
            self.give_back(local, gone);
        }
        if wants_row.is_some() {
            self.grant_row(wants_row);
        }
        if let Some(unused) = spare {
            self.keep_chunk(local, unused);
        }
        local
    }

    /// Gets what an attempt lacks, with no lock held.
    ///
    /// # Errors
    /// When it is not to be had.
    #[cold]
    fn help(&self, attempt: &mut Attempt<'_, '_>, halt: Halt) -> Result<(), Halt> {
        if let Some(gone) = attempt.gone.take() {
            self.give_back(attempt.local, gone);
        }
        let is_there = match halt {
            Halt::Cell => self.make_cell(attempt.local, attempt.key.hash, attempt.now),
            Halt::Chunk(class) => self.exchange_spare(attempt, class),
            Halt::Hopeless => false,
        };
        if is_there { Ok(()) } else { Err(halt) }
    }

    /// Takes a chunk of the class in place of a spare one that turned out not to fit; false when there is none.
    fn exchange_spare(&self, attempt: &mut Attempt<'_, '_>, class: ClassId) -> bool {
        if let Some(unfit) = attempt.spare.take() {
            self.keep_chunk(attempt.local, unfit);
        }
        attempt.spare = self.take_chunk(attempt.local, class, attempt.now, Effort::Everything);
        attempt.spare.is_some()
    }

    /// The spare chunk, if it is of the class or a larger one: it was chosen for what the key held before.
    pub(crate) fn take_spare(&self, attempt: &mut Attempt<'_, '_>, class: ClassId) -> Option<Ref> {
        attempt.spare.take_if(|spare| self.class_of(*spare) >= class)
    }

    /// The live item with the key. A dead one is removed on the way.
    #[inline(always)]
    pub(crate) fn find(&self, attempt: &mut Attempt<'_, '_>, stripe: &mut LockedStripe<'_>) -> Result<Found, Miss> {
        match self.look_up(stripe, attempt.key, attempt.now) {
            Ok(found) => Ok(found),
            Err(None) => Err(Miss::Absent),
            Err(Some(dead)) => {
                attempt.note_gone(self.remove_dead(stripe, attempt.local, attempt.key.hash, dead));
                Err(dead.why)
            }
        }
    }

    /// The same for a store.
    #[inline(always)]
    pub(crate) fn find_to_store(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
    ) -> Result<Found, Miss> {
        let looked_up = self.look_up(stripe, attempt.key, attempt.now);
        self.take_place_of_dead(attempt, stripe, looked_up)
    }

    /// What a store finds, of what was looked up under the lock.
    #[inline(always)]
    pub(crate) fn take_place_of_dead(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        looked_up: Result<Found, Option<Dead>>,
    ) -> Result<Found, Miss> {
        match looked_up {
            Ok(found) => Ok(found),
            Err(None) => Err(Miss::Absent),
            Err(Some(dead)) => {
                attempt.note_gone(self.reclaim_dead(stripe, attempt.local, attempt.key.hash, dead));
                Err(dead.why)
            }
        }
    }

    /// Takes the key's item out of the index.
    pub(crate) fn remove(&self, attempt: &mut Attempt<'_, '_>, stripe: &mut LockedStripe<'_>, found: Found) {
        attempt.note_gone(self.unlink(stripe, attempt.local, attempt.key.hash, found));
    }

    /// Ends the item whose place in the index another has now.
    pub(crate) fn let_go_of(&self, attempt: &mut Attempt<'_, '_>, old: Found) {
        attempt.note_gone(self.let_go(attempt.local, old.reference));
    }

    /// Makes a filled chunk the key's item, in the place of the one found there.
    ///
    /// # Errors
    /// When the stripe has no room for another entry.
    pub(crate) fn put_in_index(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        found: Option<Found>,
        reference: Ref,
        ghost_hit: bool,
    ) -> Result<(), NoCell> {
        let link = Link { key: attempt.key, found, reference, ghost_hit };
        let Linked { wants_row, gone } = self.link(stripe, attempt.local, &link)?;
        attempt.wants_row = wants_row;
        if let Some(gone) = gone {
            attempt.note_gone(gone);
        }
        Ok(())
    }
}
