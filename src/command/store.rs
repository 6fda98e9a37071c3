//! set, add, replace, append, prepend, cas, ms: values whole or in pieces.

use super::Commands;
use crate::limits::MEMCACHED_ITEM_OVERHEAD_BYTES;
use crate::operation::Mode;
use crate::protocol::{Failure, Reply, Store, Stored};
use crate::store::{self, Claim, Incoming, Key, Room, StoreOutcome, StoreRequest};
use crate::telemetry::PrefixEvent;
use crate::telemetry::watch::{Kinds, StoreStatus};

/// A large value on its way into its item. Ends in [`Commands::finish`] or [`Commands::abandon`].
#[derive(Debug)]
pub struct Arriving {
    pub(super) incoming: Incoming,
    pub(super) mode: Mode,
    value_len: usize,
    /// Whether the old value goes when this one is refused.
    refusal_deletes: bool,
}

impl Arriving {
    /// Bytes of the value still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.incoming.missing()
    }

    /// Whether it holds memory.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.incoming.has_begun()
    }

    /// Its place among those that wait for memory, if it does.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        self.incoming.claim()
    }
}

impl Commands {
    /// Stores a value that is whole under a key of this hash.
    #[inline(always)]
    pub fn store(&mut self, request: &Store<'_>, hash: u64, value: &[u8]) -> Stored {
        if self.is_watched(Kinds::ITEMS) {
            return self.store_watched(request, hash, value);
        }
        self.store_now(request, hash, value)
    }

    /// The same, whoever watches. Inline in both callers: only then is the common one as it was without the other.
    #[inline(always)]
    pub(super) fn store_now(&mut self, request: &Store<'_>, hash: u64, value: &[u8]) -> Stored {
        if self.counts_prefixes {
            self.count_prefix_set(request);
        }
        let extras = request.extras.map(|extras| extras.map(|exptime| self.expiry(exptime)));
        let asked = self.asked(request, hash, extras.as_ref());
        let outcome = self.store.store(&mut self.local, &asked, value, self.now.seconds);
        if matches!(outcome, StoreOutcome::TooLarge | StoreOutcome::NoMemory) {
            return refused(self.refuse(request, asked.key, outcome), value.len());
        }
        self.count_store(request.mode, outcome, value.len())
    }

    /// Makes room for a value that is longer than `WHOLE_VALUE_BYTES_MAX` and about to arrive.
    ///
    /// # Errors
    /// The reply, when it is too large: its bytes are to be swallowed.
    pub fn begin(&mut self, request: &Store<'_>) -> Result<Arriving, Reply> {
        if self.counts_prefixes {
            self.count_prefix_set(request);
        }
        let extras = request.extras.map(|extras| extras.map(|exptime| self.expiry(exptime)));
        let asked = self.asked(request, self.hash_of(request.key), extras.as_ref());
        let (value_len, mode) = (request.value_len, request.mode);
        match self.store.reserve(&asked, value_len) {
            Some(incoming) => Ok(Arriving { incoming, mode, value_len, refusal_deletes: request.refusal_deletes }),
            None => Err(self.refuse(request, asked.key, StoreOutcome::TooLarge)),
        }
    }

    /// Where the next bytes of an arriving value go.
    pub fn room<'i>(&'i mut self, arriving: &'i mut Arriving) -> Room<'i> {
        self.store.room(&mut self.local, &mut arriving.incoming, self.now.seconds)
    }

    /// Where its next bytes go, in up to `chunks` pieces; `None`: nowhere at once.
    pub fn rooms<'i>(
        &'i mut self,
        arriving: &'i mut Arriving,
        chunks: u32,
    ) -> Option<impl Iterator<Item = &'i mut [u8]>> {
        self.store.rooms(&mut self.local, &mut arriving.incoming, chunks, self.now.seconds)
    }

    /// Says that the first `n` bytes of the last rooms are filled.
    pub fn filled(&mut self, arriving: &mut Arriving, n: usize) {
        self.store.filled(&mut arriving.incoming, n);
    }

    /// Stores an arrived value.
    pub fn finish(&mut self, arriving: Arriving) -> Stored {
        if self.is_watched(Kinds::ITEMS) { self.finish_watched(arriving) } else { self.finish_now(arriving) }
    }

    /// The same, whoever watches.
    pub(super) fn finish_now(&mut self, arriving: Arriving) -> Stored {
        let outcome = self.store.commit(&mut self.local, arriving.incoming, arriving.mode, self.now.seconds);
        self.count_store(arriving.mode, outcome, arriving.value_len)
    }

    /// Gives up on an arriving value: its connection is gone.
    pub fn abandon(&mut self, arriving: Arriving) {
        self.store.abandon(&mut self.local, arriving.incoming);
    }

    /// Refuses a value whose data block does not end where its line said. A whole value may be too large besides:
    /// then that is said, as memcached looks at the length first.
    #[cold]
    pub fn spoil(&mut self, request: &Store<'_>) -> Stored {
        if self.counts_prefixes {
            self.count_prefix_set(request);
        }
        let reply = if self.store.is_too_large(request.key.len(), request.client_flags, request.value_len) {
            self.refuse(request, self.store.key(request.key), StoreOutcome::TooLarge)
        } else {
            let extras = request.extras.map(|extras| extras.map(|exptime| self.expiry(exptime)));
            let asked = self.asked(request, self.hash_of(request.key), extras.as_ref());
            self.store.count_spoiled(&self.local, &asked, request.value_len);
            self.counters.cmd_set.bump();
            Reply::Error(Failure::BadDataChunk)
        };
        refused(reply, request.value_len)
    }

    /// The same for a value that has arrived in pieces.
    pub fn spoil_arriving(&mut self, arriving: Arriving) -> Stored {
        let value_len = arriving.value_len;
        self.store.abandon_spoiled(&mut self.local, arriving.incoming);
        self.counters.cmd_set.bump();
        refused(Reply::Error(Failure::BadDataChunk), value_len)
    }

    /// Refuses a value that has arrived in part and finds no more memory. memcached finds that out before the first
    /// byte comes, unless the item is longer than one of its chunks: then the old one stays, and nobody is told.
    #[cold]
    pub fn refuse_arriving(&mut self, arriving: Arriving) -> Reply {
        let Arriving { incoming, mode, refusal_deletes, value_len } = arriving;
        let item_bytes = incoming.key().bytes.len() + value_len + MEMCACHED_ITEM_OVERHEAD_BYTES;
        if item_bytes > self.shared.options().chunk_bytes_max {
            self.store.abandon(&mut self.local, incoming);
            return Reply::Error(Failure::NoMemoryReading);
        }
        self.tell_refused(incoming.key(), mode, StoreStatus::NoMemory, refusal_deletes);
        if refusal_deletes {
            self.store.discard(&mut self.local, incoming.key(), self.now.seconds);
        }
        self.store.abandon(&mut self.local, incoming);
        self.count_no_memory()
    }

    /// Counts a store command for `stats detail`, whatever becomes of it. memcached does not count `ms`.
    #[cold]
    fn count_prefix_set(&mut self, request: &Store<'_>) {
        if !request.extras.is_some_and(|extras| extras.is_meta) {
            self.prefixes.count(request.key, PrefixEvent::Set);
        }
    }

    #[inline(always)]
    fn asked<'k>(&self, request: &Store<'k>, hash: u64, extras: Option<&'k store::StoreExtras>) -> StoreRequest<'k> {
        StoreRequest {
            key: Key { bytes: request.key, hash },
            mode: request.mode,
            client_flags: request.client_flags,
            expiry: self.expiry(request.exptime),
            shows_cas: request.shows_cas,
            extras,
        }
    }

    #[inline(always)]
    fn count_store(&self, mode: Mode, outcome: StoreOutcome, value_len: usize) -> Stored {
        self.counters.cmd_set.bump();
        if let Mode::Cas(_) = mode {
            self.count_cas(outcome);
        }
        if let StoreOutcome::Stored { cas, value_len } = outcome {
            return Stored { reply: Reply::Stored, cas, value_len };
        }
        self.count_not_stored(outcome, value_len)
    }

    #[inline(never)]
    fn count_not_stored(&self, outcome: StoreOutcome, value_len: usize) -> Stored {
        let reply = match outcome {
            StoreOutcome::Stored { .. } => Reply::Stored,
            StoreOutcome::NotStored => Reply::NotStored,
            StoreOutcome::Exists => Reply::Exists,
            StoreOutcome::NotFound => Reply::NotFound,
            StoreOutcome::TooLarge => self.count_too_large(),
            StoreOutcome::NoMemory => self.count_no_memory(),
        };
        refused(reply, value_len)
    }

    #[inline(never)]
    fn count_cas(&self, outcome: StoreOutcome) {
        match outcome {
            StoreOutcome::Stored { .. } => self.counters.cas_hits.bump(),
            StoreOutcome::Exists => self.counters.cas_badval.bump(),
            StoreOutcome::NotFound => self.counters.cas_misses.bump(),
            StoreOutcome::NotStored | StoreOutcome::TooLarge | StoreOutcome::NoMemory => {}
        }
    }

    /// A value that cannot be had.
    #[cold]
    fn refuse(&mut self, request: &Store<'_>, key: Key<'_>, outcome: StoreOutcome) -> Reply {
        let is_large = outcome == StoreOutcome::TooLarge;
        let status = if is_large { StoreStatus::TooLarge } else { StoreStatus::NoMemory };
        self.tell_refused(key, request.mode, status, request.refusal_deletes);
        if request.refusal_deletes {
            self.store.discard(&mut self.local, key, self.now.seconds);
        }
        if is_large { self.count_too_large() } else { self.count_no_memory() }
    }

    fn count_too_large(&self) -> Reply {
        self.counters.store_too_large.bump();
        Reply::Error(Failure::TooLarge)
    }

    fn count_no_memory(&self) -> Reply {
        self.counters.store_no_memory.bump();
        Reply::Error(Failure::NoMemoryStoring)
    }
}

/// What became of a value that was not stored.
fn refused(reply: Reply, value_len: usize) -> Stored {
    Stored { reply, cas: 0, value_len }
}
