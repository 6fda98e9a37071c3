//! Sizes that drift: memory has to follow, so pages move all the time while items are read and written.

use std::collections::HashMap;

use flagstone::store::Mode;
use flagstone::time::Expiry;

use crate::crew::{Job, Worker, run};
use crate::small;
use crate::values::{value, version_of};

/// Turns in which one size is written.
const PHASE_TURNS: u32 = 1500;
const SIZES: [usize; 6] = [40, 2000, 150, 9000, 18, 600];
const KEYS: u64 = 4000;

/// The memory there is in every other phase: what lies above it has to go, page by page.
const LIMITS: [u64; 2] = [3 << 20, 9 << 18];

/// Writes values of one size, then of another; reads everything, some keys more often.
struct Drift {
    turn: u32,
    next: u64,
    seen: HashMap<Vec<u8>, u64>,
}

impl Drift {
    fn key(worker: &mut Worker<'_>, owner: usize) -> Vec<u8> {
        let range = if worker.random.one_in(3) { 100 } else { KEYS };
        format!("{owner}-{}", worker.random.below(range)).into_bytes()
    }
}

impl Job for Drift {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        let phase = usize::try_from(self.turn / PHASE_TURNS).expect("small") + worker.number / 2;
        if worker.number == 0 && self.turn.is_multiple_of(PHASE_TURNS) {
            let limit = LIMITS[phase % LIMITS.len()];
            assert!(worker.store.set_limit_bytes(limit), "up to twice the limit at start");
        }
        self.turn += 1;
        if worker.random.one_in(2) {
            let key = Self::key(worker, worker.number);
            let len = SIZES[phase % SIZES.len()] + usize::try_from(worker.random.below(8)).expect("small");
            self.next += 1;
            worker.set(&key, Mode::Set, Expiry::Never, &value(&key, self.next, len));
        } else {
            let owner = (worker.number + usize::try_from(worker.random.below(2)).expect("small")) % 4;
            let key = Self::key(worker, owner);
            let Some(hit) = worker.read(&key, None) else { return };
            let version = version_of(&key, &hit.value);
            let seen = self.seen.entry(key).or_insert(0);
            assert!(version >= *seen, "version {version} after version {seen}");
            *seen = version;
        }
    }
}

/// Guards: a page leaves its class only when every chunk of it has come home, and an item that is moved is
/// copied and put in its place under the stripe's lock.
#[test]
fn pages_that_move_take_no_item_with_them() {
    run(
        &small(3 << 10),
        3,
        PHASE_TURNS * 8,
        |_| Drift { turn: 0, next: 0, seen: HashMap::new() },
        |store, _| assert!(store.totals().pages_moved > 10, "{} pages moved", store.totals().pages_moved),
    );
}
