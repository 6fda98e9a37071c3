//! What may be asked of the background work while it goes on: whether and how it sweeps, whether pages move by
//! themselves, and a page move by name.

use super::Store;
use super::reserve::Local;
use super::slab::classes::ClassId;
use super::slab::pool::Asker;
use super::walk::ClassSet;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The settings as they are now. All relaxed: each is read by itself, at the next step.
#[derive(Debug)]
pub(super) struct Upkeep {
    is_sweeping: AtomicBool,
    sweep_pause_micros: AtomicU32,
    sweep_items_max: AtomicU32,
    is_balancing: AtomicBool,
    /// Classes that are to be swept, due or not.
    asked: [AtomicU64; 4],
}

/// Where a page may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagePlace {
    /// In no class.
    Pool,
    /// In the class with this number.
    Class(u32),
}

/// What became of the wish to move a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageMove {
    /// It is on its way, or there.
    Begun,
    /// Another page is on its way.
    Busy,
    /// There is no such class.
    NoClass,
    /// Where it was to come from there is none to spare.
    NoPage,
}

impl Upkeep {
    pub(super) fn new(options: &super::Options) -> Self {
        Self {
            is_sweeping: AtomicBool::new(options.sweep),
            sweep_pause_micros: AtomicU32::new(options.sweep_pause_micros),
            sweep_items_max: AtomicU32::new(options.sweep_items_max),
            is_balancing: AtomicBool::new(options.balance),
            asked: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    pub(super) fn is_sweeping(&self) -> bool {
        self.is_sweeping.load(Ordering::Relaxed)
    }

    pub(super) fn is_balancing(&self) -> bool {
        self.is_balancing.load(Ordering::Relaxed)
    }

    /// Most items of a class to look at in a pass.
    pub(super) fn sweep_items_max(&self) -> u32 {
        match self.sweep_items_max.load(Ordering::Relaxed) {
            0 => u32::MAX,
            items => items,
        }
    }

    /// The classes asked for since this was last called.
    pub(super) fn take_asked(&self) -> ClassSet {
        ClassSet::from_words(std::array::from_fn(|word| self.asked[word].swap(0, Ordering::Relaxed)))
    }
}

impl Store {
    /// Whether expired items are looked for in the background.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.upkeep.is_sweeping()
    }

    /// Begins or ends the search for expired items in the background; false when it was so before. Who asks for an
    /// expired item misses it either way, and eviction takes it first.
    #[must_use]
    pub fn set_sweeping(&self, is_sweeping: bool) -> bool {
        let had = self.upkeep.is_sweeping.swap(is_sweeping, Ordering::Relaxed);
        self.upkeep.take_asked();
        self.nudge();
        had != is_sweeping
    }

    /// The pause between two steps of the sweep in microseconds.
    #[must_use]
    pub fn sweep_pause_micros(&self) -> u32 {
        self.upkeep.sweep_pause_micros.load(Ordering::Relaxed)
    }

    /// Sets the pause between two steps of the sweep.
    pub fn set_sweep_pause_micros(&self, micros: u32) {
        self.upkeep.sweep_pause_micros.store(micros, Ordering::Relaxed);
    }

    /// How many items of a class the sweep looks at in one pass; 0: all.
    #[must_use]
    pub fn sweep_items_max(&self) -> u32 {
        self.upkeep.sweep_items_max.load(Ordering::Relaxed)
    }

    /// Sets how many items of a class the sweep looks at in one pass; 0: all.
    pub fn set_sweep_items_max(&self, items: u32) {
        self.upkeep.sweep_items_max.store(items, Ordering::Relaxed);
    }

    /// Has these classes swept soon, whether anything in them is known to expire or not.
    pub fn sweep_soon(&self, classes: ClassSet) {
        for (asked, word) in self.upkeep.asked.iter().zip(classes.words()) {
            asked.fetch_or(word, Ordering::Relaxed);
        }
        self.nudge();
    }

    /// Begins or ends the moves of pages from class to class that nobody asked for. A class that finds nothing to
    /// evict still gets a page, and the pool is still refilled: stores depend on that.
    pub fn set_balancing(&self, is_balancing: bool) {
        self.upkeep.is_balancing.store(is_balancing, Ordering::Relaxed);
    }

    /// Begins to move a page; `from` nowhere: from the class that has most.
    pub fn move_page(&self, local: &mut Local, from: Option<PagePlace>, to: PagePlace) -> PageMove {
        let Some(to) = self.class_at(to) else { return PageMove::NoClass };
        let from = match from {
            Some(place) => self.class_at(place),
            None => self.fullest_class(to).map(Some),
        };
        let moved = match from {
            None => PageMove::NoClass,
            Some(None) => to.map_or(PageMove::NoPage, |to| self.give_from_pool(to)),
            Some(Some(from)) => self.begin_move(local, from, to),
        };
        self.nudge();
        moved
    }

    /// `Some(None)`: the pool.
    fn class_at(&self, place: PagePlace) -> Option<Option<ClassId>> {
        match place {
            PagePlace::Pool => Some(None),
            PagePlace::Class(number) => self.class_numbered(number).map(Some),
        }
    }

    fn fullest_class(&self, but: Option<ClassId>) -> Option<ClassId> {
        let pages = |class: &ClassId| self.classes[class.index()].lock().pages;
        let others = self.pages.classes.all().filter(|class| Some(*class) != but);
        others.map(|class| (pages(&class), class)).filter(|(pages, _)| *pages > 1).max().map(|(_, class)| class)
    }

    fn give_from_pool(&self, to: ClassId) -> PageMove {
        let Some(page) = self.pool.take(&self.arena, Asker::Growing) else { return PageMove::NoPage };
        self.classes[to.index()].lock().add_page(&self.pages, to, page);
        PageMove::Begun
    }

    fn begin_move(&self, local: &mut Local, from: ClassId, to: Option<ClassId>) -> PageMove {
        // Who waits for the mover holds nothing that the page being emptied could be waiting for.
        self.surrender(local);
        let mut mover = self.mover.lock();
        if mover.draining().is_some() {
            return PageMove::Busy;
        }
        if self.classes[from.index()].lock().pages < 2 {
            return PageMove::NoPage;
        }
        if self.begin_drain_of(&mut mover, from, to, local) { PageMove::Begun } else { PageMove::NoPage }
    }
}
