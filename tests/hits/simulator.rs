//! The store driven look-aside over a sequence of requests, on a clock of its own: no socket, no thread, no sleep.
//!
//! What a server's threads would do side by side happens in turns: requests come at a fixed rate or at their own
//! times, and the background thread's steps take the time that a step takes. So a run of hours takes seconds and the
//! same requests always end the same way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flagstone::store::{
    ClassReport, CurveReport, Fetch, FetchOutcome, HitRatios, Key, Local, MemoryReport, Mode, Options, Progress, Room,
    Store, StoreOutcome, StoreRequest, Value,
};
use flagstone::telemetry::StoreTotals;
use flagstone::time::{Expiry, Now, Seconds};

/// Values longer than this arrive in pieces, as from a socket.
const WHOLE_VALUE_BYTES_MAX: usize = 16 << 10;
/// What a step of the background thread takes: the mean of those measured, 50 at most.
const STEP_MICROS: u64 = 10;
/// Requests a worker serves before it ends its turn.
const TURN_REQUESTS: u64 = 32;
/// The first second of a run: nothing that lies in the past is before the clock's epoch.
const FIRST_SECOND: u32 = 10;
/// Client flags of every item: they take four bytes, as they do with the clients that use them.
const CLIENT_FLAGS: u32 = 7;

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A get; on a miss the value is set.
    Get,
    /// A set.
    Set,
    /// A delete.
    Delete,
}

/// One request of a sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Which key: the same number is the same key.
    pub(crate) id: u32,
    pub(crate) action: Action,
    pub(crate) key_bytes: usize,
    pub(crate) value_bytes: usize,
    /// Seconds an item set by this request lives; 0: for ever.
    pub(crate) ttl_seconds: u32,
    /// Microseconds since the sequence began.
    pub(crate) micros: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) gets: u64,
    pub(crate) misses: u64,
    /// Sets that found no memory.
    pub(crate) refused: u64,
    pub(crate) totals: StoreTotals,
}

impl Outcome {
    /// Misses a get.
    pub(crate) fn miss_ratio(&self) -> f64 {
        self.misses as f64 / self.gets.max(1) as f64
    }
}

/// A store and who drives it.
pub(crate) struct Simulator {
    store: Store,
    worker: Local,
    background: Local,
    nudged: Arc<AtomicBool>,
    /// Until when the background thread is busy, or sleeps if nobody calls it.
    busy_until: u64,
    asleep_until: u64,
    requests: u64,
    outcome: Outcome,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Simulator {
    /// An empty store of `limit_bytes`, with a server's defaults.
    pub(crate) fn new(limit_bytes: u64, seed: u64) -> Self {
        let options = Options { limit_bytes, hash_seed: seed, ..Options::default() };
        let store = Store::open(&options).expect("the memory limit holds a page");
        let nudged = Arc::new(AtomicBool::new(false));
        let called = Arc::clone(&nudged);
        store.on_work(move || called.store(true, Ordering::Relaxed));
        Self {
            worker: store.local(),
            background: store.local(),
            store,
            nudged,
            busy_until: 0,
            asleep_until: 0,
            requests: 0,
            outcome: Outcome::default(),
            key: Vec::new(),
            value: vec![b'v'; options.item_bytes_max],
        }
    }

    /// Plays requests in their order; more may follow.
    pub(crate) fn play(&mut self, requests: impl Iterator<Item = Request>) {
        for request in requests {
            self.work_in_the_background(request.micros);
            self.serve(&request);
            self.requests += 1;
            if self.requests.is_multiple_of(TURN_REQUESTS) {
                self.store.end_turn(&mut self.worker);
            }
        }
        self.outcome.totals = self.store.totals();
    }

    /// What came of all requests so far.
    pub(crate) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// What the store says of its hit ratio with other memory limits.
    pub(crate) fn curve(&self) -> (CurveReport, Option<HitRatios>) {
        let report = self.store.curve_report();
        (report, report.hit_ratios(self.outcome.gets - self.outcome.misses, self.outcome.misses))
    }

    /// Where the memory went.
    pub(crate) fn memory(&self) -> MemoryReport {
        self.store.memory_report()
    }

    /// The classes that have pages.
    pub(crate) fn classes(&self) -> Vec<ClassReport> {
        self.store.class_reports(second_of(self.busy_until))
    }

    /// Lets the background thread work until this moment.
    fn work_in_the_background(&mut self, micros: u64) {
        while self.busy_until <= micros && (self.asleep_until <= micros || self.nudged.swap(false, Ordering::Relaxed)) {
            let seconds = second_of(self.busy_until.max(micros));
            let progress = self.store.step(&mut self.background, Now { seconds, unix_epoch: 0 });
            self.busy_until = self.busy_until.max(micros.saturating_sub(STEP_MICROS)) + STEP_MICROS;
            self.asleep_until = match progress {
                Progress::More => self.busy_until,
                Progress::MoreAfter { micros } => self.busy_until + u64::from(micros),
                Progress::IdleUntil(moment) => u64::from(moment.0.saturating_sub(FIRST_SECOND)) * 1_000_000,
            };
        }
    }

    fn serve(&mut self, request: &Request) {
        let now = second_of(request.micros);
        write_key(&mut self.key, request);
        let Self { store, worker, key, .. } = self;
        let key = store.key(key);
        match request.action {
            Action::Get if !is_hit(store, worker, key, now) => {
                self.outcome.misses += 1;
                self.outcome.gets += 1;
                self.set(request, now);
            }
            Action::Get => self.outcome.gets += 1,
            Action::Set => self.set(request, now),
            Action::Delete => {
                store.delete(worker, key, None, now);
            }
        }
    }

    fn set(&mut self, request: &Request, now: Seconds) {
        let expiry = match request.ttl_seconds {
            0 => Expiry::Never,
            ttl => Expiry::At(Seconds(now.0.saturating_add(ttl))),
        };
        let key = self.store.key(&self.key);
        let store =
            StoreRequest { key, mode: Mode::Set, client_flags: CLIENT_FLAGS, expiry, shows_cas: false, extras: None };
        let outcome = if request.value_bytes <= WHOLE_VALUE_BYTES_MAX {
            self.store.store(&mut self.worker, &store, &self.value[..request.value_bytes], now)
        } else {
            arrive(&self.store, &mut self.worker, &mut self.background, &store, request.value_bytes, now)
        };
        if !matches!(outcome, StoreOutcome::Stored { .. }) {
            self.outcome.refused += 1;
        }
    }
}

fn is_hit(store: &Store, worker: &mut Local, key: Key<'_>, now: Seconds) -> bool {
    let mut pinned = None;
    let fetch = Fetch { touch: None, value: true, cas: true, extras: None };
    let outcome = store.fetch(worker, key, fetch, now, |item| {
        if let Value::Pinned(pin) = item.value {
            pinned = Some(pin);
        }
    });
    if let Some(pinned) = pinned {
        store.unpin(worker, pinned);
    }
    matches!(outcome, FetchOutcome::Hit(()))
}

/// Lets a large value arrive; while there is no room the background thread makes some.
fn arrive(
    store: &Store,
    worker: &mut Local,
    background: &mut Local,
    request: &StoreRequest<'_>,
    value_bytes: usize,
    now: Seconds,
) -> StoreOutcome {
    let Some(mut incoming) = store.reserve(request, value_bytes) else { return StoreOutcome::TooLarge };
    while incoming.missing() > 0 {
        let filled = match store.room(worker, &mut incoming, now) {
            Room::Bytes(bytes) => bytes.len(),
            Room::Wait => {
                store.end_turn(worker);
                store.step(background, Now { seconds: now, unix_epoch: 0 });
                continue;
            }
            Room::NoMemory => {
                store.abandon(worker, incoming);
                return StoreOutcome::NoMemory;
            }
        };
        let filled = filled.min(incoming.missing());
        store.filled(&mut incoming, filled);
    }
    store.commit(worker, incoming, Mode::Set, now)
}

fn second_of(micros: u64) -> Seconds {
    let second = u32::try_from(micros / 1_000_000).expect("a run is shorter than 2^32 seconds");
    Seconds(FIRST_SECOND + second)
}

/// The number in hex after a letter, spread by a multiplication that loses nothing, then padding.
fn write_key(key: &mut Vec<u8>, request: &Request) {
    use std::io::Write as _;
    key.clear();
    let spread = request.id.wrapping_mul(0x9e37_79b1);
    write!(key, "k{:08x}", spread ^ spread >> 15).expect("writing to a Vec cannot fail");
    key.resize(key.len().max(request.key_bytes), b'.');
}
