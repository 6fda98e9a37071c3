//! Memory follows the sizes that come: nothing just stored is lost for it, nothing is evicted while memory is free, and
//! no page stays where nothing is.

use flagstone::store::{
    Fetch, FetchOutcome, Local, Mode, Options, PageMove, PagePlace, Pinned, Progress, Room, Store, StoreOutcome,
    StoreRequest, Value,
};
use flagstone::time::{Expiry, Now, Seconds};

use crate::random::Random;
use crate::small;

const NOW: Now = Now { seconds: Seconds(100), unix_epoch: 1_700_000_000 };
/// Values longer than this arrive in pieces, as from a socket.
const WHOLE_VALUE_BYTES_MAX: usize = 16 << 10;
/// Steps of background work within which there must be an end of it.
const STEPS_MAX: u32 = 200_000;

/// A store, a worker and the background thread, which gets a step a request.
struct Bench {
    store: Store,
    worker: Local,
    background: Local,
}

impl Bench {
    fn new(options: &Options) -> Self {
        let store = Store::open(options).expect("memory");
        Self { worker: store.local(), background: store.local(), store }
    }

    fn with_limit(limit_kib: u64) -> Self {
        Self::new(&small(limit_kib))
    }

    /// Stores a value that tells its key; false when it is refused.
    fn set(&mut self, id: u32, bytes: usize) -> bool {
        let key = id.to_le_bytes();
        let key = self.store.key(&key);
        let request = StoreRequest {
            key,
            mode: Mode::Set,
            client_flags: 0,
            expiry: Expiry::Never,
            shows_cas: false,
            extras: None,
        };
        let value = value_of(id, bytes);
        let stored = if bytes <= WHOLE_VALUE_BYTES_MAX {
            self.store.store(&mut self.worker, &request, &value, NOW.seconds)
        } else {
            arrive(&self.store, [&mut self.worker, &mut self.background], &request, &value)
        };
        self.end_turn();
        matches!(stored, StoreOutcome::Stored { .. })
    }

    fn end_turn(&mut self) {
        self.store.end_turn(&mut self.worker);
        self.store.step(&mut self.background, NOW);
    }

    /// Whether the key's value is there; it must be the right one.
    fn has(&mut self, id: u32) -> bool {
        let Some(mut found) = self.fetch(id) else { return false };
        if let Some(pinned) = &mut found.1 {
            found.0 = self.store.pinned_pieces(pinned, 0).flatten().copied().collect();
        }
        if let Some(pinned) = found.1 {
            self.store.unpin(&mut self.worker, pinned);
        }
        assert!(found.0 == value_of(id, found.0.len()), "another value under {id}");
        true
    }

    fn fetch(&mut self, id: u32) -> Option<(Vec<u8>, Option<Pinned>)> {
        let key = id.to_le_bytes();
        let fetch = Fetch { touch: None, value: true, cas: false, extras: None };
        let found =
            self.store.fetch(&mut self.worker, self.store.key(&key), fetch, NOW.seconds, |item| match item.value {
                Value::Whole(bytes) => (bytes.to_vec(), None),
                Value::Pinned(pinned) => (Vec::new(), Some(pinned)),
                Value::Unwanted => (Vec::new(), None),
            });
        if let FetchOutcome::Hit(found) = found { Some(found) } else { None }
    }

    fn delete(&mut self, id: u32) {
        self.store.delete(&mut self.worker, self.store.key(&id.to_le_bytes()), None, NOW.seconds);
    }

    /// Background work until there is none in this second.
    fn rest(&mut self) {
        let rests = (0..STEPS_MAX).any(|_| {
            self.store.end_turn(&mut self.worker);
            matches!(self.store.step(&mut self.background, NOW), Progress::IdleUntil(_))
        });
        assert!(rests, "background work has no end");
    }

    fn audit(&mut self) {
        self.store.surrender(&mut self.worker);
        self.store.surrender(&mut self.background);
        self.store.audit().unwrap_or_else(|error| panic!("{error}"));
    }
}

fn value_of(id: u32, bytes: usize) -> Vec<u8> {
    id.to_le_bytes().into_iter().cycle().take(bytes).collect()
}

fn arrive(store: &Store, locals: [&mut Local; 2], request: &StoreRequest<'_>, value: &[u8]) -> StoreOutcome {
    let [worker, background] = locals;
    let mut incoming = store.reserve(request, value.len()).expect("not too large");
    while incoming.missing() > 0 {
        let at = value.len() - incoming.missing();
        let filled = match store.room(worker, &mut incoming, NOW.seconds) {
            Room::Bytes(room) => {
                let n = room.len().min(value.len() - at);
                room[..n].copy_from_slice(&value[at..at + n]);
                n
            }
            Room::Wait => {
                store.end_turn(worker);
                store.step(background, NOW);
                0
            }
            Room::NoMemory => {
                store.abandon(worker, incoming);
                return StoreOutcome::NoMemory;
            }
        };
        store.filled(&mut incoming, filled);
    }
    store.commit(worker, incoming, Mode::Set, NOW.seconds)
}

/// Guards: a page that was just given to a class is not the next that is taken away.
#[test]
fn what_was_just_stored_is_there_when_sizes_change() {
    for bytes in [9_500, 17_000, 28_000, 40_000, 100_000] {
        let mut bench = Bench::with_limit(16 << 10);
        for id in 0..60_000 {
            bench.set(id, 50 + usize::try_from(id % 450).expect("small"));
        }
        for id in 100_000..101_000 {
            assert!(bench.set(id, bytes), "{bytes} bytes are refused");
            assert!(bench.has(id), "{bytes} bytes are gone at once");
        }
        bench.audit();
    }
}

/// Guards: what a class would evict is compared with what is elsewhere: keys of a new size that fit memory come to
/// stay.
#[test]
fn a_new_working_set_of_another_size_gets_the_memory_it_uses() {
    for (old, new, keys) in [(200, 40_000, 100), (11_000, 3_000, 1_000), (40_000, 500, 6_000), (500, 5_000, 700)] {
        let mut bench = Bench::with_limit(16 << 10);
        for id in 0..u32::try_from(20_000_000 / (old + 40)).expect("small") {
            bench.set(id, old);
        }
        let (mut hits, mut random) = (0, Random::new(7));
        for ask in 0..20 * keys {
            let id = 1_000_000 + u32::try_from(random.below(u64::from(keys))).expect("small");
            if bench.has(id) {
                hits += u32::from(ask >= 10 * keys);
            } else {
                bench.set(id, new);
            }
        }
        assert!(hits * 10 >= keys * 10 * 9, "{old} -> {new}: {hits} hits of the last {}", keys * 10);
        bench.audit();
    }
}

/// Guards: what has expired is found by who needs memory where the background thread gets no core, before anything
/// alive is evicted or refused.
#[test]
fn without_a_background_thread_the_dead_go_before_the_living() {
    for (evict, bytes) in [(true, 15_000), (true, 500), (false, 15_000), (false, 500)] {
        let store = Store::open(&Options { evict, ..small(16 << 10) }).expect("memory");
        let mut worker = store.local();
        let mut set = |id: u32, bytes: usize, expiry: Expiry, now: u32| {
            let key = id.to_le_bytes();
            let request = StoreRequest {
                key: store.key(&key),
                mode: Mode::Set,
                client_flags: 0,
                expiry,
                shows_cas: false,
                extras: None,
            };
            let stored = store.store(&mut worker, &request, &value_of(id, bytes), Seconds(now));
            store.end_turn(&mut worker);
            matches!(stored, StoreOutcome::Stored { .. })
        };
        let filled = (0..100_000).filter(|&id| set(id, 60, Expiry::At(Seconds(150)), 100)).count();
        assert!(filled > 90_000, "{filled} fit");
        let before = store.totals().evictions;
        for id in 200_000..200_000 + 8_000_000 / u32::try_from(bytes).expect("small") {
            assert!(set(id, bytes, Expiry::Never, 200 + id % 2), "{bytes} bytes are refused, evict: {evict}");
        }
        assert_eq!(store.totals().evictions, before, "{bytes} bytes, evict: {evict}");
        store.surrender(&mut worker);
        store.audit().unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Guards: an empty page belongs to the pool, with or without evictions, and is taken before anything is evicted.
#[test]
fn memory_of_sizes_that_went_is_there_for_those_that_come() {
    for evict in [true, false] {
        for (old, new) in [(11_000, 4_096), (10_000, 100), (300, 40_000), (100_000, 100), (20_000, 5_000)] {
            for is_flushed in [true, false] {
                let mut bench = Bench::new(&Options { evict, ..small(16 << 10) });
                let count = u32::try_from(10_000_000 / (old + 40)).expect("small");
                for id in 0..count {
                    assert!(bench.set(id, old));
                }
                if is_flushed {
                    bench.store.flush_all(None);
                } else {
                    (0..count).for_each(|id| bench.delete(id));
                }
                for id in 0..u32::try_from(9_000_000 / (new + 60)).expect("small") {
                    let told = format!("{old} -> {new}, evictions {evict}, flush {is_flushed}");
                    assert!(bench.set(1_000_000 + id, new), "refused: {told}");
                    assert_eq!(bench.store.totals().evictions, 0, "{told}");
                }
                bench.audit();
            }
        }
    }
}

/// Guards: a page of large values' heads or ends costs about what it holds, not every value that has a piece in it.
#[test]
fn a_lower_limit_costs_large_values_their_share() {
    for bytes in [17_000, 20_000, 66_560, 250_000] {
        let mut bench = Bench::with_limit(24 << 10);
        for id in 0..u32::try_from(30_000_000 / bytes).expect("small") {
            assert!(bench.set(id, bytes));
        }
        let before = bench.store.totals().curr_items;
        assert!(bench.store.set_limit_bytes(12 << 20), "lower is always possible");
        bench.rest();
        let (after, memory) = (bench.store.totals().curr_items, bench.store.memory_report());
        assert!(memory.committed_bytes <= 12 << 20, "{bytes} bytes: {} committed", memory.committed_bytes);
        assert!(after * 10 >= before * 4, "{bytes} bytes: {before} values, then {after}");
        let read = (0..2000).filter(|&id| bench.has(id)).count();
        assert_eq!(u64::try_from(read).expect("small"), after, "those that are left are whole");
        bench.audit();
    }
}

/// Guards: pages that readers keep are passed over, and when nothing else is left the mover sleeps.
#[test]
fn pinned_values_stop_no_page_move() {
    let mut bench = Bench::with_limit(8 << 10);
    for id in 0..100 {
        assert!(bench.set(id, 100_000));
    }
    let held: Vec<Pinned> = (0..100).filter_map(|id| bench.fetch(id)?.1).take(3).collect();
    assert_eq!(held.len(), 3);
    assert!(bench.store.set_limit_bytes(4 << 20));
    bench.rest();
    assert!(bench.store.memory_report().committed_bytes <= 4 << 20, "three values of 100 KB keep no four megabytes");
    for pinned in held {
        bench.store.unpin(&mut bench.worker, pinned);
    }
    bench.audit();
}

/// Guards: what an operator gives away does not come back by itself, and there is an end to it.
#[test]
fn pages_that_are_given_away_stay_away() {
    let mut bench = Bench::with_limit(4 << 10);
    for id in 0..30_000 {
        bench.set(id, 100);
    }
    let class =
        bench.store.class_reports(NOW.seconds).into_iter().max_by_key(|report| report.total_pages).expect("classes");
    let mut begun = 0;
    loop {
        match bench.store.move_page(&mut bench.worker, Some(PagePlace::Class(class.class)), PagePlace::Pool) {
            PageMove::Begun => begun += 1,
            PageMove::NoPage => break,
            PageMove::Busy | PageMove::NoClass => {}
        }
        bench.rest();
        assert!(begun <= class.total_pages, "{begun} pages of {}", class.total_pages);
    }
    assert_eq!(begun + 1, class.total_pages, "all but the last");
    bench.audit();
}
