//! The sweep: memory of expired and flushed items is found page by page in memory order, so that it is there
//! before anything alive has to be evicted for it.
//!
//! A page whose earliest expiry lies ahead is skipped. Items are picked under the class's lock and removed under
//! their stripe's, like victims of an eviction.

use super::reserve::{PARTS_A_TURN, STEPS_WITHOUT_CHOICE_MAX};
use crate::store::bytes::layout::u64_of;
use crate::store::bytes::state;
use crate::store::evict::{Reason, Victim};
use crate::store::local::Local;
use crate::store::memory::classes::ClassId;
use crate::store::memory::page::{NEVER, PageId};
use crate::store::policy::sweep::{Looked, Sweep};
use crate::store::shared::Store;
use crate::sync::Ordering;
use crate::telemetry::watch::Event;
use crate::time::{Expiry, Seconds};

/// Chunks looked at in one step: some 25 microseconds of them when all are dead, twice that with twice as many.
const CHUNKS_A_STEP: u32 = 128;
/// Steps that a thread in need of memory makes for a chunk: some 6 ms.
const DRIVEN_STEPS_MAX: usize = 256;
/// Who could evict instead leaves it at so many in a row that find hardly anything: fewer than this part of the items
/// that they look at is dead.
const FRUITLESS_STEPS_MAX: usize = 16;
const FRUITFUL_SHARE: u64 = 16;
/// Pages passed over in one step, when none is due.
const PAGES_A_STEP: u32 = 1024;
/// Flushed items are misses at once; their memory is swept after so long, or taken earlier by whoever needs it.
const FLUSH_GRACE_SECONDS: u32 = 2;
/// Stripes that see a flush in one step: all 4096 at once take 100 microseconds.
const STRIPES_A_STEP: usize = 256;

impl Store {
    /// One step of the sweep; true while the pass goes on.
    pub(crate) fn sweep_step(&self, sweep: &mut Sweep, local: &mut Local, now: Seconds) -> bool {
        if self.tell_stripes(sweep) {
            return true;
        }
        if sweep.page == 0 && sweep.chunk == 0 && !sweep.is_whole {
            let flush_is_due = self.flush_is_due(sweep, now);
            let whole_is_due = sweep.whole_is_due(now) || flush_is_due;
            (sweep.asked, sweep.times_asked) = self.settings.take_asked();
            let is_wanted = self.settings.is_sweeping() && (sweep.begun != Some(now) || !sweep.asked.is_empty());
            if !whole_is_due && !is_wanted {
                self.settings.note_answered(sweep.times_asked);
                return false;
            }
            self.begin_pass(sweep, now, flush_is_due);
            if whole_is_due {
                (sweep.is_whole, sweep.whole_begun) = (true, Some(now));
            }
            if flush_is_due {
                return true;
            }
        } else if !sweep.is_whole && !self.settings.is_sweeping() {
            self.leave_due(sweep);
            (sweep.page, sweep.chunk) = (0, 0);
            return false;
        }
        if self.sweep_next(sweep, local, now).is_some() {
            return true;
        }
        self.end_pass(sweep, local, now);
        false
    }

    /// Looks at some chunks of the next page that is due: what that came to, and nothing at the pass's end.
    fn sweep_next(&self, sweep: &mut Sweep, local: &mut Local, now: Seconds) -> Option<Looked> {
        for _ in 0..PAGES_A_STEP {
            if PageId(sweep.page).index() >= self.pool.pages_used() {
                return None;
            }
            if self.is_due(sweep, now) {
                return Some(self.sweep_chunks(sweep, local, now));
            }
            (sweep.page, sweep.chunk) = (sweep.page + 1, 0);
        }
        Some(Looked::default())
    }

    /// Takes memory of flushed and expired items back for a thread that needs some now; false when none was found in
    /// the steps that it makes. `class`: whose chunks will do as well as a page.
    #[cold]
    pub(crate) fn drive_sweep(&self, local: &mut Local, class: Option<ClassId>, now: Seconds) -> bool {
        if self.index.any_flushed() {
            return self.drive_flush(local, class, now);
        }
        // A pass of its own: the background thread may have lost its core, with the mover's lock in hand.
        let mut sweep = std::mem::take(&mut local.sweep);
        let found = self.drive_expired(&mut sweep, local, class, now);
        self.leave_due(&sweep);
        local.sweep = sweep;
        found
    }

    /// What was flushed takes the one pass that ends the flush.
    fn drive_flush(&self, local: &mut Local, class: Option<ClassId>, now: Seconds) -> bool {
        let steps_max = if self.options.evict { DRIVEN_STEPS_MAX } else { STEPS_WITHOUT_CHOICE_MAX };
        for _ in 0..steps_max {
            if !self.index.any_flushed() {
                return false;
            }
            let mut mover = self.mover.lock();
            // Somebody needs it: nobody waits for who would like to hear that something was flushed.
            mover.sweep.flush_seen = Some(Seconds(0));
            let goes_on = self.sweep_step(&mut mover.sweep, local, now);
            self.give_swept(local);
            drop(mover);
            if self.has_enough(class) {
                return true;
            }
            if !goes_on {
                return false;
            }
        }
        false
    }

    /// Goes on as long as that pays. Who may not evict has nothing else, and what is due may be a little everywhere.
    fn drive_expired(&self, sweep: &mut Sweep, local: &mut Local, class: Option<ClassId>, now: Seconds) -> bool {
        let fruitless_max = if self.options.evict { FRUITLESS_STEPS_MAX } else { DRIVEN_STEPS_MAX };
        let mut fruitless = 0;
        for _ in 0..DRIVEN_STEPS_MAX {
            if fruitless == fruitless_max || !self.sweep_lags(now) {
                return false;
            }
            if sweep.begun.is_none() {
                self.begin_pass(sweep, now, false);
            }
            let looked = self.sweep_next(sweep, local, now).unwrap_or_else(|| {
                self.end_driven_pass(sweep);
                Looked::default()
            });
            let is_fruitful = looked.reclaimed > looked.examined / FRUITFUL_SHARE;
            fruitless = if is_fruitful { 0 } else { fruitless + 1 };
            self.give_swept(local);
            if self.has_enough(class) {
                return true;
            }
        }
        false
    }

    fn end_driven_pass(&self, sweep: &mut Sweep) {
        let begun = sweep.begun.take().map_or(0, |begun| begun.0);
        self.swept.fetch_max(begun, Ordering::Relaxed);
        (sweep.page, sweep.chunk) = (0, 0);
    }

    /// Gives what a thread has swept to the classes.
    fn give_swept(&self, local: &mut Local) {
        self.free_parts(local, PARTS_A_TURN);
        self.hand_in_all(local, false);
    }

    /// Whether who needed memory has some now: a page, or a chunk of this class.
    fn has_enough(&self, class: Option<ClassId>) -> bool {
        self.pool.has_more()
            || !self.options.evict && self.pool.available() > 0
            || class.is_some_and(|class| self.classes[class.index()].lock().list.free_chunks > 0)
    }

    /// Whether the sweep has not come everywhere since this second began: something may have expired unseen.
    pub(crate) fn sweep_lags(&self, now: Seconds) -> bool {
        // Relaxed: a hint.
        self.settings.is_sweeping() && self.swept.load(Ordering::Relaxed) < now.0
    }

    /// Whether flushed items are to be swept: a little later, so that who asks for one right after a `flush_all`
    /// hears that it was flushed.
    fn flush_is_due(&self, sweep: &mut Sweep, now: Seconds) -> bool {
        if !self.index.any_flushed() {
            sweep.flush_seen = None;
            return false;
        }
        let seen = *sweep.flush_seen.get_or_insert(now);
        now.0.saturating_sub(seen.0) >= FLUSH_GRACE_SECONDS
    }

    fn begin_pass(&self, sweep: &mut Sweep, now: Seconds, flush_is_due: bool) {
        sweep.begun = Some(now);
        sweep.looks.clear();
        sweep.looks.resize(self.classes.len(), Looked::default());
        sweep.flush = self.index.pending_flush().filter(|_| flush_is_due);
        sweep.stripes_told = 0;
    }

    /// Has some stripes see what was flushed, before a pass for it looks at its first item; false when all have, or it
    /// is no such pass.
    fn tell_stripes(&self, sweep: &mut Sweep) -> bool {
        let first = sweep.stripes_told;
        if sweep.flush.is_none() || first >= self.index.stripe_count() {
            return false;
        }
        sweep.stripes_told = self.index.stripe_count().min(first + STRIPES_A_STEP);
        (first..sweep.stripes_told).for_each(|stripe| self.index.see_flushes(stripe));
        true
    }

    /// Ends what the pass was for.
    fn end_pass(&self, sweep: &mut Sweep, local: &mut Local, now: Seconds) {
        if let Some(flush) = sweep.flush.take() {
            self.index.end_flush(flush);
        }
        // What was flushed while the pass was under way takes another.
        sweep.is_whole = false;
        self.swept.fetch_max(sweep.begun.map_or(0, |begun| begun.0), Ordering::Relaxed);
        self.report_pass(sweep, local, now);
        // Who asked for the pass finds its chunks free.
        self.surrender(local);
        self.settings.note_answered(sweep.times_asked);
        (sweep.page, sweep.chunk) = (0, 0);
    }

    fn is_due(&self, sweep: &Sweep, now: Seconds) -> bool {
        let entry = self.pages.entry(PageId(sweep.page));
        let Some(class) = entry.class() else { return false };
        if sweep.chunk > 0 || sweep.is_whole {
            return true;
        }
        (sweep.asked.has(class) || entry.earliest_expiry() <= now.0) && self.items_left(sweep, class) > 0
    }

    /// How many items of a class this pass may still look at. What a `flush_all` left behind is looked for everywhere:
    /// its marks last until then.
    fn items_left(&self, sweep: &Sweep, class: ClassId) -> u64 {
        if sweep.is_whole {
            return u64::MAX;
        }
        u64::from(self.settings.sweep_items_max()).saturating_sub(sweep.looks[class.index()].examined)
    }

    /// Leaves the page in turn before its end: the next pass looks into it again.
    fn leave_due(&self, sweep: &Sweep) {
        if sweep.chunk > 0 {
            self.pages.entry(PageId(sweep.page)).lower_expiry(0);
        }
    }

    /// Looks at some chunks of the page in turn and removes the dead among them.
    fn sweep_chunks(&self, sweep: &mut Sweep, local: &mut Local, now: Seconds) -> Looked {
        let page = PageId(sweep.page);
        let entry = self.pages.entry(page);
        let Some(class) = entry.class() else {
            (sweep.page, sweep.chunk) = (sweep.page + 1, 0);
            return Looked::default();
        };
        if sweep.chunk == 0 {
            entry.begin_sweep();
            sweep.earliest = NEVER;
        }
        let (mut dead, mut checked) = (Vec::new(), 0);
        let done = self.look_at_chunks(sweep, class, now, &mut dead, &mut checked);
        local.counters.sweep_items_checked.add(checked);
        local.class(class).crawler_items_checked.add(checked);
        let reclaimed = dead.into_iter().filter(|victim| self.evict(local, *victim, now)).count();
        let looked = Looked { examined: checked, reclaimed: u64_of(reclaimed) };
        sweep.looks[class.index()].add(looked);
        if done {
            entry.lower_expiry(sweep.earliest);
        } else if self.items_left(sweep, class) == 0 {
            self.leave_due(sweep);
        } else {
            return looked;
        }
        (sweep.page, sweep.chunk) = (sweep.page + 1, 0);
        looked
    }

    /// Picks dead items under the class's lock and counts all; true at the page's end.
    fn look_at_chunks(
        &self,
        sweep: &mut Sweep,
        class: ClassId,
        now: Seconds,
        dead: &mut Vec<Victim>,
        checked: &mut u64,
    ) -> bool {
        let guard = self.classes[class.index()].lock();
        let page = PageId(sweep.page);
        let entry = self.pages.entry(page);
        if entry.class() != Some(class) {
            return true;
        }
        let end = entry.formatted.load(Ordering::Acquire);
        let until = end.min(sweep.chunk + CHUNKS_A_STEP);
        let left = self.items_left(sweep, class);
        for number in sweep.chunk..until {
            if *checked == left {
                sweep.chunk = number;
                return false;
            }
            let reference = self.pages.reference(page, class, number);
            let chunk = self.pages.chunk(reference);
            if !chunk.is_item() {
                continue;
            }
            *checked += 1;
            if self.index.looks_dead(&*guard, chunk, now) {
                let hash = self.index.hash(chunk.key(&*guard));
                dead.push(Victim { reference, hash, cas: Some(chunk.cas()), reason: Reason::Swept });
                continue;
            }
            chunk.hold_access(now);
            if chunk.state() & state::HAS_EXPTIME != 0
                && let Expiry::At(deadline) = chunk.expiry()
            {
                sweep.earliest = sweep.earliest.min(deadline.0);
            }
        }
        sweep.chunk = until;
        until == end
    }

    /// Says what a pass has come to, by the numbers that clients know classes by, where anything was looked at.
    fn report_pass(&self, sweep: &Sweep, local: &Local, now: Seconds) {
        if sweep.looks.iter().any(|looked| looked.examined > 0) {
            local.counters.sweep_passes.bump();
        }
        let elapsed = sweep.begun.map_or(0, |begun| now.0.saturating_sub(begun.0));
        let looks: Vec<(ClassId, &Looked)> = self.pages.classes.all().zip(&sweep.looks).collect();
        let number = |class: ClassId| self.pages.classes.number(class);
        for looks in looks.chunk_by(|(one, _), (next, _)| number(*one) == number(*next)) {
            let examined: u64 = looks.iter().map(|(_, looked)| looked.examined).sum();
            let reclaimed = looks.iter().map(|(_, looked)| looked.reclaimed).sum();
            if examined > 0 {
                local.recorder.record(&Event::Sweep { class: number(looks[0].0), elapsed, examined, reclaimed });
            }
        }
    }
}
