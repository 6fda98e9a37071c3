//! A driver for connections without sockets.

use std::io::IoSlice;

use super::{Connection, Next, Output, Turn};
use crate::command::Commands;
use crate::command::testing::commands;

/// A client and the context of its turns, in one.
pub(super) struct Client {
    pub(super) commands: Commands,
    pub(super) connection: Connection,
    pub(super) output: Output,
    /// Requests a turn.
    pub(super) budget: usize,
}

impl Client {
    pub(super) fn new() -> Self {
        Self::with(commands())
    }

    pub(super) fn with(commands: Commands) -> Self {
        Self { commands, connection: Connection::new(), output: Output::default(), budget: usize::MAX }
    }

    /// One turn over new input; whatever is answered stays in the output.
    pub(super) fn turn(&mut self, fresh: &[u8]) -> Next {
        let turn = &mut Turn {
            commands: &mut self.commands,
            output: &mut self.output,
            requests_left: self.budget,
            first: None,
            logged_as: None,
        };
        if fresh.is_empty() {
            return self.connection.resume(turn);
        }
        let input = [self.connection.kept(), fresh].concat();
        self.connection.receive(&input, turn)
    }

    /// Sends bytes and reads answers until the connection wants more input or ends.
    pub(super) fn send(&mut self, bytes: &[u8]) -> (Vec<u8>, Next) {
        let mut next = self.turn(bytes);
        let mut replies = self.written();
        while matches!(next, Next::Yield | Next::Rest | Next::Write) {
            next = self.turn(b"");
            replies.extend(self.written());
        }
        (replies, next)
    }

    /// The replies to `bytes`, as text.
    pub(super) fn ask(&mut self, bytes: &[u8]) -> String {
        String::from_utf8(self.send(bytes).0).expect("text")
    }

    /// Takes everything out of the output.
    pub(super) fn written(&mut self) -> Vec<u8> {
        let mut written = Vec::new();
        while !self.output.is_empty() {
            let mut pieces = [IoSlice::new(&[]); 8];
            let count = self.output.pieces(&self.commands, &mut pieces);
            let bytes: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.iter().copied()).collect();
            written.extend_from_slice(&bytes);
            self.output.sent(bytes.len(), &mut self.commands);
        }
        written
    }
}
