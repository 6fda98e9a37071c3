//! delete, md.

use super::Commands;
use crate::protocol::{Delete, DeleteExtras, ErrorText, Reply};
use crate::store::{self, DeleteOutcome, Emptied};
use crate::telemetry::PrefixEvent;
use crate::telemetry::watch::Kinds;
use crate::time::Expiry;

impl Commands {
    /// Deletes a key, or leaves of it what is asked for.
    pub fn delete(&mut self, request: Delete<'_>) -> Reply {
        if self.is_watched(Kinds::ITEMS) { self.delete_watched(request) } else { self.delete_now(request) }
    }

    /// The same, whoever watches.
    pub(super) fn delete_now(&mut self, request: Delete<'_>) -> Reply {
        if self.counts_prefixes && request.extras.is_none() {
            self.prefixes.count(request.key, PrefixEvent::Delete);
        }
        let key = self.store.key(request.key);
        let extras = request.extras.map(|extras| self.delete_extras(extras));
        let is_gone = !request.extras.is_some_and(|extras| extras.invalidate);
        match self.store.delete(&mut self.local, key, extras.as_ref(), self.now.seconds) {
            DeleteOutcome::Deleted => {
                // memcached does not count what it only marks.
                if is_gone {
                    self.counters.delete_hits.bump();
                }
                Reply::Deleted
            }
            DeleteOutcome::NotFound => {
                self.counters.delete_misses.bump();
                Reply::NotFound
            }
            DeleteOutcome::Exists => {
                self.counters.delete_misses.bump();
                Reply::Exists
            }
            DeleteOutcome::NoMemory => Reply::Error(ErrorText::OutOfMemory),
        }
    }

    fn delete_extras(&self, extras: &DeleteExtras) -> store::DeleteExtras {
        let touch = extras.touch.map(|exptime| self.expiry(exptime));
        let emptied = |client_flags| Emptied { client_flags, expiry: touch.unwrap_or(Expiry::Never) };
        store::DeleteExtras {
            compare: extras.compare,
            invalidate: extras.invalidate,
            touch,
            empty: extras.empty.map(emptied),
            own_cas: extras.own_cas,
        }
    }
}
