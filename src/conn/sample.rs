//! A sampled read, looked at a second time: which kinds of requests it completed, and which keys they asked for. Who
//! serves requests knows nothing of it.

use super::{Connection, State};
use crate::command::{Commands, Picks};
use crate::protocol::{Dialect, KeyLine, NextKey, Operation, ParseRoom, Parsed};
use crate::telemetry::{CommandKind, KindCounts};

/// What a connection is in before input is served.
#[derive(Clone, Copy, Debug)]
pub struct Mark(Begun);

#[derive(Clone, Copy, Debug)]
enum Begun {
    /// Nothing: a request begins.
    Nothing,
    /// A line of keys.
    Keys(KeyLine),
    /// A request with so many bytes to come.
    Rest { left: usize, kind: CommandKind },
}

/// What was found so far.
#[derive(Debug, Default)]
struct Tally {
    counts: KindCounts,
    picks: Picks,
}

impl Connection {
    /// What it is in, for [`Self::tally`]; `None`: in nothing that is measured.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        Some(Mark(match &self.state {
            State::Ready => Begun::Nothing,
            State::Keys(line) => Begun::Keys(*line),
            State::Body(body) | State::Wait(body) => Begun::Rest { left: body.missing(), kind: body.kind() },
            State::Discard(discard) => Begun::Rest { left: discard.left, kind: discard.asked.asked().kind_of_store() },
            State::Unauthenticated(_)
            | State::Sasl(_)
            | State::Dump(_)
            | State::Listing(_)
            | State::Watch(_)
            | State::Closing { .. } => return None,
        }))
    }

    /// The kinds of the requests that end in `served`, which was served since the mark was set. The keys they asked for
    /// are noted.
    #[cold]
    pub fn tally(&self, mark: Mark, served: &[u8], commands: &mut Commands) -> KindCounts {
        let Some(dialect) = self.dialect else { return KindCounts::default() };
        let mut tally = Tally::default();
        let mut next = tally.begun(mark.0, served, commands);
        while let Some(rest) = next.filter(|rest| !rest.is_empty()) {
            next = tally.request(dialect, rest, commands);
        }
        commands.note_asked(&tally.picks);
        tally.counts
    }
}

impl Tally {
    /// Passes over what was begun earlier; what follows, if anything does.
    fn begun<'i>(&mut self, begun: Begun, served: &'i [u8], commands: &mut Commands) -> Option<&'i [u8]> {
        match begun {
            Begun::Nothing => Some(served),
            Begun::Keys(line) => self.keys(line, served, commands),
            Begun::Rest { left, kind } => self.end(kind, served, left),
        }
    }

    /// Passes over a request that is `len` bytes long, if it ends here.
    fn end<'i>(&mut self, kind: CommandKind, served: &'i [u8], len: usize) -> Option<&'i [u8]> {
        let rest = served.get(len..)?;
        self.counts.add(kind);
        Some(rest)
    }

    /// Passes over the request at the head of the input; what follows, if it ends here.
    fn request<'i>(&mut self, dialect: Dialect, served: &'i [u8], commands: &mut Commands) -> Option<&'i [u8]> {
        let mut room = ParseRoom::default();
        let Parsed::Request { request, used } = dialect.parse(served, &mut room) else { return None };
        let kind = request.kind();
        let len = match &request.operation {
            Operation::Keys(line) => return self.keys(*line, &served[used..], commands),
            Operation::Fetch(fetch) => {
                commands.pick(&mut self.picks, fetch.key, fetch.options.value);
                used
            }
            Operation::Store(store) => {
                commands.pick(&mut self.picks, store.key, false);
                used.saturating_add(store.value_len).saturating_add(request.asked.value_end().len())
            }
            Operation::Delete(delete) => {
                commands.pick(&mut self.picks, delete.key, false);
                used
            }
            Operation::Arithmetic(arithmetic) => {
                commands.pick(&mut self.picks, arithmetic.key, false);
                used
            }
            Operation::Refused(refused) => used.saturating_add(refused.swallow_bytes),
            Operation::Admin(_) => used,
            // Nothing that is measured follows.
            Operation::Sasl(_) | Operation::Watch(_) | Operation::Quit | Operation::HangUp(_) | Operation::Hang => {
                return None;
            }
        };
        self.end(kind, served, len)
    }

    /// Passes over keys of a line; what follows, if it ends here.
    fn keys<'i>(&mut self, line: KeyLine, served: &'i [u8], commands: &mut Commands) -> Option<&'i [u8]> {
        let (kind, is_sent) = (line.options().kind(), line.options().value);
        if line.is_answered() {
            return self.end(kind, served, line.rest_len(served)?);
        }
        let mut rest = served;
        loop {
            match line.next_key(rest) {
                NextKey::Key { key, used } => {
                    commands.pick(&mut self.picks, key, is_sent);
                    rest = &rest[used..];
                }
                NextKey::Last { key, used } => {
                    commands.pick(&mut self.picks, key, is_sent);
                    return self.end(kind, rest, used);
                }
                NextKey::End { used } => return self.end(kind, rest, used),
                NextKey::TooLong => return self.end(kind, rest, line.rest_len(rest)?),
                NextKey::Partial => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Client;
    use crate::command::testing::NOW;
    use crate::telemetry::{CommandKind, KindCounts};

    fn counts(kinds: &[CommandKind]) -> KindCounts {
        let mut counts = KindCounts::default();
        kinds.iter().for_each(|&kind| counts.add(kind));
        counts
    }

    /// The kinds that are found when input comes in these pieces, each of them served and looked at by itself.
    fn tallies(client: &mut Client, pieces: &[&[u8]]) -> Vec<KindCounts> {
        let mut tallies = Vec::new();
        for piece in pieces {
            let mark = client.connection.mark().expect("measured");
            let input = [client.connection.kept(), piece].concat();
            client.send(piece);
            let served = input.len() - client.connection.kept().len();
            tallies.push(client.connection.tally(mark, &input[..served], &mut client.commands));
        }
        tallies
    }

    fn keys(client: &Client) -> Vec<(String, f64, f64)> {
        let ranking = client.commands.shared().hot_keys().ranking(NOW.seconds.0);
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        ranking.keys.iter().map(|hot| (text(&hot.key), hot.requests_share, hot.bytes_share)).collect()
    }

    #[test]
    fn every_kind_is_known() {
        use CommandKind::{Arithmetic, Delete, Get, MetaArithmetic, MetaDelete, MetaGet, MetaSet, Other, Set, Touch};
        let requests: [(&[u8], CommandKind); 21] = [
            (b"get a\r\n", Get),
            (b"gets a\r\n", Get),
            (b"get a b c\r\n", Get),
            (b"gat 0 a\r\n", Touch),
            (b"gats 0 a b\r\n", Touch),
            (b"touch a 0\r\n", Touch),
            (b"set a 0 0 1\r\nx\r\n", Set),
            (b"append a 0 0 1\r\nx\r\n", Set),
            (b"cas a 0 0 1 9\r\nx\r\n", Set),
            (b"set a 0 0 1 noreply\r\nx\r\n", Set),
            (b"delete a\r\n", Delete),
            (b"incr a 1\r\n", Arithmetic),
            (b"mg a v\r\n", MetaGet),
            (b"mg a v T9\r\n", MetaGet),
            (b"me a\r\n", MetaGet),
            (b"ms a 1\r\nx\r\n", MetaSet),
            (b"md a\r\n", MetaDelete),
            (b"ma a\r\n", MetaArithmetic),
            (b"mn\r\n", Other),
            (b"version\r\n", Other),
            (b"nosuch\r\n", Other),
        ];
        for (request, kind) in requests {
            assert_eq!(tallies(&mut Client::new(), &[request]), [counts(&[kind])], "{}", request.escape_ascii());
        }
        let all: Vec<u8> = requests.concat_requests();
        let kinds = requests.map(|(_, kind)| kind);
        assert_eq!(tallies(&mut Client::new(), &[&all]), [counts(&kinds)]);
    }

    trait Concat {
        fn concat_requests(&self) -> Vec<u8>;
    }

    impl Concat for [(&[u8], CommandKind); 21] {
        fn concat_requests(&self) -> Vec<u8> {
            self.iter().flat_map(|(request, _)| request.iter().copied()).collect()
        }
    }

    #[test]
    fn a_request_counts_with_the_read_that_completes_it() {
        use CommandKind::{Get, Set};
        let none = KindCounts::default();
        let value = vec![b'v'; 20_000];
        let cut = |bytes: &[u8], at: usize| (bytes[..at].to_vec(), bytes[at..].to_vec());
        let large = [b"set L 0 0 20000\r\n", &value[..], b"\r\nget L\r\n"].concat();
        for (bytes, at, expected) in [
            (b"get a\r\nget b\r\n".to_vec(), 10, [counts(&[Get]), counts(&[Get])]),
            (b"get a b c\r\nget d\r\n".to_vec(), 8, [none, counts(&[Get, Get])]),
            (b"set a 0 0 5\r\nhello\r\nget a\r\n".to_vec(), 15, [none, counts(&[Set, Get])]),
            (large.clone(), 5000, [none, counts(&[Set, Get])]),
            (large.clone(), 20_018, [none, counts(&[Set, Get])]),
            (large, 20_019, [counts(&[Set]), counts(&[Get])]),
            ([&b"set a 0 0 2000000\r\n"[..], &vec![b'v'; 2_000_000], b"\r\n"].concat(), 900, [none, counts(&[Set])]),
        ] {
            let (first, second) = cut(&bytes, at);
            assert_eq!(tallies(&mut Client::new(), &[&first, &second]), expected, "cut at {at}");
        }
    }

    #[test]
    fn keys_are_noted_with_what_was_sent_of_them() {
        let mut client = Client::new();
        client.ask(b"set a 0 0 30\r\n012345678901234567890123456789\r\nset b 0 0 10\r\n0123456789\r\n");
        tallies(&mut client, &[b"get a b\r\nget nosuch\r\n", b"mg YQ== b v\r\n"]);
        let expected = [("a".to_owned(), 0.5, 60.0 / 70.0), ("b".to_owned(), 0.25, 10.0 / 70.0)];
        assert_eq!(keys(&client)[..2], expected);
        assert_eq!(keys(&client)[2], ("nosuch".to_owned(), 0.25, 0.0));
    }

    #[test]
    fn what_is_no_request_ends_the_tally() {
        for input in [&b"quit\r\nget a\r\n"[..], b"\x00\x80\x00\r\n", b"watch\r\nget a\r\n"] {
            let mut client = Client::new();
            let mark = client.connection.mark().expect("measured");
            client.send(input);
            client.connection.tally(mark, input, &mut client.commands);
            assert!(keys(&client).is_empty());
        }
    }

    #[test]
    fn packets_are_requests_too() {
        let packet = |opcode: u8, key: &[u8], extras: &[u8], value: &[u8]| {
            let body = u32::try_from(extras.len() + key.len() + value.len()).expect("short").to_be_bytes();
            let [key_len, extras_len] = [key.len(), extras.len()].map(|len| u8::try_from(len).expect("short"));
            let head = [0x80, opcode, 0, key_len, extras_len, 0, 0, 0, body[0], body[1], body[2], body[3]];
            [&head[..], &[0; 12], extras, key, value].concat()
        };
        use CommandKind::{Arithmetic, Delete, Get, Other, Set, Touch};
        let requests = [
            packet(0x01, b"a\x00\xff", &[0; 8], b"value"),
            packet(0x00, b"a\x00\xff", b"", b""),
            packet(0x09, b"b", b"", b""),
            packet(0x1c, b"a\x00\xff", &[0; 4], b""),
            packet(0x05, b"n", &[0; 20], b""),
            packet(0x04, b"b", b"", b""),
            packet(0x0a, b"", b"", b""),
        ];
        let mut client = Client::new();
        let tallied = tallies(&mut client, &[&requests.concat()]);
        assert_eq!(tallied, [counts(&[Set, Get, Get, Touch, Arithmetic, Delete, Other])]);
    }
}
