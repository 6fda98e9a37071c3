//! Handshakes of TLS: a few steps a turn, behind everybody whose handshake is over, and not for ever.

use std::collections::VecDeque;

use mio::Token;

use super::{Early, FOR_EVER, IDLE_SCAN_MS, SCRATCH_BYTES, Verdict, Worker};
use crate::server::client::Shaken;
use crate::sys::events::Event;
use crate::telemetry::watch::{self, CloseReason};
use crate::time::Seconds;
use crate::tls::ClientCertificate;

/// Steps of handshakes in a turn: one with a signature takes 50 us to some milliseconds, by the kind of the key.
const STEPS_A_TURN: usize = 8;

/// No further step is begun in a turn when they have taken so long, in microseconds.
const STEPS_MICROS_MAX: u64 = 300;

/// Who has not finished its handshake after so many seconds is closed.
const HANDSHAKE_SECONDS_MAX: u32 = 10;

/// Clients closed for that in a turn.
const OVERDUE_A_TURN: usize = 16;

/// Entries looked at for that in a turn: most are of clients that are through.
const ENTRIES_A_TURN: usize = 1024;

/// Clients whose handshake is not over. They count as queued all that time, so that nobody else serves them.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    /// Those that have something to do, in order.
    ready: VecDeque<Token>,
    /// All of them and some that are through, in the order in which their time is over.
    by_deadline: VecDeque<(Seconds, Token)>,
}

impl Handshakes {
    /// Whether somebody has something to do.
    pub(super) fn is_any_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

impl Worker {
    /// Begins a client's session. Its handshake waits for what it says.
    pub(super) fn begin_handshake(&mut self, token: Token, wanted: ClientCertificate) {
        let Some(tls) = self.shared.tls() else { return };
        let Some(client) = self.slots.get_mut(token) else { return };
        match tls.session(wanted) {
            Ok(session) => {
                client.secure(session);
                client.is_queued = true;
                let now = self.commands.now().seconds;
                let deadline = Seconds(now.0.saturating_add(HANDSHAKE_SECONDS_MAX));
                self.handshakes.by_deadline.push_back((deadline, token));
                self.has_deadlines = true;
            }
            Err(error) => self.end_handshake(token, &error.to_string()),
        }
    }

    /// The socket of a client that counts as queued has news.
    #[cold]
    pub(super) fn note_queued(&mut self, token: Token, event: Event) {
        let Some(client) = self.slots.get_mut(token) else { return };
        if client.is_handshaking() {
            self.note_step(token);
        } else if event.is_lost()
            && let Some(claim) = client.claim()
        {
            self.for_memory.remove(&claim);
            self.leaving.push_back(token);
        }
    }

    /// It stands among those with something to do once, however often it sends a byte.
    fn note_step(&mut self, token: Token) {
        let Some(client) = self.slots.get_mut(token).filter(|client| !client.is_step_due) else { return };
        client.is_step_due = true;
        self.handshakes.ready.push_back(token);
    }

    /// How long the poll may sleep where clients have deadlines, in milliseconds.
    #[cold]
    pub(super) fn patience_for_deadlines(&self) -> i32 {
        if self.handshakes.is_any_ready() {
            return 0;
        }
        let is_idle_scan_due = || self.next_idle_scan <= self.commands.now().seconds;
        if self.idle_seconds_max.is_some() && !self.slots.is_empty() && is_idle_scan_due() {
            return 0;
        }
        // Without clients nobody is waited for; the entries that are left of them go with the next turn.
        if self.slots.is_empty() { FOR_EVER } else { IDLE_SCAN_MS }
    }

    /// Handshakes go on, and clients whose time is over are closed.
    #[cold]
    pub(super) fn serve_deadlines(&mut self, budget: usize) {
        self.serve_handshakes(budget);
        self.scan_idle();
        self.has_deadlines = self.idle_seconds_max.is_some() || !self.handshakes.by_deadline.is_empty();
    }

    /// Some steps, and the end of those whose time is over.
    fn serve_handshakes(&mut self, budget: usize) {
        let begun = self.clock.micros();
        for _ in 0..self.handshakes.ready.len().min(STEPS_A_TURN) {
            let Some(token) = self.handshakes.ready.pop_front() else { break };
            self.step_handshake(token, budget);
            if self.clock.micros().saturating_sub(begun) >= STEPS_MICROS_MAX {
                break;
            }
        }
        let now = self.commands.now().seconds;
        let mut ended = 0;
        for _ in 0..ENTRIES_A_TURN {
            let Some(&(deadline, token)) = self.handshakes.by_deadline.front() else { break };
            let is_handshaking = self.slots.get_mut(token).is_some_and(|client| client.is_handshaking());
            if is_handshaking && (deadline > now || ended == OVERDUE_A_TURN) {
                break;
            }
            self.handshakes.by_deadline.pop_front();
            if is_handshaking {
                ended += 1;
                self.end_handshake(token, "it took too long");
            }
        }
    }

    fn step_handshake(&mut self, token: Token, budget: usize) {
        let Some(client) = self.slots.get_mut(token).filter(|client| client.is_handshaking()) else { return };
        client.is_step_due = false;
        let plain = &mut self.scratch[..SCRATCH_BYTES];
        match client.shake_hands(plain, &mut self.buffers, &self.commands) {
            Shaken::Waiting => {}
            Shaken::More => self.note_step(token),
            Shaken::Failed(why) => self.end_handshake(token, &why),
            Shaken::Done(received) => {
                client.is_queued = false;
                if client.is_new_session() {
                    self.commands.counters().ssl_new_sessions.bump();
                }
                let received = (received > 0).then_some(received);
                self.serve_with(token, None, Early { part: 0..SCRATCH_BYTES, received, first: None }, budget);
            }
        }
    }

    /// Closes a client whose handshake has failed.
    #[cold]
    fn end_handshake(&mut self, token: Token, why: &str) {
        let (Some(client), Some(tls)) = (self.slots.get_mut(token), self.shared.tls()) else { return };
        self.commands.counters().ssl_handshake_errors.bump();
        let cfd = client.descriptor();
        self.commands.tell(&watch::Event::TlsError { cfd, why: why.as_bytes() });
        if let Some(unsaid) = tls.note_failure(self.commands.now().seconds) {
            let peer = client.stream().peer_text();
            log::warn!(client = cfd, peer:%, why, unsaid; "closing a client: its TLS handshake failed");
        }
        self.follow(Verdict::Gone(CloseReason::Error), token);
    }
}
