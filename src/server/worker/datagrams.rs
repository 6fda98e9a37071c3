//! A worker's UDP sockets, among its other clients: they stand in a queue of these under one token, so that who has
//! none pays nothing for them.

use mio::Token;

use super::{SCRATCH_BYTES, Worker};
use crate::bytes::number;
use crate::server::datagrams::{DatagramTurn, TOKEN, Wish};
use crate::sync::Ordering;
use crate::telemetry::watch::Kinds;

impl Worker {
    /// Begins to wait for datagrams. memcached counts such a socket as a connection that came.
    pub(super) fn begin_datagrams(&mut self) {
        if let Err(error) = self.datagrams.register(self.poll.registry()) {
            log::error!(error:%; "a worker cannot wait for datagrams");
        }
        let count = self.datagrams.len();
        self.commands.counters().total_connections.add(number(count));
        // Relaxed: a gauge for reports.
        self.shared.connections().current.fetch_add(count, Ordering::Relaxed);
    }

    /// Has the UDP socket of this token served soon, if it is one's.
    #[cold]
    pub(super) fn note_datagrams(&mut self, token: Token) {
        if self.datagrams.note(token) {
            self.leaving.push_back(TOKEN);
        }
    }

    /// A turn for the UDP sockets.
    #[cold]
    pub(super) fn serve_datagrams(&mut self) {
        let is_logged = self.shared.logs_commands() || self.commands.is_watched(Kinds::COMMANDS);
        let wish = self.datagrams.serve(&mut DatagramTurn {
            commands: &mut self.commands,
            scratch: &mut self.scratch[..SCRATCH_BYTES],
            requests_per_turn: self.requests_per_turn,
            is_logged,
        });
        match wish {
            Wish::Later => {}
            Wish::Soon => self.waiting.push(TOKEN),
            Wish::Now => self.leaving.push_back(TOKEN),
        }
    }
}
