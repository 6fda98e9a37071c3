//! The event loop: one thread, one poll, many clients.
//!
//! A turn is one wait for all sockets, then a bounded piece of work for every client that is ready or was
//! stopped by its budget in the last turn. Nothing wakes an idle worker.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use mio::{Interest, Poll, Token};

use super::client::{Bench, Client, Verdict};
use super::clock::Clock;
use super::roster::{Roster, WAKE};
use super::slots::Slots;
use crate::bytes::Buffer;
use crate::command::{CONNECTIONS_A_TURN, Commands, Hint, Shared};
use crate::conn::{Connection, Output, Turn};
use crate::net::Stream;
use crate::sync::{Arc, Ordering};
use crate::sys::events::{Event, Events};
use crate::telemetry::watch::{self, Call, CloseReason, Kinds, Peer, Transport};
use crate::time::Seconds;

/// Most bytes read from a client in a turn; a longer line is no request.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Clients whose input is read before the first of them is served: as many as a processor has ways to wait for memory.
const GUESTS_MAX: usize = 16;

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 1024;

/// How soon a client that waits for memory is looked at again, in milliseconds.
const WAIT_RETRY_MS: i32 = 1;

/// How often idle clients are looked for, when they are, in milliseconds.
const IDLE_SCAN_MS: i32 = 1000;

/// A wait without end, in the kernel's word.
const FOR_EVER: i32 = -1;

/// A client that nobody competes with may have the budget of so many.
const ALONE_BUDGETS: usize = 16;

/// What a worker is told at start.
#[derive(Debug)]
pub struct WorkerOptions {
    /// Its number in the roster.
    pub number: usize,
    /// Its poll, in which the roster's waker is registered.
    pub poll: Poll,
    /// Where its clients come from.
    pub roster: Arc<Roster>,
    /// What all threads know of the commands.
    pub shared: Arc<Shared>,
    /// The time.
    pub clock: Clock,
    /// `-R`: requests a client may have served in a turn.
    pub requests_per_turn: usize,
    /// `idle_timeout`: seconds a TCP client may be silent; `None`: for ever.
    pub idle_seconds_max: Option<u32>,
}

/// An event loop. It lives on its own thread.
#[derive(Debug)]
pub struct Worker {
    number: usize,
    poll: Poll,
    roster: Arc<Roster>,
    shared: Arc<Shared>,
    clock: Clock,
    requests_per_turn: usize,
    idle_seconds_max: Option<u32>,
    commands: Commands,
    slots: Slots<Client>,
    /// Clients that have more to do than their last turn let them.
    run_queue: VecDeque<Token>,
    /// Clients that wait for memory.
    waiting: Vec<Token>,
    /// Clients that watch: served when the worker is called.
    watching: Vec<Token>,
    /// Addresses of clients that came while connections were watched: one that is reset has none any more.
    peers: HashMap<Token, SocketAddr>,
    /// Room for what is read: `SCRATCH_BYTES` behind what was read early.
    scratch: Box<[u8]>,
    /// Clients whose input was read early.
    guests: Vec<Guest>,
    output: Output,
    next_idle_scan: Seconds,
    /// Turns so far.
    turns: u64,
    census: Enumerator,
}

/// A client whose input was read before its turn.
#[derive(Debug)]
struct Guest {
    token: Token,
    /// Its input in the scratch buffer.
    input: Range<usize>,
    /// Where the key is looked up that it asks for first, if that is a plain request.
    first: Option<Hint>,
}

/// What was done for a client before its turn.
#[derive(Debug)]
struct Early {
    /// Its part of the scratch buffer.
    part: Range<usize>,
    /// How much input it holds, if it was read.
    received: Option<usize>,
    /// The hash of the key it asks for first, if that was looked at.
    first: Option<u64>,
}

/// How far a worker is with what it is asked about its clients.
#[derive(Debug)]
struct Enumerator {
    /// Censuses answered.
    answered: u64,
    /// Places written about in the present one.
    place: usize,
}

impl Worker {
    /// A worker without clients.
    #[must_use]
    pub fn new(options: WorkerOptions) -> Self {
        let WorkerOptions { number, poll, roster, shared, clock, requests_per_turn, idle_seconds_max } = options;
        let mut commands = Commands::new(Arc::clone(&shared), clock.now());
        let of_lines = Arc::clone(&roster);
        commands.on_lines(Call::new(move || of_lines.wake_worker(number)));
        Self {
            number,
            poll,
            roster,
            clock,
            requests_per_turn,
            idle_seconds_max,
            commands,
            census: Enumerator { answered: shared.census().join(), place: 0 },
            shared,
            slots: Slots::new(),
            run_queue: VecDeque::new(),
            waiting: Vec::new(),
            watching: Vec::new(),
            peers: HashMap::new(),
            scratch: vec![0; 2 * SCRATCH_BYTES].into_boxed_slice(),
            guests: Vec::with_capacity(GUESTS_MAX),
            output: Output::for_worker(),
            next_idle_scan: Seconds::START,
            turns: 0,
        }
    }

    /// Serves until the roster stops: then requests that were read are answered, and their clients closed.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.roster.is_stopping() {
            match events.wait(&self.poll, self.patience()) {
                Ok(()) => self.turn(&events),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    log::error!("a worker cannot wait for its clients: {error}");
                    break;
                }
            }
        }
        for token in self.slots.tokens(|_| true) {
            self.close(token, CloseReason::Normal);
        }
        self.commands.end_turn();
        self.shared.census().leave(self.census.answered);
    }

    /// How long the poll may sleep, in milliseconds.
    fn patience(&self) -> i32 {
        if !self.run_queue.is_empty() || self.is_asked() {
            return 0;
        }
        if !self.waiting.is_empty() {
            return WAIT_RETRY_MS;
        }
        if self.idle_seconds_max.is_some() && !self.slots.is_empty() {
            return IDLE_SCAN_MS;
        }
        FOR_EVER
    }

    fn turn(&mut self, events: &Events) {
        self.commands.begin_turn(self.clock.now(), Clock::unix_micros);
        self.turns += 1;
        let queued = self.run_queue.len();
        let waiting = self.waiting.len();
        let budget = self.budget(events.len() + queued + waiting);
        if events.len() > 1 && self.commands.looks_ahead() {
            self.serve_together(events, budget);
        } else {
            for event in events.iter() {
                self.serve_event(event, budget);
            }
        }
        if queued + waiting > 0 {
            self.serve_left_over(queued, waiting, budget);
        }
        self.scan_idle();
        if self.is_asked() {
            self.answer_census();
        }
        if self.commands.readers_hold_too_much() {
            let has_served = queued > 0 || events.iter().any(|event| token_of(event) != WAKE);
            self.close_slow_readers(has_served);
        }
        self.commands.end_turn();
    }

    /// Requests each client may have served in this turn.
    fn budget(&self, ready: usize) -> usize {
        if ready > 1 { self.requests_per_turn } else { self.requests_per_turn.saturating_mul(ALONE_BUDGETS) }
    }

    #[inline(never)]
    fn serve_left_over(&mut self, queued: usize, waiting: usize, budget: usize) {
        // Who waits again, or anew, stands behind those whose turn it is.
        for token in self.waiting.drain(..waiting).collect::<Vec<_>>() {
            self.set_queued(token, false);
            self.serve(token, None, budget);
        }
        for _ in 0..queued {
            let Some(token) = self.run_queue.pop_front() else { break };
            self.set_queued(token, false);
            self.serve(token, None, budget);
        }
    }

    /// What one event asks for.
    #[inline(always)]
    fn serve_event(&mut self, event: Event, budget: usize) {
        let token = token_of(event);
        if token == WAKE {
            self.admit_arrivals();
            self.serve_watching(budget);
        } else {
            self.serve(token, Some(event), budget);
        }
    }

    /// The same for several events: clients are read in groups before they are served.
    #[inline(never)]
    fn serve_together(&mut self, events: &Events, budget: usize) {
        for event in events.iter() {
            if token_of(event) == WAKE || !self.read_early(event, budget) {
                self.serve_guests(budget);
                self.serve_event(event, budget);
            }
        }
        self.serve_guests(budget);
    }

    /// Reads a client's input, to serve it together with others: what their requests need of the store's memory is
    /// waited for at the same time then. False: the client is to be served by itself.
    fn read_early(&mut self, event: Event, budget: usize) -> bool {
        let token = token_of(event);
        let Some(client) = self.slots.get_mut(token) else { return true };
        client.note(event);
        if client.is_queued || !client.can_be_read_early() {
            return false;
        }
        let start = self.guests.last().map_or(0, |guest| guest.input.end);
        let room = &mut self.scratch[start..start + SCRATCH_BYTES];
        match client.take_in(room, &self.commands) {
            Ok(len) => {
                let first = client.look_ahead(&room[..len], &self.commands);
                self.guests.push(Guest { token, input: start..start + len, first });
                if self.guests.len() == GUESTS_MAX || start + len > SCRATCH_BYTES {
                    self.serve_guests(budget);
                }
            }
            Err(verdict) => self.follow(verdict, token),
        }
        true
    }

    /// Serves the clients whose input was read early, in order.
    #[inline(never)]
    fn serve_guests(&mut self, budget: usize) {
        let mut guests = std::mem::take(&mut self.guests);
        for hint in guests.iter().filter_map(|guest| guest.first) {
            self.commands.ask_for_item(hint);
        }
        for guest in guests.drain(..) {
            let early = Early {
                received: Some(guest.input.len()),
                part: guest.input,
                first: guest.first.map(|hint| hint.hash),
            };
            self.serve_with(guest.token, None, early, budget);
        }
        self.guests = guests;
    }

    /// A client's turn: for what the kernel says, or for what it has left over.
    #[inline(always)]
    fn serve(&mut self, token: Token, event: Option<Event>, budget: usize) {
        self.serve_with(token, event, Early { part: 0..SCRATCH_BYTES, received: None, first: None }, budget);
    }

    /// A client's turn with its part of the scratch buffer.
    #[inline(always)]
    fn serve_with(&mut self, token: Token, event: Option<Event>, early: Early, budget: usize) {
        let Some(client) = self.slots.get_mut(token) else { return };
        if let Some(event) = event {
            client.note(event);
            // Who is queued has its turn when the queue does.
            if client.is_queued {
                return;
            }
        }
        let mut is_logged = self.shared.logs_commands();
        if self.commands.is_watched(Kinds::ITEMS | Kinds::COMMANDS) {
            self.commands.serve_for(client.descriptor());
            is_logged |= self.commands.is_watched(Kinds::COMMANDS);
        }
        let mut bench = Bench {
            turn: Turn {
                commands: &mut self.commands,
                output: &mut self.output,
                requests_left: budget,
                first: early.first,
                logged_as: is_logged.then(|| client.descriptor()),
            },
            scratch: &mut self.scratch[early.part],
            received: early.received,
            turns: self.turns,
        };
        let verdict = client.serve(&mut bench);
        if verdict != Verdict::Idle {
            self.follow(verdict, token);
        }
    }

    /// Does what a client's turn has come to.
    #[inline(never)]
    fn follow(&mut self, verdict: Verdict, token: Token) {
        match verdict {
            Verdict::Idle => {}
            Verdict::Again => {
                self.set_queued(token, true);
                self.run_queue.push_back(token);
            }
            Verdict::Wait => {
                self.set_queued(token, true);
                self.waiting.push(token);
            }
            Verdict::Watch => self.note_watching(token),
            Verdict::Gone(reason) => self.close(token, reason),
        }
    }

    #[cold]
    fn note_watching(&mut self, token: Token) {
        if !self.watching.contains(&token) {
            self.watching.push(token);
        }
    }

    /// Lines may have come for clients that watch.
    fn serve_watching(&mut self, budget: usize) {
        // From the end: who turns out to have left is taken out.
        for at in (0..self.watching.len()).rev() {
            let Some(&token) = self.watching.get(at) else { continue };
            self.serve(token, None, budget);
        }
    }

    fn set_queued(&mut self, token: Token, is_queued: bool) {
        if let Some(client) = self.slots.get_mut(token) {
            client.is_queued = is_queued;
        }
    }

    fn admit_arrivals(&mut self) {
        while let Some(stream) = self.roster.take(self.number) {
            self.admit(stream);
        }
    }

    fn admit(&mut self, stream: Stream) {
        // Relaxed: a gauge for reports.
        self.shared.connections().current.fetch_add(1, Ordering::Relaxed);
        let connection = if self.commands.asks_for_token() { Connection::stranger() } else { Connection::new() };
        let token = self.slots.insert(Client::new(stream, connection, self.commands.now().seconds));
        if self.commands.is_watched(Kinds::CONNECTIONS) {
            self.tell_open(token);
        }
        let Some(client) = self.slots.get_mut(token) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(client.stream(), token, interest) {
            log::error!("cannot wait for a client: {error}");
            self.close(token, CloseReason::Error);
        }
    }

    #[cold]
    fn tell_open(&mut self, token: Token) {
        let Some(client) = self.slots.get_mut(token) else { return };
        let address = client.peer();
        if let Some(address) = address {
            self.peers.insert(token, address);
        }
        tell_peer(&self.commands, client, address, None);
    }

    #[cold]
    fn tell_close(&mut self, token: Token, client: &Client, reason: CloseReason) {
        let address = self.peers.remove(&token);
        if self.commands.is_watched(Kinds::CONNECTIONS) {
            tell_peer(&self.commands, client, address.or_else(|| client.peer()), Some(reason));
        }
    }

    #[cold]
    fn close(&mut self, token: Token, reason: CloseReason) {
        let Some(client) = self.slots.remove(token) else { return };
        self.watching.retain(|watching| *watching != token);
        self.tell_close(token, &client, reason);
        client.close(&mut self.commands);
        // Relaxed: a gauge for reports.
        self.shared.connections().current.fetch_sub(1, Ordering::Relaxed);
        self.roster.closed(self.number);
    }

    /// Clients that asked for large values and do not take them keep the memory of what was overwritten since:
    /// the one whose socket has taken nothing for longest is closed first. Those of other workers are seen by
    /// these only, so they are woken; a turn that was nothing but such a call does not call back.
    #[cold]
    fn close_slow_readers(&mut self, has_served: bool) {
        while self.commands.readers_hold_too_much() {
            let readers = self.slots.iter();
            let holding = readers.filter_map(|(token, client)| Some((client.holds_gone_since(&self.commands)?, token)));
            let Some((_, slowest)) = holding.min_by_key(|(since, _)| *since) else {
                if has_served {
                    self.roster.wake_workers();
                }
                return;
            };
            let number = self.slots.get_mut(slowest).map_or(0, |client| client.descriptor());
            log::warn!("closing client {number}: it reads too slowly, and values it asked for are gone but for it");
            self.commands.counters().slow_reader_kicks.bump();
            self.close(slowest, CloseReason::Error);
        }
    }

    /// Whether a census waits for its clients.
    #[inline]
    fn is_asked(&self) -> bool {
        self.shared.census().asked() != self.census.answered
    }

    /// Writes about its next clients.
    #[cold]
    fn answer_census(&mut self) {
        let Some(census) = self.shared.census().current() else { return };
        let now = self.commands.now().seconds;
        let mut page = Buffer::default();
        for client in self.slots.part(self.census.place, CONNECTIONS_A_TURN) {
            client.describe(now, &mut page);
        }
        self.census.place += CONNECTIONS_A_TURN;
        let is_last = self.census.place >= self.slots.len();
        if is_last {
            self.census = Enumerator { answered: self.census.answered + 1, place: 0 };
        }
        census.add(page, is_last);
    }

    /// Once a second, when the option is on.
    fn scan_idle(&mut self) {
        let Some(seconds_max) = self.idle_seconds_max else { return };
        let now = self.commands.now().seconds;
        if now < self.next_idle_scan {
            return;
        }
        self.next_idle_scan = Seconds(now.0.saturating_add(1));
        for token in self.slots.tokens(|client| client.is_idle_for(seconds_max, now)) {
            self.commands.counters().idle_kicks.bump();
            self.close(token, CloseReason::IdleTimeout);
        }
    }
}

/// The token an event's socket was registered with.
#[inline]
fn token_of(event: Event) -> Token {
    Token(usize::try_from(event.token).expect("what was a usize"))
}

/// Says that a client came or went.
fn tell_peer(commands: &Commands, client: &Client, address: Option<SocketAddr>, closed: Option<CloseReason>) {
    let (text, transport) = match (address, client.is_tcp()) {
        (Some(address), _) => (address.ip().to_string(), Transport::Tcp),
        (None, true) => (String::new(), Transport::Tcp),
        (None, false) => ("unix".to_owned(), Transport::Local),
    };
    let port = address.map_or(0, |address| address.port());
    let peer = Peer { address: text.as_bytes(), port, transport, cfd: client.descriptor() };
    commands.tell(&closed.map_or(watch::Event::Open(peer), |reason| watch::Event::Close(peer, reason)));
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread::{Builder, JoinHandle};

    use mio::{Poll, Waker};

    use super::{Worker, WorkerOptions};
    use crate::command::{Options, Shared, SharedOptions};
    use crate::net::Stream;
    use crate::server::clock::Clock;
    use crate::server::roster::{Roster, WAKE};
    use crate::store::{self, Store};
    use crate::sync::Arc;

    /// A worker on its thread; stopped when dropped.
    struct Running {
        roster: Arc<Roster>,
        door: Poll,
        thread: Option<JoinHandle<()>>,
    }

    impl Running {
        fn new() -> Self {
            let (poll, door) = (Poll::new().expect("descriptors"), Poll::new().expect("descriptors"));
            let waker = |poll: &Poll| Waker::new(poll.registry(), WAKE).expect("descriptors");
            let roster = Arc::new(Roster::new(waker(&door), vec![waker(&poll)]));
            let clock = Clock::start();
            let shared = Arc::new(Shared::new(SharedOptions {
                options: Options::default(),
                store: Arc::new(Store::open(&store::Options::default()).expect("memory")),
                tokens: None,
                settings: Vec::new(),
                started: clock.now(),
                pid: 1,
                listeners: Vec::new(),
            }));
            let worker = Worker::new(WorkerOptions {
                number: 0,
                poll,
                roster: Arc::clone(&roster),
                shared,
                clock,
                requests_per_turn: 2,
                idle_seconds_max: None,
            });
            let thread = Builder::new().spawn(move || worker.run()).expect("a thread");
            Self { roster, door, thread: Some(thread) }
        }

        fn connect(&self) -> UnixStream {
            let (ours, theirs) = UnixStream::pair().expect("descriptors");
            theirs.set_nonblocking(true).expect("a socket");
            let stream = Stream::Unix(mio::net::UnixStream::from_std(theirs));
            self.roster.hand_over(stream).expect("awake");
            ours
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.roster.stop();
            if let Some(thread) = self.thread.take() {
                thread.join().expect("it ends well");
            }
        }
    }

    fn ask(client: &mut UnixStream, request: &[u8], reply: &[u8]) {
        client.write_all(request).expect("open");
        let mut got = vec![0; reply.len()];
        client.read_exact(&mut got).expect("open");
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(reply));
    }

    #[test]
    fn a_set_by_one_client_is_read_by_another() {
        let running = Running::new();
        let (mut first, mut second) = (running.connect(), running.connect());
        ask(&mut first, b"set k 0 0 5\r\nhello\r\n", b"STORED\r\n");
        ask(&mut second, b"get k\r\n", b"VALUE k 0 5\r\nhello\r\nEND\r\n");
    }

    #[test]
    fn a_pipeline_longer_than_its_budget_is_answered_whole() {
        let running = Running::new();
        let mut client = running.connect();
        ask(&mut client, &b"get k\r\n".repeat(1000), &b"END\r\n".repeat(1000));
    }

    #[test]
    fn a_reader_that_comes_late_gets_everything() {
        let running = Running::new();
        let mut client = running.connect();
        let value = vec![b'v'; 900_000];
        let set = [b"set L 0 0 900000\r\n", &value[..], b"\r\n"].concat();
        ask(&mut client, &set, b"STORED\r\n");
        let answer = [b"VALUE L 0 900000\r\n", &value[..], b"\r\nEND\r\n"].concat();
        ask(&mut client, &b"get L\r\n".repeat(10), &answer.repeat(10));
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut running = Running::new();
        let client = running.connect();
        running.roster.pause(true);
        drop(client);
        let mut events = mio::Events::with_capacity(1);
        running.door.poll(&mut events, None).expect("a poll");
        assert_eq!(running.roster.connections(), 0);
    }
}
