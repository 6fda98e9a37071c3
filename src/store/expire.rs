//! The sweep: memory of expired and flushed items is found page by page in memory order, so that it is there
//! before anything alive has to be evicted for it.
//!
//! A page whose earliest expiry lies ahead is skipped. Items are picked under the class's lock and removed under
//! their stripe's, like victims of an eviction.

use super::evict::{Reason, Victim};
use super::item::{Chunk, Ref, state};
use super::reserve::Local;
use super::slab::classes::ClassId;
use super::slab::page::{NEVER, PageId, Pages};
use super::walk::ClassSet;
use super::{ClassLock, Store};
use crate::sync::Ordering;
use crate::telemetry::watch::Event;
use crate::time::{Expiry, Seconds};

/// Chunks looked at in one step: some 25 microseconds of them when all are dead, twice that with twice as many.
const CHUNKS_A_STEP: u32 = 128;
/// Pages passed over in one step, when none is due.
const PAGES_A_STEP: u32 = 1024;
/// Flushed items are misses at once; their memory is swept after so long, or taken earlier by whoever needs it.
const FLUSH_GRACE_SECONDS: u32 = 2;
/// Stripes whose marks are read or ended in one step: all 4096 at once take 100 microseconds.
const STRIPES_A_STEP: usize = 256;

/// Where the sweep is. Guarded by the mover's lock: background work is done by one thread at a time.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    page: u32,
    chunk: u32,
    /// The earliest deadline left behind in the page so far.
    earliest: u32,
    /// The pass began while something was flushed: it looks into every page, and ends these marks.
    flush_marks: Option<Vec<(usize, u32)>>,
    /// Stripes whose marks are among them.
    stripes_read: usize,
    /// Classes that somebody asked to be swept: all their pages are looked into.
    asked: ClassSet,
    /// The last second a pass was begun in.
    begun: Option<Seconds>,
    /// The second in which something flushed was first seen.
    flush_seen: Option<Seconds>,
    /// What the pass has come to so far, by class.
    looks: Vec<Looked>,
}

impl Sweep {
    /// No item in this chunk expires before this second, for the audit. In the page in turn the table knows of commits
    /// alone: the sweep keeps what it has seen until the page's end, and has yet to see the rest.
    pub(super) fn earliest_expiry(&self, pages: &Pages, class: ClassId, reference: Ref) -> u32 {
        let page = pages.page_of(reference);
        let committed = pages.entry(page).earliest_expiry();
        if page != PageId(self.page) || self.chunk == 0 {
            return committed;
        }
        let chunks = u32::try_from(pages.chunks_per_page(class)).expect("pages hold fewer than 2^32 chunks");
        let is_seen = (0..self.chunk.min(chunks)).any(|chunk| pages.reference(page, class, chunk) == reference);
        if is_seen { committed.min(self.earliest) } else { 0 }
    }
}

/// What a pass has come to in a class.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    examined: u64,
    reclaimed: u64,
}

impl Store {
    /// One step of the sweep; true while the pass goes on.
    pub(super) fn sweep_step(&self, sweep: &mut Sweep, local: &mut Local, now: Seconds) -> bool {
        if self.read_marks(sweep) {
            return true;
        }
        if sweep.page == 0 && sweep.chunk == 0 && sweep.flush_marks.is_none() {
            let flush_is_due = self.flush_is_due(sweep, now);
            sweep.asked = self.upkeep.take_asked();
            let is_wanted = self.upkeep.is_sweeping() && (sweep.begun != Some(now) || !sweep.asked.is_empty());
            if !flush_is_due && !is_wanted {
                return false;
            }
            self.begin_pass(sweep, now, flush_is_due);
            if flush_is_due {
                return true;
            }
        } else if sweep.flush_marks.is_none() && !self.upkeep.is_sweeping() {
            self.leave_due(sweep);
            (sweep.page, sweep.chunk) = (0, 0);
            return false;
        }
        for _ in 0..PAGES_A_STEP {
            if PageId(sweep.page).index() >= self.pool.pages_used() {
                return self.end_pass(sweep, local, now);
            }
            if self.is_due(sweep, now) {
                self.sweep_chunks(sweep, local, now);
                return true;
            }
            (sweep.page, sweep.chunk) = (sweep.page + 1, 0);
        }
        true
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
        sweep.flush_marks = flush_is_due.then(Vec::new);
        sweep.stripes_read = 0;
    }

    /// Reads the marks of some stripes, before a pass for what was flushed looks at its first item; false when all are
    /// read, or it is no such pass.
    fn read_marks(&self, sweep: &mut Sweep) -> bool {
        let first = sweep.stripes_read;
        let Some(marks) = sweep.flush_marks.as_mut().filter(|_| first < self.index.stripe_count()) else {
            return false;
        };
        let stripes = first..self.index.stripe_count().min(first + STRIPES_A_STEP);
        sweep.stripes_read = stripes.end;
        marks.extend(stripes.filter_map(|stripe| Some((stripe, self.index.flush_mark(stripe)?))));
        true
    }

    /// Ends what the pass was for; true while marks are left.
    fn end_pass(&self, sweep: &mut Sweep, local: &Local, now: Seconds) -> bool {
        if let Some(marks) = &mut sweep.flush_marks {
            let rest = marks.len().saturating_sub(STRIPES_A_STEP);
            for (stripe, mark) in marks.drain(rest..) {
                self.index.end_flush(stripe, mark);
            }
            if !marks.is_empty() {
                return true;
            }
        }
        // What was flushed while the pass was under way takes another.
        sweep.flush_marks = None;
        report(sweep, local, now);
        (sweep.page, sweep.chunk) = (0, 0);
        false
    }

    fn is_due(&self, sweep: &Sweep, now: Seconds) -> bool {
        let entry = self.pages.entry(PageId(sweep.page));
        let Some(class) = entry.class() else { return false };
        if sweep.chunk > 0 || sweep.flush_marks.is_some() {
            return true;
        }
        (sweep.asked.has(class) || entry.earliest_expiry() <= now.0) && self.items_left(sweep, class) > 0
    }

    /// How many items of a class this pass may still look at. What a `flush_all` left behind is looked for everywhere:
    /// its marks last until then.
    fn items_left(&self, sweep: &Sweep, class: ClassId) -> u64 {
        if sweep.flush_marks.is_some() {
            return u64::MAX;
        }
        u64::from(self.upkeep.sweep_items_max()).saturating_sub(sweep.looks[class.index()].examined)
    }

    /// Leaves the page in turn before its end: the next pass looks into it again.
    fn leave_due(&self, sweep: &Sweep) {
        if sweep.chunk > 0 {
            self.pages.entry(PageId(sweep.page)).lower_expiry(0);
        }
    }

    /// Looks at some chunks of the page in turn and removes the dead among them.
    fn sweep_chunks(&self, sweep: &mut Sweep, local: &mut Local, now: Seconds) {
        let page = PageId(sweep.page);
        let entry = self.pages.entry(page);
        let Some(class) = entry.class() else {
            (sweep.page, sweep.chunk) = (sweep.page + 1, 0);
            return;
        };
        if sweep.chunk == 0 {
            entry.begin_sweep();
            sweep.earliest = NEVER;
        }
        let (mut dead, mut checked) = (Vec::new(), 0);
        let done = self.look_at_chunks(sweep, class, now, &mut dead, &mut checked);
        local.counters.sweep_items_checked.add(checked);
        local.class(class).crawler_items_checked.add(checked);
        sweep.looks[class.index()].examined += checked;
        for victim in dead {
            if self.evict(local, victim, now) {
                sweep.looks[class.index()].reclaimed += 1;
            }
        }
        if done {
            entry.lower_expiry(sweep.earliest);
        } else if self.items_left(sweep, class) == 0 {
            self.leave_due(sweep);
        } else {
            return;
        }
        (sweep.page, sweep.chunk) = (sweep.page + 1, 0);
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
            if self.looks_dead(&guard, chunk, now) {
                let hash = self.index.hash(chunk.key(&*guard));
                dead.push(Victim { reference, hash, cas: Some(chunk.cas()), reason: Reason::Swept });
            } else if chunk.state() & state::HAS_EXPTIME != 0
                && let Expiry::At(deadline) = chunk.expiry()
            {
                sweep.earliest = sweep.earliest.min(deadline.0);
            }
        }
        sweep.chunk = until;
        until == end
    }

    /// Whether an item's time is over, as far as can be seen without its stripe's lock.
    pub(super) fn looks_dead(&self, guard: &ClassLock<'_>, chunk: Chunk<'_>, now: Seconds) -> bool {
        chunk.expiry().has_passed(now)
            || self.index.any_flushed() && self.index.is_flushed(self.index.hash(chunk.key(&**guard)), chunk.cas())
    }
}

/// Says what a pass has come to, class by class, where anything was looked at.
fn report(sweep: &Sweep, local: &Local, now: Seconds) {
    if sweep.looks.iter().any(|looked| looked.examined > 0) {
        local.counters.sweep_passes.bump();
    }
    let elapsed = sweep.begun.map_or(0, |begun| now.0.saturating_sub(begun.0));
    let looked = (1..).zip(&sweep.looks).filter(|(_, looked)| looked.examined > 0);
    for (class, &Looked { examined, reclaimed }) in looked {
        local.recorder.record(&Event::Sweep { class, elapsed, examined, reclaimed });
    }
}
