//! set, add, replace, append, prepend, cas: values whole or in pieces.

use super::Commands;
use crate::protocol::{ErrorText, Mode, Reply, Store};
use crate::store::{self, Incoming, RefusedReserve, Room, StoreOutcome, StoreRequest};

/// A large value on its way into its item. Ends in [`Commands::finish`] or [`Commands::abandon`].
#[derive(Debug)]
pub struct Arriving {
    incoming: Incoming,
    mode: Mode,
}

impl Arriving {
    /// Bytes of the value still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.incoming.missing()
    }
}

impl Commands {
    /// Stores a value that is whole.
    #[inline]
    pub fn store(&mut self, request: &Store<'_>, value: &[u8]) -> Reply {
        let asked = self.asked(request);
        let outcome = self.store.store(&mut self.local, &asked, value, self.now.seconds);
        if matches!(outcome, StoreOutcome::TooLarge | StoreOutcome::NoMemory) {
            return self.refuse(&asked, outcome);
        }
        self.count_store(request.mode, outcome)
    }

    /// Makes room for a value that is longer than `WHOLE_VALUE_BYTES_MAX` and about to arrive.
    ///
    /// # Errors
    /// The reply, when it is too large or there is no memory for it: its bytes are to be swallowed.
    pub fn begin(&mut self, request: &Store<'_>) -> Result<Arriving, Reply> {
        let asked = self.asked(request);
        let refused = match self.store.reserve(&mut self.local, &asked, request.value_len, self.now.seconds) {
            Ok(incoming) => return Ok(Arriving { incoming, mode: request.mode }),
            Err(RefusedReserve::TooLarge) => StoreOutcome::TooLarge,
            Err(RefusedReserve::NoMemory) => StoreOutcome::NoMemory,
        };
        Err(self.refuse(&asked, refused))
    }

    /// Room for the next bytes of an arriving value, never empty while some are missing; `None`: none yet, ask
    /// again in a later turn.
    pub fn room<'i>(&'i mut self, arriving: &'i mut Arriving) -> Room<'i> {
        self.store.room(&mut self.local, &mut arriving.incoming, self.now.seconds)
    }

    /// Says that the first `n` bytes of the last room are filled.
    pub fn filled(&mut self, arriving: &mut Arriving, n: usize) {
        self.store.filled(&mut arriving.incoming, n);
    }

    /// Stores an arrived value.
    pub fn finish(&mut self, arriving: Arriving) -> Reply {
        let outcome = self.store.commit(&mut self.local, arriving.incoming, words(arriving.mode), self.now.seconds);
        self.count_store(arriving.mode, outcome)
    }

    /// Gives up on an arriving value: its connection is gone.
    pub fn abandon(&mut self, arriving: Arriving) {
        self.store.abandon(&mut self.local, arriving.incoming);
    }

    /// Refuses a value whose data block does not end where its line said. A whole value may be too large besides:
    /// then that is said, as memcached looks at the length first.
    #[cold]
    pub fn spoil(&mut self, request: &Store<'_>) -> Reply {
        let asked = self.asked(request);
        if self.store.is_too_large(request.key.len(), request.client_flags, request.value_len) {
            return self.refuse(&asked, StoreOutcome::TooLarge);
        }
        self.counters.cmd_set.bump();
        Reply::Error(ErrorText::BadDataChunk)
    }

    /// The same for a value that has arrived in pieces.
    pub fn spoil_arriving(&mut self, arriving: Arriving) -> Reply {
        self.abandon(arriving);
        self.counters.cmd_set.bump();
        Reply::Error(ErrorText::BadDataChunk)
    }

    /// Refuses a value that has arrived in part and finds no more memory.
    #[cold]
    pub fn refuse_arriving(&mut self, arriving: Arriving) -> Reply {
        let Arriving { incoming, mode } = arriving;
        if mode == Mode::Set {
            self.store.delete(&mut self.local, incoming.key(), self.now.seconds);
        }
        self.store.abandon(&mut self.local, incoming);
        self.count_no_memory()
    }

    #[inline]
    fn asked<'k>(&self, request: &Store<'k>) -> StoreRequest<'k> {
        StoreRequest {
            key: self.store.key(request.key),
            mode: words(request.mode),
            client_flags: request.client_flags,
            expiry: self.expiry(request.exptime),
        }
    }

    #[inline]
    fn count_store(&self, mode: Mode, outcome: StoreOutcome) -> Reply {
        self.counters.cmd_set.bump();
        if let Mode::Cas(_) = mode {
            self.count_cas(outcome);
        }
        match outcome {
            StoreOutcome::Stored { .. } => Reply::Stored,
            StoreOutcome::NotStored => Reply::NotStored,
            StoreOutcome::Exists => Reply::Exists,
            StoreOutcome::NotFound => Reply::NotFound,
            StoreOutcome::TooLarge => self.count_too_large(),
            StoreOutcome::NoMemory => self.count_no_memory(),
        }
    }

    fn count_cas(&self, outcome: StoreOutcome) {
        match outcome {
            StoreOutcome::Stored { .. } => self.counters.cas_hits.bump(),
            StoreOutcome::Exists => self.counters.cas_badval.bump(),
            StoreOutcome::NotFound => self.counters.cas_misses.bump(),
            StoreOutcome::NotStored | StoreOutcome::TooLarge | StoreOutcome::NoMemory => {}
        }
    }

    /// A value that cannot be had. After a failed set the old value is gone too: who asked for a new one must not
    /// go on reading the old (memcached's rule, for set alone).
    #[cold]
    fn refuse(&mut self, asked: &StoreRequest<'_>, outcome: StoreOutcome) -> Reply {
        if asked.mode == store::Mode::Set {
            self.store.delete(&mut self.local, asked.key, self.now.seconds);
        }
        if outcome == StoreOutcome::TooLarge { self.count_too_large() } else { self.count_no_memory() }
    }

    fn count_too_large(&self) -> Reply {
        self.counters.store_too_large.bump();
        Reply::Error(ErrorText::TooLarge)
    }

    fn count_no_memory(&self) -> Reply {
        self.counters.store_no_memory.bump();
        Reply::Error(ErrorText::NoMemoryStoring)
    }
}

#[inline]
fn words(mode: Mode) -> store::Mode {
    match mode {
        Mode::Set => store::Mode::Set,
        Mode::Add => store::Mode::Add,
        Mode::Replace => store::Mode::Replace,
        Mode::Append => store::Mode::Append,
        Mode::Prepend => store::Mode::Prepend,
        Mode::Cas(unique) => store::Mode::Cas(unique),
    }
}
