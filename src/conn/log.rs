//! `-vv`: commands and replies as lines of the log, `<number command` and `>number reply`.

use super::{Connection, Step, Turn};
use crate::protocol::Request;
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
        let number = turn.logged_as.unwrap_or_default();
        ::log::debug!("<{number} {}", first_line(input));
        let before = turn.output.bytes().len();
        let step = self.execute(request, used, input, turn);
        if let Some(reply) = turn.output.bytes().get(before..).filter(|reply| !reply.is_empty()) {
            ::log::debug!(">{number} {}", first_line(reply));
        }
        step
    }
}

/// The first line, readable and on one line whatever is in it.
fn first_line(text: &[u8]) -> std::slice::EscapeAscii<'_> {
    token::line(text).map_or(text, |line| line.text).escape_ascii()
}
