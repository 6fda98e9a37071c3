//! What the background work is to do, as it is set now.

use crate::store::memory::classes::ClassSet;
use crate::store::words::options::Options;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The settings as they are now. All relaxed: each is read by itself, at the next step.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) is_sweeping: AtomicBool,
    pub(crate) sweep_pause_micros: AtomicU32,
    pub(crate) sweep_items_max: AtomicU32,
    pub(crate) is_balancing: AtomicBool,
    /// Classes that are to be swept, due or not.
    pub(crate) asked: [AtomicU64; 4],
    /// Times that somebody asked, and how many of them a pass that ended has answered.
    pub(crate) times_asked: AtomicU32,
    pub(crate) times_answered: AtomicU32,
}

impl Settings {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            is_sweeping: AtomicBool::new(options.sweep),
            sweep_pause_micros: AtomicU32::new(options.sweep_pause_micros),
            sweep_items_max: AtomicU32::new(options.sweep_items_max),
            is_balancing: AtomicBool::new(options.balance),
            asked: std::array::from_fn(|_| AtomicU64::new(0)),
            times_asked: AtomicU32::new(0),
            times_answered: AtomicU32::new(0),
        }
    }

    pub(crate) fn is_sweeping(&self) -> bool {
        self.is_sweeping.load(Ordering::Relaxed)
    }

    pub(crate) fn is_balancing(&self) -> bool {
        self.is_balancing.load(Ordering::Relaxed)
    }

    /// Most items of a class to look at in a pass.
    pub(crate) fn sweep_items_max(&self) -> u32 {
        match self.sweep_items_max.load(Ordering::Relaxed) {
            0 => u32::MAX,
            items => items,
        }
    }

    /// The classes asked for since this was last called, and how many times any were asked for by then.
    pub(crate) fn take_asked(&self) -> (ClassSet, u32) {
        // Acquire: pairs with the Release in `sweep_soon`: what was asked for so many times is in the words.
        let times = self.times_asked.load(Ordering::Acquire);
        (ClassSet::from_words(std::array::from_fn(|word| self.asked[word].swap(0, Ordering::Relaxed))), times)
    }

    /// Notes that all is done that was asked for by then.
    pub(crate) fn note_answered(&self, times: u32) {
        // Release: pairs with the Acquire in `is_sweep_asked`: who sees it sees what the pass counted and freed.
        self.times_answered.store(times, Ordering::Release);
    }
}
