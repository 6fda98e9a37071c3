//! The threads of a test: workers that take turns of their own, one for background work, and the end in which
//! everything must add up.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use flagstone::store::{
    Fetch, FetchOutcome, Incoming, Local, Mode, Options, Pinned, Progress, Room, Store, StoreExtras, StoreOutcome,
    StoreRequest, Value,
};
use flagstone::time::{Expiry, Now, Seconds};

use crate::random::{Random, seeds};

/// Workers of a test: more than there are cores, so that they are cut off anywhere.
pub(crate) const WORKERS: usize = 4;

/// What one worker does in a turn, and what it remembers for the end.
pub(crate) trait Job: Send {
    fn turn(&mut self, worker: &mut Worker<'_>);

    /// Lets go of what is held over turns.
    fn finish(&mut self, _worker: &mut Worker<'_>) {}
}

/// What all threads share.
struct Shared {
    store: Store,
    seconds: AtomicU32,
    working: AtomicUsize,
}

/// One worker's hands.
pub(crate) struct Worker<'s> {
    pub(crate) store: &'s Store,
    pub(crate) local: Local,
    pub(crate) random: Random,
    pub(crate) number: usize,
    pub(crate) now: Seconds,
}

/// Runs so many turns of every worker for several seeds; `check` looks at what the workers remember.
pub(crate) fn run<J: Job>(
    options: &Options,
    seed_count: u64,
    turns: u32,
    make: impl Fn(usize) -> J,
    check: impl Fn(&Store, Vec<J>),
) {
    for seed in seeds(seed_count) {
        let store = Store::open(&Options { hash_seed: seed, ..options.clone() }).expect("a small store");
        let shared = Shared { store, seconds: AtomicU32::new(10), working: AtomicUsize::new(WORKERS) };
        let jobs = thread::scope(|scope| {
            let background = scope.spawn(|| background(&shared));
            let workers: Vec<_> = (0..WORKERS)
                .map(|number| {
                    let (shared, job) = (&shared, make(number));
                    scope.spawn(move || work(shared, number, seed, turns, job))
                })
                .collect();
            let jobs = workers.into_iter().map(|worker| worker.join());
            let jobs: Vec<J> = jobs.map(|job| job.unwrap_or_else(|_| panic!("seed {seed}"))).collect();
            background.join().unwrap_or_else(|_| panic!("seed {seed}, background"));
            jobs
        });
        audit(&shared.store, seed);
        check(&shared.store, jobs);
        empty(&shared.store, seed);
    }
}

fn work<J: Job>(shared: &Shared, number: usize, seed: u64, turns: u32, mut job: J) -> J {
    let _working = Working(&shared.working);
    let random = Random::new(seed * 64 + u64::try_from(number).expect("a few"));
    let mut worker = Worker { store: &shared.store, local: shared.store.local(), random, number, now: Seconds(10) };
    for _ in 0..turns {
        worker.now = Seconds(shared.seconds.load(Ordering::Relaxed));
        job.turn(&mut worker);
        worker.store.end_turn(&mut worker.local);
        if number == 0 {
            // The background thread may hardly run on a busy machine: so much of its work is done in any case.
            worker.store.step(&mut worker.local, now(worker.now.0));
        }
    }
    job.finish(&mut worker);
    worker.store.surrender(&mut worker.local);
    job
}

/// Counts a worker out, panicking or not: the background thread ends with the last.
struct Working<'s>(&'s AtomicUsize);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// The background thread: it also lets time pass.
fn background(shared: &Shared) {
    let mut local = shared.store.local();
    let mut steps = 0u32;
    while shared.working.load(Ordering::Acquire) > 0 {
        let progress = shared.store.step(&mut local, now(shared.seconds.load(Ordering::Relaxed)));
        steps += 1;
        if steps.is_multiple_of(64) {
            shared.seconds.fetch_add(1, Ordering::Relaxed);
        }
        if progress != Progress::More {
            thread::yield_now();
        }
    }
    shared.store.surrender(&mut local);
}

fn now(seconds: u32) -> Now {
    Now { seconds: Seconds(seconds), unix_epoch: 1_700_000_000 }
}

fn audit(store: &Store, seed: u64) {
    if let Err(error) = store.audit() {
        panic!("seed {seed}: {error}");
    }
}

/// In the end everything is flushed, and nothing is left of it.
fn empty(store: &Store, seed: u64) {
    let mut local = store.local();
    store.flush_all(None);
    // Flushed memory is swept a little later.
    for second in 1_000_000..1_000_004 {
        let rests = (0..1_000_000).any(|_| store.step(&mut local, now(second)) != Progress::More);
        assert!(rests, "seed {seed}: background work never ends");
    }
    store.surrender(&mut local);
    audit(store, seed);
    assert_eq!(store.totals().curr_items, 0, "seed {seed}: the sweep finds everything flushed");
}

/// A hit.
pub(crate) struct Hit {
    pub(crate) value: Vec<u8>,
    pub(crate) cas: u64,
    /// The rest of a large value.
    pub(crate) pin: Option<Pinned>,
}

impl Worker<'_> {
    pub(crate) fn set(&mut self, key: &[u8], mode: Mode, expiry: Expiry, value: &[u8]) -> StoreOutcome {
        let client_flags = if self.random.one_in(4) { 99 } else { 0 };
        // Who compares versions wants to know the new one.
        let asked = StoreExtras::default();
        let extras = matches!(mode, Mode::Cas(_)).then_some(&asked);
        let request =
            StoreRequest { key: self.store.key(key), mode, client_flags, expiry, shows_cas: extras.is_some(), extras };
        self.store.store(&mut self.local, &request, value, self.now)
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.store.delete(&mut self.local, self.store.key(key), None, self.now);
    }

    /// Fetches a key; a large value stays pinned.
    pub(crate) fn fetch(&mut self, key: &[u8], touch: Option<Expiry>) -> Option<Hit> {
        let fetch = Fetch { touch, value: true, cas: true, extras: None };
        let found = self.store.fetch(&mut self.local, self.store.key(key), fetch, self.now, |item| {
            let (value, pin) = match item.value {
                Value::Whole(bytes) => (bytes.to_vec(), None),
                Value::Pinned(pin) => (Vec::new(), Some(pin)),
                Value::Unwanted => panic!("it was asked for"),
            };
            Hit { value, cas: item.cas, pin }
        });
        if let FetchOutcome::Hit(hit) = found { Some(hit) } else { None }
    }

    /// Fetches a key and copies a large value at once.
    pub(crate) fn read(&mut self, key: &[u8], touch: Option<Expiry>) -> Option<Hit> {
        let mut hit = self.fetch(key, touch)?;
        if let Some(mut pin) = hit.pin.take() {
            while self.read_on(&mut pin, &mut hit.value) {}
            self.store.unpin(&mut self.local, pin);
        }
        Some(hit)
    }

    /// Copies the next piece of a pinned value; false at its end.
    pub(crate) fn read_on(&self, pin: &mut Pinned, value: &mut Vec<u8>) -> bool {
        let piece = self.store.pinned_bytes(pin, value.len());
        value.extend_from_slice(piece);
        value.len() < pin.len()
    }

    /// Fills a piece of an arriving value; false when memory has to be waited for or is not to be had.
    pub(crate) fn fill_on(&mut self, incoming: &mut Incoming, value: &[u8]) -> bool {
        let rest = &value[value.len() - incoming.missing()..];
        let Room::Bytes(room) = self.store.room(&mut self.local, incoming, self.now) else { return false };
        let n = room.len().min(rest.len()).min(6000);
        room[..n].copy_from_slice(&rest[..n]);
        self.store.filled(incoming, n);
        true
    }

    /// Never, or some seconds ahead.
    pub(crate) fn expiry(&mut self) -> Expiry {
        if self.random.one_in(3) {
            let ahead = u32::try_from(self.random.below(30)).expect("small");
            return Expiry::At(Seconds(self.now.0 + 1 + ahead));
        }
        Expiry::Never
    }
}
