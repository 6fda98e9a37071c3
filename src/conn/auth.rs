//! A connection whose client is not authenticated. Nothing of what it says is logged: it may be a password.

use super::{Connection, State, Step, Turn};
use crate::protocol::{AuthParsed, Dialect, Reply, TOKEN_ASKED, credentials, parse_auth};

/// How far a client that is not let in has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Awaited {
    /// Before a line.
    Line,
    /// Before the token that its line announced, of so many bytes with its end.
    Token { block_len: usize },
}

impl Connection {
    /// A client that is to show a token first.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self { state: State::Unauthenticated(Awaited::Line), dialect: Some(Dialect::TEXT), ..Self::new() }
    }

    /// Takes what a client says that is not authenticated. Each line is answered, where memcached answers the last of
    /// those that come together.
    #[cold]
    pub(super) fn authenticate(&mut self, awaited: Awaited, input: &[u8], turn: &mut Turn<'_>) -> Step {
        match awaited {
            Awaited::Line => self.token_line(input, turn),
            Awaited::Token { block_len } => self.token(block_len, input, turn),
        }
    }

    fn token_line(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        match parse_auth(input) {
            AuthParsed::Incomplete => Step::stop(0, super::Next::Read),
            AuthParsed::Hang => self.hang(input),
            AuthParsed::Token { block_len, used } => {
                self.state = State::Unauthenticated(Awaited::Token { block_len });
                Step::on(used)
            }
            AuthParsed::Refused { .. } if turn.requests_left == 0 => Step::stop(0, super::Next::Yield),
            AuthParsed::Refused { failure, used } => {
                turn.requests_left -= 1;
                TOKEN_ASKED.push_reply(turn.output.bytes(), Reply::Error(failure));
                Step::on(used)
            }
        }
    }

    fn token(&mut self, block_len: usize, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let Some(block) = input.get(..block_len) else { return Step::stop(0, super::Next::Read) };
        if turn.requests_left == 0 {
            return Step::stop(0, super::Next::Yield);
        }
        turn.requests_left -= 1;
        let reply = match credentials(block) {
            Ok((user, password)) => turn.commands.authenticate(user, password),
            Err(failure) => Reply::Error(failure),
        };
        self.state = if reply == Reply::Stored { State::Ready } else { State::Unauthenticated(Awaited::Line) };
        TOKEN_ASKED.push_reply(turn.output.bytes(), reply);
        Step::on(block_len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Client;
    use super::super::{Connection, Next};
    use crate::command::testing::commands_with_tokens;

    fn unauthenticated() -> Client {
        let mut client = Client::with(commands_with_tokens("user:pass\n"));
        client.connection = Connection::unauthenticated();
        client
    }

    #[test]
    fn a_token_opens_wherever_it_is_cut() {
        let request = b"set x 0 0 9\r\nuser pass\r\nget a\r\n";
        for cut in 0..request.len() {
            let (mut client, (head, tail)) = (unauthenticated(), request.split_at(cut));
            let replies = [client.send(head).0, client.send(tail).0].concat();
            assert_eq!(replies, b"STORED\r\nEND\r\n", "cut at {cut}");
        }
    }

    #[test]
    fn everything_else_is_refused_line_by_line() {
        let mut client = unauthenticated();
        let refused = "CLIENT_ERROR unauthenticated\r\n";
        assert_eq!(client.ask(b"get a\r\nversion noreply\r\n\x80binary\r\n"), refused.repeat(3));
        assert_eq!(client.ask(b"set x 0 0 9\r\nuser pasS\r\n"), "CLIENT_ERROR authentication failure\r\n");
        assert_eq!(client.ask(b"set x 0 0 4\r\nuser\r\n"), "CLIENT_ERROR bad authentication token format\r\n");
        assert_eq!(client.ask(b"set x 0 0 9\r\nuser passxx"), "CLIENT_ERROR bad command line termination\r\n");
        assert_eq!(client.ask(b"set x 0 0 16385\r\n"), "CLIENT_ERROR auth token too long\r\n");
        assert_eq!(client.send(b"quit\r\n"), (Vec::new(), Next::Close));
    }

    #[test]
    fn who_is_unauthenticated_has_no_more_than_its_share_of_a_turn() {
        let mut client = unauthenticated();
        client.budget = 2;
        assert_eq!(client.turn(&b"version\r\n".repeat(5)), Next::Yield);
        assert_eq!(client.written().len(), 2 * "CLIENT_ERROR unauthenticated\r\n".len());
    }

    #[test]
    fn who_is_silent_is_idle_before_and_in_a_token() {
        let mut client = unauthenticated();
        assert!(client.connection.is_idle());
        client.ask(b"set x 0 0 9\r\nuser");
        assert!(client.connection.is_idle());
    }
}
