//! The service manager's watchdog: it ends a server that does not say in time that all is well. Maintenance says so,
//! which locks what requests lock: where somebody does not give a lock back, nothing is said any more.

use std::time::Duration;

use super::clock::Clock;
use crate::sys::notify::{Manager, watchdog_period};
use crate::time::Seconds;

/// Who says that all is well, and how often.
#[derive(Debug)]
pub(super) struct Watchdog {
    manager: Manager,
    period_seconds: u32,
    next: Seconds,
}

impl Watchdog {
    /// Of the manager that wants to hear it, if there is one.
    pub(super) fn open() -> Option<Self> {
        let period = watchdog_period()?;
        let opened = Manager::open();
        let manager = opened.inspect_err(|error| log::warn!(error:%; "no way to the watchdog")).ok()?;
        // Whole seconds, rounded down: half the time has passed by then at most.
        Some(Self { manager, period_seconds: seconds(period), next: Seconds(0) })
    }

    /// Says so if it is time to.
    pub(super) fn look(&mut self, clock: &Clock) {
        let now = clock.now().seconds;
        if now < self.next {
            return;
        }
        self.next = Seconds(now.0.saturating_add(self.period_seconds));
        if let Err(error) = self.manager.tell("WATCHDOG=1") {
            log::warn!(error:%; "the watchdog could not be told that all is well");
        }
    }
}

fn seconds(period: Duration) -> u32 {
    u32::try_from(period.as_secs()).unwrap_or(u32::MAX)
}
