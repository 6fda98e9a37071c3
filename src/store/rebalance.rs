//! Pages move between classes: to one that found nothing to evict, to the pool when it runs low, and from the
//! class where memory earns least to the one where it earns most (`earnings` says how much that is).
//!
//! One page drains at a time, a few items a step. Its live items are copied to chunks of their class, where the
//! hand may evict for them; free chunks come home through their class's lock, and when all have, the page is nobody's.
//! All background work of the store is one step function, called by one thread that sleeps while nothing is due.

use super::Store;
use super::chain::{length, shape_of};
use super::earnings::{Counts, Earnings, ratio};
use super::evict::{Reason, Victim};
use super::expire::Sweep;
use super::item::{PART, Ref, state};
use super::outcome::Progress;
use super::reserve::{Effort, Local};
use super::slab::classes::{ClassId, ClassTable, EXTENT_BYTES};
use super::slab::page::PageId;
use super::table::Shrinking;
use crate::sync::{Ordering, yield_now};
use crate::telemetry::watch::Event;
use crate::time::{Now, Seconds};

/// Chunks of a draining page looked at in one step, unless they are large.
const CHUNKS_A_STEP: u32 = 32;
/// Bytes of them: a chunk of 16 KiB takes some 10 us to be copied to where memory is cold.
const BYTES_A_STEP: usize = 32 * 1024;
/// Items a tag of the ghost. Over 25 runs of thirteen traces misses are .8123 of memcached's with four, .8125 with
/// eight, .8131 with sixteen (one run loses 4 %), .8143 with 1.7 and .8147 with 1.1: tags cost memory that holds items.
const ITEMS_A_TAG: usize = 4;
/// Ghost buckets added or dropped in one step.
const GHOST_STEPS: usize = 1024;
/// Passes over a draining page before the move is given up: something in it stays pinned or half filled.
const PASSES_MAX: u32 = 200;
/// A class's memory must earn so much more than another's for a page to move between them: each move costs items.
/// With 1.5 misses over 25 runs are the same to .0002, and 1.05 of plain LRU's where a working set changes, not 1.04.
const EARNINGS_RATIO: f64 = 2.0;
/// Items evicted in all classes between two looks, as a share of all chunks.
const LOOK_SHARE: u64 = 1024;
/// A class with free chunks for so many pages gives one before any other: it costs nobody an item. With one page's
/// worth, most of it scattered, it would cost many: lost on each drift of sizes.
const SPARE_PAGES_MIN: f64 = 2.0;
/// Steps of the mover that a thread in need makes itself.
const DRIVEN_STEPS_MAX: usize = 16 * 1024;
/// Evictions of a thread's between two times that it asks whether all classes are to be looked at: it adds up what all
/// threads have evicted then.
const EVICTIONS_A_LOOK: usize = 64;

/// The page mover's state, and the rest of what background work remembers.
#[derive(Debug)]
pub(super) struct Mover {
    drain: Option<Drain>,
    sweep: Sweep,
    shrinking: Shrinking,
    earnings: Vec<Earnings>,
    /// How many items will have been evicted when all classes are looked at next.
    next_look: u64,
}

/// A page being emptied.
#[derive(Clone, Copy, Debug)]
struct Drain {
    page: PageId,
    class: ClassId,
    chunk: u32,
    passes: u32,
    /// The class that gets the page; `None`: the pool.
    to: Option<ClassId>,
}

/// What a step did for the draining page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// There is more of it.
    Partly,
    /// All of it was looked at, and something is still out.
    Stuck,
    /// It is its new class's now.
    Empty,
    /// It stays where it was.
    GivenUp,
}

/// What the mover sees of a class.
#[derive(Clone, Copy, Debug)]
struct Look {
    class: ClassId,
    counts: Counts,
    free_chunks: u64,
    pages: f64,
    /// Pages that are only taken when no other class has any to give.
    pages_min: f64,
    /// It has free chunks: it needs no page.
    has_room: bool,
}

impl Look {
    /// Whether the class could do without a page and keep every item.
    fn has_spare_page(&self) -> bool {
        ratio(self.free_chunks, self.counts.chunks.max(1)) * self.pages >= SPARE_PAGES_MIN
    }
}

impl Mover {
    pub(super) fn new(classes: &ClassTable) -> Self {
        let earnings = classes.all().map(|class| Earnings::new(classes.chunk_bytes(class))).collect();
        Self { drain: None, sweep: Sweep::default(), shrinking: Shrinking::default(), earnings, next_look: 1 }
    }

    /// Where the sweep is, for the audit.
    pub(super) fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// The page that is being emptied, for the audit.
    pub(super) fn draining(&self) -> Option<PageId> {
        self.drain.map(|drain| drain.page)
    }
}

impl Store {
    /// One step of background work, at most some tens of microseconds: a draining page's next items, the next
    /// chunks of the sweep, the ghost's size, the index's. For one thread, which may sleep as long as the answer says.
    pub fn step(&self, local: &mut Local, now: Now) -> Progress {
        self.arena.tick(&now);
        let now = now.seconds;
        self.nudged.store(false, Ordering::Relaxed);
        let mut mover = self.mover.lock();
        let moving = self.move_step(&mut mover, local, now);
        let sweeping = self.sweep_step(&mut mover.sweep, local, now);
        let growing = self.ghost_step();
        let items = self.totals().curr_items;
        let shrinking = self.index.shrink_step(&mut mover.shrinking, &self.pages, &self.pool, items);
        drop(mover);
        // Between steps another thread may be emptying a page, and this one does not come to a turn's end.
        self.surrender(local);
        let micros = self.sweep_pause_micros();
        if moving || growing || shrinking || sweeping && micros == 0 {
            return Progress::More;
        }
        if sweeping {
            return Progress::MoreAfter { micros };
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

    /// Remembers that a class found nothing, and calls the page mover.
    pub(super) fn mover_wanted(&self, class: ClassId) {
        self.wanted.store(u32::from(class.0) + 1, Ordering::Relaxed);
        self.nudge();
    }

    /// Empties a page for a class right now, in steps, by the calling thread; false when no class could give one.
    #[cold]
    pub(super) fn move_page_to(&self, local: &mut Local, class: ClassId, now: Seconds) -> bool {
        // Who waits for the mover holds nothing that the page being emptied could be waiting for.
        self.surrender(local);
        let mut mover = self.mover.lock();
        for _ in 0..DRIVEN_STEPS_MAX {
            let Some(drain) = mover.drain else {
                if !self.begin_drain(&mut mover, Some(class), local) {
                    return false;
                }
                continue;
            };
            match self.drain_step(&mut mover, local, now) {
                Drained::Empty if drain.to.is_none_or(|to| to == class) => return true,
                // What is still out is in other threads' hands: they need a moment to give it back.
                Drained::Stuck => yield_now(),
                Drained::Empty | Drained::Partly | Drained::GivenUp => {}
            }
        }
        false
    }

    /// A step of the mover's by a thread whose turn evicted: pages keep pace with evictions even where the background
    /// thread hardly gets a core. A look at all classes takes longer than a set, so it is made once in many.
    #[cold]
    pub(super) fn help_mover(&self, local: &mut Local, now: Seconds) {
        let Some(mut mover) = self.mover.try_lock() else { return };
        if mover.drain.is_some() {
            self.drain_step(&mut mover, local, now);
        } else if local.evicted >= EVICTIONS_A_LOOK {
            local.evicted = 0;
            self.move_step(&mut mover, local, now);
        }
    }

    /// Decides on a move or goes on with one; true while there is something to do.
    fn move_step(&self, mover: &mut Mover, local: &mut Local, now: Seconds) -> bool {
        if mover.drain.is_some() {
            self.drain_step(mover, local, now);
            return mover.drain.is_some() || self.pool.missing() > 0;
        }
        if let Some(wanted) = self.wanted.swap(0, Ordering::Relaxed).checked_sub(1) {
            let class = ClassId(u8::try_from(wanted).expect("a class was noted"));
            return self.begin_drain(mover, Some(class), local);
        }
        // Before the first eviction memory is not short, unless its limit was lowered.
        let is_short = self.pool.missing() > 0 && (self.totals().evictions > 0 || self.pool.is_shrinking());
        if self.options.evict && is_short {
            return self.begin_drain(mover, None, local);
        }
        self.upkeep.is_balancing() && self.balance(mover, local)
    }

    /// Compares what classes' memory earns and begins a move from the one that earns least to the one that earns most.
    fn balance(&self, mover: &mut Mover, local: &mut Local) -> bool {
        let evicted = self.totals().evictions;
        if evicted < mover.next_look {
            return false;
        }
        let mut looks: Vec<Look> = self.pages.classes.all().map(|class| self.look(class)).collect();
        let chunks: u64 = looks.iter().map(|look| look.counts.chunks).sum();
        mover.next_look = evicted + (chunks / LOOK_SHARE).max(1);
        self.count_hits(&mut looks);
        Earnings::renew_all(&mut mover.earnings, looks.iter().map(|look| &look.counts));
        let earns = |look: &&Look| mover.earnings[look.class.index()].value;
        let by_earnings = |a: &&Look, b: &&Look| earns(a).total_cmp(&earns(b));
        let best = looks.iter().filter(|look| look.counts.chunks > 0 && !look.has_room).max_by(by_earnings);
        let worst = looks.iter().filter(|look| look.pages > look.pages_min).min_by(by_earnings);
        let (Some(best), Some(worst)) = (best, worst) else { return false };
        if let Some(spare) = looks.iter().filter(|look| look.has_spare_page()).max_by_key(|look| look.free_chunks) {
            return self.begin_drain_of(mover, spare.class, Some(best.class), local);
        }
        // Classes of few pages: after the move the one must not earn less than the other did before.
        let after = |look: &Look, change: f64| earns(&look) * look.pages / (look.pages + change);
        let is_worth_it = earns(&best) > earns(&worst) * EARNINGS_RATIO && after(best, 1.0) > after(worst, -1.0);
        is_worth_it && self.begin_drain_of(mover, worst.class, Some(best.class), local)
    }

    /// Adds up what all threads have counted.
    fn count_hits(&self, looks: &mut [Look]) {
        self.class_counters.for_each(|block| {
            for (look, counters) in looks.iter_mut().zip(block.iter()) {
                look.counts.hits = look.counts.hits.wrapping_add(counters.hits());
            }
        });
    }

    /// All that the class itself knows: its hits are with the threads.
    fn look(&self, class: ClassId) -> Look {
        let state = self.classes[class.index()].lock();
        let per_page = u32::try_from(self.pages.chunks_per_page(class)).expect("pages hold fewer than 2^32 chunks");
        Look {
            class,
            counts: Counts {
                chunks: u64::from(state.pages) * u64::from(per_page),
                hits: 0,
                evicted: state.queues.picked,
                dropped: state.queues.dropped_ever,
                returned: state.queues.returned_ever,
            },
            pages: f64::from(state.pages),
            pages_min: self.pages_min(class),
            free_chunks: u64::from(state.free_chunks),
            has_room: state.free_chunks > per_page / 4,
        }
    }

    /// Pages of a class that count as its last. Large values are worth least by the byte: without room for two of the
    /// largest the one just stored would be gone before it could be read.
    fn pages_min(&self, class: ClassId) -> f64 {
        if self.pages.classes.chunk_bytes(class) < EXTENT_BYTES {
            return 1.0;
        }
        let two_largest = length(2 * self.options.item_bytes_max).min(self.options.limit_bytes / 4);
        ratio(two_largest, length(self.arena.geometry.page_bytes)).max(1.0)
    }

    /// Begins to empty a page for a class or the pool: of the class where it earns least.
    fn begin_drain(&self, mover: &mut Mover, to: Option<ClassId>, local: &mut Local) -> bool {
        let mut donors: Vec<Look> = self.pages.classes.all().map(|class| self.look(class)).collect();
        donors.retain(|donor| donor.counts.chunks > 0 && Some(donor.class) != to);
        let earns = |donor: &Look| mover.earnings[donor.class.index()].value;
        // A class's last pages are the last resort; among equals the one with the most pages gives.
        donors.sort_by(|a, b| {
            let last_resort = (a.pages <= a.pages_min).cmp(&(b.pages <= b.pages_min));
            last_resort.then(earns(a).total_cmp(&earns(b))).then(b.pages.total_cmp(&a.pages))
        });
        donors.into_iter().any(|donor| self.begin_drain_of(mover, donor.class, to, local))
    }

    pub(super) fn begin_drain_of(
        &self,
        mover: &mut Mover,
        class: ClassId,
        to: Option<ClassId>,
        local: &mut Local,
    ) -> bool {
        self.surrender(local);
        let page = {
            let mut state = self.classes[class.index()].lock();
            let Some(page) = state.page_to_give(&self.pages) else { return false };
            state.begin_drain(&self.pages, class, page);
            page
        };
        mover.drain = Some(Drain { page, class, chunk: 0, passes: 0, to });
        local.recorder.record(&Event::Move { from: class.number(), to: to.map_or(0, ClassId::number) });
        // Release: pairs with the load at the end of a turn: who sees the epoch sees the page draining.
        self.drain_epoch.fetch_add(1, Ordering::Release);
        true
    }

    /// Empties some chunks of the draining page; ends the drain when the page is empty or stays stuck.
    pub(super) fn drain_step(&self, mover: &mut Mover, local: &mut Local, now: Seconds) -> Drained {
        let Some(mut drain) = mover.drain else { return Drained::GivenUp };
        let end = self.pages.entry(drain.page).formatted.load(Ordering::Acquire);
        let until = end.min(drain.chunk + self.chunks_a_step(drain.class));
        for number in drain.chunk..until {
            self.empty_chunk(local, drain, self.pages.reference(drain.page, drain.class, number), now);
        }
        drain.chunk = until;
        mover.drain = Some(drain);
        if until < end {
            return Drained::Partly;
        }
        self.surrender(local);
        if self.finish_drain(local, drain) {
            mover.drain = None;
            return Drained::Empty;
        }
        (drain.chunk, drain.passes) = (0, drain.passes + 1);
        mover.drain = Some(drain);
        if drain.passes == 1 {
            // What is still out is with idle threads, or was freed by one that had given back before: all are
            // called again. Release: as in `begin_drain_of`.
            self.drain_epoch.fetch_add(1, Ordering::Release);
            self.call_threads();
        }
        if drain.passes > PASSES_MAX {
            self.classes[drain.class.index()].lock().abandon_drain(&self.pages, drain.class, drain.page);
            mover.drain = None;
            return Drained::GivenUp;
        }
        Drained::Stuck
    }

    fn chunks_a_step(&self, class: ClassId) -> u32 {
        let chunks = BYTES_A_STEP / self.pages.classes.chunk_bytes(class);
        u32::try_from(chunks).map_or(CHUNKS_A_STEP, |chunks| chunks.clamp(1, CHUNKS_A_STEP))
    }

    fn finish_drain(&self, local: &Local, drain: Drain) -> bool {
        if !self.classes[drain.class.index()].lock().finish_drain(&self.pages, drain.page) {
            return false;
        }
        local.counters.pages_moved.bump();
        match drain.to {
            Some(class) => self.classes[class.index()].lock().add_page(&self.pages, class, drain.page),
            None => self.pool.give(&self.arena, drain.page),
        }
        true
    }

    /// Empties one chunk of a draining page: a live item moves, a dead or spent one goes, and so does one that finds no
    /// chunk.
    fn empty_chunk(&self, local: &mut Local, drain: Drain, reference: Ref, now: Seconds) {
        let (hash, head, is_kept) = {
            let guard = self.classes[drain.class.index()].lock();
            let chunk = self.pages.chunk(reference);
            match chunk.key_len() {
                0 => return,
                PART => {
                    let (head, hash) = chunk.part_owner();
                    (hash, head, true)
                }
                _ => {
                    let costs_another = guard.free_chunks == 0 && !self.pool.has_more();
                    let is_spent = costs_another && is_spent(chunk.state());
                    let is_kept = !self.looks_dead(&guard, chunk, now) && !is_spent;
                    (self.index.hash(chunk.key(&*guard)), reference, is_kept)
                }
            }
        };
        let is_part = head != reference;
        let is_moved = is_kept
            && if is_part {
                self.move_part(local, hash, head, reference, now)
            } else {
                self.move_item(local, hash, reference, now)
            };
        if is_moved {
            local.counters.page_move_rescues.bump();
        } else if self.evict(local, Victim { reference: head, hash, cas: None, reason: Reason::Forced }, now) {
            local.counters.page_move_evictions.bump();
        }
    }

    /// Copies a small item to another chunk of its class; false when there is none or it changed meanwhile.
    fn move_item(&self, local: &mut Local, hash: u64, reference: Ref, now: Seconds) -> bool {
        let class = self.class_of(reference);
        let Some(target) = self.take_chunk(local, class, now, Effort::Rescue) else { return false };
        let moved = self.commit_move(local, hash, reference, target, now);
        if !moved {
            self.keep_chunk(local, target);
        }
        moved
    }

    fn commit_move(&self, local: &mut Local, hash: u64, reference: Ref, target: Ref, now: Seconds) -> bool {
        let stripe = &mut self.index.lock(hash);
        let Some(slot) = stripe.find_reference(hash, reference) else { return false };
        let chunk = self.pages.chunk(reference);
        if chunk.is_large() || self.why_dead(stripe, chunk, now).is_some() {
            return false;
        }
        let copy = self.pages.chunk(target);
        chunk.copy_to(&*stripe.state, copy);
        copy.publish(chunk.key_len());
        stripe.replace(slot, target);
        self.count_stored(local, target);
        self.let_go(local, reference);
        self.note_expiry(target, copy.expiry());
        if !copy.is_main() {
            local.committed(self.class_of(target), target, false);
        }
        true
    }

    /// Copies a part of a large item that nobody is reading, if its head names it; false when that cannot be done.
    fn move_part(&self, local: &mut Local, hash: u64, head: Ref, part: Ref, now: Seconds) -> bool {
        let class = self.class_of(part);
        let Some(target) = self.take_chunk(local, class, now, Effort::Rescue) else { return false };
        let moved = self.commit_part_move(local, hash, head, part, target, now);
        if !moved {
            self.keep_chunk(local, target);
        }
        moved
    }

    fn commit_part_move(&self, local: &mut Local, hash: u64, head: Ref, part: Ref, target: Ref, now: Seconds) -> bool {
        let stripe = self.index.lock(hash);
        if stripe.find_reference(hash, head).is_none() || self.pages.chunk(head).pins() > 1 {
            return false;
        }
        // What is dead goes: moved, it could take the page that its move was to give back, again and again.
        if self.why_dead(&stripe, self.pages.chunk(head), now).is_some() {
            return false;
        }
        let (head, chunk) = (self.pages.chunk(head), self.pages.chunk(part));
        let slot = shape_of(head).head_slot_of(chunk.part_number());
        let Some(slot) = slot.filter(|slot| head.is_large() && head.slot(*slot) == part) else { return false };
        chunk.copy_part_to(self.pages.chunk(target), self.pages.classes.chunk_bytes(self.class_of(part)));
        head.set_slot(slot, target);
        chunk.retire();
        local.free(self.class_of(part), part);
        true
    }
}

/// Whether the hand, which is about to come to this page, would evict the item: where a move costs the class another
/// item, this one goes. One in the small queue moves even if nobody has asked for it yet: it may just have come.
fn is_spent(bits: u8) -> bool {
    bits & state::MAIN != 0 && bits & state::FREQUENCY == 0
}
