//! `-vv`: commands and replies as lines of the log, `<number command` and `>number reply`; commands as events for who
//! watches them.

use super::{Connection, Head, Step, Turn};
use crate::limits::WHOLE_VALUE_BYTES_MAX;
use crate::protocol::{Dialect, Operation, Request};

impl Connection {
    /// Serves a request and says so. The request is logged again when its value was not whole the first time.
    #[cold]
    pub(super) fn execute_logged(
        &mut self,
        dialect: Dialect,
        request: &Request<'_>,
        head: Head<'_>,
        turn: &mut Turn<'_>,
    ) -> Step {
        if !turn.commands.shared().logs_commands() {
            return self.execute_told(dialect, request, head, turn);
        }
        let number = turn.logged_as.unwrap_or_default();
        ::log::debug!("<{number} {}", dialect.logged(head.input).escape_ascii());
        let before = turn.output.bytes().len();
        let step = self.execute_told(dialect, request, head, turn);
        if let Some(reply) = turn.output.bytes().get(before..).filter(|reply| !reply.is_empty()) {
            ::log::debug!(">{number} {}", dialect.logged(reply).escape_ascii());
        }
        step
    }

    /// Serves a request and tells watchers of it: once, when it is served indeed.
    fn execute_told(&mut self, dialect: Dialect, request: &Request<'_>, head: Head<'_>, turn: &mut Turn<'_>) -> Step {
        if is_whole(request, &head.input[head.len..])
            && let Some(line) = dialect.told(head.input)
        {
            turn.commands.tell_command(line);
        }
        self.execute(request, head, turn)
    }
}

/// Whether a request has all that it is served with: a value that does not stream is waited for.
fn is_whole(request: &Request<'_>, rest: &[u8]) -> bool {
    let Operation::Store(store) = &request.operation else { return true };
    let value_len = store.value_len;
    value_len > WHOLE_VALUE_BYTES_MAX || rest.len() >= value_len + request.asked.value_end().len()
}
