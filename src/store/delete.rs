//! Deleting: an item goes, or stays as a mark of itself: out of date, empty, or both.

use super::Store;
use super::item::{NewItem, Ref};
use super::marks::{Marks, mark};
use super::outcome::{DeleteExtras, DeleteOutcome, Key};
use super::reserve::Local;
use super::table::{Found, LockedStripe};
use super::write::{Change, Halt};
use crate::time::Seconds;

impl Store {
    /// Deletes a key.
    pub fn delete(
        &self,
        local: &mut Local,
        key: Key<'_>,
        extras: Option<&DeleteExtras>,
        now: Seconds,
    ) -> DeleteOutcome {
        match extras {
            Some(extras) if extras.invalidate || extras.empty.is_some() => self.delete_in_part(local, key, extras, now),
            _ => {
                let outcome = self.delete_whole(local, key, extras.and_then(|extras| extras.compare), now);
                // What was evicted here might still be there with more memory.
                if outcome != DeleteOutcome::Exists && self.curve.has(key.hash) {
                    self.curve.deleted(key.hash);
                }
                outcome
            }
        }
    }

    /// Removes what a key has, uncounted: its new value was refused.
    pub fn discard(&self, local: &mut Local, key: Key<'_>, now: Seconds) {
        let mut stripe = self.index.lock(key.hash);
        if let Ok(found) = self.lookup(&mut stripe, local, key, now) {
            stripe.remove(key.hash, found.slot);
            self.let_go(local, found.reference);
        }
        drop(stripe);
        if self.curve.has(key.hash) {
            self.curve.deleted(key.hash);
        }
    }

    fn delete_whole(&self, local: &mut Local, key: Key<'_>, compare: Option<u64>, now: Seconds) -> DeleteOutcome {
        let mut stripe = self.index.lock(key.hash);
        let Ok(found) = self.lookup(&mut stripe, local, key, now) else { return DeleteOutcome::NotFound };
        if compare.is_some_and(|cas| cas != self.wire_cas(&stripe, self.pages.chunk(found.reference))) {
            return DeleteOutcome::Exists;
        }
        local.class(self.class_of(found.reference)).delete_hits.bump();
        stripe.remove(key.hash, found.slot);
        self.let_go(local, found.reference);
        DeleteOutcome::Deleted
    }

    fn delete_in_part(&self, local: &mut Local, key: Key<'_>, extras: &DeleteExtras, now: Seconds) -> DeleteOutcome {
        let mut spare = None;
        let outcome = loop {
            let mut stripe = self.index.lock(key.hash);
            let Ok(found) = self.lookup(&mut stripe, local, key, now) else { break DeleteOutcome::NotFound };
            let cas = self.wire_cas(&stripe, self.pages.chunk(found.reference));
            if extras.compare.is_some_and(|compare| compare != cas) {
                break DeleteOutcome::Exists;
            }
            let halt = match self.keep_in_part(&mut stripe, local, key, found, cas, extras, &mut spare, now) {
                Ok(()) => {
                    if !extras.invalidate {
                        local.class(self.class_of(found.reference)).delete_hits.bump();
                    }
                    break DeleteOutcome::Deleted;
                }
                Err(halt) => halt,
            };
            drop(stripe);
            if !self.help(local, key, halt, &mut spare, now) {
                if extras.empty.is_some() {
                    break DeleteOutcome::NoMemory;
                }
                // What cannot be marked as out of date must not be served as up to date.
                break self.delete_whole(local, key, extras.compare, now);
            }
        };
        if let Some(unused) = spare {
            self.keep_chunk(local, unused);
        }
        outcome
    }

    /// Empties an item, marks it as out of date, or both.
    #[expect(clippy::too_many_arguments, reason = "the pieces of a write, all borrowed from one caller's frame")]
    fn keep_in_part(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        key: Key<'_>,
        found: Found,
        cas: u64,
        extras: &DeleteExtras,
        spare: &mut Option<Ref>,
        now: Seconds,
    ) -> Result<(), Option<Halt>> {
        let chunk = self.pages.chunk(found.reference);
        let stale = if extras.invalidate { mark::STALE } else { 0 };
        let bits = chunk.marks().bits & mark::BINARY_KEY | stale;
        let Some(emptied) = extras.empty else {
            let marks = Marks { bits, own_cas: self.own_cas(extras.own_cas) };
            let expiry = extras.touch.unwrap_or_else(|| chunk.expiry());
            let reference =
                self.renew(stripe, local, found, expiry, marks, spare).map_err(|class| class.map(Halt::Chunk))?;
            self.pages.chunk(reference).set_cas(stripe.next_cas());
            return Ok(());
        };
        // An emptied item that is not out of date keeps its version for clients; ours moves on, as the value changes.
        let own_cas = if extras.own_cas == 0 && !extras.invalidate { cas } else { extras.own_cas };
        let new = NewItem {
            key: key.bytes,
            value_len: 0,
            client_flags: emptied.client_flags,
            expiry: emptied.expiry,
            access: now,
            main: false,
            marks: Marks { bits, own_cas: self.own_cas(own_cas) },
        };
        self.write(stripe, local, &Change { key, found: Some(found), new, parts: &[] }, spare).map_err(Some)?;
        Ok(())
    }
}
