//! [`Shared`]: what all threads know about the commands, their counters and the connections.

use super::listing::ConnectionListings;
use super::tuning::Tuning;
use crate::auth::{Gate, SaslQueue, Tokens};
use crate::protocol::Dialect;
use crate::store::{ClassReport, Recovered, Store};
use crate::sync::{Arc, AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Mutex, Ordering, Rank};
use crate::telemetry::watch::{self, Watch};
use crate::telemetry::{
    CommandCounters, CommandTotals, HotKeys, Latencies, PrefixBook, Registry, StoreTotals, VERBOSITY_COMMANDS,
    WatchTotals, set_log_level,
};
use crate::time::{Now, Seconds};
use crate::tls::Certificates;

/// What the commands are told at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `-F` turns it off: `flush_all` is refused.
    pub flush_all: bool,
    /// `-X` turns it off: lists of items are refused.
    pub dumping: bool,
    /// `-A`: a client may end the server.
    pub shutdown: bool,
    /// `-v`: how much is said on stderr at first.
    pub verbosity: u8,
    /// `-t`: worker threads, for `stats`.
    pub workers: usize,
    /// `-c`: most connections, for `stats`.
    pub connections_max: usize,
    /// Whether `idle_timeout` is on, for `stats`.
    pub idle_timeout: bool,
    /// Whether `-L` or `-e` fixed the memory: `cache_memlimit` is then refused.
    pub fixed_memory: bool,
    /// `-W` turns it off: `watch` is refused.
    pub watch: bool,
    /// `worker_logbuf_size`: bytes a thread may record ahead of the lines that are made of it.
    pub worker_log_bytes: usize,
    /// `watcher_logbuf_size`: bytes of lines that may wait for one watcher.
    pub watcher_log_bytes: usize,
    /// What `slabs automove` and `lru` may change.
    pub tuning: Tuning,
    /// `slab_chunk_max`: memcached asks for the memory of longer items while they arrive, in bytes.
    pub chunk_bytes_max: usize,
    /// `-D`: where a key's prefix ends, for `stats detail`.
    pub prefix_delimiter: u8,
    /// Whether `stats detail` is on from the start, as with `-D`.
    pub detail: bool,
    /// `-B`: what all clients speak; `None`: the first byte of each tells.
    pub dialect: Option<Dialect>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flush_all: true,
            dumping: true,
            shutdown: false,
            verbosity: 0,
            workers: 4,
            connections_max: 1024,
            idle_timeout: false,
            fixed_memory: false,
            watch: true,
            worker_log_bytes: 64 << 10,
            watcher_log_bytes: 256 << 10,
            tuning: Tuning::default(),
            chunk_bytes_max: 512 << 10,
            prefix_delimiter: b':',
            detail: false,
            dialect: None,
        }
    }
}

/// What became of the items that another run left.
#[derive(Clone, Copy, Debug)]
pub struct RestartReport {
    /// How many were kept, and why others were not.
    pub found: Recovered,
    /// How long that took, in microseconds.
    pub micros: u64,
}

/// What [`Shared`] is made of.
#[derive(Debug)]
pub struct SharedOptions {
    /// The options.
    pub options: Options,
    /// The items.
    pub store: Arc<Store>,
    /// What the server shows to clients that speak TLS (`-Z`); `None`: nobody does.
    pub tls: Option<Arc<Certificates>>,
    /// What clients must show (`-Y`); `None`: everybody is served.
    pub tokens: Option<Tokens>,
    /// Where what clients say of themselves is judged (`-S`); `None`: it is not asked for.
    pub sasl: Option<Arc<SaslQueue>>,
    /// `stats settings`, in order. What may change is replaced by what holds when asked.
    pub settings: Vec<(String, String)>,
    /// The moment of the start.
    pub started: Now,
    /// The process's number.
    pub pid: u32,
    /// What another run left; `None`: nothing, or nobody asked for that to be kept.
    pub restart: Option<RestartReport>,
    /// The listeners' descriptors and addresses, for `stats conns`.
    pub listeners: Vec<(u32, String)>,
}

/// Counts about connections that are not one thread's own.
#[derive(Debug)]
pub struct ConnectionGauges {
    /// Open connections.
    pub current: AtomicUsize,
    /// Whether new ones are accepted.
    pub is_accepting: AtomicBool,
    /// Microseconds not spent accepting, over `-c`.
    pub listen_disabled_micros: AtomicU64,
}

/// What `stats reset` remembers.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    pub(super) commands: CommandTotals,
    pub(super) store: StoreTotals,
    pub(super) classes: Vec<ClassReport>,
    pub(super) watch: WatchTotals,
}

/// What all threads know.
#[derive(Debug)]
pub struct Shared {
    pub(super) options: Options,
    pub(super) settings: Vec<(String, String)>,
    pub(super) started: Now,
    pub(super) pid: u32,
    pub(super) restart: Option<RestartReport>,
    pub(super) baseline: Mutex<Baseline>,
    pub(super) tuning: Mutex<Tuning>,
    /// Who is let in; `None`: everybody.
    pub(super) gate: Option<Gate>,
    pub(super) sasl: Option<Arc<SaslQueue>>,
    tls: Option<Arc<Certificates>>,
    store: Arc<Store>,
    watch: Arc<Watch>,
    counters: Registry<CommandCounters>,
    gauges: ConnectionGauges,
    listings: ConnectionListings,
    prefixes: Arc<PrefixBook>,
    latencies: Arc<Latencies>,
    hot_keys: HotKeys,
    verbosity: AtomicU8,
    /// The second a delayed `flush_all` waits for, and above 32 bits the one it spares from; 0: none.
    flush_at: AtomicU64,
}

impl Shared {
    /// Takes the options in.
    #[must_use]
    pub fn new(options: SharedOptions) -> Self {
        let SharedOptions { options, store, tls, tokens, sasl, settings, started, pid, restart, listeners } = options;
        let verbosity = AtomicU8::new(options.verbosity);
        let (ring_bytes, watcher_bytes) = (options.worker_log_bytes, options.watcher_log_bytes);
        let tuning = Mutex::new(Rank::Server, options.tuning);
        let prefixes = PrefixBook::new(options.prefix_delimiter, options.detail, store.options().hash_seed);
        let flush_at = AtomicU64::new(store.planned_flush());
        Self {
            options,
            settings,
            started,
            pid,
            restart,
            baseline: Mutex::new(Rank::Server, Baseline::default()),
            tuning,
            gate: tokens.map(Gate::new),
            sasl,
            tls,
            store,
            watch: Arc::new(Watch::new(watch::Options { ring_bytes, watcher_bytes })),
            counters: Registry::new(),
            gauges: ConnectionGauges {
                current: AtomicUsize::new(0),
                is_accepting: AtomicBool::new(true),
                listen_disabled_micros: AtomicU64::new(0),
            },
            listings: ConnectionListings::new(listeners),
            prefixes: Arc::new(prefixes),
            latencies: Arc::new(Latencies::default()),
            hot_keys: HotKeys::new(),
            verbosity,
            flush_at,
        }
    }

    /// The items.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Who watches.
    #[must_use]
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Who is let in; `None`: everybody.
    #[must_use]
    pub fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// What the server shows to clients that speak TLS; `None`: nobody does.
    #[must_use]
    pub fn tls(&self) -> Option<&Certificates> {
        self.tls.as_deref()
    }

    /// The options of the start.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where a thread that counts commands or connections gets its block.
    #[must_use]
    pub fn counters(&self) -> &Registry<CommandCounters> {
        &self.counters
    }

    /// Counts about connections.
    #[must_use]
    pub fn connections(&self) -> &ConnectionGauges {
        &self.gauges
    }

    /// Where everybody's connections are asked for.
    #[must_use]
    pub fn listings(&self) -> &ConnectionListings {
        &self.listings
    }

    /// Counts by the prefix of a key.
    #[must_use]
    pub fn prefixes(&self) -> &Arc<PrefixBook> {
        &self.prefixes
    }

    /// How long requests took.
    #[must_use]
    pub fn latencies(&self) -> &Arc<Latencies> {
        &self.latencies
    }

    /// The keys asked for most.
    #[must_use]
    pub fn hot_keys(&self) -> &HotKeys {
        &self.hot_keys
    }

    /// How much is said on stderr.
    #[must_use]
    pub fn verbosity(&self) -> u8 {
        // Relaxed: a number by itself.
        self.verbosity.load(Ordering::Relaxed)
    }

    /// Whether commands and replies are logged.
    #[must_use]
    pub fn logs_commands(&self) -> bool {
        self.verbosity() >= VERBOSITY_COMMANDS
    }

    /// Sets how much is said on stderr.
    pub fn set_verbosity(&self, verbosity: u8) {
        // Relaxed: see `verbosity`.
        self.verbosity.store(verbosity, Ordering::Relaxed);
        set_log_level(verbosity);
    }

    /// Plans a `flush_all`, in place of one that is planned already, by the first second it spares; `None`: there is
    /// none any more. It comes with the second before, and once more for what is stored in that second.
    pub(super) fn plan_flush(&self, spares_from: Option<Seconds>, now: Seconds) {
        let planned = spares_from.map_or(0, |Seconds(last)| {
            let first = if last - 1 > now.0 { last - 1 } else { last };
            u64::from(last) << 32 | u64::from(first)
        });
        // Relaxed: who takes it needs nothing else that was written before.
        self.flush_at.store(planned, Ordering::Relaxed);
        self.note_planned_flush();
    }

    /// Has another run know of the plan as it stands: after a flush that was due has been made.
    #[cold]
    pub(super) fn note_planned_flush(&self) {
        self.store.note_planned_flush(self.flush_at.load(Ordering::Relaxed));
    }

    /// The planned flush that the caller is to make now: for one caller only. Items die when the first turn after the
    /// planned second begins, before any request could see them, so nobody has to wake up for it.
    #[inline]
    pub(super) fn take_due_flush(&self, now: Seconds) -> Option<u64> {
        // Relaxed: see `plan_flush`.
        let planned = self.flush_at.load(Ordering::Relaxed);
        if planned == 0 { None } else { self.take_flush(planned, now) }
    }

    #[cold]
    fn take_flush(&self, planned: u64, now: Seconds) -> Option<u64> {
        let (next, last) = (planned & u64::from(u32::MAX), planned >> 32);
        let now = u64::from(now.0);
        if next > now {
            return None;
        }
        let left = if last > now { last << 32 | last } else { 0 };
        self.flush_at.compare_exchange(planned, left, Ordering::Relaxed, Ordering::Relaxed).ok()
    }
}
