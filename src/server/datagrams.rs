//! [`Datagrams`]: a worker's UDP sockets. Each request is served by a connection of its own, which ends with it.
//!
//! A socket serves one request after another, in steps: taking a datagram, serving a budget of what is in it, sending a
//! datagram of the replies. A turn takes a bounded number of steps, so that neither a flood of datagrams nor a reply
//! of thousands keeps the worker from its other clients; what is left goes on with the next turn.

use std::io;
use std::net::SocketAddr;

use mio::{Interest, Registry, Token};

use super::client::shut_down;
use super::clock::Clock;
use super::roster::WAKE;
use crate::bytes::number;
use crate::command::{Activity, Commands, ListedConnection};
use crate::conn::{Connection, Next, Output, Turn};
use crate::net::{DatagramSocket, udp_text};
use crate::protocol::{DATAGRAM_BYTES_MAX, Message, parse_datagram};
use crate::telemetry::watch::Kinds;
use crate::time::Seconds;

/// Steps of a socket in a turn: with the kernel's part some 30 us, for which other clients wait. With 64 a flood made
/// their median 100 us.
const STEPS_A_TURN: u32 = 16;

/// Most datagrams in answer to one: as many as one message may have.
const DATAGRAMS_MAX: usize = 65_535;

/// A worker's UDP sockets.
#[derive(Debug)]
pub(super) struct Datagrams {
    sockets: Vec<Listened>,
    /// Whether they stand in a queue of their worker.
    is_queued: bool,
}

/// The token that they all have in queues: that of the first.
pub(super) const TOKEN: Token = Token(WAKE.0 - 1);

/// When sockets want a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// When the kernel says something.
    Later,
    /// A little later: others are to answer first.
    Soon,
    /// At once.
    Now,
}

/// One socket and the request it is at.
#[derive(Debug)]
struct Listened {
    socket: DatagramSocket,
    /// Datagrams may be there: the kernel has said so, and we have not seen `WouldBlock` since.
    is_readable: bool,
    exchange: Option<Exchange>,
    /// Its replies: they stay here from turn to turn.
    output: Output,
    last_heard: Seconds,
}

/// A request and its reply.
#[derive(Debug)]
struct Exchange {
    peer: SocketAddr,
    id: u16,
    connection: Connection,
    /// What the connection needs next.
    next: Next,
    /// What is being sent of the output.
    message: Option<Message>,
    /// Datagrams that may still be sent. 0: what more is answered is dropped.
    left: usize,
    /// That of its socket.
    descriptor: u32,
    /// Whether its commands are logged.
    is_logged: bool,
    /// It has given others time to answer since it asked them.
    has_waited: bool,
    /// What is measured of it, if anything is.
    sample: Option<Box<Sample>>,
}

/// A request that is measured.
#[derive(Debug)]
struct Sample {
    /// When it was read, by [`Clock::exact_nanos`].
    read_at: u64,
    /// All of it: it is looked at again when its replies are sent.
    request: Vec<u8>,
}

/// What sockets work with in a turn.
#[derive(Debug)]
pub(super) struct DatagramTurn<'w> {
    pub(super) commands: &'w mut Commands,
    /// Room for a datagram.
    pub(super) scratch: &'w mut [u8],
    /// `-R`: requests of a datagram served in one step.
    pub(super) requests_per_turn: usize,
    pub(super) is_logged: bool,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stepped {
    /// It goes on.
    On,
    /// The request is done.
    Done,
    /// It goes on, but has had its requests of this turn.
    Yields,
    /// Others are to answer first.
    Waits,
}

impl Datagrams {
    pub(super) fn new(sockets: Vec<DatagramSocket>, now: Seconds) -> Self {
        let listened = |socket| Listened {
            socket,
            is_readable: true,
            exchange: None,
            output: Output::for_worker(),
            last_heard: now,
        };
        Self { sockets: sockets.into_iter().map(listened).collect(), is_queued: false }
    }

    /// # Errors
    /// What the kernel says.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (place, listened) in self.sockets.iter_mut().enumerate() {
            registry.register(&mut listened.socket, token(place), Interest::READABLE)?;
        }
        Ok(())
    }

    /// How many sockets there are.
    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Notes that datagrams have come for the socket of this token, if it is one's; true: they want to be queued.
    pub(super) fn note(&mut self, at: Token) -> bool {
        let named = TOKEN.0.checked_sub(at.0).and_then(|place| self.sockets.get_mut(place));
        let Some(listened) = named else { return false };
        listened.is_readable = true;
        !std::mem::replace(&mut self.is_queued, true)
    }

    /// A turn for each socket; when they want the next.
    pub(super) fn serve(&mut self, turn: &mut DatagramTurn<'_>) -> Wish {
        let wishes = self.sockets.iter_mut().map(|listened| listened.serve(turn));
        let wish = wishes.max().unwrap_or(Wish::Later);
        self.is_queued = wish == Wish::Now;
        wish
    }

    /// What `stats conns` tells about them.
    pub(super) fn describe(&self, now: Seconds) -> impl Iterator<Item = ListedConnection> {
        self.sockets.iter().map(move |listened| listened.describe(now))
    }

    /// Gives back what the store lent.
    pub(super) fn close(&mut self, commands: &mut Commands) {
        for listened in &mut self.sockets {
            listened.end(commands);
        }
    }
}

/// The token of a worker's socket at a place: no slot has it.
fn token(place: usize) -> Token {
    Token(TOKEN.0 - place)
}

impl Listened {
    fn serve(&mut self, turn: &mut DatagramTurn<'_>) -> Wish {
        for _ in 0..STEPS_A_TURN {
            let Some(exchange) = &mut self.exchange else {
                if !self.is_readable {
                    return Wish::Later;
                }
                self.receive(turn);
                continue;
            };
            match exchange.step(&self.socket, &mut self.output, turn) {
                Stepped::On => {}
                Stepped::Done => self.end(turn.commands),
                Stepped::Yields => return Wish::Now,
                Stepped::Waits => return Wish::Soon,
            }
        }
        Wish::Now
    }

    /// Takes the next datagram and begins to serve it.
    fn receive(&mut self, turn: &mut DatagramTurn<'_>) {
        let (len, peer) = match self.socket.receive(turn.scratch) {
            Ok(received) => received,
            Err(error) => {
                // Anything else is of an earlier reply (`ECONNREFUSED`), and was taken off with this.
                self.is_readable = error.kind() != io::ErrorKind::WouldBlock;
                return;
            }
        };
        let Some((id, request)) = parse_datagram(&turn.scratch[..len]) else { return };
        self.last_heard = turn.commands.now().seconds;
        turn.commands.counters().bytes_read.add(number(len));
        let mut exchange = Exchange {
            peer,
            id,
            connection: Connection::of_datagram(),
            next: Next::Read,
            message: None,
            left: DATAGRAMS_MAX,
            descriptor: self.socket.descriptor(),
            is_logged: turn.is_logged,
            has_waited: false,
            sample: turn.commands.is_sampled().then(|| Box::new(Sample::of(request))),
        };
        let served = &mut exchange.turn(turn.commands, &mut self.output, turn.requests_per_turn);
        exchange.next = exchange.connection.receive(request, served);
        self.exchange = Some(exchange);
    }

    /// Is done with its request.
    fn end(&mut self, commands: &mut Commands) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.measure(commands);
            exchange.connection.close(commands);
            self.output.discard(commands);
        }
    }

    fn describe(&self, now: Seconds) -> ListedConnection {
        let own = self.socket.local_text();
        let (address, listen_address, activity) = match &self.exchange {
            Some(exchange) => (udp_text(exchange.peer), Some(own), exchange.connection.activity()),
            None => (own, None, Activity::Reading),
        };
        let silent_seconds = now.0.saturating_sub(self.last_heard.0);
        let fd = self.socket.descriptor();
        ListedConnection { fd, is_datagram: true, address, listen_address, activity, silent_seconds }
    }
}

impl Sample {
    #[cold]
    fn of(request: &[u8]) -> Self {
        Self { read_at: Clock::exact_nanos(), request: request.to_vec() }
    }
}

impl Exchange {
    /// Counts what was served, if that is measured: it is done.
    fn measure(&mut self, commands: &mut Commands) {
        let Some(sample) = self.sample.take() else { return };
        let nanos = Clock::exact_nanos().saturating_sub(sample.read_at);
        if let Some(mark) = Connection::of_datagram().mark() {
            let counts = self.connection.tally(mark, &sample.request, commands);
            commands.count_latency(&counts, nanos);
        }
    }

    fn step(&mut self, socket: &DatagramSocket, output: &mut Output, turn: &mut DatagramTurn<'_>) -> Stepped {
        if self.message.is_none() && !output.is_empty() && self.is_to_be_sent() {
            self.begin_message(output, turn.commands);
        }
        if self.message.is_some() {
            self.send(socket, output, turn.commands);
            if self.message.is_some() {
                return Stepped::On;
            }
        }
        match self.next {
            Next::Read | Next::Close | Next::Watch => return Stepped::Done,
            Next::Shutdown | Next::GracefulShutdown => {
                shut_down(self.next == Next::GracefulShutdown);
                return Stepped::Done;
            }
            Next::Wait if !self.has_waited => {
                self.has_waited = true;
                return Stepped::Waits;
            }
            Next::Yield | Next::Write | Next::Rest | Next::Memory | Next::Wait => self.resume(output, turn),
        }
        if self.next == Next::Yield {
            turn.commands.counters().conn_yields.bump();
            return Stepped::Yields;
        }
        Stepped::On
    }

    /// Whether what is answered so far is a message: all of it, or as much as there may be in the output.
    fn is_to_be_sent(&self) -> bool {
        !matches!(self.next, Next::Yield | Next::Rest | Next::Wait | Next::Memory)
    }

    fn begin_message(&mut self, output: &mut Output, commands: &mut Commands) {
        match Message::new(self.id, output.unsent_len()).filter(|message| message.left() <= self.left) {
            Some(message) => {
                self.left -= message.left();
                self.message = Some(message);
            }
            None => self.drop_replies(output, commands),
        }
    }

    /// Sends a datagram. What the kernel does not take is lost, as on its way to the client it may be, too.
    fn send(&mut self, socket: &DatagramSocket, output: &mut Output, commands: &mut Commands) {
        let Some(message) = &mut self.message else { return };
        let mut datagram = [0; DATAGRAM_BYTES_MAX];
        let payload_len = output.take(message.next(&mut datagram), commands);
        let len = Message::datagram_len(payload_len);
        match socket.send(&datagram[..len], self.peer) {
            Ok(()) => commands.counters().bytes_written.add(number(len)),
            Err(error) => {
                log::debug!("the rest of a reply by UDP is lost: {error}");
                self.drop_replies(output, commands);
                return;
            }
        }
        if message.left() == 0 {
            self.message = None;
        }
    }

    /// Neither these replies nor later ones are sent.
    fn drop_replies(&mut self, output: &mut Output, commands: &mut Commands) {
        output.discard(commands);
        self.message = None;
        self.left = 0;
    }

    fn resume(&mut self, output: &mut Output, turn: &mut DatagramTurn<'_>) {
        let has_to_give_up = self.next == Next::Memory;
        self.has_waited = false;
        let served = &mut self.turn(turn.commands, output, turn.requests_per_turn);
        if has_to_give_up {
            self.connection.refuse_waiting(served);
        }
        self.next = self.connection.resume(served);
    }

    /// A budget for its requests.
    fn turn<'t>(&self, commands: &'t mut Commands, output: &'t mut Output, requests_left: usize) -> Turn<'t> {
        if commands.is_watched(Kinds::ITEMS | Kinds::COMMANDS) {
            commands.serve_for(self.descriptor);
        }
        let logged_as = self.is_logged.then_some(self.descriptor);
        Turn { commands, output, requests_left, first: None, logged_as }
    }
}
