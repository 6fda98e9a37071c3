//! Items become few and many in turn: rows of the index are given back while others need them.

use flagstone::store::Mode;
use flagstone::time::Expiry;

use crate::crew::{Job, Worker, run};
use crate::small;

/// Turns in which items become more, then as many in which they become fewer.
const PHASE_TURNS: u32 = 60;
/// Items stored or deleted in a turn.
const ITEMS_A_TURN: u64 = 200;

/// Stores items of its own, then deletes them, out of step with the other workers.
struct Tide {
    turn: u32,
    stored: u64,
}

impl Job for Tide {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        let offset = u32::try_from(worker.number).expect("a few") * PHASE_TURNS / 8;
        let is_rising = ((self.turn + offset) / PHASE_TURNS).is_multiple_of(2);
        self.turn += 1;
        for _ in 0..ITEMS_A_TURN {
            if is_rising {
                self.stored += 1;
            } else if self.stored == 0 {
                return;
            }
            let key = format!("{}-{}", worker.number, self.stored).into_bytes();
            if is_rising {
                worker.set(&key, Mode::Set, Expiry::Never, b"v");
            } else {
                let key = worker.store.key(&key);
                worker.store.delete(&mut worker.local, key, None, worker.now);
                self.stored -= 1;
            }
        }
    }
}

/// Guards: a stripe gives its last cell up only while that is the last, whoever has opened more of them meanwhile.
#[test]
fn rows_that_go_and_come_back_keep_every_item() {
    run(&small(8 << 10), 6, PHASE_TURNS * 16, |_| Tide { turn: 0, stored: 0 }, |_, _| ());
}
