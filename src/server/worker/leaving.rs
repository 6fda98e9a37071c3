//! What is done for a few clients a turn, however many want it at once: lists of items, closing those who left, and
//! requests by UDP.

use mio::Token;

use super::{Verdict, Worker};
use crate::telemetry::watch::CloseReason;
use crate::time::Seconds;

/// Clients that have left and are served their last in a turn: some 100 us, of which the kernel takes most to close a
/// socket.
const LEAVERS_A_TURN: usize = 16;

/// Idle clients closed in a turn.
const IDLE_KICKS_A_TURN: usize = 16;

impl Worker {
    /// Whether any such work is left.
    #[inline]
    pub(super) fn has_lists_or_leavers(&self) -> bool {
        self.resting.len() + self.leaving.len() > 0
    }

    #[cold]
    pub(super) fn serve_lists_and_leavers(&mut self, budget: usize) {
        if let Some(token) = self.resting.pop_front() {
            self.set_queued(token, false);
            self.serve(token, None, budget);
        }
        for _ in 0..self.leaving.len().min(LEAVERS_A_TURN) {
            let Some(token) = self.leaving.pop_front() else { break };
            self.serve_leaver(token, budget);
        }
    }

    /// What it said before it left is served, in its turn: it may have ended its own direction alone.
    #[cold]
    pub(super) fn note_leaving(&mut self, token: Token) {
        self.set_queued(token, true);
        self.leaving.push_back(token);
    }

    fn serve_leaver(&mut self, token: Token, budget: usize) {
        let Some(client) = self.slots.get_mut(token) else { return self.serve_datagrams() };
        if client.claim().is_some() {
            // It waits for memory, and nobody for its value.
            self.follow(Verdict::Gone(CloseReason::Error), token);
        } else {
            client.is_queued = false;
            self.serve(token, None, budget);
        }
    }

    /// Once a second, when the option is on; the next turn goes on where they are many.
    pub(super) fn scan_idle(&mut self) {
        let Some(seconds_max) = self.idle_seconds_max else { return };
        let now = self.commands.now().seconds;
        if now < self.next_idle_scan {
            return;
        }
        let idle = self.slots.tokens(|client| client.is_idle_for(seconds_max, now));
        if idle.len() <= IDLE_KICKS_A_TURN {
            self.next_idle_scan = Seconds(now.0.saturating_add(1));
        }
        for token in idle.into_iter().take(IDLE_KICKS_A_TURN) {
            self.commands.counters().idle_kicks.bump();
            self.close(token, CloseReason::IdleTimeout);
        }
    }
}
