//! Deleting: an item goes, or stays as a mark of itself: out of date, empty, or both.

use super::attempt::{Attempt, Halt};
use super::fetch::Renewal;
use crate::store::bytes::item::NewItem;
use crate::store::bytes::marks::{Marks, mark};
use crate::store::index::{Found, LockedStripe};
use crate::store::local::Local;
use crate::store::shared::Store;
use crate::store::words::outcome::{DeleteExtras, DeleteOutcome, Key};
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
        self.once(Attempt::new(local, key, now), |attempt, stripe| {
            if let Ok(found) = self.find(attempt, stripe) {
                self.remove(attempt, stripe, found);
            }
        });
        if self.curve.has(key.hash) {
            self.curve.deleted(key.hash);
        }
    }

    fn delete_whole(&self, local: &mut Local, key: Key<'_>, compare: Option<u64>, now: Seconds) -> DeleteOutcome {
        self.once(Attempt::new(local, key, now), |attempt, stripe| {
            let Ok(found) = self.find(attempt, stripe) else { return DeleteOutcome::NotFound };
            if compare.is_some_and(|cas| cas != self.wire_cas(stripe, self.pages.chunk(found.reference))) {
                return DeleteOutcome::Exists;
            }
            attempt.local.class(self.class_of(found.reference)).delete_hits.bump();
            self.remove(attempt, stripe, found);
            DeleteOutcome::Deleted
        })
    }

    fn delete_in_part(&self, local: &mut Local, key: Key<'_>, extras: &DeleteExtras, now: Seconds) -> DeleteOutcome {
        let mut attempt = Attempt::new(local, key, now);
        let attempted = self.retry(&mut attempt, |attempt, stripe| {
            let Ok(found) = self.find(attempt, stripe) else { return Ok(DeleteOutcome::NotFound) };
            let cas = self.wire_cas(stripe, self.pages.chunk(found.reference));
            if extras.compare.is_some_and(|compare| compare != cas) {
                return Ok(DeleteOutcome::Exists);
            }
            self.keep_in_part(attempt, stripe, found, cas, extras)?;
            if !extras.invalidate {
                attempt.local.class(self.class_of(found.reference)).delete_hits.bump();
            }
            Ok(DeleteOutcome::Deleted)
        });
        self.end(attempt);
        match attempted {
            Ok(outcome) => outcome,
            Err(_) if extras.empty.is_some() => DeleteOutcome::NoMemory,
            // What cannot be marked as out of date must not be served as up to date.
            Err(_) => self.delete_whole(local, key, extras.compare, now),
        }
    }

    /// Empties an item, marks it as out of date, or both.
    fn keep_in_part(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        found: Found,
        cas: u64,
        extras: &DeleteExtras,
    ) -> Result<(), Halt> {
        let chunk = self.pages.chunk(found.reference);
        let stale = if extras.invalidate { mark::STALE } else { 0 };
        let bits = chunk.marks().bits & mark::BINARY_KEY | stale;
        let Some(emptied) = extras.empty else {
            let marks = Marks { bits, own_cas: self.own_cas(extras.own_cas) };
            let expiry = extras.touch.unwrap_or_else(|| chunk.expiry());
            let reference = self.renew(attempt, stripe, found, Renewal { expiry, marks })?;
            self.pages.chunk(reference).set_cas(stripe.next_cas());
            return Ok(());
        };
        // An emptied item that is not out of date keeps its version for clients; ours moves on, as the value changes.
        let own_cas = if extras.own_cas == 0 && !extras.invalidate { cas } else { extras.own_cas };
        let new = NewItem {
            key: attempt.key.bytes,
            value_len: 0,
            client_flags: emptied.client_flags,
            expiry: emptied.expiry,
            access: attempt.now,
            main: false,
            marks: Marks { bits, own_cas: self.own_cas(own_cas) },
            kept: self.kept,
        };
        self.write(attempt, stripe, &self.change(Some(found), new, &[]))?;
        Ok(())
    }
}
