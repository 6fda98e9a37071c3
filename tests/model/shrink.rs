//! A memory limit that falls under steady sets: the one thing a client may notice is an eviction. And an index that
//! gives memory back.

use flagstone::store::{Mode, Progress, Store, StoreOutcome, StoreRequest};
use flagstone::time::{Expiry, Now, Seconds};

use crate::small;

/// Items so small that a page holds more of them than a set may evict on its way to a chunk.
const ITEMS: u32 = 180_000;
const LIMIT_KIB: u64 = 8 << 10;
/// Sets between two steps of the background work.
const SETS_A_STEP: u32 = 1;
const NOW: Now = Now { seconds: Seconds(100), unix_epoch: 1_700_000_000 };

/// Guards: what is evicted for a set is not taken from the page that is being emptied, whose chunks nobody gets.
#[test]
fn no_set_is_refused_while_the_limit_falls() {
    let store = Store::open(&small(LIMIT_KIB)).expect("memory");
    let (mut local, mut background) = (store.local(), store.local());
    let mut set = |id: u32| {
        let key = id.to_le_bytes();
        let request = StoreRequest {
            key: store.key(&key),
            mode: Mode::Set,
            client_flags: 0,
            expiry: Expiry::Never,
            shows_cas: false,
            extras: None,
        };
        let stored = store.store(&mut local, &request, b"v", NOW.seconds);
        assert!(matches!(stored, StoreOutcome::Stored { .. }), "set {id}: {stored:?}");
        store.end_turn(&mut local);
    };
    (0..ITEMS).for_each(&mut set);
    assert!(store.set_limit_bytes(LIMIT_KIB << 9), "lower is always possible");
    let mut next = ITEMS;
    while matches!(store.step(&mut background, NOW), Progress::More) {
        (next..next + SETS_A_STEP).for_each(&mut set);
        next += SETS_A_STEP;
        assert!(next < 20 * ITEMS, "an end comes");
    }
    assert!(store.memory_report().committed_bytes <= LIMIT_KIB << 9, "half the memory is left");
}

/// The page table grows with the limit, and counts.
#[test]
fn a_limit_that_rises_sixteen_times_is_kept_to_and_used() {
    let store = Store::open(&small(1 << 10)).expect("memory");
    let mut local = store.local();
    assert!(!store.set_limit_bytes((16 << 20) + 1), "there are addresses for sixteen times as much");
    assert!(store.set_limit_bytes(16 << 20));
    for id in 0..9000_u32 {
        let key = id.to_le_bytes();
        let request = StoreRequest {
            key: store.key(&key),
            mode: Mode::Set,
            client_flags: 0,
            expiry: Expiry::Never,
            shows_cas: false,
            extras: None,
        };
        let stored = store.store(&mut local, &request, &[b'v'; 2000], NOW.seconds);
        assert!(matches!(stored, StoreOutcome::Stored { .. }), "set {id}: {stored:?}");
        store.end_turn(&mut local);
    }
    let audit = store.audit().expect("all is in its place");
    assert!(audit.committed_bytes <= 16 << 20 && audit.bytes > 14 << 20, "{audit:?}");
}

#[test]
fn the_index_gives_memory_back_when_items_become_fewer_and_larger() {
    let store = Store::open(&small(LIMIT_KIB)).expect("memory");
    let (mut local, mut background) = (store.local(), store.local());
    let mut set = |id: u32, value: &[u8]| {
        let key = id.to_le_bytes();
        let request = StoreRequest {
            key: store.key(&key),
            mode: Mode::Set,
            client_flags: 0,
            expiry: Expiry::Never,
            shows_cas: false,
            extras: None,
        };
        let stored = store.store(&mut local, &request, value, NOW.seconds);
        assert!(matches!(stored, StoreOutcome::Stored { .. }), "set {id}: {stored:?}");
        store.end_turn(&mut local);
    };
    (0..ITEMS).for_each(|id| set(id, b"v"));
    let before = store.memory_report().index_bytes;
    for id in 0..ITEMS / 8 {
        set(ITEMS + id, &[b'v'; 200]);
        // What is small is asked for no more and goes.
        for nth in 0..8 {
            store.delete(&mut background, store.key(&(id * 8 + nth).to_le_bytes()), None, NOW.seconds);
        }
        store.step(&mut background, NOW);
    }
    for _ in 0..100_000 {
        if !matches!(store.step(&mut background, NOW), Progress::More) {
            break;
        }
    }
    let (items, after) = (store.totals().curr_items, store.memory_report().index_bytes);
    assert!(items < u64::from(ITEMS) / 4, "{items} items");
    assert!(after < before / 3, "{items} items: the index shrank from {before} to {after} bytes");
    store.surrender(&mut local);
    store.surrender(&mut background);
    store.audit().unwrap_or_else(|error| panic!("{error}"));
}
