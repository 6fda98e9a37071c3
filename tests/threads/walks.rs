//! Walks beside writers: the index grows, items are evicted and overwritten, pages move, and whoever lived throughout a
//! walk was shown by it, once.

use std::collections::HashMap;

use flagstone::store::{ClassSet, Mode, StoreOutcome, Walk};
use flagstone::time::Expiry;

use crate::crew::{Job, Worker, run};
use crate::small;
use crate::values::value;

/// Keys of a worker: more than the memory holds.
const KEYS: u64 = 6000;
const SIZES: [usize; 4] = [20, 300, 60, 1200];
/// Turns in which one size is written: pages follow.
const PHASE_TURNS: u32 = 2000;

/// Walks again and again, and writes its own keys meanwhile.
struct Walker {
    turn: u32,
    next: u64,
    /// Versions of the worker's keys, as far as they are known to have lived since the walk began: each was seen when
    /// the walk began, and since then written only where it still was what it had been.
    alive: HashMap<Vec<u8>, u64>,
    /// How often the walk has shown the worker's keys.
    shown: HashMap<Vec<u8>, u32>,
    walk: Walk,
    walks: u32,
    /// Keys that lived throughout, over all walks.
    proven: usize,
}

impl Walker {
    fn new() -> Self {
        Self {
            turn: 0,
            next: 1,
            alive: HashMap::new(),
            shown: HashMap::new(),
            walk: Walk::new(ClassSet::ALL),
            walks: 0,
            proven: 0,
        }
    }

    fn key(worker: &mut Worker<'_>) -> Vec<u8> {
        let range = if worker.random.one_in(2) { KEYS / 20 } else { KEYS };
        format!("{}-{}", worker.number, worker.random.below(range)).into_bytes()
    }

    fn value(&mut self, key: &[u8]) -> Vec<u8> {
        let phase = usize::try_from(self.turn / PHASE_TURNS).expect("small");
        self.next += 1;
        value(key, self.next, SIZES[phase % SIZES.len()])
    }

    fn write(&mut self, worker: &mut Worker<'_>) {
        let key = Self::key(worker);
        let value = self.value(&key);
        let Some(cas) = self.alive.get(&key).copied() else {
            worker.set(&key, Mode::Set, Expiry::Never, &value);
            return;
        };
        match worker.set(&key, Mode::Cas(cas), Expiry::Never, &value) {
            StoreOutcome::Stored { cas, .. } => self.alive.insert(key, cas),
            _ => self.alive.remove(&key),
        };
    }

    fn walk_on(&mut self, worker: &mut Worker<'_>) {
        let mine = format!("{}-", worker.number).into_bytes();
        let shown = &mut self.shown;
        let goes_on = worker.store.walk_on(&mut self.walk, worker.now, |item| {
            if item.key.starts_with(&mine) {
                *shown.entry(item.key.to_vec()).or_insert(0) += 1;
            }
        });
        if !goes_on {
            self.check(worker);
            self.begin(worker);
        }
    }

    fn check(&mut self, worker: &mut Worker<'_>) {
        for (key, cas) in self.alive.drain() {
            if worker.fetch(&key, None).is_none_or(|hit| hit.cas != cas) {
                continue;
            }
            self.proven += 1;
            let times = self.shown.get(&key).copied().unwrap_or(0);
            assert_eq!(times, 1, "{} was shown so often", String::from_utf8_lossy(&key));
        }
        for (key, times) in self.shown.drain() {
            assert_eq!(times, 1, "{} was shown so often", String::from_utf8_lossy(&key));
        }
        self.walks += 1;
    }

    fn begin(&mut self, worker: &mut Worker<'_>) {
        self.walk = Walk::new(ClassSet::ALL);
        for _ in 0..400 {
            let key = Self::key(worker);
            if let Some(hit) = worker.fetch(&key, None) {
                self.alive.insert(key, hit.cas);
            }
        }
    }
}

impl Job for Walker {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        self.turn += 1;
        self.write(worker);
        if worker.random.one_in(8) {
            let key = Self::key(worker);
            worker.delete(&key);
            self.alive.remove(&key);
        }
        self.walk_on(worker);
    }
}

/// Guards: a walk goes from interval to interval of backward hashes, and shows a chain under its stripe's lock.
#[test]
fn a_walk_shows_what_lives_throughout_once_beside_writers_evictions_and_page_moves() {
    run(
        &small(3 << 10),
        3,
        PHASE_TURNS * 6,
        |_| Walker::new(),
        |store, walkers| {
            let (walks, proven) = walkers.iter().fold((0, 0), |(w, p), walker| (w + walker.walks, p + walker.proven));
            assert!(walks > 20 && proven > 1000, "{walks} walks, {proven} items lived throughout one");
            let totals = store.totals();
            assert!(totals.pages_moved > 5, "{} pages moved", totals.pages_moved);
            assert!(totals.evictions > 100, "{} evictions", totals.evictions);
        },
    );
}
