//! Where the sweep is.

use crate::store::bytes::layout::Ref;
use crate::store::index::Flush;
use crate::store::memory::classes::{ClassId, ClassSet};
use crate::store::memory::page::{PageId, Pages};
use crate::time::Seconds;

/// A pass looks into every page at least once in so many seconds: accesses longer ago than can be told are held, and
/// what the table does not know of is found.
const WHOLE_PASS_SECONDS: u32 = 3600;
/// Most that such a pass, or one for what was flushed, pauses between two steps, whatever `lru_crawler sleep` says:
/// with a hundred million items it takes a quarter of an hour, and no counter comes half round meanwhile.
const WHOLE_PAUSE_MICROS_MAX: u32 = 1000;

/// Where a sweep is. That of background work is guarded by the mover's lock; a thread that needs memory may make a pass
/// of its own over what has expired. Two may meet in a page: each has seen all of it at its end.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    pub(crate) page: u32,
    pub(crate) chunk: u32,
    /// The earliest deadline left behind in the page so far.
    pub(crate) earliest: u32,
    /// The pass looks into every page for what was flushed, and ends this flush.
    pub(crate) flush: Option<Flush>,
    /// The pass looks into every page.
    pub(crate) is_whole: bool,
    /// The last second such a pass was begun in.
    pub(crate) whole_begun: Option<Seconds>,
    /// Stripes that have seen it.
    pub(crate) stripes_told: usize,
    /// Classes that somebody asked to be swept: all their pages are looked into.
    pub(crate) asked: ClassSet,
    /// How many times somebody had asked when the pass began.
    pub(crate) times_asked: u32,
    /// The last second a pass was begun in.
    pub(crate) begun: Option<Seconds>,
    /// The second in which something flushed was first seen.
    pub(crate) flush_seen: Option<Seconds>,
    /// What the pass has come to so far, by class.
    pub(crate) looks: Vec<Looked>,
}

/// What a pass has come to in a class.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looked {
    pub(crate) examined: u64,
    pub(crate) reclaimed: u64,
}

impl Looked {
    pub(crate) fn add(&mut self, other: Self) {
        self.examined += other.examined;
        self.reclaimed += other.reclaimed;
    }
}

impl Sweep {
    /// The pause between two steps, if so many microseconds are asked for.
    pub(crate) fn pause_micros(&self, asked: u32) -> u32 {
        if self.is_whole { asked.min(WHOLE_PAUSE_MICROS_MAX) } else { asked }
    }

    /// Whether it is time to look into every page.
    pub(crate) fn whole_is_due(&mut self, now: Seconds) -> bool {
        let begun = *self.whole_begun.get_or_insert(now);
        now.0.saturating_sub(begun.0) >= WHOLE_PASS_SECONDS
    }

    /// No item in this chunk expires before this second, for the audit. In the page in turn the table knows of commits
    /// alone: the sweep keeps what it has seen until the page's end, and has yet to see the rest.
    pub(crate) fn earliest_expiry(&self, pages: &Pages, class: ClassId, reference: Ref) -> u32 {
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
