//! delete, md.

use super::Commands;
use crate::protocol::{Delete, Failure, Reply};
use crate::store::DeleteOutcome;
use crate::telemetry::PrefixEvent;
use crate::telemetry::watch::Kinds;

impl Commands {
    /// Deletes a key, or leaves of it what is asked for.
    pub fn delete(&mut self, request: &Delete<'_>) -> Reply {
        if self.is_watched(Kinds::ITEMS) { self.delete_watched(request) } else { self.delete_now(request) }
    }

    /// The same, whoever watches.
    pub(super) fn delete_now(&mut self, request: &Delete<'_>) -> Reply {
        let is_meta = request.extras.is_some_and(|extras| extras.is_meta);
        if self.counts_prefixes && !is_meta {
            self.prefixes.count(request.key, PrefixEvent::Delete);
        }
        let key = self.store.key(request.key);
        let extras = request.extras.map(|extras| extras.map(|exptime| self.expiry(exptime)));
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
                if is_meta {
                    self.counters.delete_misses.bump();
                }
                Reply::Exists
            }
            DeleteOutcome::NoMemory => Reply::Error(Failure::OutOfMemory),
        }
    }
}
