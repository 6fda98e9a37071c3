//! Chunks for new items: a thread's own magazines, and where they are filled from.
//!
//! A set takes its chunk from the magazine of its class and touches no lock for it. An empty magazine is
//! refilled under the class's lock from free chunks, else from a page of the pool, else by evicting from the
//! class, else from the next larger class that has something, else by emptying a page of another class.

use crossbeam::utils::CachePadded;

use super::evict::{Means, Pick, Reason, Surroundings, Victim};
use super::item::{Chunk, Ref, state};
use super::report::ClassCounters;
use super::sizes::Sizes;
use super::slab::ClassState;
use super::slab::classes::{ClassId, EXTENT_BYTES};
use super::slab::pool::Asker;
use super::table::LockedStripe;
use super::{Miss, Store};
use crate::sync::{Arc, Ordering};
use crate::telemetry::StoreCounters;
use crate::telemetry::watch::{Event, Kinds, Recorder};
use crate::time::Seconds;

/// Most chunks a magazine holds.
const MAGAZINE_CHUNKS_MAX: usize = 32;
/// Frees a thread collects before it hands them in at the end of a turn.
const FREES_MAX: usize = 32;
/// A class evicts at most this part of its chunks at a time: of ninety small classes each would else keep half a
/// magazine of free chunks, a fiftieth of a small memory.
const EVICTED_SHARE: usize = 128;
/// Rounds of eviction before a class counts as having nothing to give.
const ROUNDS_MAX: usize = 64;

/// A thread's own part of the store: chunks in hand, frees to hand in, counters.
#[derive(Debug)]
pub struct Local {
    pub(super) counters: Arc<CachePadded<StoreCounters>>,
    pub(super) class_counters: Arc<CachePadded<Vec<ClassCounters>>>,
    /// Items by their size, with `track_sizes`.
    pub(super) sizes: Option<Arc<CachePadded<Sizes>>>,
    magazines: Vec<Magazine>,
    /// Bytes of the chunks in all magazines.
    held_bytes: usize,
    /// Chunks to hand in, over all classes.
    frees: usize,
    /// The last drain this thread has answered.
    drain_epoch: u32,
    /// This turn evicted something, in this second: it makes a step of the page mover's.
    evicted_in: Option<Seconds>,
    /// Items picked to be evicted since this thread looked for a page to move.
    pub(super) evicted: usize,
    victims: Vec<Victim>,
    /// Where it says what happens, for who watches.
    pub(super) recorder: Recorder,
}

/// What a thread has of one class.
#[derive(Debug, Default)]
struct Magazine {
    /// Free chunks, ready for new items.
    chunks: Vec<Ref>,
    /// Chunks whose items are gone.
    frees: Vec<Ref>,
    /// New items for the small queue's ring.
    committed: Vec<Ref>,
    /// New items that the ghost knew.
    ghost_hits: u32,
}

/// How far to go for a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Empties a page of another class if nothing else helps.
    Everything,
    /// Leaves that to the page mover.
    NoPageMove,
    /// For an item on a page that is being emptied: the class's own chunks, or a page that nobody needs more. The
    /// pool's reserve would be short of the very page that the move is to bring it, and so again for ever.
    Rescue,
}

impl Local {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            counters: store.counters.register(),
            class_counters: store
                .class_counters
                .register_with(|| store.pages.classes.all().map(|_| ClassCounters::default()).collect()),
            sizes: (store.options.track_sizes)
                .then(|| store.sizes.register_with(|| Sizes::new(store.options.item_bytes_max))),
            magazines: store.pages.classes.all().map(|_| Magazine::default()).collect(),
            held_bytes: 0,
            frees: 0,
            drain_epoch: 0,
            evicted_in: None,
            evicted: 0,
            victims: Vec::with_capacity(MAGAZINE_CHUNKS_MAX),
            recorder: Recorder::off(),
        }
    }

    /// Gives it a way to say what happens.
    pub fn set_recorder(&mut self, recorder: Recorder) {
        self.recorder = recorder;
    }

    /// Where it says what happens.
    #[must_use]
    #[inline]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The same, to tell it of a turn or a client.
    #[inline]
    pub fn recorder_mut(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// The counters of a class.
    #[inline]
    pub(super) fn class(&self, class: ClassId) -> &ClassCounters {
        &self.class_counters[class.index()]
    }

    /// Collects a chunk whose item is gone.
    pub(super) fn free(&mut self, class: ClassId, reference: Ref) {
        self.magazines[class.index()].frees.push(reference);
        self.frees += 1;
    }

    /// Notes a committed new item: its class's ring will hear of it.
    #[inline]
    pub(super) fn committed(&mut self, class: ClassId, reference: Ref, ghost_hit: bool) {
        let magazine = &mut self.magazines[class.index()];
        if ghost_hit {
            magazine.ghost_hits += 1;
        } else {
            magazine.committed.push(reference);
        }
    }
}

impl Store {
    /// A free chunk of the class, or of a larger one.
    #[inline]
    pub(super) fn take_chunk(&self, local: &mut Local, class: ClassId, now: Seconds, effort: Effort) -> Option<Ref> {
        match self.chunk_in_hand(local, class) {
            Some(reference) => Some(reference),
            None => self.refill(local, class, now, effort),
        }
    }

    /// A chunk out of the thread's magazine: no lock is taken for it.
    #[inline]
    pub(super) fn chunk_in_hand(&self, local: &mut Local, class: ClassId) -> Option<Ref> {
        let reference = local.magazines[class.index()].chunks.pop()?;
        local.held_bytes -= self.pages.classes.chunk_bytes(class);
        Some(reference)
    }

    /// Puts a chunk that was not used back.
    pub(super) fn keep_chunk(&self, local: &mut Local, reference: Ref) {
        let class = self.class_of(reference);
        local.magazines[class.index()].chunks.push(reference);
        local.held_bytes += self.pages.classes.chunk_bytes(class);
    }

    /// Takes a chunk of the class in place of a spare one that turned out not to fit; false when there is none.
    pub(super) fn exchange_spare(
        &self,
        local: &mut Local,
        spare: &mut Option<Ref>,
        class: ClassId,
        now: Seconds,
    ) -> bool {
        if let Some(unfit) = spare.take() {
            self.keep_chunk(local, unfit);
        }
        *spare = self.take_chunk(local, class, now, Effort::Everything);
        spare.is_some()
    }

    /// The class of a chunk somebody holds: its page cannot leave the class meanwhile.
    #[inline(always)]
    pub(super) fn class_of(&self, reference: Ref) -> ClassId {
        self.pages.class_of(reference).expect("a chunk that is held lies in a page of a class")
    }

    #[cold]
    fn refill(&self, local: &mut Local, class: ClassId, now: Seconds, effort: Effort) -> Option<Ref> {
        for _ in 0..ROUNDS_MAX {
            if let Some(reference) = self.fill_magazine(local, class, Asker::Growing) {
                return Some(reference);
            }
            if self.options.evict && self.evict_from(local, class, self.magazine_chunks(class), now) == Pick::Progress {
                continue;
            }
            if self.options.evict && effort == Effort::Rescue {
                return None;
            }
            if let Some(reference) = self.fill_magazine(local, class, Asker::Destitute) {
                return Some(reference);
            }
            match self.take_larger(local, class, now) {
                Larger::Chunk(reference) => return Some(reference),
                Larger::Evicted => continue,
                Larger::Nothing => {}
            }
            if !self.options.evict || effort != Effort::Everything || !self.move_page_to(local, class, now) {
                break;
            }
        }
        if self.options.evict {
            self.mover_wanted(class);
        }
        None
    }

    /// Takes chunks of the class into the magazine, as many as it may hold, without evicting; returns one.
    fn fill_magazine(&self, local: &mut Local, class: ClassId, asker: Asker) -> Option<Ref> {
        let mut state = self.classes[class.index()].lock();
        self.hand_in(local, class, &mut state);
        if state.free_chunks == 0 {
            let page = self.pool.take(&self.arena, asker)?;
            state.add_page(&self.pages, class, page);
        }
        let chunk_bytes = self.pages.classes.chunk_bytes(class);
        let first = state.take(&self.pages)?;
        let share = usize::try_from(state.pages).expect("32 bits fit") * self.pages.chunks_per_page(class)
            / (8 * self.options.workers.max(1));
        let room = self.held_bytes_max().saturating_sub(local.held_bytes) / chunk_bytes;
        for _ in 1..self.magazine_chunks(class).min(share).min(room) {
            let Some(reference) = state.take(&self.pages) else { break };
            local.magazines[class.index()].chunks.push(reference);
            local.held_bytes += chunk_bytes;
        }
        Some(first)
    }

    /// What all magazines of one thread may hold together: a hundredth of `-m` over all threads.
    fn held_bytes_max(&self) -> usize {
        usize::try_from(self.options.limit_bytes / 100).unwrap_or(usize::MAX) / self.options.workers.max(1)
    }

    fn magazine_chunks(&self, class: ClassId) -> usize {
        (EXTENT_BYTES / self.pages.classes.chunk_bytes(class)).clamp(1, MAGAZINE_CHUNKS_MAX)
    }

    /// Gives the class what the thread has for it: freed chunks, new items for the ring, ghost hits.
    fn hand_in(&self, local: &mut Local, class: ClassId, state: &mut ClassState) {
        let means = Means { arena: &self.arena, pool: &self.pool, pages: &self.pages, blocks: &self.blocks };
        let magazine = &mut local.magazines[class.index()];
        local.frees -= magazine.frees.len();
        for reference in magazine.frees.drain(..) {
            state.give(&self.pages, reference);
        }
        for reference in magazine.committed.drain(..) {
            state.push_small(&means, class, reference);
        }
        state.queues.note_ghost_hits(std::mem::take(&mut magazine.ghost_hits));
    }

    /// Evicts up to `wanted` items of a class.
    fn evict_from(&self, local: &mut Local, class: ClassId, wanted: usize, now: Seconds) -> Pick {
        let around = Surroundings { pages: &self.pages, blocks: &self.blocks, index: &self.index, now };
        let mut victims = std::mem::take(&mut local.victims);
        let pick = {
            let mut state = self.classes[class.index()].lock();
            self.hand_in(local, class, &mut state);
            let chunks = usize::try_from(state.pages).expect("32 bits fit") * self.pages.chunks_per_page(class);
            state.pick(&around, class, wanted.min(chunks / EVICTED_SHARE).max(1), &mut victims)
        };
        local.evicted += victims.len();
        for victim in victims.drain(..) {
            self.evict(local, victim, now);
        }
        local.victims = victims;
        local.evicted_in = Some(now);
        self.nudge();
        pick
    }

    /// Evicts one picked item, if it still is what it was picked for.
    pub(super) fn evict(&self, local: &mut Local, victim: Victim, now: Seconds) -> bool {
        let mut stripe = self.index.lock(victim.hash);
        let Some(slot) = stripe.find_reference(victim.hash, victim.reference) else { return false };
        let chunk = self.pages.chunk(victim.reference);
        if victim.cas.is_some_and(|picked| picked != chunk.cas()) {
            return false;
        }
        let dead = self.why_dead(&stripe, chunk, now);
        let is_spared = match victim.reason {
            Reason::Dead | Reason::Swept => true,
            Reason::Small | Reason::Main => chunk.state() & state::FREQUENCY != 0,
            // One that is being read gives no memory back: its page is left to its readers.
            Reason::Forced => chunk.is_large() && chunk.pins() > 1,
        };
        if dead.is_none() && is_spared {
            return false;
        }
        stripe.remove(victim.hash, slot);
        match dead {
            Some(_) => self.count_reclaimed(local, victim, chunk),
            None => self.count_evicted(local, &stripe, victim.reference, now),
        }
        self.let_go(local, victim.reference);
        drop(stripe);
        if victim.reason == Reason::Small && dead.is_none() {
            self.ghost.insert(victim.hash);
        }
        true
    }

    /// Why an item is as good as gone, if it is.
    #[inline(always)]
    pub(super) fn why_dead(&self, stripe: &LockedStripe<'_>, chunk: Chunk<'_>, now: Seconds) -> Option<Miss> {
        if stripe.is_flushed(chunk.cas()) {
            return Some(Miss::Flushed);
        }
        chunk.expiry().has_passed(now).then_some(Miss::Expired)
    }

    fn count_reclaimed(&self, local: &Local, victim: Victim, chunk: Chunk<'_>) {
        let class = local.class(self.class_of(victim.reference));
        if victim.reason == Reason::Swept {
            local.counters.sweep_reclaimed.bump();
            class.crawler_reclaimed.bump();
        } else {
            local.counters.reclaimed.bump();
            class.reclaimed.bump();
        }
        if chunk.state() & state::FETCHED == 0 {
            local.counters.expired_unfetched.bump();
            class.expired_unfetched.bump();
        }
    }

    pub(super) fn count_evicted(&self, local: &Local, stripe: &LockedStripe<'_>, reference: Ref, now: Seconds) {
        let chunk = self.pages.chunk(reference);
        let class = local.class(self.class_of(reference));
        let bits = chunk.state();
        local.counters.evictions.bump();
        class.evicted.bump();
        if bits & state::FETCHED == 0 {
            local.counters.evicted_unfetched.bump();
            class.evicted_unfetched.bump();
        }
        if bits & state::HAS_EXPTIME != 0 && chunk.expiry() != crate::time::Expiry::Never {
            local.counters.evicted_nonzero.bump();
            class.evicted_nonzero.bump();
        }
        class.last_evicted_age.set(u64::from(super::item::access_of(now).wrapping_sub(chunk.access())));
        if local.recorder.is_watched(Kinds::EVICTIONS) {
            local.recorder.record(&Event::Evict {
                key: chunk.key(&*stripe.state),
                was_fetched: bits & state::FETCHED != 0,
                ttl: chunk.expiry().seconds_left(now),
                idle: u32::from(super::item::access_of(now).wrapping_sub(chunk.access())),
                class: self.class_of(reference).number(),
                size: u64::try_from(chunk.value_len()).unwrap_or(u64::MAX),
            });
        }
    }

    /// A larger class's free chunk, or the eviction of one of its items.
    fn take_larger(&self, local: &mut Local, class: ClassId, now: Seconds) -> Larger {
        for larger in self.pages.classes.all().skip(class.index() + 1) {
            let taken = {
                let mut state = self.classes[larger.index()].lock();
                self.hand_in(local, larger, &mut state);
                state.take(&self.pages)
            };
            if let Some(reference) = taken {
                return Larger::Chunk(reference);
            }
            if self.options.evict && self.evict_from(local, larger, 1, now) == Pick::Progress {
                return Larger::Evicted;
            }
        }
        Larger::Nothing
    }

    /// Ends a thread's turn: frees are handed in by the batch, and while a page is being emptied everything
    /// the thread holds goes back.
    pub fn end_turn(&self, local: &mut Local) {
        // Acquire: pairs with the mover's Release: the page is draining for whoever sees its epoch.
        let epoch = self.drain_epoch.load(Ordering::Acquire);
        if local.frees >= FREES_MAX || epoch != local.drain_epoch {
            self.hand_in_all(local, epoch != local.drain_epoch);
            local.drain_epoch = epoch;
        }
        if let Some(now) = local.evicted_in {
            self.help_mover(local, now);
            // What the step itself evicted asks for no other.
            local.evicted_in = None;
        }
    }

    /// Gives back everything a thread holds.
    pub fn surrender(&self, local: &mut Local) {
        self.hand_in_all(local, true);
    }

    fn hand_in_all(&self, local: &mut Local, with_magazines: bool) {
        for class in self.pages.classes.all() {
            let magazine = &mut local.magazines[class.index()];
            if with_magazines {
                local.held_bytes -= magazine.chunks.len() * self.pages.classes.chunk_bytes(class);
                local.frees += magazine.chunks.len();
                magazine.frees.append(&mut magazine.chunks);
            }
            if !magazine.frees.is_empty() {
                let mut state = self.classes[class.index()].lock();
                self.hand_in(local, class, &mut state);
            }
        }
    }
}

/// What the larger classes had to give.
enum Larger {
    Chunk(Ref),
    Evicted,
    Nothing,
}
