//! What a request means, over the store: outcomes become replies, exptimes become deadlines, and everything is
//! counted as memcached counts it. No bytes of a dialect, no sockets, no clock.

mod admin;
mod arithmetic;
mod auth;
mod census;
mod delete;
mod detail;
mod dump;
mod fetch;
mod shared;
mod stats;
mod store;
mod tuning;
mod upkeep;
mod watch;

pub use admin::Answer;
pub use arithmetic::Counted;
pub use census::{Activity, CONNECTIONS_A_TURN, Census, CensusOffice, Inhabitant, Page};
pub use dump::{Dump, Entry, unix_expiry};
pub use fetch::Fetched;
pub use shared::{ConnectionGauges, Options, Shared, SharedOptions};
pub use store::{Arriving, Stored};
pub use tuning::Tuning;

// What a fetch lends goes on to the output as it is, and what arrives goes straight where the store says.
pub use crate::store::{Details, Hint, ItemView, Pinned, Room, Value};

use crossbeam::utils::CachePadded;

use crate::store::{Local, Store};
use crate::sync::Arc;
use crate::telemetry::watch::{Call, Watch};
use crate::telemetry::{CommandCounters, PrefixCounters};
use crate::time::{Expiry, Now};

/// One thread's way to the store: everything a request needs but the request.
#[derive(Debug)]
pub struct Commands {
    shared: Arc<Shared>,
    store: Arc<Store>,
    local: Local,
    counters: Arc<CachePadded<CommandCounters>>,
    now: Now,
    on_lines: Option<Call>,
    prefixes: PrefixCounters,
    /// `stats detail` is on, as of this turn.
    counts_prefixes: bool,
}

impl Commands {
    /// A thread's own.
    #[must_use]
    pub fn new(shared: Arc<Shared>, now: Now) -> Self {
        let store = Arc::clone(shared.store());
        let mut local = store.local();
        local.set_recorder(Watch::recorder(shared.watch()));
        let counters = shared.counters().register();
        let prefixes = PrefixCounters::new(Arc::clone(shared.prefixes()));
        Self { shared, store, local, counters, now, on_lines: None, prefixes, counts_prefixes: false }
    }

    /// Begins a turn: this is the time until the next one. A `flush_all` whose time has come happens here, before
    /// any request of the turn. `unix_micros` is the time for who watches, asked for only if somebody does.
    pub fn begin_turn(&mut self, now: Now, unix_micros: impl FnOnce() -> u64) {
        self.now = now;
        self.local.recorder_mut().begin_turn(unix_micros);
        self.counts_prefixes = self.shared.prefixes().is_on();
        if self.shared.take_due_flush(now.seconds) {
            self.store.flush_all(None);
        }
    }

    /// Ends a turn: what the store's thread part holds for others is handed in.
    pub fn end_turn(&mut self) {
        self.store.end_turn(&mut self.local);
    }

    /// Whether there are so many items that looking ahead in the input saves more than it costs.
    #[must_use]
    #[inline]
    pub fn looks_ahead(&self) -> bool {
        self.store.is_past_caches()
    }

    /// The hash of a key.
    #[must_use]
    #[inline]
    pub fn hash_of(&self, key: &[u8]) -> u64 {
        self.store.key(key).hash
    }

    /// Has the place come near where an item is looked up whose key has this hash.
    #[inline]
    pub fn ask_for_place(&self, hash: u64) -> Hint {
        self.store.prefetch_bucket(hash)
    }

    /// Has the item come near that a key may have, its place having come.
    #[inline]
    pub fn ask_for_item(&self, hint: Hint) {
        self.store.prefetch_item(hint);
    }

    /// What this thread counts.
    #[must_use]
    pub fn counters(&self) -> &CommandCounters {
        &self.counters
    }

    /// What all threads share.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The turn's time.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now
    }

    /// The bytes of a large value from `offset` on, in the pieces they lie in.
    pub fn pinned_pieces<'p>(
        &'p self,
        pinned: &'p mut Pinned,
        offset: usize,
    ) -> impl Iterator<Item = &'p [u8]> + use<'p> {
        self.store.pinned_pieces(pinned, offset)
    }

    /// Gives a large value back.
    pub fn unpin(&mut self, pinned: Pinned) {
        self.store.unpin(&mut self.local, pinned);
    }

    /// The time to live in seconds that an exptime gives; `None`: for ever.
    #[must_use]
    pub fn ttl(&self, exptime: i32) -> Option<u32> {
        ttl_of(self.expiry(exptime), self.now)
    }

    /// Whether clients hold more memory of large values that are gone than they may: slow ones are to be closed.
    #[must_use]
    #[inline]
    pub fn readers_hold_too_much(&self) -> bool {
        self.store.orphans_over_limit()
    }

    /// Whether a large value is gone, so that its memory is held for its reader alone.
    #[must_use]
    pub fn is_gone(&self, pinned: &Pinned) -> bool {
        self.store.is_orphan(pinned)
    }

    #[inline]
    fn expiry(&self, exptime: i32) -> Expiry {
        if exptime == 0 { Expiry::Never } else { Expiry::from_exptime(i64::from(exptime), &self.now) }
    }
}

/// The time to live in seconds that an expiry leaves; `None`: for ever.
#[must_use]
pub fn ttl_of(expiry: Expiry, now: Now) -> Option<u32> {
    expiry.seconds_left(now.seconds)
}

#[cfg(test)]
pub(crate) mod testing {
    //! Commands over a small store, at a fixed time.

    use super::{Commands, Options, Shared, SharedOptions};
    use crate::auth::Tokens;
    use crate::store::{self, Store};
    use crate::sync::Arc;
    use crate::time::{Now, Seconds};

    pub(crate) const NOW: Now = Now { seconds: Seconds(100), unix_epoch: 1_700_000_000 };

    pub(crate) fn commands() -> Commands {
        commands_with(Options::default(), store::Options::default())
    }

    pub(crate) fn commands_with(options: Options, store: store::Options) -> Commands {
        commands_of(options, store, None)
    }

    pub(crate) fn commands_with_tokens(file: &str) -> Commands {
        let tokens = Tokens::parse(file.as_bytes()).expect("well formed");
        commands_of(Options::default(), store::Options::default(), Some(tokens))
    }

    fn commands_of(options: Options, store: store::Options, tokens: Option<Tokens>) -> Commands {
        let settings = [("maxconns", "7"), ("verbosity", "9")];
        let shared = Shared::new(SharedOptions {
            options,
            store: Arc::new(Store::open(&store).expect("memory")),
            tokens,
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            started: NOW,
            pid: 1,
            listeners: Vec::new(),
        });
        Commands::new(Arc::new(shared), NOW)
    }
}
