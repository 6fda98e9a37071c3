//! The thread that finds the memory of `-L` ahead of its use, and ends when it has, or when the server does.

use std::thread;

use super::roster::Roster;
use crate::store::{Population, Store};
use crate::sys::process;

/// Works until all is found, or the roster stops.
pub(super) fn run(store: &Store, roster: &Roster, mut population: Population) {
    // A worker that wakes up on the same core would wait here for the clock's next tick, some four milliseconds.
    process::give_way_to_others();
    while !roster.is_stopping() {
        match store.populate_step(&mut population) {
            // A step takes as long as the system takes for a huge page; between steps who waits goes first.
            Ok(true) => thread::yield_now(),
            Ok(false) => return log::info!("the memory of -L is there"),
            Err(error) => return log::warn!(error:%; "the memory of -L comes as it is used, not ahead"),
        }
    }
}
