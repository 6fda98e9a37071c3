//! The watch thread: makes the lines that watchers read, and sleeps while nobody watches.
//!
//! Not a worker, whose other clients would wait while it makes lines for all threads' events; not maintenance, which
//! is wanted most just when there are most evictions to tell of. The sockets stay with their workers.

use std::thread;
use std::time::Duration;

use super::roster::Roster;
use crate::telemetry::watch::{Drained, Watch};

/// Between two looks at the rings: the shortest while there are events, twice as long after each look in vain. The
/// longest is how late a line can be.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Works until the roster stops. To end a sleep early, unpark the thread.
pub(super) fn run(watch: &Watch, roster: &Roster) {
    let mut pause = PAUSE_MIN;
    while !roster.is_stopping() {
        if !watch.is_watched() {
            pause = PAUSE_MIN;
            thread::park();
            continue;
        }
        let mut drained = watch.drain();
        pause = if drained == Drained::Nothing { (pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN };
        // A ring that was not emptied may be about to overflow.
        while drained == Drained::Something && !roster.is_stopping() {
            drained = watch.drain();
        }
        thread::park_timeout(pause);
    }
}
