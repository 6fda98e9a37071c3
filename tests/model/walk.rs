//! Walks over a store that changes under them: items come, go, are overwritten and expire, the index grows, pages move.

use std::collections::{HashMap, HashSet};

use flagstone::store::{
    ClassSet, Fetch, FetchExtras, FetchOutcome, Local, Mode, Options, PageMove, PagePlace, Progress, Store,
    StoreOutcome, StoreRequest, Walk,
};
use flagstone::time::{Expiry, Now, Seconds};

use crate::random::{Random, seeds};

/// Lengths of values, one a class.
const LENGTHS: [usize; 5] = [10, 60, 200, 500, 900];

struct Bench {
    store: Store,
    local: Local,
    background: Local,
    random: Random,
    now: Seconds,
    /// Live keys and when they die.
    live: HashMap<Vec<u8>, Expiry>,
    next_key: u64,
    /// Items evicted so far.
    evicted: u64,
}

/// One walk and what may be said of it.
struct Hike {
    walk: Walk,
    seen: HashSet<Vec<u8>>,
    /// Keys that have lived since it began.
    throughout: HashSet<Vec<u8>>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let options = Options { limit_bytes: 24 << 20, hash_seed: seed, workers: 2, ..Options::default() };
        let store = Store::open(&options).expect("a small store");
        let (local, background) = (store.local(), store.local());
        let random = Random::new(seed);
        Self { store, local, background, random, now: Seconds(10), live: HashMap::new(), next_key: 0, evicted: 0 }
    }

    fn begin(&self) -> Hike {
        let alive = self.live.iter().filter(|(_, expiry)| !expiry.has_passed(self.now));
        let throughout = alive.map(|(key, _)| key.clone()).collect();
        Hike { walk: Walk::new(ClassSet::ALL), seen: HashSet::new(), throughout }
    }

    /// A step of the walk; false at its end.
    fn step(&self, hike: &mut Hike) -> bool {
        self.store.walk_on(&mut hike.walk, self.now, |item| {
            let key = item.key.to_vec();
            let expiry = self.live.get(&key).unwrap_or_else(|| panic!("{} is gone", String::from_utf8_lossy(&key)));
            assert!(!expiry.has_passed(self.now), "an expired item is shown");
            assert_eq!(item.details.expiry, *expiry);
            assert!(hike.seen.insert(key), "an item is shown twice");
        })
    }

    /// What was evicted, for room or because its page was wanted, did not live throughout.
    fn forget_evicted(&mut self, hike: &mut Hike) {
        let totals = self.store.totals();
        let evicted = totals.evictions + totals.page_move_evictions;
        if evicted == self.evicted {
            return;
        }
        self.evicted = evicted;
        let extras = FetchExtras { no_bump: true, inspects: true, ..FetchExtras::default() };
        let fetch = Fetch { touch: None, value: false, cas: false, extras: Some(&extras) };
        let (store, local, now) = (&self.store, &mut self.local, self.now);
        self.live.retain(|key, _| {
            let found = store.fetch(local, store.key(key), fetch, now, |_| ());
            let is_live = found == FetchOutcome::Hit(());
            if !is_live {
                hike.throughout.remove(key);
            }
            is_live
        });
    }

    fn change(&mut self, hike: &mut Hike) {
        match self.random.below(100) {
            0..45 => {
                self.next_key += 1;
                self.set(format!("key-{}", self.next_key).into_bytes());
            }
            45..70 => self.overwrite(),
            70..80 => {
                let Some(key) = self.some_key() else { return };
                self.store.delete(&mut self.local, self.store.key(&key), None, self.now);
                self.live.remove(&key);
                hike.throughout.remove(&key);
            }
            80..97 => {
                self.store.end_turn(&mut self.local);
                let now = Now { seconds: self.now, unix_epoch: 1_700_000_000 };
                for _ in 0..8 {
                    if self.store.step(&mut self.background, now) != Progress::More {
                        break;
                    }
                }
            }
            // Each move evicts what its page held.
            97..98 => {
                if self.random.one_in(3) {
                    self.move_page();
                }
            }
            _ => {
                self.now.0 += 1;
                let live = &self.live;
                hike.throughout.retain(|key| !live[key].has_passed(self.now));
            }
        }
        self.forget_evicted(hike);
    }

    /// Any live key, the same for the same seed.
    fn some_key(&mut self) -> Option<Vec<u8>> {
        let number = self.random.below(self.next_key.max(1));
        let key = format!("key-{number}").into_bytes();
        self.live.get(&key).is_some_and(|expiry| !expiry.has_passed(self.now)).then_some(key)
    }

    /// In place or not, as it comes. A key that is live stays so, but may die earlier.
    fn overwrite(&mut self) {
        if let Some(key) = self.some_key() {
            self.set(key);
        }
    }

    fn set(&mut self, key: Vec<u8>) {
        let length = LENGTHS[usize::try_from(self.random.below(40)).expect("small") * LENGTHS.len() / 41];
        let expires = self.random.one_in(4);
        let ahead = u32::try_from(1 + self.random.below(20)).expect("small");
        let expiry = if expires { Expiry::At(Seconds(self.now.0 + ahead)) } else { Expiry::Never };
        self.set_length(key, length, expiry);
    }

    fn set_length(&mut self, key: Vec<u8>, length: usize, expiry: Expiry) {
        let request = StoreRequest {
            key: self.store.key(&key),
            mode: Mode::Set,
            client_flags: 0,
            expiry,
            shows_cas: false,
            extras: None,
        };
        let value = vec![b'v'; length];
        let stored = self.store.store(&mut self.local, &request, &value, self.now);
        assert!(matches!(stored, StoreOutcome::Stored { .. }), "{stored:?}");
        self.live.insert(key, expiry);
    }

    fn move_page(&mut self) {
        let classes: Vec<u32> = self.store.class_reports(self.now).iter().map(|report| report.class).collect();
        if classes.is_empty() {
            return;
        }
        let mut class = || {
            let nth = self.random.below(u64::try_from(classes.len()).expect("a few"));
            PagePlace::Class(classes[usize::try_from(nth).expect("a few")])
        };
        let (from, to) = (class(), class());
        // Most go back to the pool, so that memory does not run out in classes that have no use for it.
        let to = if self.random.one_in(4) && from != to { to } else { PagePlace::Pool };
        let from = if self.random.one_in(2) { None } else { Some(from) };
        let moved = self.store.move_page(&mut self.local, from, to);
        // Of classes with a page each there is none to take it from.
        assert!(moved != PageMove::NoClass || from.is_none());
    }
}

#[test]
fn what_lives_throughout_a_walk_is_shown_once_whatever_happens_meanwhile() {
    for seed in seeds(2) {
        println!("walk, seed {seed}");
        let mut bench = Bench::new(seed);
        for round in 0..12 {
            let mut hike = bench.begin();
            loop {
                // Sometimes much happens between two steps, sometimes little.
                for _ in 0..bench.random.below(if round % 2 == 0 { 8 } else { 40 }) {
                    bench.change(&mut hike);
                }
                if !bench.step(&mut hike) {
                    break;
                }
            }
            let missed = hike.throughout.difference(&hike.seen).next();
            assert_eq!(missed, None, "seed {seed}, round {round}: of {}", hike.throughout.len());
        }
        let totals = bench.store.totals();
        assert!(totals.pages_moved > 50, "seed {seed}: {} pages moved", totals.pages_moved);
        assert!(totals.curr_items > 5000, "seed {seed}: {} items: the index did not grow", totals.curr_items);
        bench.store.surrender(&mut bench.local);
        bench.store.surrender(&mut bench.background);
        bench.store.audit().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn what_lives_throughout_a_walk_is_shown_once_while_the_index_shrinks() {
    for seed in seeds(2) {
        println!("walk, seed {seed}");
        let mut bench = Bench::new(seed);
        for number in 0..60_000 {
            bench.set_length(format!("key-{number}").into_bytes(), 10, Expiry::Never);
        }
        let before = bench.store.memory_report().index_bytes;
        // All but each tenth go while the walk is on its way.
        let mut dying: Vec<u32> = (0..60_000).filter(|number| number % 10 != 0).collect();
        for round in 0..3 {
            let mut hike = bench.begin();
            while bench.step(&mut hike) {
                for number in dying.split_off(dying.len().saturating_sub(if round == 0 { 20 } else { 10 })) {
                    let key = format!("key-{number}").into_bytes();
                    bench.store.delete(&mut bench.local, bench.store.key(&key), None, bench.now);
                    bench.live.remove(&key);
                    hike.throughout.remove(&key);
                }
                let now = Now { seconds: bench.now, unix_epoch: 1_700_000_000 };
                for _ in 0..4 {
                    bench.store.step(&mut bench.background, now);
                }
            }
            let missed = hike.throughout.difference(&hike.seen).next();
            assert_eq!(missed, None, "seed {seed}, round {round}: of {}", hike.throughout.len());
        }
        let after = bench.store.memory_report().index_bytes;
        assert!(after < before / 2, "seed {seed}: the index shrank from {before} to {after} bytes");
        bench.store.surrender(&mut bench.local);
        bench.store.surrender(&mut bench.background);
        bench.store.audit().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn what_was_flushed_is_not_shown() {
    let mut bench = Bench::new(1);
    for number in 0..100 {
        bench.set(format!("key-{number}").into_bytes());
    }
    bench.store.flush_all(None);
    bench.live.clear();
    bench.set(b"after".to_vec());
    let mut hike = bench.begin();
    while bench.step(&mut hike) {}
    assert_eq!(hike.seen, HashSet::from([b"after".to_vec()]));
}

#[test]
fn a_walk_of_a_class_shows_its_items_alone() {
    let mut bench = Bench::new(1);
    for number in 0..500 {
        bench.set(format!("key-{number}").into_bytes());
    }
    let mut by_class: HashMap<u32, HashSet<Vec<u8>>> = HashMap::new();
    let mut walk = Walk::new(ClassSet::ALL);
    while bench.store.walk_on(&mut walk, bench.now, |item| {
        by_class.entry(item.details.class).or_default().insert(item.key.to_vec());
    }) {}
    assert!(by_class.len() > 3);
    for (class, keys) in by_class {
        let set = bench.store.classes_numbered(class).expect("a class");
        let (mut walk, mut shown) = (Walk::new(set), HashSet::new());
        while bench.store.walk_on(&mut walk, bench.now, |item| assert!(shown.insert(item.key.to_vec()))) {}
        assert_eq!(shown, keys, "class {class} by the index");
        let (mut walk, mut shown) = (bench.store.class_walk(class).expect("a class"), HashSet::new());
        while bench.store.class_walk_on(&mut walk, bench.now, |item| shown.insert(item.key.to_vec())) {}
        assert_eq!(shown, keys, "class {class} by its pages");
    }
    assert!(bench.store.class_walk(0).is_none());
    let mut walk = bench.store.class_walk(63).expect("memcached has classes up to this number");
    while bench.store.class_walk_on(&mut walk, bench.now, |_| panic!("no class has it here")) {}
    assert!(bench.store.class_walk(64).is_none());
}
