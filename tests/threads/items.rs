//! Items of all sizes: every key has one writer and many readers, so that a reader knows what may be seen.

use std::collections::HashMap;

use flagstone::store::{Mode, Options};

use crate::crew::{Job, WORKERS, Worker, run};
use crate::small;
use crate::values::{VALUE_BYTES_MIN, value, version_of};

/// Writes its own keys with rising versions, reads all keys.
struct Items {
    keys: u64,
    value_bytes_max: u64,
    flushes: bool,
    /// The next version of this worker's keys.
    next: u64,
    /// The highest version seen of each key.
    seen: HashMap<Vec<u8>, u64>,
}

impl Items {
    fn new(keys: u64, value_bytes_max: u64, flushes: bool) -> Self {
        Self { keys, value_bytes_max, flushes, next: 1, seen: HashMap::new() }
    }

    /// A key of some owner.
    fn key(&self, worker: &mut Worker<'_>, owner: usize) -> Vec<u8> {
        let range = if worker.random.one_in(2) { self.keys / 16 } else { self.keys };
        format!("{owner}-{}", worker.random.below(range)).into_bytes()
    }

    fn write(&mut self, worker: &mut Worker<'_>) {
        let key = self.key(worker, worker.number);
        let len = VALUE_BYTES_MIN + usize::try_from(worker.random.below(self.value_bytes_max)).expect("small");
        let mode = match worker.random.below(6) {
            0 => Mode::Add,
            1 => Mode::Replace,
            _ => Mode::Set,
        };
        let expiry = worker.expiry();
        let new = value(&key, self.next, len);
        self.next += 1;
        worker.set(&key, mode, expiry, &new);
    }

    fn read(&mut self, worker: &mut Worker<'_>, touches: bool) {
        let owner = usize::try_from(worker.random.below(u64::try_from(WORKERS).expect("a few"))).expect("a few");
        let key = self.key(worker, owner);
        let touch = touches.then(|| worker.expiry());
        let Some(hit) = worker.read(&key, touch) else { return };
        let version = version_of(&key, &hit.value);
        let seen = self.seen.entry(key).or_insert(0);
        assert!(version >= *seen, "version {version} after version {seen}");
        *seen = version;
    }

    /// Whatever this worker stored so far is gone when `flush_all` returns.
    fn flush(&mut self, worker: &mut Worker<'_>) {
        worker.store.flush_all(None);
        for number in 0..self.keys.min(50) {
            let key = format!("{}-{number}", worker.number).into_bytes();
            assert!(worker.read(&key, None).is_none(), "an item outlives flush_all");
        }
    }
}

impl Job for Items {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        match worker.random.below(100) {
            0..40 => self.write(worker),
            40..70 => self.read(worker, false),
            70..85 => self.read(worker, true),
            85..99 => {
                let key = self.key(worker, worker.number);
                worker.delete(&key);
            }
            _ if self.flushes && worker.random.one_in(10) => self.flush(worker),
            _ => self.read(worker, false),
        }
    }
}

/// Guards: who evicts looks again under the stripe's lock; a freed chunk is reused only after it went through
/// its class's lock.
#[test]
fn a_hit_is_a_whole_value_of_its_key_and_never_an_older_one() {
    run(&small(2 << 10), 3, 12_000, |_| Items::new(3000, 700, false), |_, _| {});
}

/// Guards: an operation that needs a chunk unlocks, reserves, locks and looks again, with a chunk that fits.
#[test]
fn few_keys_of_many_sizes_stay_whole_under_constant_overwriting() {
    run(&small(4 << 10), 3, 12_000, |_| Items::new(32, 6000, false), |_, _| {});
}

/// Guards: moves and touches keep an item's version, so that what was stored before a flush stays flushed.
#[test]
fn what_was_stored_before_a_flush_is_gone_after_it() {
    run(&small(3 << 10), 3, 12_000, |_| Items::new(1000, 1500, true), |_, _| {});
}

/// Guards: a store that may not evict says that it is full; chunks of any kind come home in the end.
#[test]
fn without_evictions_nothing_is_lost_or_doubled() {
    let options = Options { evict: false, ..small(2 << 10) };
    run(&options, 2, 20_000, |_| Items::new(2000, 2000, false), |store, _| assert_eq!(store.totals().evictions, 0));
}
