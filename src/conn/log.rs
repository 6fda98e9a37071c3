//! `-vv`: commands and replies as lines of the log, `<number command` and `>number reply`; commands as events for who
//! watches them.

use super::{BLOCK_END, Connection, Step, Turn};
use crate::limits::WHOLE_VALUE_BYTES_MAX;
use crate::protocol::Request;
use crate::protocol::ascii::meta::{self, Meta, Operation};
use crate::protocol::ascii::token;

impl Connection {
    /// Serves a request and says so. The request is logged again when its value was not whole the first time.
    #[cold]
    pub(super) fn execute_logged(
        &mut self,
        request: Request<'_>,
        used: usize,
        input: &[u8],
        turn: &mut Turn<'_>,
    ) -> Step {
        if !turn.commands.shared().logs_commands() {
            return self.execute_told(request, used, input, turn);
        }
        let number = turn.logged_as.unwrap_or_default();
        ::log::debug!("<{number} {}", first_line(input).escape_ascii());
        let before = turn.output.bytes().len();
        let step = self.execute_told(request, used, input, turn);
        if let Some(reply) = turn.output.bytes().get(before..).filter(|reply| !reply.is_empty()) {
            ::log::debug!(">{number} {}", first_line(reply).escape_ascii());
        }
        step
    }

    /// Serves a request and tells watchers of it: once, when it is served indeed.
    fn execute_told(&mut self, request: Request<'_>, used: usize, input: &[u8], turn: &mut Turn<'_>) -> Step {
        if is_whole(request, &input[used..]) {
            turn.commands.tell_command(first_line(input));
        }
        self.execute(request, used, input, turn)
    }
}

/// Whether a request has all that it is served with: a value that does not stream is waited for.
fn is_whole(request: Request<'_>, rest: &[u8]) -> bool {
    let value_len = match request {
        Request::Store(store) => store.value_len,
        Request::Meta(line) => match meta::parse(line) {
            Ok(Meta { operation: Operation::Store(store), .. }) => store.value_len,
            _ => return true,
        },
        _ => return true,
    };
    value_len > WHOLE_VALUE_BYTES_MAX || rest.len() >= value_len + BLOCK_END.len()
}

fn first_line(text: &[u8]) -> &[u8] {
    token::line(text).map_or(text, |line| line.text)
}
