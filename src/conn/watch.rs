//! A client that watches: nothing it says is read any more, and lines are its only output.

use super::{Connection, State, Turn};
use crate::protocol::{Operation, ParseRoom, Parsed, Reply, Request};

impl Connection {
    /// Serves a `watch` at the head of `input`, which is whole; returns how much of the input that took.
    /// `has_earlier`: there were commands before it in the same input.
    #[cold]
    pub(super) fn begin_watch(&mut self, input: &[u8], has_earlier: bool, turn: &mut Turn<'_>) -> usize {
        let mut room = ParseRoom::default();
        let parsed = self.dialect.map(|dialect| dialect.parse(input, &mut room));
        let Some(Parsed::Request { request: Request { operation: Operation::Watch(words), asked }, used }) = parsed
        else {
            return 0;
        };
        let is_pipelined = has_earlier || !turn.output.is_empty();
        match turn.commands.watch(words, is_pipelined) {
            Ok(watcher) => {
                asked.push_reply(turn.output.bytes(), Reply::Ok);
                self.state = State::Watch(watcher);
                // Whatever else it said is not read any more.
                input.len()
            }
            Err(failure) => {
                asked.push_reply(turn.output.bytes(), Reply::Error(failure));
                used
            }
        }
    }
}
