//! `flush_all` beside other work: what was stored before one began is gone when it has ended, what is stored after it
//! has ended stays.

use std::sync::atomic::{AtomicU32, Ordering};

use flagstone::store::{Arithmetic, ArithmeticOutcome, ArithmeticRequest, Mode, Options};
use flagstone::time::Expiry;

use crate::crew::{Job, Worker, run};
use crate::small;

/// Keys of a worker.
const KEYS: usize = 40;

/// How many flushes have begun, and how many have ended. One worker flushes.
#[derive(Debug, Default)]
struct Flushes {
    begun: AtomicU32,
    ended: AtomicU32,
}

impl Flushes {
    fn begun(&self) -> u32 {
        self.begun.load(Ordering::SeqCst)
    }

    fn ended(&self) -> u32 {
        self.ended.load(Ordering::SeqCst)
    }
}

/// Sets, reads and increments keys of its own.
struct Flushing<'f> {
    flushes: &'f Flushes,
    /// Of each key's last set: how many flushes had ended before it, and how many had begun after it.
    keys: [Option<(u32, u32)>; KEYS],
}

impl Flushing<'_> {
    fn set(&mut self, worker: &mut Worker<'_>, number: usize) {
        let ended = self.flushes.ended();
        worker.set(&key(worker, number), Mode::Set, Expiry::Never, b"1");
        self.keys[number] = Some((ended, self.flushes.begun()));
    }

    /// An increment makes an item of the old one.
    fn look(&mut self, worker: &mut Worker<'_>, number: usize) {
        let ended = self.flushes.ended();
        let key = key(worker, number);
        let is_there = if worker.random.one_in(2) {
            let request = ArithmeticRequest { key: worker.store.key(&key), change: Arithmetic::Incr(1), extras: None };
            let outcome = worker.store.arithmetic(&mut worker.local, &request, worker.now);
            matches!(outcome, ArithmeticOutcome::Value { .. })
        } else {
            worker.read(&key, None).is_some()
        };
        let begun = self.flushes.begun();
        let Some((ended_before, begun_after)) = self.keys[number] else { return assert!(!is_there) };
        assert!(!is_there || ended <= begun_after, "set before flush {ended} began, and there when it had ended");
        assert!(is_there || begun > ended_before, "set after flush {begun} had ended, and gone");
        if !is_there {
            self.keys[number] = None;
        }
    }
}

impl Job for Flushing<'_> {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        if worker.number == 0 && worker.random.one_in(20) {
            self.flushes.begun.fetch_add(1, Ordering::SeqCst);
            worker.store.flush_all(None);
            self.flushes.ended.fetch_add(1, Ordering::SeqCst);
        }
        for _ in 0..8 {
            let number = worker.random.next().to_le_bytes().map(usize::from)[3] % KEYS;
            if worker.random.one_in(3) {
                self.set(worker, number);
            } else {
                self.look(worker, number);
            }
        }
    }
}

fn key(worker: &Worker<'_>, number: usize) -> Vec<u8> {
    format!("{}-{number}", worker.number).into_bytes()
}

/// Guards: a stripe sees a flush when its lock is taken; the sweep ends no flush but the one it began with.
#[test]
fn a_flush_ends_what_was_there_and_nothing_that_comes_later() {
    let options = Options { track_sizes: false, ..small(4 << 10) };
    let flushes = Flushes::default();
    let make = |_| Flushing { flushes: &flushes, keys: [None; KEYS] };
    run(&options, 3, 8_000, make, |_, _| {});
}
