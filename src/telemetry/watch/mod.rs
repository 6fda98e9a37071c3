//! `watch`: what happens in the server, told line by line to clients that asked.
//!
//! ```text
//! worker 0:     Recorder -> Ring \
//! worker 1:     Recorder -> Ring  > drain: lines -> each Watcher's bytes -> its worker -> its socket
//! maintenance:  Recorder -> Ring /
//! ```
//!
//! Who records never waits and takes no memory: an event that finds its ring full is dropped and counted. One thread
//! drains all rings, makes the lines and gives them to the watchers; a watcher who does not take them gets `skipped=N`
//! for N of them. Sockets, and when to drain, are `server`'s business.

mod event;
mod kinds;
mod line;
#[cfg(all(test, loom))]
mod loom;
mod ring;
mod watcher;

pub use event::{CloseReason, DeleteWord, Event, Peer, Seen, StoreStatus, StoreWord, Transport};
pub use kinds::Kinds;
pub use watcher::Watcher;

use std::fmt;
use std::sync::{Arc as StdArc, OnceLock};

use crossbeam::utils::CachePadded;

use super::{Registry, WatchCounters, WatchTotals};
use crate::bytes::Buffer;
use crate::sync::{Arc, AtomicU32, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, Rank, yield_now};
use ring::{Record, Ring};

/// Most watchers at a time (memcached's `WATCHER_LIMIT`).
const WATCHERS_MAX: usize = 20;

/// Records taken from a ring before the next ring has its turn: together some hundred microseconds, for which a client
/// that begins or ends watching may have to wait.
const RECORDS_A_PASS: usize = 64;

/// Passes between two calls of the watchers' workers: those of a whole ring of the usual size, so that lines go out by
/// the hundred and a worker is not called for a few.
const PASSES_A_CALL: usize = 16;

/// How much may wait where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `worker_logbuf_size`: bytes of a recording thread's ring.
    pub ring_bytes: usize,
    /// `watcher_logbuf_size`: bytes of lines that wait for one watcher.
    pub watcher_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { ring_bytes: 64 << 10, watcher_bytes: 256 << 10 }
    }
}

/// What a pass over all rings has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// There was nothing.
    Nothing,
    /// There was something, and there may be more.
    Something,
}

/// What calls a thread. (Of the standard library, as loom's reference counts take no closures.)
#[derive(Clone)]
pub struct Call(StdArc<dyn Fn() + Send + Sync>);

impl Call {
    /// Calls by this.
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self(StdArc::new(call))
    }

    /// Calls nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(|| ())
    }

    /// Calls.
    pub fn call(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// All that threads share about watching.
pub struct Watch {
    options: Options,
    /// Kinds that anybody watches.
    kinds: AtomicU32,
    /// The number of the last event.
    gid: AtomicU64,
    counters: Registry<WatchCounters>,
    state: Mutex<State>,
    /// Threads that wait for the state: who drains lets them go first, or it would have the lock again at once.
    waiting: AtomicUsize,
    /// What tells who drains that there is a first watcher.
    on_first: OnceLock<Call>,
}

/// Guarded by the lock of rank `Watch`. Whoever holds it is the one who takes from the rings.
struct State {
    rings: Vec<Arc<Ring>>,
    watchers: Vec<Arc<Watcher>>,
    counters: Arc<CachePadded<WatchCounters>>,
    record: Record,
    line: Buffer,
}

impl Watch {
    /// Nobody watches yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let counters = Registry::new();
        let state = State {
            rings: Vec::new(),
            watchers: Vec::with_capacity(WATCHERS_MAX),
            counters: counters.register(),
            record: Record::new(),
            line: Buffer::default(),
        };
        Self {
            options,
            kinds: AtomicU32::new(0),
            gid: AtomicU64::new(0),
            counters,
            state: Mutex::new(Rank::Watch, state),
            waiting: AtomicUsize::new(0),
            on_first: OnceLock::new(),
        }
    }

    /// A thread's own way to say what happens.
    #[must_use]
    pub fn recorder(watch: &Arc<Self>) -> Recorder {
        let ring = Arc::new(Ring::new());
        {
            let mut state = watch.lock();
            if !state.watchers.is_empty() {
                ring.open(watch.options.ring_bytes);
            }
            state.rings.push(Arc::clone(&ring));
        }
        let link = Link { watch: Arc::clone(watch), ring, counters: watch.counters.register() };
        Recorder { kinds: Kinds::NONE, cfd: 0, micros: 0, link: Some(link) }
    }

    /// Sets what is called when somebody begins to watch where nobody did. Once.
    pub fn on_first(&self, call: Call) {
        // A second caller would be a second thread that drains: the first stays.
        let _ = self.on_first.set(call);
    }

    /// Begins to watch: events from now on come as lines, and `call` says when there are some. `None`: too many do.
    #[must_use]
    pub fn join(&self, kinds: Kinds, call: Call) -> Option<Arc<Watcher>> {
        let mut state = self.lock();
        if state.watchers.len() == WATCHERS_MAX {
            return None;
        }
        for ring in &state.rings {
            ring.open(self.options.ring_bytes);
        }
        // Relaxed: a number by itself. What was recorded before stays unseen.
        let gid_min = self.gid.fetch_add(1, Ordering::Relaxed) + 1;
        let watcher = Arc::new(Watcher::new(kinds, gid_min, self.options.watcher_bytes, call));
        state.watchers.push(Arc::clone(&watcher));
        let is_first = state.watchers.len() == 1;
        self.renew_kinds(&state);
        drop(state);
        if is_first && let Some(call) = self.on_first.get() {
            call.call();
        }
        Some(watcher)
    }

    /// Ends watching.
    pub fn leave(&self, watcher: &Arc<Watcher>) {
        let mut state = self.lock();
        state.watchers.retain(|other| !Arc::ptr_eq(other, watcher));
        self.renew_kinds(&state);
    }

    /// The state, for everybody but who drains.
    fn lock(&self) -> MutexGuard<'_, State> {
        // Relaxed: a hint; the lock orders the rest.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let state = self.state.lock();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        state
    }

    fn renew_kinds(&self, state: &State) {
        let kinds = state.watchers.iter().fold(Kinds::NONE, |kinds, watcher| kinds | watcher.kinds());
        // Release: pairs with the Acquire of `is_watched`: who is woken for the first watcher sees that it is there.
        self.kinds.store(kinds.bits(), Ordering::Release);
    }

    /// Whether anybody watches.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        // Acquire: see `renew_kinds`.
        self.kinds.load(Ordering::Acquire) != 0
    }

    /// Makes lines of what the rings hold, gives them to the watchers, and calls those that have some.
    pub fn drain(&self) -> Drained {
        let passes = (0..PASSES_A_CALL).take_while(|_| self.pass() == Drained::Something).count();
        for watcher in &self.lock().watchers {
            watcher.call();
        }
        if passes > 0 { Drained::Something } else { Drained::Nothing }
    }

    /// Makes lines of some of what each ring holds.
    fn pass(&self) -> Drained {
        // Relaxed: see `lock`.
        while self.waiting.load(Ordering::Relaxed) > 0 {
            yield_now();
        }
        let mut state = self.state.lock();
        let State { rings, watchers, counters, record, line } = &mut *state;
        let mut drained = Drained::Nothing;
        for ring in rings.iter() {
            for _ in 0..RECORDS_A_PASS {
                if !ring.pop(record) {
                    break;
                }
                drained = Drained::Something;
                let Some(event) = Event::unpack(record.numbers, record.text()) else { continue };
                line.clear();
                line::push_line(line, record.micros, record.gid, &event);
                let kind = Kinds::of(&event);
                for watcher in watchers.iter().filter(|watcher| watcher.wants(kind, record.gid)) {
                    let counter =
                        if watcher.offer(line) { &counters.log_watcher_sent } else { &counters.log_watcher_skipped };
                    counter.bump();
                }
            }
        }
        drained
    }

    /// How many watch.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.lock().watchers.len()
    }

    /// All counters.
    #[must_use]
    pub fn totals(&self) -> WatchTotals {
        let mut totals = WatchTotals::default();
        self.counters.for_each(|block| totals.add(block));
        totals
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A thread's way to say what happens. Whether anybody wants to know is looked up once a turn.
#[derive(Debug)]
pub struct Recorder {
    kinds: Kinds,
    cfd: u32,
    micros: u64,
    /// `None`: for a thread that nobody can watch.
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    watch: Arc<Watch>,
    ring: Arc<Ring>,
    counters: Arc<CachePadded<WatchCounters>>,
}

impl Recorder {
    /// One that never records.
    #[must_use]
    pub fn off() -> Self {
        Self { kinds: Kinds::NONE, cfd: 0, micros: 0, link: None }
    }

    /// Begins a turn: looks up who watches; `unix_micros` is read only if anybody does.
    #[inline]
    pub fn begin_turn(&mut self, unix_micros: impl FnOnce() -> u64) {
        let Some(link) = &self.link else { return };
        // Relaxed: a watcher's lines begin with each thread's next turn.
        self.kinds = Kinds::from_bits(link.watch.kinds.load(Ordering::Relaxed));
        if self.kinds != Kinds::NONE {
            self.micros = unix_micros();
        }
    }

    /// Whether anybody watches any of these kinds, as of this turn's beginning.
    #[must_use]
    #[inline]
    pub fn is_watched(&self, kinds: Kinds) -> bool {
        self.kinds.has(kinds)
    }

    /// Sets whose descriptor events name from now on.
    pub fn set_cfd(&mut self, cfd: u32) {
        self.cfd = cfd;
    }

    /// The descriptor that events name.
    #[must_use]
    pub fn cfd(&self) -> u32 {
        self.cfd
    }

    /// Says what happened, if anybody watches.
    #[cold]
    pub fn record(&self, event: &Event<'_>) {
        let Some(Link { watch, ring, counters }) = &self.link else { return };
        if !self.is_watched(Kinds::of(event)) {
            return;
        }
        let (numbers, text) = event.pack();
        // Relaxed: the number alone matters; each thread's own events have rising ones.
        let gid = || watch.gid.fetch_add(1, Ordering::Relaxed) + 1;
        let counter = if ring.push(gid, self.micros, numbers, text) {
            &counters.log_worker_written
        } else {
            &counters.log_worker_dropped
        };
        counter.bump();
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
