//! get, gets, gat, gats, touch: one operation with options.

use super::Commands;
use crate::protocol::Fetch;
use crate::store::{self, FetchOutcome, ItemView, Miss};

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
    #[inline]
    pub fn fetch<R>(&mut self, fetch: Fetch<'_>, visit: impl FnOnce(ItemView<'_>) -> R) -> Fetched<R> {
        let key = self.store.key(fetch.key);
        let Some(exptime) = fetch.options.touch else {
            let wish = store::Fetch { touch: None, value: fetch.options.value };
            let outcome = self.store.fetch(&mut self.local, key, wish, self.now.seconds, visit);
            return self.count_get(outcome);
        };
        let wish = store::Fetch { touch: Some(self.expiry(exptime)), value: fetch.options.value };
        let outcome = self.store.fetch(&mut self.local, key, wish, self.now.seconds, visit);
        self.count_touch(outcome)
    }

    #[inline]
    fn count_get<R>(&self, outcome: FetchOutcome<R>) -> Fetched<R> {
        self.counters.cmd_get.bump();
        match outcome {
            FetchOutcome::Hit(result) => {
                self.counters.get_hits.bump();
                Fetched::Hit(result)
            }
            FetchOutcome::Miss(miss) => {
                self.counters.get_misses.bump();
                self.count_miss(miss);
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
            FetchOutcome::Miss(miss) => {
                self.counters.touch_misses.bump();
                self.count_miss(miss);
                Fetched::Miss
            }
            FetchOutcome::NoMemory => Fetched::NoMemory,
        }
    }

    #[inline]
    fn count_miss(&self, miss: Miss) {
        match miss {
            Miss::Absent => {}
            Miss::Expired => self.counters.get_expired.bump(),
            Miss::Flushed => self.counters.get_flushed.bump(),
        }
    }
}
