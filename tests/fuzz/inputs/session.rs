//! Clients that send any bytes, cut anywhere, while time passes and background work is done.
//!
//! The first byte says what is spoken and how much memory there is, the second how bytes are cut and turns follow each
//! other. The rest is what the clients send: `CLIENT_END` passes on to the next client. At the end the store's books
//! are right; and a client that is alone is answered the same however its bytes were cut.

use std::io::{IoSlice, IoSliceMut};

use flagstone::command::{Commands, Options, Shared, SharedOptions};
use flagstone::conn::{Connection, Next, Output, Turn};
use flagstone::protocol::{Dialect, parse_datagram};
use flagstone::store::{self, Local, Store};
use flagstone::sync::Arc;
use flagstone::time::{Now, Seconds};

use super::Chance;

const CLIENT_END: &[u8] = b"\xff|";
const CLIENTS_MAX: usize = 4;
pub(super) const START: Now = Now { seconds: Seconds(100), unix_epoch: 1_700_000_000 };
/// Turns that a client waits for something that nobody brings; then it is closed.
const WAITS_MAX: u32 = 8;
/// As a worker's scratch buffer: a line that fills it is no request.
const SCRATCH_BYTES: usize = 16 << 10;

pub(crate) fn play(input: &[u8]) {
    let [kind, seed, sent @ ..] = input else { return };
    let streams: Vec<&[u8]> = split(sent);
    Session::new(*kind, &streams).run(Some(Chance::new(u64::from(*seed))));
    if let [stream] = streams[..]
        && is_alone_with_itself(stream)
        && *kind & DATAGRAMS == 0
    {
        let at_once = Session::new(*kind | STILL, &[stream]).run(None);
        let cut = Session::new(*kind | STILL, &[stream]).run(Some(Chance::new(u64::from(*seed))));
        assert!(at_once == cut, "cut: {}\nat once: {}", cut[0].escape_ascii(), at_once[0].escape_ascii());
    }
}

/// Bits of the first byte: what clients speak (two), little memory, no evictions, large values in small memory; and
/// not of the input: nothing happens by itself.
const BINARY: u8 = 1;
const TEXT: u8 = 2;
const DATAGRAMS: u8 = 4;
const SMALL: u8 = 8;
const FULL_IS_ERROR: u8 = 16;
const STILL: u8 = 128;

fn split(sent: &[u8]) -> Vec<&[u8]> {
    let mut streams = Vec::new();
    let mut rest = sent;
    while let Some(end) = rest.windows(2).position(|pair| pair == CLIENT_END) {
        streams.push(&rest[..end]);
        rest = &rest[end + 2..];
        if streams.len() + 1 == CLIENTS_MAX {
            break;
        }
    }
    streams.push(rest);
    streams
}

/// Bytes of a line without an end after which memcached closes a connection: one that arrives whole may be longer.
const LINE_BYTES_MAX: usize = 2048;

/// Reports tell of the process and of its connections, lines for watchers come when they come, and a long line is
/// refused when its end has not come.
fn is_alone_with_itself(stream: &[u8]) -> bool {
    let words: [&[u8]; 3] = [b"stats", b"watch", b"\x80\x10"];
    let is_told = words.iter().any(|word| stream.windows(word.len()).any(|window| window == *word));
    !is_told && stream.split(|&byte| byte == b'\n').all(|line| line.len() <= LINE_BYTES_MAX)
}

/// Options of a small store that hashes the same in each run.
pub(super) fn options() -> store::Options {
    store::Options {
        limit_bytes: 2 << 20,
        item_bytes_max: 256 << 10,
        few_addresses: true,
        hash_seed: 42,
        workers: 1,
        ..store::Options::default()
    }
}

pub(super) struct Session<'i> {
    store: Arc<Store>,
    commands: Commands,
    background: Local,
    clients: Vec<Client<'i>>,
    now: Now,
    is_still: bool,
}

struct Client<'i> {
    connection: Connection,
    output: Output,
    /// What it has still to send.
    input: &'i [u8],
    next: Next,
    answered: Vec<u8>,
    waits: u32,
    is_datagram: bool,
    is_open: bool,
}

impl<'i> Session<'i> {
    fn new(kind: u8, streams: &[&'i [u8]]) -> Self {
        let limit_bytes = if kind & SMALL == 0 { 8 << 20 } else { 2 << 20 };
        let options = store::Options { limit_bytes, evict: kind & FULL_IS_ERROR == 0, ..options() };
        Self::over(Store::open(&options).expect("memory of a few megabytes"), kind, streams)
    }

    /// Clients of a store that is there.
    pub(super) fn over(store: Store, kind: u8, streams: &[&'i [u8]]) -> Self {
        let store = Arc::new(store);
        let shared = Shared::new(SharedOptions {
            options: Options { shutdown: true, ..Options::default() },
            store: Arc::clone(&store),
            tls: None,
            tokens: None,
            sasl: None,
            settings: Vec::new(),
            started: START,
            pid: 1,
            restart: None,
            listeners: Vec::new(),
        });
        let is_datagram = kind & DATAGRAMS != 0;
        let dialect = match kind & (BINARY | TEXT) {
            BINARY => Some(Dialect::Binary),
            TEXT => Some(Dialect::Ascii),
            _ => None,
        };
        let client = |input: &&'i [u8]| Client {
            connection: if is_datagram { Connection::of_datagram() } else { Connection::speaking(dialect) },
            output: Output::for_worker(),
            input,
            next: Next::Read,
            answered: Vec::new(),
            waits: 0,
            is_datagram,
            is_open: true,
        };
        let background = store.local();
        Self {
            store,
            commands: Commands::new(Arc::new(shared), START),
            background,
            clients: streams.iter().map(client).collect(),
            now: START,
            is_still: kind & STILL != 0,
        }
    }

    /// What each client was answered. Without chance all is sent at once.
    pub(super) fn run(mut self, mut chance: Option<Chance>) -> Vec<Vec<u8>> {
        while self.clients.iter().any(|client| client.is_open) {
            let place = chance.as_mut().map_or(0, |chance| chance.below(self.clients.len()));
            let open = (0..self.clients.len()).map(|n| (place + n) % self.clients.len());
            let Some(next) = open.into_iter().find(|&n| self.clients[n].is_open) else { break };
            self.pass_time(chance.as_mut());
            self.commands.begin_turn(self.now, || 0);
            self.clients[next].turn(&mut self.commands, chance.as_mut());
            self.commands.end_turn();
        }
        self.end()
    }

    fn pass_time(&mut self, chance: Option<&mut Chance>) {
        let Some(chance) = chance.filter(|_| !self.is_still) else { return };
        if chance.below(8) == 0 {
            self.now.seconds.0 += u32::try_from(chance.below(40)).expect("below 40");
        }
        for _ in 0..chance.below(3) {
            self.store.step(&mut self.background, self.now);
        }
    }

    fn end(mut self) -> Vec<Vec<u8>> {
        for client in &mut self.clients {
            client.close(&mut self.commands);
        }
        self.commands.surrender();
        self.store.surrender(&mut self.background);
        // It takes longer than all the rest.
        let audit = if self.is_still { None } else { self.store.audit().err() };
        assert_eq!(audit, None, "the store's books");
        self.clients.into_iter().map(|client| client.answered).collect()
    }
}

impl<'i> Client<'i> {
    /// Sends some of its bytes, or goes on with what it is at; all that is answered is taken.
    fn turn(&mut self, commands: &mut Commands, chance: Option<&mut Chance>) {
        let mut chance = chance;
        let requests = chance.as_mut().map_or(usize::MAX, |chance| 1 + chance.below(20));
        match self.next {
            Next::Read if self.input.is_empty() => return self.close(commands),
            Next::Read => {
                let len = chance.map_or(SCRATCH_BYTES, Self::cut);
                self.send(len.min(self.input.len()), commands, requests);
            }
            Next::Yield | Next::Rest | Next::Write => {
                self.with_turn(commands, requests, |connection, turn| connection.resume(turn));
            }
            Next::Memory if self.is_datagram => {
                self.with_turn(commands, requests, |connection, turn| {
                    connection.refuse_waiting(turn);
                    Next::Close
                });
            }
            Next::Wait | Next::Memory if self.waits < WAITS_MAX => {
                self.waits += 1;
                self.with_turn(commands, requests, |connection, turn| connection.resume(turn));
            }
            _ => return self.close(commands),
        }
        self.take_answers(commands);
    }

    /// Mostly a few bytes, at times many.
    fn cut(chance: &mut Chance) -> usize {
        let bound = [1, 4, 40, 1500, SCRATCH_BYTES][chance.below(5)];
        1 + chance.below(bound)
    }

    /// The next bytes, the way that a worker reads them.
    fn send(&mut self, len: usize, commands: &mut Commands, requests: usize) {
        if self.is_datagram {
            return self.send_datagram(commands, requests);
        }
        let brings_values = self.connection.brings_values();
        if brings_values && self.fill_rooms(len, commands) > 0 {
            return;
        }
        let kept = self.connection.kept().to_vec();
        let len = len.min(SCRATCH_BYTES.saturating_sub(kept.len()));
        if len == 0 {
            // A line of that length is no request.
            return self.close(commands);
        }
        let (fresh, rest) = self.input.split_at(len);
        self.input = rest;
        let input = [&kept, fresh].concat();
        self.with_turn(commands, requests, |connection, turn| connection.receive(&input, turn));
        if brings_values {
            self.connection.expect_requests();
        }
    }

    /// Bytes of a large value, straight into their item; how many.
    fn fill_rooms(&mut self, len: usize, commands: &mut Commands) -> usize {
        let mut filled = 0;
        {
            let mut rooms: [IoSliceMut<'_>; 8] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
            let count = self.connection.rooms(commands, &mut rooms);
            for room in &mut rooms[..count] {
                let n = room.len().min(len - filled).min(self.input.len());
                room[..n].copy_from_slice(&self.input[..n]);
                self.input = &self.input[n..];
                filled += n;
            }
        }
        if filled > 0 {
            self.connection.filled(filled, commands);
        }
        filled
    }

    /// All of a datagram's bytes; the next one's begin behind them.
    fn send_datagram(&mut self, commands: &mut Commands, requests: usize) {
        let (datagram, rest) = self.input.split_at(self.input.len().min(1400));
        self.input = rest;
        self.connection.close(commands);
        self.connection = Connection::of_datagram();
        if let Some((_, request)) = parse_datagram(datagram) {
            self.with_turn(commands, requests, |connection, turn| connection.receive(request, turn));
        }
    }

    fn with_turn(
        &mut self,
        commands: &mut Commands,
        requests_left: usize,
        serve: impl FnOnce(&mut Connection, &mut Turn<'_>) -> Next,
    ) {
        let output = &mut self.output;
        let mut turn = Turn { commands, output, requests_left, first: None, logged_as: None };
        self.next = serve(&mut self.connection, &mut turn);
    }

    fn take_answers(&mut self, commands: &mut Commands) {
        while !self.output.is_empty() {
            let mut pieces = [IoSlice::new(&[]); 8];
            let count = self.output.pieces(commands, &mut pieces);
            let before = self.answered.len();
            for piece in &pieces[..count] {
                self.answered.extend_from_slice(piece);
            }
            let n = self.answered.len() - before;
            assert!(n > 0, "output that is not empty has bytes");
            self.output.sent(n, commands);
        }
    }

    fn close(&mut self, commands: &mut Commands) {
        if self.is_open {
            self.is_open = false;
            self.output.discard(commands);
            self.connection.close(commands);
        }
    }
}
