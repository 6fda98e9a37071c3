//! What a request means, over the store: outcomes become replies, exptimes become deadlines, and everything is
//! counted as memcached counts it. No bytes of a dialect, no sockets, no clock.

mod admin;
mod arithmetic;
mod auth;
mod background;
mod delete;
mod detail;
mod dump;
mod fetch;
mod listing;
mod sample;
mod shared;
mod stats;
mod store;
mod tuning;
mod watch;

pub use admin::Answer;
pub use dump::{Dump, Entry, unix_expiry};
pub use listing::{Activity, CONNECTIONS_A_TURN, ConnectionListing, ConnectionListings, ListedConnection, Page};
pub use sample::Picks;
pub use shared::{ConnectionGauges, Options, RestartReport, Shared, SharedOptions};
pub use stats::Report;
pub use store::Arriving;
pub use tuning::Tuning;

// What a fetch lends goes on to the output as it is, and what arrives goes straight where the store says.
pub use crate::auth::{Exchange, Outcome, Response};
pub use crate::store::{Claim, Hint, ItemView, Pinned, Room, Value};

use crossbeam::utils::CachePadded;

use crate::bytes::number;
use crate::store::{Local, Store};
use crate::sync::Arc;
use crate::telemetry::watch::{Call, Watch};
use crate::telemetry::{CommandCounters, LatencyCounters, PrefixCounters, Sampler};
use crate::time::{Expiry, Now};

/// One thread's way to the store: everything a request needs but the request.
#[derive(Debug)]
pub struct Commands {
    shared: Arc<Shared>,
    store: Arc<Store>,
    local: Local,
    counters: Arc<CachePadded<CommandCounters>>,
    now: Now,
    /// Calls this thread when something has come for one of its clients: lines, or what SASL makes of it.
    call: Call,
    prefixes: PrefixCounters,
    /// `stats detail` is on, as of this turn.
    counts_prefixes: bool,
    /// Which reads of clients' input are measured.
    sampler: Sampler,
    latency: LatencyCounters,
    /// When the next of them was made, if that was before its turn.
    read_early_at: Option<u64>,
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
        // Where a block lies differs from thread to thread.
        let seed = number(std::ptr::from_ref(&**counters).addr()) ^ store.options().hash_seed;
        let latency = LatencyCounters::new(Arc::clone(shared.latencies()));
        Self {
            shared,
            store,
            local,
            counters,
            now,
            call: Call::nobody(),
            prefixes,
            counts_prefixes: false,
            sampler: Sampler::with_seed(seed),
            latency,
            read_early_at: None,
        }
    }

    /// Begins a turn: this is the time until the next one. A `flush_all` whose time has come happens here, before
    /// any request of the turn. `unix_micros` is the time for who watches, asked for only if somebody does.
    pub fn begin_turn(&mut self, now: Now, unix_micros: impl FnOnce() -> u64) {
        self.now = now;
        self.local.recorder_mut().begin_turn(unix_micros);
        self.counts_prefixes = self.shared.prefixes().is_on();
        if let Some(planned) = self.shared.take_due_flush(now.seconds) {
            self.store.make_planned_flush(planned);
            self.shared.note_planned_flush();
        }
    }

    /// Sets what calls this thread when something has come for one of its clients that is not from its socket.
    pub fn on_news(&mut self, call: Call) {
        self.call = call;
    }

    /// Ends a turn: what the store's thread part holds for others is handed in.
    pub fn end_turn(&mut self) {
        self.store.end_turn(&mut self.local);
    }

    /// Gives back all that the store's thread part holds: the thread ends.
    pub fn surrender(&mut self) {
        self.store.surrender(&mut self.local);
    }

    /// Whether memory of large values that are gone is still to be freed: another turn should come soon.
    #[must_use]
    #[inline]
    pub fn is_freeing(&self) -> bool {
        self.local.is_freeing()
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

    /// Prefetches the bucket of keys with this hash.
    #[inline]
    pub fn ask_for_place(&self, hash: u64) -> Hint {
        self.store.prefetch_bucket(hash)
    }

    /// Prefetches the item that a key may have, once its bucket is here.
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

    /// Sets what calls this thread when there may be memory for a value of its that waits for it. Once.
    pub fn on_memory(&mut self, call: impl Fn() + Send + Sync + 'static) {
        self.local.on_memory(call);
    }

    /// Whether it was called so since it last asked.
    #[must_use]
    pub fn take_memory_call(&self) -> bool {
        self.local.take_memory_call()
    }

    /// Whether any of the following three may hold.
    #[must_use]
    #[inline]
    pub fn memory_is_tight(&self) -> bool {
        self.store.memory_is_tight()
    }

    /// Whether values have waited for memory for some time: who holds some and sends nothing is to be closed.
    #[must_use]
    #[inline]
    pub fn memory_is_waited_for(&self) -> bool {
        self.store.memory_is_waited_for(self.now.seconds)
    }

    /// Whether clients hold more memory of large values that are gone than they may: slow ones are to be closed.
    #[must_use]
    #[inline]
    pub fn readers_hold_too_much(&self) -> bool {
        self.store.orphans_over_limit()
    }

    /// Whether somebody found no memory lately.
    #[must_use]
    #[inline]
    pub fn memory_is_short(&self) -> bool {
        self.store.memory_is_short()
    }

    /// Whether readers hold more memory then than they may: slow ones are to be closed.
    #[must_use]
    pub fn readers_are_in_the_way(&self) -> bool {
        self.store.readers_are_in_the_way()
    }

    /// Whether a large value is gone, so that its memory is held for its reader alone.
    #[must_use]
    pub fn is_gone(&self, pinned: &Pinned) -> bool {
        self.store.is_orphan(pinned)
    }

    #[inline]
    fn expiry(&self, exptime: i64) -> Expiry {
        if exptime == 0 { Expiry::Never } else { Expiry::from_exptime(exptime, &self.now) }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Commands over a small store, at a fixed time.

    use super::{Commands, Options, Shared, SharedOptions};
    use crate::auth::{SaslQueue, Tokens};
    use crate::store::{self, Store};
    use crate::sync::Arc;
    use crate::time::{Now, Seconds};

    pub(crate) const NOW: Now = Now { seconds: Seconds(100), unix_epoch: 1_700_000_000 };

    pub(crate) fn commands() -> Commands {
        commands_with(Options::default(), store::Options::default())
    }

    pub(crate) fn commands_with(options: Options, store: store::Options) -> Commands {
        commands_of(options, store, None, None)
    }

    pub(crate) fn commands_with_tokens(file: &str) -> Commands {
        let tokens = Tokens::parse(file.as_bytes()).expect("well formed");
        commands_of(Options::default(), store::Options::default(), Some(tokens), None)
    }

    pub(crate) fn commands_with_sasl(queue: Arc<SaslQueue>) -> Commands {
        commands_of(Options::default(), store::Options::default(), None, Some(queue))
    }

    fn commands_of(
        options: Options,
        store: store::Options,
        tokens: Option<Tokens>,
        sasl: Option<Arc<SaslQueue>>,
    ) -> Commands {
        let settings = [("maxconns", "7"), ("verbosity", "9")];
        let shared = Shared::new(SharedOptions {
            options,
            store: Arc::new(Store::open(&store).expect("memory")),
            tls: None,
            tokens,
            sasl,
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            started: NOW,
            pid: 1,
            restart: None,
            listeners: Vec::new(),
        });
        Commands::new(Arc::new(shared), NOW)
    }
}
