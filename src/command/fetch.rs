//! get, gets, gat, gats, touch, mg, me: one operation with options.

use super::Commands;
use crate::protocol::{Fetch, FetchExtras, Fetched};
use crate::store::{self, FetchOutcome, ItemView};
use crate::telemetry::PrefixEvent;
use crate::telemetry::watch::Kinds;

impl Commands {
    /// Looks a key of this hash up and lends its item to `visit`, under the stripe's lock: nothing in there may block
    /// or allocate.
    #[inline(always)]
    pub fn fetch(&mut self, fetch: &Fetch<'_>, hash: u64, visit: impl FnOnce(ItemView<'_>)) -> Fetched {
        if self.is_watched(Kinds::ITEMS) {
            self.tell_fetch(fetch.key);
        }
        let key = store::Key { bytes: fetch.key, hash };
        if let Some(extras) = fetch.extras {
            return self.fetch_more(key, fetch, extras, visit);
        }
        let Some(exptime) = fetch.options.touch else {
            let wish = store::Fetch { touch: None, value: fetch.options.value, cas: fetch.options.cas, extras: None };
            let outcome = self.store.fetch(&mut self.local, key, wish, self.now.seconds, visit);
            let fetched = self.count_get(outcome);
            if self.counts_prefixes {
                self.count_prefix(fetch, fetched);
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
            self.count_prefix(fetch, fetched);
        }
        fetched
    }

    /// Counts a get or gat for `stats detail`. A touch shows nothing of the item and is none; neither are, with
    /// memcached, the meta commands.
    #[cold]
    fn count_prefix(&mut self, fetch: &Fetch<'_>, fetched: Fetched) {
        if fetch.options.value {
            let event = if fetched == Fetched::Hit { PrefixEvent::Hit } else { PrefixEvent::Miss };
            self.prefixes.count(fetch.key, event);
        }
    }

    #[inline(never)]
    fn fetch_more(
        &mut self,
        key: store::Key<'_>,
        fetch: &Fetch<'_>,
        extras: &FetchExtras,
        visit: impl FnOnce(ItemView<'_>),
    ) -> Fetched {
        let touch = fetch.options.touch.map(|exptime| self.expiry(exptime));
        let more = extras.map(|exptime| self.expiry(exptime));
        let wish = store::Fetch { touch, value: fetch.options.value, cas: true, extras: Some(&more) };
        let outcome = self.store.fetch(&mut self.local, key, wish, self.now.seconds, visit);
        match outcome {
            _ if extras.inspects => self.count_inspection(outcome),
            // memcached counts a miss as a get whatever else it was to be.
            FetchOutcome::Hit(()) if touch.is_some() => self.count_touch(outcome),
            _ => self.count_get(outcome),
        }
    }

    fn count_inspection(&self, outcome: FetchOutcome<()>) -> Fetched {
        self.counters.cmd_meta.bump();
        match outcome {
            FetchOutcome::Hit(()) => Fetched::Hit,
            FetchOutcome::Miss(_) => Fetched::Miss,
            FetchOutcome::NoMemory => Fetched::NoMemory,
        }
    }

    #[inline]
    fn count_get(&self, outcome: FetchOutcome<()>) -> Fetched {
        self.counters.cmd_get.bump();
        match outcome {
            FetchOutcome::Hit(()) => {
                self.counters.get_hits.bump();
                Fetched::Hit
            }
            FetchOutcome::Miss(_) => {
                self.counters.get_misses.bump();
                Fetched::Miss
            }
            FetchOutcome::NoMemory => Fetched::NoMemory,
        }
    }

    /// memcached counts a gat as a touch alone.
    fn count_touch(&self, outcome: FetchOutcome<()>) -> Fetched {
        self.counters.cmd_touch.bump();
        match outcome {
            FetchOutcome::Hit(()) => {
                self.counters.touch_hits.bump();
                Fetched::Hit
            }
            FetchOutcome::Miss(_) => {
                self.counters.touch_misses.bump();
                Fetched::Miss
            }
            FetchOutcome::NoMemory => Fetched::NoMemory,
        }
    }
}
