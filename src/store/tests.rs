//! What only shows where counters, clocks or hashes are what the test makes them.

use super::{
    Fetch, FetchExtras, FetchOutcome, Local, Mode, Options, Progress, Store, StoreExtras, StoreOutcome, StoreRequest,
};
use crate::sync::Arc;
use crate::time::{Expiry, Now, Seconds};

const NOW: Seconds = Seconds(100);

struct Bench {
    store: Arc<Store>,
    local: Local,
}

impl Bench {
    fn new(options: &Options) -> Self {
        let store = Arc::new(Store::open(options).expect("a small store"));
        let local = store.local();
        Self { store, local }
    }

    fn set(&mut self, key: &[u8], mode: Mode, extras: StoreExtras) -> StoreOutcome {
        let key = self.store.key(key);
        let request =
            StoreRequest { key, mode, client_flags: 0, expiry: Expiry::Never, shows_cas: true, extras: Some(&extras) };
        self.store.store(&mut self.local, &request, b"a value", NOW)
    }

    /// The version a key has, and whether it is out of date.
    fn version(&mut self, key: &[u8]) -> Option<(u64, bool)> {
        let extras = FetchExtras { inspects: true, no_bump: true, ..FetchExtras::default() };
        let fetch = Fetch { touch: None, value: false, cas: true, extras: Some(&extras) };
        let found = self.store.fetch(&mut self.local, self.store.key(key), fetch, NOW, |item| {
            (item.cas, item.details.is_some_and(|details| details.is_stale))
        });
        match found {
            FetchOutcome::Hit(found) => Some(found),
            FetchOutcome::Miss(_) | FetchOutcome::NoMemory => None,
        }
    }

    fn audit(&mut self) {
        self.store.surrender(&mut self.local);
        let found = self.store.audit();
        assert!(found.is_ok(), "{found:?}");
    }
}

fn small(limit_mib: u64, evict: bool) -> Options {
    Options { limit_bytes: limit_mib << 20, item_bytes_max: 256 << 10, workers: 1, evict, ..Options::default() }
}

fn stored(outcome: StoreOutcome) -> u64 {
    match outcome {
        StoreOutcome::Stored { cas, .. } => cas,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_version_of_before_the_counters_wrap_is_older() {
    let mut bench = Bench::new(&small(8, true));
    let or_stale = StoreExtras { or_stale: true, ..StoreExtras::default() };
    for last in [0, 5, u32::MAX - 2, u32::MAX - 1, u32::MAX, 1 << 31] {
        bench.store.index.lock(bench.store.key(b"k").hash).set_last_version(last);
        let old = stored(bench.set(b"k", Mode::Set, StoreExtras::default()));
        let new = stored(bench.set(b"k", Mode::Set, StoreExtras::default()));
        assert_eq!(bench.set(b"k", Mode::Cas(old), StoreExtras::default()), StoreOutcome::Exists);
        assert_eq!(bench.version(b"k"), Some((new, false)));
        assert!(matches!(bench.set(b"k", Mode::Cas(old), or_stale), StoreOutcome::Stored { .. }), "behind {last}");
        let (cas, is_stale) = bench.version(b"k").expect("it is there");
        assert!(is_stale && cas != new, "behind {last}");
        // One that is not older at all.
        assert!(matches!(bench.set(b"k", Mode::Cas(cas), or_stale), StoreOutcome::Stored { .. }));
        assert!(bench.version(b"k").is_some_and(|(_, is_stale)| !is_stale));
        assert_eq!(bench.set(b"k", Mode::Cas(u64::MAX), or_stale), StoreOutcome::Exists, "it is nobody's");
    }
}

/// Keys that are all of the first key's stripe.
fn crowd(store: &Store, count: usize) -> Vec<Vec<u8>> {
    let stripe = store.index.stripe_of(store.key(b"0").hash);
    let keys = (0u64..).map(|number| number.to_string().into_bytes());
    keys.filter(|key| store.index.stripe_of(store.key(key).hash) == stripe).take(count).collect()
}

#[test]
fn keys_that_crowd_one_stripe_open_no_rows() {
    for evict in [true, false] {
        let mut bench = Bench::new(&small(32, evict));
        let others: Vec<Vec<u8>> = (0..60_000).map(|number| format!("other {number}").into_bytes()).collect();
        for key in &others {
            stored(bench.set(key, Mode::Set, StoreExtras::default()));
        }
        let before = bench.store.memory_report().index_bytes;
        let mut refused = 0;
        for key in crowd(&bench.store, 20_000) {
            match bench.set(&key, Mode::Set, StoreExtras::default()) {
                StoreOutcome::Stored { .. } => assert!(bench.version(&key).is_some(), "what was stored is there"),
                StoreOutcome::NoMemory => refused += 1,
                other => unreachable!("{other:?}"),
            }
        }
        let after = bench.store.memory_report().index_bytes;
        assert!(after < before * 3, "the index grew from {before} to {after} bytes");
        assert_eq!(refused > 0, !evict, "who evicts refuses nobody: {refused}");
        let left = others.iter().filter(|key| bench.version(key).is_some()).count();
        let stripes = bench.store.index.stripe_count();
        assert!(left >= others.len() - 2 * others.len() / stripes, "the crowd costs its own stripe alone: {left}");
        bench.audit();
    }
}

/// Lets background work come to rest at a second; the longest pause it asked for.
fn rest(bench: &mut Bench, seconds: u32) -> u32 {
    let mut longest = 0;
    for _ in 0..100_000 {
        match bench.store.step(&mut bench.local, Now { seconds: Seconds(seconds), unix_epoch: 1_700_000_000 }) {
            Progress::IdleUntil(_) => return longest,
            Progress::More => {}
            Progress::MoreAfter { micros } => longest = longest.max(micros),
        }
    }
    unreachable!("background work never ends")
}

/// Guards: on a busy machine the background thread loses its core with the mover's lock in hand: who needs memory then
/// finds what has expired all the same, before it evicts anything alive.
#[test]
fn what_has_expired_is_found_while_the_background_thread_stands_still() {
    let mut bench = Bench::new(&small(16, true));
    let set = |bench: &mut Bench, id: u32, value: &[u8], expiry: Expiry, now: u32| {
        let key = id.to_le_bytes();
        let key = bench.store.key(&key);
        let request = StoreRequest { key, mode: Mode::Set, client_flags: 0, expiry, shows_cas: false, extras: None };
        stored(bench.store.store(&mut bench.local, &request, value, Seconds(now)));
        bench.store.end_turn(&mut bench.local);
    };
    for id in 0..150_000 {
        set(&mut bench, id, &[0; 50], Expiry::At(Seconds(150)), 100);
    }
    let before = bench.store.totals().evictions;
    let mover = Arc::clone(&bench.store);
    let mover = mover.mover.lock();
    for id in 200_000..201_000 {
        set(&mut bench, id, &[0; 10_000], Expiry::Never, 200);
    }
    drop(mover);
    assert_eq!(bench.store.totals().evictions, before, "the dead go first");
    bench.audit();
}

#[test]
fn idle_time_only_rises_until_it_is_held() {
    const HOUR: u32 = 3600;
    for sweep in [true, false] {
        let mut bench = Bench::new(&Options { sweep, sweep_pause_micros: 1_000_000, ..small(8, true) });
        stored(bench.set(b"k", Mode::Set, StoreExtras::default()));
        let mut before = 0;
        for hour in 0..60 {
            let now = NOW.0 + hour * HOUR;
            rest(&mut bench, now);
            let key = bench.store.key(b"k");
            let extras = FetchExtras { inspects: true, no_bump: true, ..FetchExtras::default() };
            let fetch = Fetch { touch: None, value: false, cas: false, extras: Some(&extras) };
            let idle = bench.store.fetch(&mut bench.local, key, fetch, Seconds(now), |item| item.details);
            let FetchOutcome::Hit(Some(details)) = idle else { unreachable!("{idle:?}") };
            assert_eq!(details.idle_seconds, (hour * HOUR).min(54_000), "after {hour} hours, sweep {sweep}");
            assert!(details.idle_seconds >= before);
            before = details.idle_seconds;
        }
    }
}

#[test]
fn a_flush_is_over_long_before_its_counter_comes_round() {
    let mut bench = Bench::new(&Options { sweep: false, sweep_pause_micros: 1_000_000, ..small(8, true) });
    for number in 0..20_000 {
        stored(bench.set(format!("old {number}").as_bytes(), Mode::Set, StoreExtras::default()));
    }
    bench.store.flush_all(None);
    stored(bench.set(b"new", Mode::Set, StoreExtras::default()));
    // A hundred million items in steps of 128 with such a pause: a quarter of an hour.
    assert!(rest(&mut bench, NOW.0) <= 1000);
    for second in 1..5 {
        assert!(rest(&mut bench, NOW.0 + second) <= 1000);
    }
    assert!(!bench.store.index.any_flushed(), "no mark is left");
    assert_eq!(bench.store.totals().curr_items, 1);
    for ahead in [1 << 30, 1 << 31, 3 << 30, u32::MAX] {
        let mut stripe = bench.store.index.lock(bench.store.key(b"new").hash);
        stripe.set_last_version(ahead);
        drop(stripe);
        assert!(bench.version(b"new").is_some() && bench.version(b"old 1").is_none());
        stored(bench.set(b"newer", Mode::Set, StoreExtras::default()));
        assert!(bench.version(b"newer").is_some(), "{ahead} writes later");
    }
}

#[test]
fn a_flush_during_the_search_for_an_earlier_one_takes_another() {
    let mut bench = Bench::new(&small(8, true));
    for number in 0..20_000 {
        stored(bench.set(format!("old {number}").as_bytes(), Mode::Set, StoreExtras::default()));
    }
    bench.store.flush_all(None);
    stored(bench.set(b"between", Mode::Set, StoreExtras::default()));
    rest(&mut bench, NOW.0);
    let later = Now { seconds: Seconds(NOW.0 + 5), unix_epoch: 1_700_000_000 };
    for _ in 0..5 {
        assert_eq!(bench.store.step(&mut bench.local, later), Progress::More);
    }
    assert!(bench.store.totals().curr_items < 20_001, "the search is under way");
    assert!(bench.version(b"between").is_some());
    bench.store.flush_all(None);
    stored(bench.set(b"new", Mode::Set, StoreExtras::default()));
    for second in 5..10 {
        rest(&mut bench, NOW.0 + second);
    }
    assert!(!bench.store.index.any_flushed(), "what the second left is found, too");
    assert!(bench.version(b"between").is_none() && bench.version(b"new").is_some());
    assert_eq!(bench.store.totals().curr_items, 1);
    bench.audit();
}

/// Most stripes are not touched between these flushes, nor while the counter of one goes round.
#[test]
fn a_mark_counts_for_its_own_flush_only() {
    let mut bench = Bench::new(&small(64, true));
    for round in 0..5_u32 {
        let last = round.wrapping_mul(1 << 30);
        bench.store.index.lock(bench.store.key(b"k").hash).set_last_version(last);
        stored(bench.set(b"k", Mode::Set, StoreExtras::default()));
        assert!(bench.version(b"k").is_some(), "round {round}");
        bench.store.flush_all(None);
        bench.store.flush_all(None);
        assert!(bench.version(b"k").is_none(), "round {round}");
        stored(bench.set(b"k", Mode::Set, StoreExtras::default()));
        assert!(bench.version(b"k").is_some(), "round {round}");
        for second in 0..5 {
            rest(&mut bench, NOW.0 + 10 * round + second);
        }
        assert!(!bench.store.index.any_flushed(), "no flush is pending");
        assert!(bench.version(b"k").is_some(), "round {round}");
    }
    bench.audit();
}
