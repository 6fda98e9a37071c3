//! Closing clients in whose hands memory stays that others need: those that hold it for a value and send nothing of it,
//! and those that do not take the large values they asked for.

use mio::Token;

use super::Worker;
use crate::telemetry::watch::CloseReason;
use crate::time::Seconds;

/// How long the socket of a client may take nothing of values that it asked for while others find no memory, in
/// microseconds.
const STUCK_MICROS: u64 = 100_000;

/// How often such clients are looked for, in microseconds.
const STUCK_SCAN_MICROS: u64 = 10_000;

/// Most of them closed in a turn.
const KICKS_MAX: usize = 16;

/// Seconds for which a client may send nothing of a value while others wait for the memory that it holds.
const SILENT_SECONDS_MAX: u32 = 2;

impl Worker {
    /// Closes clients in whose hands memory stays that others need.
    #[cold]
    pub(super) fn relieve_memory(&mut self, has_served: bool) {
        if self.commands.memory_is_waited_for() {
            self.close_silent();
        }
        if self.commands.readers_hold_too_much() {
            self.close_slow_readers(has_served);
        }
        if self.commands.memory_is_short() {
            self.close_stuck_readers();
        }
    }

    /// Closes clients that hold memory for a value and send nothing of it, while others wait for memory. Those of other
    /// workers are seen by these only, so they are woken.
    #[cold]
    fn close_silent(&mut self) {
        let now = self.commands.now().seconds;
        if now < self.next_silent_scan {
            return;
        }
        self.next_silent_scan = Seconds(now.0.saturating_add(1));
        if !self.for_memory.is_empty() {
            self.roster.wake_workers();
        }
        for token in self.slots.tokens(|client| client.is_silent_in_value(SILENT_SECONDS_MAX, now)) {
            let number = self.slots.get_mut(token).map_or(0, |client| client.descriptor());
            log::warn!(
                client = number;
                "closing a client: it sends nothing of a value, and others wait for the memory it holds"
            );
            self.commands.counters().silent_upload_kicks.bump();
            self.close(token, CloseReason::Error);
        }
    }

    /// Clients that asked for large values and do not take them keep the memory of what was overwritten since:
    /// the one whose socket has taken nothing for longest is closed first. Those of other workers are seen by
    /// these only, so they are woken; a turn that was nothing but such a call does not call back.
    #[cold]
    fn close_slow_readers(&mut self, has_served: bool) {
        while self.commands.readers_hold_too_much() {
            let readers = self.slots.iter();
            let holding = readers.filter_map(|(token, client)| Some((client.holds_gone_since(&self.commands)?, token)));
            let Some((_, slowest)) = holding.min_by_key(|(since, _)| *since) else {
                if has_served {
                    self.roster.wake_workers();
                }
                return;
            };
            self.kick_reader(slowest, "values it asked for are gone but for it");
        }
    }

    /// The same where somebody finds no memory, and clients hold much of it for values that are there: they could be
    /// evicted but for their readers. Who has taken something lately is let be, and only a few are closed in a turn.
    #[cold]
    fn close_stuck_readers(&mut self) {
        let now = self.clock.micros();
        if now < self.next_stuck_scan || !self.commands.readers_are_in_the_way() {
            return;
        }
        let readers = self.slots.iter().filter_map(|(token, client)| Some((client.holds_values_since()?, token)));
        let mut stuck: Vec<_> = readers.filter(|(since, _)| since.saturating_add(STUCK_MICROS) <= now).collect();
        stuck.sort_unstable();
        if stuck.len() <= KICKS_MAX {
            self.next_stuck_scan = now + STUCK_SCAN_MICROS;
            if !self.for_memory.is_empty() {
                self.roster.wake_workers();
            }
        }
        for (_, token) in stuck.into_iter().take(KICKS_MAX) {
            self.kick_reader(token, "values it asked for cannot be evicted while others need the memory");
        }
    }

    fn kick_reader(&mut self, token: Token, why: &str) {
        let number = self.slots.get_mut(token).map_or(0, |client| client.descriptor());
        log::warn!(client = number, why; "closing a client: it reads too slowly");
        self.commands.counters().slow_reader_kicks.bump();
        self.close(token, CloseReason::Error);
    }
}
