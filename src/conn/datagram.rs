//! A connection of one datagram: what is not whole in it never will be, so half a request has no effect and no answer,
//! and nothing that a client would have to be there for is begun.

use super::{Connection, Head, State, Turn};
use crate::protocol::{Asked, Failure, ItemLines, KeyLine, Store};

impl Connection {
    /// A client whose requests are those of one datagram.
    #[must_use]
    pub fn of_datagram() -> Self {
        Self { is_datagram: true, ..Self::new() }
    }

    /// Refuses the value that waits for memory: a datagram's requests are served at once or not at all.
    pub fn refuse_waiting(&mut self, turn: &mut Turn<'_>) {
        if let State::Wait(body) = std::mem::replace(&mut self.state, State::Ready) {
            self.refuse_body(*body, turn);
        }
    }
}

impl Head<'_> {
    /// Whether the keys of the line are all there.
    pub(super) fn has_rest_of(&self, line: KeyLine) -> bool {
        line.rest_len(&self.input[self.len..]).is_some()
    }

    /// Whether the value is all there.
    pub(super) fn has_value_of(&self, store: &Store<'_>, asked: &Asked<'_>) -> bool {
        self.input.len() - self.len >= store.value_len.saturating_add(asked.value_end().len())
    }
}

/// Lists of all items are for who takes them as fast as they come.
pub(super) fn refusal_of(lines: ItemLines) -> Option<Failure> {
    match lines {
        ItemLines::Metadump => Some(Failure::MetadumpNotAllowed),
        ItemLines::Mgdump => Some(Failure::MgdumpNotAllowed),
        ItemLines::Cachedump => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Client;
    use super::super::{Connection, Next, Turn};
    use crate::command::Options;
    use crate::command::testing::commands_with;
    use crate::store;

    fn client() -> Client {
        let mut client = Client::new();
        client.connection = Connection::of_datagram();
        client
    }

    #[test]
    fn half_a_request_is_not_answered_and_has_no_effect() {
        let value = "v".repeat(20_000);
        for (request, answered) in [
            ("get a b", ""),
            ("gat 0 a b", ""),
            ("set a 0 0 5\r\nab", ""),
            (&format!("set a 0 0 20000\r\n{}", &value[1..]), ""),
            ("set a 0 0 20000000\r\nab", ""),
            ("delete a", ""),
            ("version\r\nget a b", "VERSION 1.6.45\r\n"),
        ] {
            let mut client = client();
            client.ask(b"set a 0 0 1\r\n1\r\n");
            assert_eq!(client.send(request.as_bytes()), (answered.into(), Next::Read), "{request:.30}");
            client.connection = Connection::of_datagram();
            assert_eq!(client.ask(b"get a\r\n"), "VALUE a 0 1\r\n1\r\nEND\r\n", "{request:.30}");
        }
    }

    #[test]
    fn what_outlives_a_datagram_is_refused() {
        for (request, answer) in [
            ("watch\r\n", "CLIENT_ERROR watch commands not allowed\r\n"),
            ("lru_crawler metadump all\r\n", "ERROR metadump not allowed\r\n"),
            ("lru_crawler mgdump all\r\n", "ERROR key dump not allowed\r\n"),
        ] {
            assert_eq!(client().ask(request.as_bytes()), answer);
        }
        let mut client = client();
        client.ask(b"set a 0 0 1\r\n1\r\n");
        assert!(client.ask(b"stats cachedump 1 0\r\n").starts_with("ITEM a [1 b;"));
    }

    /// By a stream it would wait, and all datagrams behind it.
    #[test]
    fn a_value_that_finds_no_memory_is_refused_at_once() {
        let options = store::Options { limit_bytes: 4 << 20, ..store::Options::default() };
        let mut client = Client::with(commands_with(Options::default(), options));
        let value = "v".repeat(20_000);
        let mut readers = Vec::new();
        for number in 0.. {
            if client.send(format!("set k{number} 0 0 20000\r\n{value}\r\n").as_bytes()).1 == Next::Memory {
                client.connection.close(&mut client.commands);
                break;
            }
            // Asked for and not taken, so that it cannot be evicted.
            client.turn(format!("get k{number}\r\n").as_bytes());
            readers.push(client.output.take_unsent());
        }
        client.connection = Connection::of_datagram();
        let requests = format!("set a 0 0 60000\r\n{}\r\nmn\r\n", "v".repeat(60_000));
        assert_eq!(client.turn(requests.as_bytes()), Next::Memory);
        let Client { commands, connection, output, .. } = &mut client;
        let mut turn = Turn { commands, output, requests_left: 9, first: None, logged_as: None };
        connection.refuse_waiting(&mut turn);
        assert_eq!(client.ask(b""), "SERVER_ERROR out of memory storing object\r\nMN\r\n");
        for mut reader in readers {
            reader.discard(&mut client.commands);
        }
    }

    #[test]
    fn a_large_value_in_one_datagram_is_stored() {
        let request = format!("set a 0 0 30000\r\n{}\r\nget b c\r\n", "v".repeat(30_000));
        assert_eq!(client().ask(request.as_bytes()), "STORED\r\nEND\r\n");
    }
}
