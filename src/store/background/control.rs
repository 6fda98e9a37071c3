//! What may be asked of the background work while it goes on: whether and how it sweeps, whether pages move by
//! themselves, and a page move by name.

use crate::store::local::Local;
use crate::store::memory::classes::{ClassId, ClassSet};
use crate::store::memory::pool::Asker;
use crate::store::shared::Store;
use crate::sync::Ordering;

/// Where a page may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagePlace {
    /// In no class.
    Pool,
    /// In a class with this number.
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

impl Store {
    /// Whether expired items are looked for in the background.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.settings.is_sweeping()
    }

    /// Begins or ends the search for expired items in the background; false when it was so before. Who asks for an
    /// expired item misses it either way, and eviction takes it first.
    #[must_use]
    pub fn set_sweeping(&self, is_sweeping: bool) -> bool {
        let had = self.settings.is_sweeping.swap(is_sweeping, Ordering::Relaxed);
        let (_, times) = self.settings.take_asked();
        self.settings.note_answered(times);
        self.nudge();
        had != is_sweeping
    }

    /// The pause between two steps of the sweep in microseconds.
    #[must_use]
    pub fn sweep_pause_micros(&self) -> u32 {
        self.settings.sweep_pause_micros.load(Ordering::Relaxed)
    }

    /// Sets the pause between two steps of the sweep.
    pub fn set_sweep_pause_micros(&self, micros: u32) {
        self.settings.sweep_pause_micros.store(micros, Ordering::Relaxed);
    }

    /// How many items of a class the sweep looks at in one pass; 0: all.
    #[must_use]
    pub fn sweep_items_max(&self) -> u32 {
        self.settings.sweep_items_max.load(Ordering::Relaxed)
    }

    /// Sets how many items of a class the sweep looks at in one pass; 0: all.
    pub fn set_sweep_items_max(&self, items: u32) {
        self.settings.sweep_items_max.store(items, Ordering::Relaxed);
    }

    /// Has these classes swept soon, whether anything in them is known to expire or not.
    pub fn sweep_soon(&self, classes: ClassSet) {
        for (asked, word) in self.settings.asked.iter().zip(classes.words()) {
            asked.fetch_or(word, Ordering::Relaxed);
        }
        // Release: see `take_asked`.
        self.settings.times_asked.fetch_add(1, Ordering::Release);
        self.nudge();
    }

    /// Whether a sweep that somebody asked for has not come to its end yet.
    #[must_use]
    pub fn is_sweep_asked(&self) -> bool {
        // Acquire: see `note_answered`.
        let answered = self.settings.times_answered.load(Ordering::Acquire);
        answered != self.settings.times_asked.load(Ordering::Relaxed)
    }

    /// Begins or ends the moves of pages from class to class that nobody asked for. A class that finds nothing to
    /// evict still gets a page, and the pool is still refilled: stores depend on that.
    pub fn set_balancing(&self, is_balancing: bool) {
        self.settings.is_balancing.store(is_balancing, Ordering::Relaxed);
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

    /// `Some(None)`: the pool. Of classes with the same number the one with most pages gives and gets.
    fn class_at(&self, place: PagePlace) -> Option<Option<ClassId>> {
        match place {
            PagePlace::Pool => Some(None),
            PagePlace::Class(number) => {
                self.pages.classes.numbered(number).max_by_key(|class| self.pages_of(*class)).map(Some)
            }
        }
    }

    fn fullest_class(&self, but: Option<ClassId>) -> Option<ClassId> {
        let others = self.pages.classes.all().filter(|class| Some(*class) != but);
        let fullest = others.map(|class| (self.pages_of(class), class)).filter(|(pages, _)| *pages > 1).max();
        fullest.map(|(_, class)| class)
    }

    fn pages_of(&self, class: ClassId) -> u32 {
        self.classes[class.index()].lock().list.pages
    }

    fn give_from_pool(&self, to: ClassId) -> PageMove {
        let Some(page) = self.pool.take(&self.arena, Asker::Growing) else { return PageMove::NoPage };
        self.add_page(&mut self.classes[to.index()].lock(), to, page);
        PageMove::Begun
    }

    fn begin_move(&self, local: &mut Local, from: ClassId, to: Option<ClassId>) -> PageMove {
        // Who waits for the mover holds nothing that the page being emptied could be waiting for.
        self.surrender(local);
        let mut mover = self.mover.lock();
        if mover.draining().is_some() {
            return PageMove::Busy;
        }
        if self.pages_of(from) < 2 {
            return PageMove::NoPage;
        }
        if !self.begin_drain_of(&mut mover, from, to, local) {
            return PageMove::NoPage;
        }
        mover.hold();
        PageMove::Begun
    }
}
