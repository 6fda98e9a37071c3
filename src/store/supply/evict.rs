//! Eviction: an item that was picked leaves, if it still is what it was picked for. The one way for the hand, the
//! sweep, a page that is being emptied and a stripe without room for another entry.

use crate::store::bytes::layout::Ref;
use crate::store::bytes::state;
use crate::store::evict::{Reason, Victim};
use crate::store::index::{Found, LockedStripe};
use crate::store::local::Local;
use crate::store::shared::Store;
use crate::telemetry::watch::{Event, Kinds};
use crate::time::{Expiry, Seconds};

/// How an item leaves.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    hash: u64,
    found: Found,
    /// As what it was picked, if it is dead.
    reclaimed: Option<Reason>,
}

impl Store {
    /// Evicts one picked item, if it still is what it was picked for.
    pub(crate) fn evict(&self, local: &mut Local, victim: Victim, now: Seconds) -> bool {
        let Victim { hash, reference, reason, .. } = victim;
        let stripe = self.index.lock(hash);
        let Some(slot) = stripe.find_reference(hash, reference) else { return false };
        let chunk = self.pages.chunk(reference);
        if victim.cas.is_some_and(|picked| picked != chunk.cas()) {
            return false;
        }
        let is_dead = self.why_dead(&stripe, chunk, now).is_some();
        let is_spared = match reason {
            Reason::Dead | Reason::Swept => true,
            Reason::Small | Reason::Main => chunk.state() & state::FREQUENCY != 0,
            // One that is being read gives no memory back: its page is left to its readers.
            Reason::Forced => chunk.is_large() && chunk.pins() > 1,
        };
        if !is_dead && is_spared {
            return false;
        }
        let reclaimed = is_dead.then_some(reason);
        self.leave_index(stripe, local, Leaving { hash, found: Found { slot, reference }, reclaimed }, now);
        if reason == Reason::Small && !is_dead {
            self.ghost.insert(hash);
        }
        true
    }

    /// Evicts the coldest item of a hash's home, if there is any: its stripe has no room for another entry.
    pub(crate) fn evict_of_home(&self, local: &mut Local, hash: u64, now: Seconds) {
        let stripe = self.index.lock(hash);
        let coldest = stripe
            .neighbours(hash)
            .min_by_key(|&(reference, _)| self.pages.chunk(reference).state() & (state::FREQUENCY | state::MAIN));
        let Some((reference, slot)) = coldest else { return };
        self.leave_index(stripe, local, Leaving { hash, found: Found { slot, reference }, reclaimed: None }, now);
        local.counters.index_evictions.bump();
    }

    /// Counts an item, takes it out of the index and, after unlocking, gives its memory back.
    fn leave_index(&self, mut stripe: LockedStripe<'_>, local: &mut Local, leaving: Leaving, now: Seconds) {
        let Leaving { hash, found, reclaimed } = leaving;
        match reclaimed {
            Some(reason) => self.count_reclaimed(local, reason, found.reference),
            None => self.count_evicted(local, &stripe, found.reference, now),
        }
        let gone = self.unlink(&mut stripe, local, hash, found);
        drop(stripe);
        self.give_back(local, gone);
    }

    fn count_evicted(&self, local: &Local, stripe: &LockedStripe<'_>, reference: Ref, now: Seconds) {
        let chunk = self.pages.chunk(reference);
        let class = local.class(self.class_of(reference));
        let bits = chunk.state();
        local.counters.evictions.bump();
        class.evicted.bump();
        if bits & state::FETCHED == 0 {
            local.counters.evicted_unfetched.bump();
            class.evicted_unfetched.bump();
        }
        if bits & state::HAS_EXPTIME != 0 && chunk.expiry() != Expiry::Never {
            local.counters.evicted_nonzero.bump();
            class.evicted_nonzero.bump();
        }
        class.evicted_time.set(u64::from(chunk.idle_seconds(now)));
        if local.recorder.is_watched(Kinds::EVICTIONS) {
            local.recorder.record(&Event::Evict {
                key: chunk.key(&*stripe.state),
                was_fetched: bits & state::FETCHED != 0,
                ttl: chunk.expiry().seconds_left(now),
                idle: chunk.idle_seconds(now),
                class: self.pages.classes.number(self.class_of(reference)),
                size: u64::try_from(chunk.value_len()).unwrap_or(u64::MAX),
            });
        }
    }
}
