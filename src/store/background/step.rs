//! All background work of the store is one step function, called by one thread that sleeps while nothing is due.

use crate::store::local::Local;
use crate::store::shared::Store;
use crate::store::supply::rebalance::Moving;
use crate::store::words::outcome::Progress;
use crate::sync::{Ordering, fence};
use crate::time::{Now, Seconds};

/// Items a tag of the ghost. Over 25 runs of thirteen traces misses are .8123 of memcached's with four, .8125 with
/// eight, .8131 with sixteen (one run loses 4 %), .8143 with 1.7 and .8147 with 1.1: tags cost memory that holds items.
const ITEMS_A_TAG: usize = 4;
/// Ghost buckets added or dropped in one step.
const GHOST_STEPS: usize = 1024;
/// Pause of the background work while a page waits for what other threads hold.
const STUCK_MICROS: u32 = 100;

impl Store {
    /// One step of background work, at most some tens of microseconds: a draining page's next items, the next
    /// chunks of the sweep, the ghost's size, the index's. For one thread, which may sleep as long as the answer says.
    pub fn step(&self, local: &mut Local, now: Now) -> Progress {
        self.arena.tick(&now);
        let now = now.seconds;
        self.nudged.store(false, Ordering::Relaxed);
        // SeqCst: pairs with the fence of `nudge`: either this step sees what the caller saw, or the caller sees that
        // it has to call.
        fence(Ordering::SeqCst);
        let mut mover = self.mover.lock();
        let moving = self.move_step(&mut mover, local, now);
        let sweeping = self.sweep_step(&mut mover.sweep, local, now);
        let growing = self.ghost_step();
        let micros = mover.sweep.pause_micros(self.sweep_pause_micros());
        let items = self.totals().curr_items;
        let shrinking = self.index.shrink_step(&mut mover.shrinking, &self.pages, &self.pool, items);
        drop(mover);
        // Between steps another thread may be emptying a page, and this one does not come to a turn's end.
        self.surrender(local);
        if moving == Moving::More || growing || shrinking || sweeping && micros == 0 {
            return Progress::More;
        }
        if sweeping || moving == Moving::Stuck {
            return Progress::MoreAfter { micros: if sweeping { micros } else { STUCK_MICROS } };
        }
        Progress::IdleUntil(Seconds(now.0.saturating_add(1)))
    }

    /// Lets the ghost's size follow the number of items.
    fn ghost_step(&self) -> bool {
        let totals = self.totals();
        if totals.evictions == 0 {
            return false;
        }
        let items = usize::try_from(totals.curr_items).unwrap_or(0);
        self.ghost.adjust(&self.arena, &self.pool, items / ITEMS_A_TAG, GHOST_STEPS)
    }
}
