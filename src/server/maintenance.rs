//! The maintenance thread: calls the store's background work, and sleeps while none is due.

use std::thread;
use std::time::Duration;

use super::clock::Clock;
use super::roster::Roster;
use super::watchdog::Watchdog;
use crate::store::{Progress, Store};
use crate::telemetry::watch::Recorder;

/// The coarse clock ticks late by up to this: waking before the tick would find the old second.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// Works until the roster stops. To end a sleep early, unpark the thread.
pub(super) fn run(store: &Store, roster: &Roster, clock: Clock, recorder: Recorder, mut watchdog: Option<Watchdog>) {
    let mut local = store.local();
    local.set_recorder(recorder);
    let mut refused_at = None;
    while !roster.is_stopping() {
        if let Some(watchdog) = &mut watchdog {
            watchdog.look(&clock);
        }
        local.recorder_mut().begin_turn(Clock::unix_micros);
        match store.step(&mut local, clock.now()) {
            // A step holds locks for at most 50 us; between steps who waits for them goes first.
            Progress::More => thread::yield_now(),
            Progress::MoreAfter { micros } => thread::park_timeout(Duration::from_micros(u64::from(micros))),
            Progress::IdleUntil(moment) => {
                tell_of_refusal(store, &mut refused_at);
                thread::park_timeout(clock.until(moment) + CLOCK_TICK);
            }
        }
    }
}

/// Says once where memory ends before `-m` does: a file system is full, or a limit of the process is reached.
fn tell_of_refusal(store: &Store, refused_at: &mut Option<u64>) {
    if let Some(megabytes) = store.ask_for_memory_again().map(|bytes| bytes >> 20)
        && *refused_at != Some(megabytes)
    {
        log::warn!(megabytes; "the system has no more memory for items: going on with less than -m");
        *refused_at = Some(megabytes);
    }
}
