//! Pages move between classes: to the pool when it runs low, and from the class where memory earns least to the one
//! where it earns most (`earnings` says how much that is). How one is emptied is `drain`'s business.
//!
//! Which class gives the next page says `mover`.

use std::time::Duration;

use super::drain::Drained;
use crate::store::bytes::layout::{EXTENT_BYTES, u64_of};
use crate::store::local::Local;
use crate::store::memory::classes::ClassId;
use crate::store::policy::earnings::{Counts, Earnings, ratio};
use crate::store::policy::mover::{Donor, Look, Mover, Rank, coldest_interval};
use crate::store::shared::Store;
use crate::sync::{Ordering, yield_now};
use crate::time::Seconds;

/// A class's memory must earn so much more than another's for a page to move between them: each move costs items.
/// With 1.5 misses over 25 runs are the same to .0002, and 1.05 of plain LRU's where a working set changes, not 1.04.
const EARNINGS_RATIO: f64 = 2.0;
/// Items evicted in all classes between two looks, as a share of all chunks.
const LOOK_SHARE: u64 = 1024;
/// The same for looks at who gives the next page: the store's clock moves on by this share of the limit, or so many
/// pages have been given.
const DONORS_SHARE: u64 = 256;
const DONORS_PAGES: u32 = 16;
/// Evictions of a thread's between two times that it asks whether all classes are to be looked at: it adds up what all
/// threads have evicted then.
const EVICTIONS_A_LOOK: usize = 64;
/// How long a thread that needs a page waits for one that has the mover in hand: a step takes 50 us, but a machine with
/// more to do than cores may have taken the core away, and what would be evicted meanwhile is of this moment.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// What background work has come to with pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moving {
    Done,
    More,
    /// A page waits for other threads.
    Stuck,
}

impl Store {
    /// Empties a page for the pool by steps of the calling thread; false when none has been emptied in so many, or none
    /// can be. `is_urgent`: waits for who else is at it.
    #[cold]
    pub(crate) fn drive_mover(&self, local: &mut Local, steps_max: usize, is_urgent: bool, now: Seconds) -> bool {
        for _ in 0..steps_max {
            let mover = if is_urgent { Some(self.mover.lock()) } else { self.mover.lock_within(WAIT_MAX) };
            let Some(mut mover) = mover else { return false };
            mover.begin_second(now);
            if mover.drain.is_none() && !self.begin_drain(&mut mover, local) {
                return false;
            }
            match self.drain_step(&mut mover, local, now) {
                Drained::Empty => return true,
                Drained::Stuck if !is_urgent => return false,
                Drained::Stuck => {
                    drop(mover);
                    // Who waits for what other threads hold has nothing that one of them could be waiting for.
                    self.surrender(local);
                    yield_now();
                }
                Drained::Partly | Drained::GivenUp => {}
            }
        }
        false
    }

    /// A step of the mover's by a thread whose turn evicted: pages keep pace with evictions even where the background
    /// thread hardly gets a core. A look at all classes takes longer than a set, so it is made once in many.
    #[cold]
    pub(crate) fn help_mover(&self, local: &mut Local, now: Seconds) {
        let Some(mut mover) = self.mover.try_lock() else { return };
        if mover.drain.is_some() {
            self.drain_step(&mut mover, local, now);
        } else if local.evicted >= EVICTIONS_A_LOOK {
            local.evicted = 0;
            self.move_step(&mut mover, local, now);
        }
    }

    /// Decides on a move or goes on with one.
    pub(crate) fn move_step(&self, mover: &mut Mover, local: &mut Local, now: Seconds) -> Moving {
        mover.begin_second(now);
        if self.pool.trim(&self.arena) {
            return Moving::More;
        }
        if mover.drain.is_some() {
            return match self.drain_step(mover, local, now) {
                Drained::Stuck => Moving::Stuck,
                Drained::Partly | Drained::Empty | Drained::GivenUp => Moving::More,
            };
        }
        // Before the first eviction memory is not short, unless its limit was lowered.
        let is_short = self.pool.missing() > 0 && (self.totals().evictions > 0 || self.pool.is_shrinking());
        let has_begun =
            if is_short { self.options.evict && self.begin_drain(mover, local) } else { self.compare(mover, local) };
        if has_begun { Moving::More } else { Moving::Done }
    }

    /// Looks at all classes when enough has been evicted since the last time: who gives the next page, and whether one
    /// moves at once; true when one does.
    fn compare(&self, mover: &mut Mover, local: &mut Local) -> bool {
        let evicted = self.totals().evictions;
        if evicted < mover.next_look {
            return false;
        }
        let looks = self.look_at_all(mover);
        let chunks: u64 = looks.iter().map(|look| look.counts.chunks).sum();
        mover.next_look = evicted + (chunks / LOOK_SHARE).max(1);
        Earnings::renew_all(&mut mover.earnings, looks.iter().map(|look| &look.counts));
        if let Some((heads, others)) = mover.earnings.split_last_mut() {
            for (earnings, look) in others.iter_mut().zip(&looks) {
                earnings.share_with(heads, look.share_of_parts());
            }
        }
        self.rank_donors(mover, &looks);
        self.settings.is_balancing() && mover.now >= mover.held_until && self.balance(mover, &looks, local)
    }

    /// Begins a move from the class whose memory earns least to the one whose earns most.
    fn balance(&self, mover: &mut Mover, looks: &[Look], local: &mut Local) -> bool {
        let earns = |look: &&Look| mover.earnings[look.class.index()].value;
        let by_earnings = |a: &&Look, b: &&Look| earns(a).total_cmp(&earns(b));
        let coldest = coldest_interval(looks);
        let best = looks.iter().filter(|look| look.counts.chunks > 0 && !look.has_room).max_by(by_earnings);
        let worst = looks.iter().filter(|look| !look.is_last_resort(coldest)).min_by(by_earnings);
        let (Some(best), Some(worst)) = (best, worst) else { return false };
        if let Some(spare) = looks.iter().filter(|look| look.has_spare_page()).max_by_key(|look| look.free_chunks) {
            return self.begin_drain_of(mover, spare.class, Some(best.class), local);
        }
        // Classes of few pages: after the move the one must not earn less than the other did before.
        let after = |look: &Look, change: f64| earns(&look) * look.pages / (look.pages + change);
        let is_worth_it = earns(&best) > earns(&worst) * EARNINGS_RATIO && after(best, 1.0) > after(worst, -1.0);
        is_worth_it && self.begin_drain_of(mover, worst.class, Some(best.class), local)
    }

    /// What can be seen of all classes.
    fn look_at_all(&self, mover: &mut Mover) -> Vec<Look> {
        let mut looks: Vec<Look> = self.pages.classes.all().map(|class| self.look(class)).collect();
        self.count_hits(&mut looks);
        let clock = self.clock.load(Ordering::Relaxed);
        for (look, usage) in looks.iter_mut().zip(&mut mover.usages) {
            look.interval = usage.renew(look, clock);
        }
        // A part is used as often as its item, which is counted where the head is.
        if let Some((heads, others)) = looks.split_last_mut() {
            for look in others.iter_mut().filter(|look| look.share_of_parts() > 0.5) {
                look.interval = look.interval.min(heads.interval);
            }
        }
        looks
    }

    /// Adds up what all threads have counted.
    fn count_hits(&self, looks: &mut [Look]) {
        self.class_counters.for_each(|block| {
            for (look, counters) in looks.iter_mut().zip(block.iter()) {
                look.counts.hits = look.counts.hits.wrapping_add(counters.hits());
                look.items = look.items.wrapping_add(counters.number.get());
            }
        });
    }

    /// All that the class itself knows: its hits are with the threads.
    fn look(&self, class: ClassId) -> Look {
        let state = self.classes[class.index()].lock();
        let per_page = u64_of(self.pages.chunks_per_page(class));
        let chunks = u64::from(state.list.pages) * per_page;
        let free_chunks = u64::from(state.list.free_chunks);
        Look {
            class,
            counts: Counts {
                chunks,
                hits: 0,
                evicted: state.queues.picked,
                dropped: state.queues.dropped_ever,
                returned: state.queues.returned_ever,
            },
            pages: f64::from(state.list.pages),
            pages_min: self.pages_min(class),
            free_chunks,
            has_room: free_chunks > per_page / 4,
            is_growing: state.is_growing(chunks),
            taken: state.list.taken,
            items: 0,
            interval: 0,
        }
    }

    /// Pages of a class that count as its last. Large values are worth least by the byte: without room for two of the
    /// largest the one just stored would be gone before it could be read.
    fn pages_min(&self, class: ClassId) -> f64 {
        if self.pages.classes.chunk_bytes(class) < EXTENT_BYTES {
            return 1.0;
        }
        let two_largest = u64_of(2 * self.options.item_bytes_max).min(self.options.limit_bytes / 4);
        ratio(two_largest, u64_of(self.arena.geometry.page_bytes)).max(1.0)
    }

    /// Begins to empty a page for the pool; false when no class can give one.
    fn begin_drain(&self, mover: &mut Mover, local: &mut Local) -> bool {
        if mover.nothing_to_give {
            return false;
        }
        if mover.donors.is_empty() || mover.given >= DONORS_PAGES || !self.knows_donors() {
            let looks = self.look_at_all(mover);
            self.rank_donors(mover, &looks);
        }
        let donors = std::mem::take(&mut mover.donors);
        let has_begun = donors.iter().any(|&donor| self.begin_drain_of(mover, donor, None, local));
        mover.donors = donors;
        mover.given += 1;
        if !has_begun {
            mover.nothing_to_give = true;
            mover.donors.clear();
            self.elsewhere.set(None, self.clock.load(Ordering::Relaxed));
        }
        has_begun
    }

    /// Whether what is known of who gives the next page is of now.
    fn knows_donors(&self) -> bool {
        let clock = self.clock.load(Ordering::Relaxed);
        clock.abs_diff(self.elsewhere.from()) < self.options.limit_bytes / DONORS_SHARE
    }

    /// Who gives the next page, looked for again if that was known too long ago.
    pub(crate) fn next_donor(&self) -> Option<Donor> {
        if !self.knows_donors()
            && let Some(mut mover) = self.mover.lock_within(WAIT_MAX)
        {
            let looks = self.look_at_all(&mut mover);
            self.rank_donors(&mut mover, &looks);
        }
        self.elsewhere.get()
    }

    /// Puts the classes in the order in which they are to give pages.
    fn rank_donors(&self, mover: &mut Mover, looks: &[Look]) {
        let coldest = coldest_interval(looks);
        let earns = |look: &Look| mover.earnings[look.class.index()].value;
        let mut ranked: Vec<&Look> = looks.iter().filter(|look| look.counts.chunks > 0).collect();
        ranked.sort_by(|a, b| match (a.rank(coldest), b.rank(coldest)) {
            (Rank::Spare, Rank::Spare) => b.free_chunks.cmp(&a.free_chunks),
            // Among equals the one with the most pages gives.
            (Rank::Usual, Rank::Usual) => earns(a).total_cmp(&earns(b)).then(b.pages.total_cmp(&a.pages)),
            (Rank::LastResort, Rank::LastResort) => b.interval.cmp(&a.interval),
            (a, b) => a.cmp(&b),
        });
        let donor =
            |look: &&Look| Donor { class: look.class, is_spare: look.has_spare_page(), interval: look.interval };
        self.elsewhere.set(ranked.first().map(donor), self.clock.load(Ordering::Relaxed));
        mover.donors = ranked.iter().map(|look| look.class).collect();
        mover.given = 0;
    }
}
