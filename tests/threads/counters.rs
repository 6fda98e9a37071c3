//! incr and cas as their users rely on them: no change is lost, and of two only one wins.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use flagstone::store::{Arithmetic, ArithmeticOutcome, ArithmeticRequest, Key, Mode, Options, StoreOutcome};
use flagstone::time::Expiry;

use crate::crew::{Job, Worker, run};
use crate::small;
use crate::values::{value, version_of};

/// Counters that all workers share.
const COUNTERS: usize = 6;
/// Room between two incarnations of an evicted counter.
const INCARNATION: u64 = 1 << 24;

/// Increments shared counters among other traffic.
struct Counting<'t> {
    /// The next incarnation of a counter that was evicted.
    incarnations: &'t AtomicU64,
    /// What was added and acknowledged, by counter.
    added: [u64; COUNTERS],
    /// Counters and the values they were told to have.
    told: Vec<(usize, u64)>,
    noise: u64,
}

impl Counting<'_> {
    fn count(&mut self, worker: &mut Worker<'_>) {
        let counter = any_counter(worker);
        let name = format!("counter-{counter}");
        let key = worker.store.key(name.as_bytes());
        match worker.store.arithmetic(&mut worker.local, &incr(key), worker.now) {
            ArithmeticOutcome::Value { number: new, .. } => {
                self.added[counter] += 1;
                self.told.push((counter, new));
            }
            ArithmeticOutcome::NotFound => {
                // Short at first, so that growing numbers move to larger chunks.
                let base = self.incarnations.fetch_add(1, Ordering::Relaxed) * INCARNATION;
                worker.set(name.as_bytes(), Mode::Add, Expiry::Never, base.to_string().as_bytes());
            }
            ArithmeticOutcome::NoMemory => {}
            ArithmeticOutcome::NonNumeric | ArithmeticOutcome::Exists => panic!("{name} is no number"),
        }
    }

    fn make_noise(&mut self, worker: &mut Worker<'_>) {
        self.noise += 1;
        let key = format!("noise-{}-{}", worker.number, worker.random.below(1500)).into_bytes();
        let len = 16 + usize::try_from(worker.random.below(1200)).expect("small");
        worker.set(&key, Mode::Set, Expiry::Never, &value(&key, self.noise, len));
        let other = format!("noise-{}-{}", worker.number, worker.random.below(1500)).into_bytes();
        if let Some(hit) = worker.read(&other, None) {
            version_of(&other, &hit.value);
        }
    }
}

impl Job for Counting<'_> {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        match worker.random.below(10) {
            0..5 => self.count(worker),
            // A touch moves a counter to a chunk with room for an exptime, and keeps its number.
            5 => {
                let key = format!("counter-{}", any_counter(worker));
                let expiry = if worker.random.one_in(2) { Expiry::Never } else { far(worker) };
                worker.read(key.as_bytes(), Some(expiry));
            }
            _ => self.make_noise(worker),
        }
    }
}

fn any_counter(worker: &mut Worker<'_>) -> usize {
    worker.random.next().to_le_bytes().map(usize::from)[3] % COUNTERS
}

fn incr(key: Key<'_>) -> ArithmeticRequest<'_> {
    ArithmeticRequest { key, change: Arithmetic::Incr(1), extras: None }
}

fn far(worker: &Worker<'_>) -> Expiry {
    Expiry::At(flagstone::time::Seconds(worker.now.0 + 1_000_000))
}

fn counting(incarnations: &AtomicU64) -> Counting<'_> {
    Counting { incarnations, added: [0; COUNTERS], told: Vec::new(), noise: 0 }
}

/// Guards: a change is read, computed and written under one hold of the stripe's lock, also when it had to
/// unlock for a larger chunk. Two who are told the same number have lost one change.
#[test]
fn no_two_increments_of_a_counter_give_the_same_number() {
    let incarnations = AtomicU64::new(0);
    run(
        &small(2 << 10),
        3,
        12_000,
        |_| counting(&incarnations),
        |_, jobs| {
            let mut told = HashSet::new();
            for answer in jobs.iter().flat_map(|job| &job.told) {
                assert!(told.insert(*answer), "two increments were told {answer:?}");
            }
        },
    );
}

/// Guards: the same, counted: without evictions the numbers are the sums of what was acknowledged.
#[test]
fn counters_that_stay_add_up() {
    let incarnations = AtomicU64::new(0);
    let options = Options { evict: false, ..small(8 << 10) };
    run(
        &options,
        2,
        12_000,
        |_| counting(&incarnations),
        |store, jobs| {
            for counter in 0..COUNTERS {
                let added: u64 = jobs.iter().map(|job| job.added[counter]).sum();
                let mut last: Vec<u64> = jobs
                    .iter()
                    .flat_map(|job| &job.told)
                    .filter(|answer| answer.0 == counter)
                    .map(|answer| answer.1 % INCARNATION)
                    .collect();
                last.sort_unstable();
                assert_eq!(last.last().copied().unwrap_or(0), added, "counter {counter}");
            }
            assert_eq!(store.totals().evictions, 0);
        },
    );
    assert!(incarnations.load(Ordering::Relaxed) > 0, "somebody counted");
}

/// Sets numbers of all widths where others increment: the chunk reserved for one may be too small for the other.
struct Widths;

impl Job for Widths {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        let name = format!("width-{}", worker.random.below(3));
        let key = worker.store.key(name.as_bytes());
        match worker.random.below(8) {
            0..3 => {
                let digits = usize::try_from(worker.random.below(19)).expect("small") + 1;
                let expiry = if worker.random.one_in(2) { far(worker) } else { Expiry::Never };
                worker.set(name.as_bytes(), Mode::Set, expiry, "9".repeat(digits).as_bytes());
            }
            3 => {
                let expiry = far(worker);
                worker.read(name.as_bytes(), Some(expiry));
            }
            4 => worker.delete(name.as_bytes()),
            _ => {
                let told = worker.store.arithmetic(&mut worker.local, &incr(key), worker.now);
                assert_ne!(told, ArithmeticOutcome::NonNumeric);
            }
        }
    }
}

/// Guards: who comes back with a chunk looks again whether it fits, and gives back what does not.
#[test]
fn a_reserved_chunk_is_used_only_for_what_fits_it() {
    run(&small(2 << 10), 4, 40_000, |_| Widths, |_, _| {});
}

/// Takes turns in changing a few items by gets and cas.
struct Locks {
    /// Versions this worker won against.
    beaten: Vec<(u64, u64)>,
    next: u64,
}

impl Job for Locks {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        let lock = worker.random.below(3);
        let key = format!("lock-{lock}").into_bytes();
        let touch = worker.random.one_in(4).then(|| far(worker));
        let Some(hit) = worker.read(&key, touch) else {
            worker.set(&key, Mode::Add, Expiry::Never, &value(&key, 0, 40));
            return;
        };
        version_of(&key, &hit.value);
        self.next += 1;
        // In place at times, in another chunk at others, in a chain now and then.
        let len = match worker.random.below(20) {
            0 => 20_000,
            1..12 => hit.value.len(),
            _ => 16 + usize::try_from(worker.random.below(3000)).expect("small"),
        };
        let new = value(&key, self.next, len);
        match worker.set(&key, Mode::Cas(hit.cas), Expiry::Never, &new) {
            StoreOutcome::Stored { cas, .. } => {
                assert_ne!(cas, hit.cas, "a change gives a new version");
                self.beaten.push((lock, hit.cas));
            }
            StoreOutcome::Exists | StoreOutcome::NotFound | StoreOutcome::NoMemory => {}
            other => panic!("cas gave {other:?}"),
        }
    }
}

/// Guards: condition and write of a cas stand under one hold of the stripe's lock.
#[test]
fn a_version_is_beaten_by_one_cas_only() {
    run(
        &small(2 << 10),
        3,
        12_000,
        |_| Locks { beaten: Vec::new(), next: 0 },
        |_, jobs| {
            let mut beaten = HashSet::new();
            for version in jobs.iter().flat_map(|job| &job.beaten) {
                assert!(beaten.insert(*version), "{version:?} was beaten twice");
            }
            assert!(!beaten.is_empty());
        },
    );
}
