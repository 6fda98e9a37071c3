//! get, gets, gat, gats, touch, mg, me: one operation with options.

use super::Commands;
use crate::protocol::{Fetch, FetchExtras};
use crate::store::{self, Create, FetchOutcome, ItemView};
use crate::telemetry::PrefixEvent;
use crate::telemetry::watch::Kinds;

/// What became of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched<R> {
    /// Found; what the visitor returned.
    Hit(R),
    /// Not found.
    Miss,
    /// Found, but there is no memory for its new exptime.
    NoMemory,
}

impl Commands {
    /// Looks a key up and lends its item to `visit`, under the stripe's lock: nothing in there may block or allocate.
    #[inline(always)]
    pub fn fetch<R>(&mut self, fetch: Fetch<'_>, visit: impl FnOnce(ItemView<'_>) -> R) -> Fetched<R> {
        let hash = self.hash_of(fetch.key);
        self.fetch_hashed(fetch, hash, visit)
    }

    /// The same for a key whose hash is known.
    #[inline(always)]
    pub fn fetch_hashed<R>(
        &mut self,
        fetch: Fetch<'_>,
        hash: u64,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> Fetched<R> {
        if self.is_watched(Kinds::ITEMS) {
            self.tell_fetch(fetch.key);
        }
        if let Some(extras) = fetch.extras {
            return self.fetch_more(fetch, extras, visit);
        }
        let key = store::Key { bytes: fetch.key, hash };
        let Some(exptime) = fetch.options.touch else {
            let wish = store::Fetch { touch: None, value: fetch.options.value, cas: fetch.options.cas, extras: None };
            let outcome = self.store.fetch(&mut self.local, key, wish, self.now.seconds, visit);
            let fetched = self.count_get(outcome);
            if self.counts_prefixes {
                self.count_prefix(fetch, &fetched);
            }
            return fetched;
        };
        let wish = store::Fetch {
            touch: Some(self.expiry(exptime)),
            value: fetch.options.value,
            cas: fetch.options.cas,
            extras: None,
        };
        let outcome = self.store.fetch(&mut self.local, key, wish, self.now.seconds, visit);
        let fetched = self.count_touch(outcome);
        if self.counts_prefixes {
            self.count_prefix(fetch, &fetched);
        }
        fetched
    }

    /// Counts a get or gat for `stats detail`. A touch shows nothing of the item and is none; neither are, with
    /// memcached, the meta commands.
    #[cold]
    fn count_prefix<R>(&mut self, fetch: Fetch<'_>, fetched: &Fetched<R>) {
        if fetch.options.value {
            let event = if matches!(fetched, Fetched::Hit(_)) { PrefixEvent::Hit } else { PrefixEvent::Miss };
            self.prefixes.count(fetch.key, event);
        }
    }

    #[inline(never)]
    fn fetch_more<R>(
        &mut self,
        fetch: Fetch<'_>,
        extras: &FetchExtras,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> Fetched<R> {
        let touch = fetch.options.touch.map(|exptime| self.expiry(exptime));
        let create = extras.create.map(|exptime| Create {
            expiry: touch.filter(|_| extras.touch_created).unwrap_or_else(|| self.expiry(exptime)),
            own_cas: extras.own_cas,
            binary_key: extras.binary_key,
        });
        let more = store::FetchExtras {
            no_bump: extras.no_bump,
            inspects: extras.inspects,
            unless_cas: extras.unless_cas,
            recache: extras.recache.map(|exptime| self.expiry(exptime)),
            recache_after_touch: extras.recache_after_touch,
            create,
        };
        let wish = store::Fetch { touch, value: fetch.options.value, cas: true, extras: Some(&more) };
        let outcome = self.store.fetch(&mut self.local, self.store.key(fetch.key), wish, self.now.seconds, visit);
        match outcome {
            _ if extras.inspects => self.count_inspection(outcome),
            // memcached counts a miss as a get whatever else it was to be.
            FetchOutcome::Hit(_) if touch.is_some() => self.count_touch(outcome),
            _ => self.count_get(outcome),
        }
    }

    fn count_inspection<R>(&self, outcome: FetchOutcome<R>) -> Fetched<R> {
        self.counters.cmd_meta.bump();
        match outcome {
            FetchOutcome::Hit(result) => Fetched::Hit(result),
            FetchOutcome::Miss(_) => Fetched::Miss,
            FetchOutcome::NoMemory => Fetched::NoMemory,
        }
    }

    #[inline]
    fn count_get<R>(&self, outcome: FetchOutcome<R>) -> Fetched<R> {
        self.counters.cmd_get.bump();
        match outcome {
            FetchOutcome::Hit(result) => {
                self.counters.get_hits.bump();
                Fetched::Hit(result)
            }
            FetchOutcome::Miss(_) => {
                self.counters.get_misses.bump();
                Fetched::Miss
            }
            FetchOutcome::NoMemory => Fetched::NoMemory,
        }
    }

    /// memcached counts a gat as a touch alone.
    fn count_touch<R>(&self, outcome: FetchOutcome<R>) -> Fetched<R> {
        self.counters.cmd_touch.bump();
        match outcome {
            FetchOutcome::Hit(result) => {
                self.counters.touch_hits.bump();
                Fetched::Hit(result)
            }
            FetchOutcome::Miss(_) => {
                self.counters.touch_misses.bump();
                Fetched::Miss
            }
            FetchOutcome::NoMemory => Fetched::NoMemory,
        }
    }
}
