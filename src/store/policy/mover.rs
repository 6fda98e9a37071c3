//! What the page mover remembers and sees, and in which order classes give pages.
//!
//! One with free chunks for more than a page first, which costs nobody an item; then the one that earns least, if its
//! memory is not far warmer than other memory, as that of a class that has just come is; then the coldest.

use super::earnings::{Counts, Earnings, ratio};
use super::pace::Pace;
use super::sweep::Sweep;
use crate::store::index::Shrinking;
use crate::store::memory::classes::{ClassId, ClassTable};
use crate::store::memory::page::PageId;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Seconds;

/// A class with free chunks for so many pages gives one before any other: it costs nobody an item. With one page's
/// worth, most of it scattered, it would cost many: lost on each drift of sizes.
const SPARE_PAGES_MIN: f64 = 2.0;
/// Memory that is used again so many times as fast as the coldest gives no page while colder gives one; that of a class
/// that grows, whose earnings are not known yet, sooner. Misses over 25 runs are .8107 of memcached's with 8 for these,
/// .8136 with 2.
const WARM_RATIO: u64 = 128;
const WARM_RATIO_GROWING: u64 = 8;
/// Pages that could not be emptied, to be passed over for a second.
const SHUNNED_MAX: usize = 64;
/// From so many on a page is emptied even if something goes that has just come.
const SHUNNED_PATIENT_MAX: usize = 16;
/// What an operator has moved stays for so long.
const HELD_SECONDS: u32 = 60;

/// Bytes of a draining page's chunks looked at in one step: a chunk of 16 KiB takes some 10 us to be copied to where
/// memory is cold.
pub(crate) const BYTES_A_STEP: usize = 32 * 1024;

/// A page being emptied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    pub(crate) page: PageId,
    pub(crate) class: ClassId,
    pub(crate) chunk: u32,
    pub(crate) passes: u32,
    /// The class that gets the page; `None`: the pool.
    pub(crate) to: Option<ClassId>,
    /// Items written fewer writes of their stripe ago than this are young.
    pub(crate) young_writes: u32,
}

/// The page mover's state, and the rest of what background work remembers.
#[derive(Debug)]
pub(crate) struct Mover {
    pub(crate) drain: Option<Drain>,
    pub(crate) sweep: Sweep,
    pub(crate) shrinking: Shrinking,
    pub(crate) earnings: Vec<Earnings>,
    /// How often the chunks of each class have been used.
    pub(crate) usages: Vec<Usage>,
    /// How many items will have been evicted when all classes are looked at next.
    pub(crate) next_look: u64,
    /// Who gives the next pages, and how many have been given since that was found.
    pub(crate) donors: Vec<ClassId>,
    pub(crate) given: u32,
    /// Pages that could not be emptied in this second, and whether none could.
    pub(crate) shunned: Vec<PageId>,
    pub(crate) nothing_to_give: bool,
    pub(crate) now: Seconds,
    /// Pages stay where an operator has put them until then.
    pub(crate) held_until: Seconds,
}

/// What the mover sees of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) class: ClassId,
    pub(crate) counts: Counts,
    pub(crate) free_chunks: u64,
    pub(crate) pages: f64,
    /// Pages that are only taken when no other class has any to give.
    pub(crate) pages_min: f64,
    /// It has free chunks: it needs no page.
    pub(crate) has_room: bool,
    /// What it earns is not known yet.
    pub(crate) is_growing: bool,
    /// Chunks taken for new items, ever.
    pub(crate) taken: u64,
    /// Items, of large ones the heads.
    pub(crate) items: u64,
    /// How much the store takes between two uses of a chunk, in bytes.
    pub(crate) interval: u64,
}

/// How often the chunks of a class have been used, by new items and by hits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    uses: u64,
    pub(crate) taken: u64,
    hits: u64,
    pace: Pace,
}

impl Usage {
    /// Takes in what was counted since the last look; how much the store takes between two uses of a chunk.
    pub(crate) fn renew(&mut self, look: &Look, clock: u64) -> u64 {
        // A hit of a large item uses all its chunks.
        let chunks_an_item = look.used_chunks().checked_div(look.items).unwrap_or(1).max(1);
        let hits = look.counts.hits.saturating_sub(self.hits);
        self.uses += look.taken.saturating_sub(self.taken) + hits.saturating_mul(chunks_an_item);
        (self.taken, self.hits) = (look.taken, look.counts.hits);
        if look.counts.chunks == 0 {
            self.pace = Pace::starting(clock, self.uses);
        }
        let interval = self.pace.interval(clock, self.uses, look.used_chunks());
        self.pace.renew(clock, self.uses, look.counts.chunks);
        interval
    }
}

/// In which order classes give pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// It costs nobody an item.
    Spare,
    /// The one that earns least first.
    Usual,
    /// The coldest first.
    LastResort,
}

/// Who gives the next page, for threads that ask whether they should rather evict. A hint, in one word, and what the
/// store's clock said when it was found.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    word: AtomicU64,
    from: AtomicU64,
}

/// What [`Elsewhere`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Donor {
    pub(crate) class: ClassId,
    /// Its page costs nobody an item.
    pub(crate) is_spare: bool,
    /// How much the store takes between two uses of its chunks, in bytes.
    pub(crate) interval: u64,
}

impl Elsewhere {
    const CLASS_BITS: u32 = 8;

    /// Who gives the next page, if anybody can.
    pub(crate) fn get(&self) -> Option<Donor> {
        // Relaxed: a hint.
        let word = self.word.load(Ordering::Relaxed);
        let class = u8::try_from(word & 0xff).expect("eight bits").checked_sub(1)?;
        let is_spare = word >> Self::CLASS_BITS & 1 == 1;
        Some(Donor { class: ClassId(class), is_spare, interval: word >> (Self::CLASS_BITS + 1) })
    }

    /// What the clock said when it was found.
    pub(crate) fn from(&self) -> u64 {
        self.from.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, donor: Option<Donor>, clock: u64) {
        let word = donor.map_or(0, |donor| {
            let interval = donor.interval.min(u64::MAX >> (Self::CLASS_BITS + 1));
            let place = u64::from(donor.class.0) + 1;
            (interval << 1 | u64::from(donor.is_spare)) << Self::CLASS_BITS | place
        });
        self.word.store(word, Ordering::Relaxed);
        self.from.store(clock, Ordering::Relaxed);
    }
}

impl Look {
    /// Whether the class could do without a page and keep every item.
    pub(crate) fn has_spare_page(&self) -> bool {
        ratio(self.free_chunks, self.counts.chunks.max(1)) * self.pages >= SPARE_PAGES_MIN
    }

    pub(crate) fn rank(&self, coldest: u64) -> Rank {
        if self.has_spare_page() {
            Rank::Spare
        } else if self.is_last_resort(coldest) {
            Rank::LastResort
        } else {
            Rank::Usual
        }
    }

    fn used_chunks(&self) -> u64 {
        self.counts.chunks.saturating_sub(self.free_chunks)
    }

    /// Which share of its chunks are parts of large items whose heads are elsewhere.
    pub(crate) fn share_of_parts(&self) -> f64 {
        let used = self.used_chunks();
        ratio(used.saturating_sub(self.items), used.max(1))
    }

    /// Whether its pages stay while another class has any to give.
    pub(crate) fn is_last_resort(&self, coldest: u64) -> bool {
        let ratio = if self.is_growing { WARM_RATIO_GROWING } else { WARM_RATIO };
        self.pages <= self.pages_min || self.interval.saturating_mul(ratio) < coldest
    }
}

impl Mover {
    pub(crate) fn new(classes: &ClassTable) -> Self {
        let earnings = classes.all().map(|class| Earnings::new(classes.chunk_bytes(class))).collect();
        Self {
            drain: None,
            sweep: Sweep::default(),
            shrinking: Shrinking::default(),
            earnings,
            usages: vec![Usage::default(); classes.count()],
            next_look: 1,
            donors: Vec::new(),
            given: 0,
            shunned: Vec::new(),
            nothing_to_give: false,
            now: Seconds(0),
            held_until: Seconds(0),
        }
    }

    /// Where the sweep is, for the audit.
    pub(crate) fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// The page that is being emptied, for the audit.
    pub(crate) fn draining(&self) -> Option<PageId> {
        self.drain.map(|drain| drain.page)
    }

    /// Leaves pages where they are for a while, now that an operator has moved one.
    pub(crate) fn hold(&mut self) {
        self.held_until = Seconds(self.now.0.saturating_add(HELD_SECONDS));
    }

    /// Whether a page could not be emptied a moment ago.
    pub(crate) fn shuns(&self, page: PageId) -> bool {
        self.shunned.contains(&page)
    }

    /// Whether there are other pages than those with something that has just come and finds no other chunk.
    pub(crate) fn is_patient(&self) -> bool {
        self.shunned.len() < SHUNNED_PATIENT_MAX
    }

    /// Passes a page over for a while.
    pub(crate) fn shun(&mut self, page: PageId) {
        if self.shunned.len() == SHUNNED_MAX {
            self.shunned.remove(0);
        }
        self.shunned.push(page);
    }

    /// What could not be done in another second is tried again.
    pub(crate) fn begin_second(&mut self, now: Seconds) {
        if self.now != now {
            self.now = now;
            self.shunned.clear();
            self.nothing_to_give = false;
        }
    }
}

/// The interval of the coldest class.
pub(crate) fn coldest_interval(looks: &[Look]) -> u64 {
    looks.iter().filter(|look| look.counts.chunks > 0).map(|look| look.interval).max().unwrap_or(0)
}
