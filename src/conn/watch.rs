//! A client that watches: nothing it says is read any more, and lines are its only output.

use super::{Connection, State, Turn};
use crate::protocol::Reply;
use crate::protocol::ascii::token::{self, Words};

impl Connection {
    /// Serves a `watch` at the head of `input`, whose line is whole; returns how much of the input that took.
    /// `has_earlier`: there were commands before it in the same input.
    #[cold]
    pub(super) fn begin_watch(&mut self, input: &[u8], has_earlier: bool, turn: &mut Turn<'_>) -> usize {
        let Some(line) = token::line(input) else { return 0 };
        let is_pipelined = has_earlier || !turn.output.is_empty();
        match turn.commands.watch(Words::new(line.text).skip(1), is_pipelined) {
            Ok(watcher) => {
                turn.output.push_reply(Reply::Ok);
                self.state = State::Watch(watcher);
                // Whatever else it said is not read any more.
                input.len()
            }
            Err(error) => {
                turn.output.push_reply(Reply::Error(error));
                line.used
            }
        }
    }
}
