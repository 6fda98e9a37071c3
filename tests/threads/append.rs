//! Values that all workers append to: records of eight bytes, worker and sequence.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use flagstone::store::{Fetch, FetchOutcome, Local, Mode, Options, Store, StoreOutcome, StoreRequest};
use flagstone::time::{Expiry, Seconds};

use crate::crew::{Job, WORKERS, Worker, run};
use crate::small;

const KEYS: u64 = 3;
/// Then the list begins anew: past the largest value that is stored in one chunk.
const LIST_BYTES_MAX: usize = 24_000;

/// Appends to and prepends to shared lists, and reads them.
#[derive(Default)]
struct Lists {
    next: u64,
}

impl Lists {
    fn write(&mut self, worker: &mut Worker<'_>, key: &[u8]) {
        self.next += 1;
        let record = (u64::try_from(worker.number).expect("a few") << 48 | self.next).to_le_bytes();
        let expiry = worker.expiry();
        if worker.set(key, Mode::Append, expiry, &record) == StoreOutcome::NotStored {
            worker.set(key, Mode::Add, expiry, &record);
        }
    }

    fn read(&mut self, worker: &mut Worker<'_>, key: &[u8]) {
        let Some(hit) = worker.read(key, None) else { return };
        assert!(hit.value.len().is_multiple_of(8), "half a record");
        let mut last: HashMap<u64, u64> = HashMap::new();
        for record in hit.value.chunks_exact(8) {
            let record = u64::from_le_bytes(record.try_into().expect("eight bytes"));
            let (number, sequence) = (record >> 48, record & 0xffff_ffff_ffff);
            assert!(usize::try_from(number).is_ok_and(|number| number < WORKERS), "{record:#x} was never appended");
            let before = last.insert(number, sequence).unwrap_or(0);
            assert!(sequence > before, "worker {number}: record {sequence} after {before}");
        }
        if hit.value.len() > LIST_BYTES_MAX {
            worker.delete(key);
        }
    }
}

impl Job for Lists {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        let key = format!("list-{}", worker.random.below(KEYS)).into_bytes();
        match worker.random.below(20) {
            0 => self.read(worker, &key),
            1 => {
                // Grows the list by many records at once: to chains soon.
                for _ in 0..40 {
                    self.write(worker, &key);
                }
            }
            _ => self.write(worker, &key),
        }
    }
}

/// Guards: an append that unlocked for a chunk looks again: nothing is appended twice, out of order, or to an
/// older value.
#[test]
fn appended_records_are_whole_and_in_order() {
    run(&small(4 << 10), 3, 2500, |_| Lists::default(), |_, _| {});
}

const NOW: Seconds = Seconds(10);

fn write(store: &Store, local: &mut Local, mode: Mode, value: &[u8]) -> StoreOutcome {
    let request = StoreRequest {
        key: store.key(b"list"),
        mode,
        client_flags: 0,
        expiry: Expiry::Never,
        shows_cas: false,
        extras: None,
    };
    let outcome = store.store(local, &request, value, NOW);
    store.end_turn(local);
    outcome
}

/// A roomy store with one large value.
fn store_with(len: usize) -> Store {
    let options = Options { item_bytes_max: 8 << 20, workers: 5, ..Options::default() };
    let store = Store::open(&options).expect("a store");
    let mut local = store.local();
    assert!(matches!(write(&store, &mut local, Mode::Set, &vec![b'v'; len]), StoreOutcome::Stored { .. }));
    store.surrender(&mut local);
    store
}

/// Guards: an append ends with the expiry that the item has when it ends, not the one it had when it began.
#[test]
fn a_touch_during_an_append_stays() {
    let store = store_with(2_000_000);
    let is_done = AtomicBool::new(false);
    let grown = || store.peek(store.key(b"list"), NOW).expect("it lives for long");
    let appender = || {
        let mut local = store.local();
        for _ in 0..200 {
            write(&store, &mut local, Mode::Append, b"more");
        }
        is_done.store(true, Ordering::Release);
        store.surrender(&mut local);
    };
    let toucher = || {
        let mut local = store.local();
        for deadline in 1_000.. {
            let expiry = Expiry::At(Seconds(deadline));
            let fetch = Fetch { touch: Some(expiry), value: false, cas: false, extras: None };
            let touched = store.fetch(&mut local, store.key(b"list"), fetch, NOW, |_| ());
            assert!(matches!(touched, FetchOutcome::Hit(())), "the list is there");
            let before = grown().value_len;
            while grown().value_len == before && !is_done.load(Ordering::Acquire) {
                thread::yield_now();
            }
            assert_eq!(grown().expiry, expiry, "an acknowledged touch is gone");
            if is_done.load(Ordering::Acquire) {
                break;
            }
        }
        store.surrender(&mut local);
    };
    thread::scope(|scope| {
        scope.spawn(appender);
        scope.spawn(toucher);
    });
    store.audit().expect("all adds up");
}

/// Guards: appends to one large value hinder each other, and each is done all the same.
#[test]
fn large_values_grow_whoever_else_has_them_grow() {
    const BYTES: usize = 2_000_000;
    const WRITES: usize = 60;
    let store = store_with(BYTES);
    let writer = |mode| {
        let mut local = store.local();
        for number in 0..WRITES {
            let outcome = write(&store, &mut local, mode, b"more");
            assert!(matches!(outcome, StoreOutcome::Stored { .. }), "write {number}: {outcome:?}");
        }
        store.surrender(&mut local);
    };
    thread::scope(|scope| {
        for mode in [Mode::Append, Mode::Prepend, Mode::Append, Mode::Prepend] {
            scope.spawn(move || writer(mode));
        }
    });
    let length = store.peek(store.key(b"list"), NOW).expect("it is there").value_len;
    assert_eq!(length, BYTES + 4 * WRITES * b"more".len());
    store.audit().expect("all adds up");
}
