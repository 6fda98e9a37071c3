//! A memory limit that falls under steady sets: the one thing a client may notice is an eviction.

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
