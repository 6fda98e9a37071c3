//! append and prepend whose result is large: a new item is made of both values.
//!
//! That is done with no lock held, and stored if the old item is still the key's then. Where others are faster,
//! the chunks are taken first and both values copied under the key's stripe lock: nobody is faster then.

use super::attempt::Attempt;
use crate::store::shared::Store;

use super::large::{Incoming, Source};
use crate::store::bytes::layout::Ref;
use crate::store::bytes::marks::{Marks, mark};
use crate::store::bytes::shape::{Pinned, Shape};
use crate::store::index::{Found, LockedStripe};
use crate::store::local::Local;
use crate::store::supply::reserve::Effort;
use crate::store::words::outcome::{Mode, StoreOutcome, StoreRequest};
use crate::time::Seconds;

/// Rounds in which the old value may be found changed before it is kept from changing. Each that is lost is a copy of
/// the value for nothing, and where one is lost the next mostly is.
const UNLOCKED_ROUNDS_MAX: u32 = 1;

/// Chunks taken beyond those that the value needs now, as others may make it longer meanwhile; doubled each time that
/// this was too few.
const CHUNKS_AHEAD: usize = 2;

impl Store {
    pub(crate) fn join_arrived(&self, local: &mut Local, incoming: Incoming, mode: Mode, now: Seconds) -> StoreOutcome {
        let extras = incoming.extras;
        let request = StoreRequest {
            key: incoming.key(),
            mode,
            client_flags: incoming.client_flags,
            expiry: incoming.expiry,
            shows_cas: true,
            extras: Some(&extras),
        };
        let arrived = Pinned::new(incoming.head, incoming.shape());
        let outcome = self.join_large(local, &request, Source::Chain(&arrived), now);
        self.abandon(local, incoming);
        outcome
    }

    /// append and prepend whose result is large: a new item from both values, stored if the old one is still
    /// the key's when it is done.
    pub(crate) fn join_large(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        added: Source<'_>,
        now: Seconds,
    ) -> StoreOutcome {
        for _ in 0..UNLOCKED_ROUNDS_MAX {
            let (old, cas, whole) = match self.old_value(local, request, now) {
                Ok(old) => old,
                Err(StoreOutcome::NotStored) => match self.create_joined(local, request, added, now) {
                    Some(outcome) => return outcome,
                    None => continue,
                },
                Err(refusal) => return refusal,
            };
            let old_source = match &old {
                OldValue::Copied(bytes) => Source::Slice(bytes),
                OldValue::Pinned(pinned) => Source::Chain(pinned),
            };
            let too_large =
                self.is_too_large(request.key.bytes.len(), whole.client_flags, old_source.len() + added.len());
            let sources = if request.mode == Mode::Append { [old_source, added] } else { [added, old_source] };
            let built = if too_large { Err(StoreOutcome::NotStored) } else { self.build(local, &whole, &sources, now) };
            if let OldValue::Pinned(pinned) = old {
                self.unpin(local, pinned);
            }
            let incoming = match built {
                Ok(incoming) => incoming,
                Err(refusal) => return refusal,
            };
            if let Some(outcome) = self.commit_join(local, incoming, cas, now) {
                return outcome;
            }
        }
        self.join_locked(local, request, added, now)
    }

    /// The same with both values copied under the lock.
    #[cold]
    fn join_locked(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        added: Source<'_>,
        now: Seconds,
    ) -> StoreOutcome {
        let extent = self.pages.classes.extent();
        let (mut chunks, mut wanted, mut ahead) = (Vec::new(), 0, CHUNKS_AHEAD);
        let outcome = loop {
            while chunks.len() < wanted
                && let Some(chunk) = self.take_chunk(local, extent, now, Effort::Everything)
            {
                chunks.push(chunk);
            }
            if chunks.len() < wanted {
                break self.no_memory(local, extent);
            }
            match self.join_with(local, request, added, &mut chunks, now) {
                Joined::Done(outcome) => break outcome,
                Joined::Longer { chunks } => {
                    wanted = chunks + ahead;
                    ahead *= 2;
                }
                Joined::Absent => {
                    if let Some(outcome) = self.create_joined(local, request, added, now) {
                        break outcome;
                    }
                }
            }
        };
        for unused in chunks {
            local.free(extent, unused);
        }
        outcome
    }

    /// Joins both values in these chunks, if they are enough.
    fn join_with(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        added: Source<'_>,
        chunks: &mut Vec<Ref>,
        now: Seconds,
    ) -> Joined {
        self.once(Attempt::new(local, request.key, now), |attempt, stripe| {
            self.join_found_with(attempt, stripe, request, added, chunks)
        })
    }

    fn join_found_with(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        request: &StoreRequest<'_>,
        added: Source<'_>,
        chunks: &mut Vec<Ref>,
    ) -> Joined {
        let found = self.find_to_store(attempt, stripe);
        let checked = self.check(attempt, stripe, request.mode, request.extras, &found);
        let found = match (found, checked) {
            (Ok(found), Ok(_)) => found,
            (Err(_), Err(StoreOutcome::NotStored)) => return Joined::Absent,
            (_, refused) => return Joined::Done(refused.err().unwrap_or(StoreOutcome::NotStored)),
        };
        let old = self.pages.chunk(found.reference);
        let whole = StoreRequest { client_flags: old.client_flags(), expiry: old.expiry(), ..*request };
        // Its own pin is the index's, which nobody ends while the stripe is locked.
        let in_place = old.is_large().then(|| Pinned::new(found.reference, old.shape()));
        let old = match &in_place {
            Some(pinned) => Source::Chain(pinned),
            None => Source::Slice(old.value(&*stripe.state)),
        };
        let total = old.len() + added.len();
        if self.is_too_large(request.key.bytes.len(), whole.client_flags, total) {
            return Joined::Done(StoreOutcome::NotStored);
        }
        let needed = Shape { key_len: request.key.bytes.len(), total }.chunks();
        if chunks.len() < needed {
            return Joined::Longer { chunks: needed };
        }
        let sources = if request.mode == Mode::Append { [old, added] } else { [added, old] };
        let incoming = self.build_in(attempt.local, &whole, &sources, chunks, attempt.now);
        Joined::Done(self.store_joined(attempt, stripe, &incoming, found))
    }

    /// What becomes of an append to nothing: a refusal, or, if that is asked for, the value alone; `None`: there is
    /// something to append to now.
    fn create_joined(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        added: Source<'_>,
        now: Seconds,
    ) -> Option<StoreOutcome> {
        let Some(expiry) = request.extras.and_then(|extras| extras.create) else {
            return Some(StoreOutcome::NotStored);
        };
        let request = StoreRequest { mode: Mode::Add, expiry, ..*request };
        let outcome = match added {
            Source::Slice(value) => self.store(local, &request, value, now),
            Source::Chain(_) => match self.build(local, &request, &[added], now) {
                Ok(incoming) => self.commit_arrived(local, incoming, Mode::Add, now),
                Err(refusal) => refusal,
            },
        };
        (outcome != StoreOutcome::NotStored).then_some(outcome)
    }

    /// The value to be joined to, its version, and the request that stores the result.
    fn old_value<'k>(
        &self,
        local: &mut Local,
        request: &StoreRequest<'k>,
        now: Seconds,
    ) -> Result<(OldValue, u32, StoreRequest<'k>), StoreOutcome> {
        self.once(Attempt::new(local, request.key, now), |attempt, stripe| self.look_at_old(attempt, stripe, request))
    }

    fn look_at_old<'k>(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        request: &StoreRequest<'k>,
    ) -> Result<(OldValue, u32, StoreRequest<'k>), StoreOutcome> {
        let found = self.find_to_store(attempt, stripe);
        self.check(attempt, stripe, request.mode, request.extras, &found)?;
        let Ok(found) = found else { return Err(StoreOutcome::NotStored) };
        let chunk = self.pages.chunk(found.reference);
        let whole = StoreRequest { client_flags: chunk.client_flags(), expiry: chunk.expiry(), ..*request };
        let old = if chunk.is_large() {
            OldValue::Pinned(self.pin(stripe, attempt.local, found.reference))
        } else {
            OldValue::Copied(chunk.value(&*stripe.state).to_vec())
        };
        Ok((old, chunk.cas(), whole))
    }

    /// Stores a joined value if the key's item still has this version; `None`: it has not, try again.
    fn commit_join(&self, local: &mut Local, incoming: Incoming, cas: u32, now: Seconds) -> Option<StoreOutcome> {
        let outcome = self.once(Attempt::new(local, incoming.key(), now), |attempt, stripe| {
            let found = self.find_to_store(attempt, stripe).ok()?;
            let is_unchanged = self.pages.chunk(found.reference).cas() == cas;
            is_unchanged.then(|| self.store_joined(attempt, stripe, &incoming, found))
        });
        if outcome.is_none() {
            self.abandon(local, incoming);
        }
        outcome
    }

    /// Puts a joined value in the old one's place.
    fn store_joined(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        incoming: &Incoming,
        found: Found,
    ) -> StoreOutcome {
        let (old, head) = (self.pages.chunk(found.reference), self.pages.chunk(incoming.head));
        // A touch since is no other version: it gave the expiry that counts.
        head.set_expiry(old.expiry());
        let bits = old.marks().bits & mark::BINARY_KEY;
        head.set_marks(Marks { bits, ..incoming.extras.marks(self) });
        let linked = self.link_large(attempt, stripe, incoming, Ok(found));
        linked.expect("replacing needs no cell");
        attempt.local.counters.total_items.bump();
        StoreOutcome::Stored { cas: self.wire_cas(stripe, head), value_len: incoming.total }
    }
}

/// What a try under the lock has come to.
enum Joined {
    Done(StoreOutcome),
    /// So many chunks are needed.
    Longer {
        chunks: usize,
    },
    /// There is nothing to join to.
    Absent,
}

/// The old value of an append.
enum OldValue {
    Copied(Vec<u8>),
    Pinned(Pinned),
}
