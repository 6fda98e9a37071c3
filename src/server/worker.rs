//! The event loop: one thread, one poll, many clients.
//!
//! A turn is one wait for all sockets, then a bounded piece of work for every client that is ready or was
//! stopped by its budget in the last turn. Nothing wakes an idle worker.

mod datagrams;
mod handshakes;
mod leaving;
mod relief;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::ops::{Bound, Range};

use mio::{Interest, Poll, Token};

use super::client::{Client, Share, TurnContext, Verdict};
use super::clock::Clock;
use super::datagrams::Datagrams;
use super::roster::{Roster, WAKE};
use super::slots::Slots;
use crate::command::{CONNECTIONS_A_TURN, Claim, Commands, Hint, Shared};
use crate::conn::{Connection, Output, Turn};
use crate::net::{Arrival, DatagramSocket};
use crate::protocol::Dialect;
use crate::sync::{Arc, Ordering};
use crate::sys::events::{Event, Events};
use crate::telemetry::watch::{self, Call, CloseReason, Kinds, Peer, Transport};
use crate::time::Seconds;
use crate::tls::Buffers;
use handshakes::Handshakes;

/// Most bytes read from a client in a turn; a longer line is no request.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Most ciphertext read from a client in a turn: two records, however short they may be.
const CIPHERTEXT_BYTES: usize = 34 * 1024;

/// Clients whose input is read before the first of them is served: as many as a processor has ways to wait for memory.
const PREFETCHED_MAX: usize = 16;

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 1024;

/// How soon a client that waits for others' answers is looked at again, in milliseconds.
const WAIT_RETRY_MS: i32 = 1;

/// How soon clients that wait for memory look again though nobody has called, in milliseconds: a call may come for what
/// was evicted in vain.
const MEMORY_RETRY_MS: i32 = 20;

/// Clients that wait for memory and get it in a turn.
const SERVED_WAITERS_MAX: usize = 32;

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
    /// Its UDP sockets.
    pub datagrams: Vec<DatagramSocket>,
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
    /// The same where nobody else is ready.
    requests_alone: usize,
    idle_seconds_max: Option<u32>,
    commands: Commands,
    slots: Slots<Client>,
    datagrams: Datagrams,
    /// Clients that have more to do than their last turn let them.
    run_queue: VecDeque<Token>,
    /// Clients with a list of items to write: one a turn, so that others wait for one however many there are.
    resting: VecDeque<Token>,
    /// Clients that have left, and the UDP sockets, by one token, if there is something to do.
    leaving: VecDeque<Token>,
    /// Clients whose handshake is not over.
    handshakes: Handshakes,
    /// Whether there are such clients, or idle ones are looked for.
    has_deadlines: bool,
    /// Clients that wait for others' answers, and UDP sockets in the same way.
    waiting: Vec<Token>,
    /// Clients that wait for memory, by their place in the line.
    for_memory: BTreeMap<Claim, Token>,
    /// When they look again though nobody calls, in the clock's microseconds.
    next_memory_look: u64,
    /// When clients that read too slowly for others' need are looked for next, in the clock's microseconds.
    next_stuck_scan: u64,
    /// When clients are looked for next that have waited long enough.
    next_overdue_scan: Seconds,
    /// When silent clients are looked for next.
    next_silent_scan: Seconds,
    /// Clients that watch: served when the worker is called.
    watching: Vec<Token>,
    /// Addresses of clients that came while connections were watched: one that is reset has none any more.
    peers: HashMap<Token, SocketAddr>,
    /// Room for what is read: `SCRATCH_BYTES` behind what was read early.
    scratch: Box<[u8; 2 * SCRATCH_BYTES]>,
    /// Room for ciphertext, if TLS is spoken.
    buffers: Buffers,
    /// Clients whose input was read early.
    prefetched: Vec<PrefetchedClient>,
    output: Output,
    next_idle_scan: Seconds,
    listing: ListingPart,
}

/// A client whose input was read before its turn.
#[derive(Debug)]
struct PrefetchedClient {
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
struct ListingPart {
    /// Listings answered.
    answered: u64,
    /// Places written about in the present one.
    place: usize,
}

impl Worker {
    /// A worker without clients.
    #[must_use]
    pub fn new(options: WorkerOptions) -> Self {
        let WorkerOptions { number, poll, datagrams, roster, shared, clock, requests_per_turn, idle_seconds_max } =
            options;
        let mut commands = Commands::new(Arc::clone(&shared), clock.now());
        let of_news = Arc::clone(&roster);
        commands.on_news(Call::new(move || of_news.wake_worker(number)));
        let of_memory = Arc::clone(&roster);
        commands.on_memory(move || of_memory.wake_worker(number));
        Self {
            number,
            poll,
            roster,
            clock,
            requests_per_turn,
            requests_alone: requests_per_turn.saturating_mul(ALONE_BUDGETS),
            idle_seconds_max,
            commands,
            listing: ListingPart { answered: shared.listings().join(), place: 0 },
            buffers: shared
                .tls()
                .map_or_else(Buffers::default, |tls| Buffers::new(CIPHERTEXT_BYTES, tls.write_bytes())),
            shared,
            slots: Slots::new(),
            datagrams: Datagrams::new(datagrams, clock.now().seconds),
            run_queue: VecDeque::new(),
            resting: VecDeque::new(),
            leaving: VecDeque::new(),
            handshakes: Handshakes::default(),
            has_deadlines: idle_seconds_max.is_some(),
            waiting: Vec::new(),
            for_memory: BTreeMap::new(),
            next_memory_look: 0,
            next_stuck_scan: 0,
            next_overdue_scan: Seconds::START,
            next_silent_scan: Seconds::START,
            watching: Vec::new(),
            peers: HashMap::new(),
            scratch: vec![0; 2 * SCRATCH_BYTES].try_into().expect("of that length"),
            prefetched: Vec::with_capacity(PREFETCHED_MAX),
            output: Output::for_worker(),
            next_idle_scan: Seconds::START,
        }
    }

    /// Serves until the roster stops: then requests that were read are answered, and their clients closed.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        self.begin_datagrams();
        while !self.roster.is_stopping() {
            match events.wait(&self.poll, self.patience()) {
                Ok(()) => self.turn(&events),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    log::error!(error:%; "a worker cannot wait for its clients");
                    break;
                }
            }
        }
        for token in self.slots.tokens(|_| true) {
            self.close(token, CloseReason::Normal);
        }
        self.datagrams.close(&mut self.commands);
        self.commands.surrender();
        self.shared.listings().leave(self.listing.answered);
    }

    /// How long the poll may sleep, in milliseconds.
    fn patience(&self) -> i32 {
        if self.is_asked() || self.commands.is_freeing() {
            return 0;
        }
        if self.run_queue.len() + self.waiting.len() + self.set_aside() > 0 {
            return self.patience_for_clients();
        }
        if self.has_deadlines { self.patience_for_deadlines() } else { FOR_EVER }
    }

    /// The same where clients have more to do or wait for something.
    #[inline(never)]
    fn patience_for_clients(&self) -> i32 {
        if !self.run_queue.is_empty() || self.has_lists_or_leavers() || self.handshakes.is_any_ready() {
            return 0;
        }
        if !self.waiting.is_empty() {
            return WAIT_RETRY_MS;
        }
        // They wait for memory.
        if self.next_memory_look == 0 { 0 } else { MEMORY_RETRY_MS }
    }

    fn turn(&mut self, events: &Events) {
        self.commands.begin_turn(self.clock.now(), Clock::unix_micros);
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
        if queued + waiting + self.set_aside() > 0 {
            self.serve_left_over(queued, waiting, budget);
        }
        if self.has_deadlines {
            self.serve_deadlines(budget);
        }
        if self.is_asked() {
            self.answer_listing();
        }
        if self.commands.memory_is_tight() {
            self.relieve_memory(queued > 0 || events.iter().any(|event| token_of(event) != WAKE));
        }
        self.commands.end_turn();
    }

    /// How many clients stand elsewhere than in the run queue or among those that wait for others' answers.
    #[inline]
    fn set_aside(&self) -> usize {
        self.resting.len() + self.leaving.len() + self.for_memory.len()
    }

    /// Requests each client may have served in this turn.
    fn budget(&self, ready: usize) -> usize {
        if ready > 1 { self.requests_per_turn } else { self.requests_alone }
    }

    /// Serves clients for other things than events: the first `queued` and `waiting`, and those that are set aside.
    #[inline(never)]
    fn serve_left_over(&mut self, queued: usize, waiting: usize, budget: usize) {
        if self.has_lists_or_leavers() {
            self.serve_lists_and_leavers(budget);
        }
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
        if !self.for_memory.is_empty() {
            self.serve_for_memory(budget);
        }
    }

    /// Clients that wait for memory look for it, in order, if the store has called: of those that want the same only
    /// until one finds nothing.
    #[cold]
    fn serve_for_memory(&mut self, budget: usize) {
        let (now, micros) = (self.commands.now().seconds, self.clock.micros());
        if now >= self.next_overdue_scan {
            self.next_overdue_scan = Seconds(now.0.saturating_add(1));
            let overdue = self.for_memory.iter().filter(|(claim, _)| claim.is_overdue(now));
            for (claim, token) in overdue.map(|(&claim, &token)| (claim, token)).collect::<Vec<_>>() {
                self.serve_waiter(claim, token, budget);
            }
        }
        let is_called = self.commands.take_memory_call() || micros >= self.next_memory_look;
        if !is_called {
            return;
        }
        self.next_memory_look = micros + u64::try_from(MEMORY_RETRY_MS).expect("it is positive") * 1000;
        let mut from = Bound::Unbounded;
        for _ in 0..SERVED_WAITERS_MAX {
            let next = self.for_memory.range((from, Bound::Unbounded)).next();
            let Some((&claim, &token)) = next else { return };
            let has_found = self.serve_waiter(claim, token, budget);
            from = Bound::Excluded(if has_found { claim } else { claim.end() });
        }
        self.next_memory_look = 0;
    }

    /// Has a client that waits for memory look for it; false when it found none.
    fn serve_waiter(&mut self, claim: Claim, token: Token, budget: usize) -> bool {
        self.for_memory.remove(&claim);
        self.set_queued(token, false);
        self.serve(token, None, budget);
        let again = self.slots.get_mut(token).and_then(|client| client.claim());
        again.is_none_or(|again| !again.wants_the_same(&claim))
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
                self.serve_prefetched(budget);
                self.serve_event(event, budget);
            }
        }
        self.serve_prefetched(budget);
    }

    /// Reads a client's input, to serve it together with others: what their requests need of the store's memory is
    /// waited for at the same time then. False: the client is to be served by itself.
    fn read_early(&mut self, event: Event, budget: usize) -> bool {
        let token = token_of(event);
        let Some(client) = self.slots.get_mut(token) else { return false };
        client.note(event);
        if client.is_queued || client.is_hung_up() || !client.can_be_read_early() {
            return false;
        }
        let start = self.prefetched.last().map_or(0, |client| client.input.end);
        let room = &mut self.scratch[start..start + SCRATCH_BYTES];
        match client.take_in(room, &mut self.buffers, &self.commands) {
            Ok(len) => {
                if self.commands.is_sampled_behind(self.prefetched.len()) {
                    self.commands.note_read_early(Clock::exact_nanos());
                }
                let first = client.look_ahead(&room[..len], &self.commands);
                self.prefetched.push(PrefetchedClient { token, input: start..start + len, first });
                if self.prefetched.len() == PREFETCHED_MAX || start + len > SCRATCH_BYTES {
                    self.serve_prefetched(budget);
                }
            }
            Err(verdict) => self.follow(verdict, token),
        }
        true
    }

    /// Serves the clients whose input was read early, in order.
    #[inline(never)]
    fn serve_prefetched(&mut self, budget: usize) {
        let mut prefetched = std::mem::take(&mut self.prefetched);
        for hint in prefetched.iter().filter_map(|client| client.first) {
            self.commands.ask_for_item(hint);
        }
        for client in prefetched.drain(..) {
            let early = Early {
                received: Some(client.input.len()),
                part: client.input,
                first: client.first.map(|hint| hint.hash),
            };
            self.serve_with(client.token, None, early, budget);
        }
        self.prefetched = prefetched;
    }

    /// A client's turn: for what the kernel says, or for what it has left over.
    #[inline(always)]
    fn serve(&mut self, token: Token, event: Option<Event>, budget: usize) {
        self.serve_with(token, event, Early { part: 0..SCRATCH_BYTES, received: None, first: None }, budget);
    }

    /// A client's turn with its part of the scratch buffer.
    #[inline(always)]
    fn serve_with(&mut self, token: Token, event: Option<Event>, early: Early, budget: usize) {
        let Some(client) = self.slots.get_mut(token) else { return self.note_datagrams(token) };
        if let Some(event) = event {
            client.note(event);
            // Who is queued has its turn when the queue does.
            if client.is_queued {
                self.note_queued(token, event);
                return;
            }
            if client.is_hung_up() {
                self.note_leaving(token);
                return;
            }
        }
        let mut is_logged = self.shared.logs_commands();
        if self.commands.is_watched(Kinds::ITEMS | Kinds::COMMANDS) {
            self.commands.serve_for(client.descriptor());
            is_logged |= self.commands.is_watched(Kinds::COMMANDS);
        }
        let mut context = TurnContext {
            turn: Turn {
                commands: &mut self.commands,
                output: &mut self.output,
                requests_left: budget,
                first: early.first,
                logged_as: is_logged.then(|| client.descriptor()),
            },
            scratch: &mut self.scratch[early.part],
            buffers: &mut self.buffers,
            received: early.received,
            clock: &self.clock,
            share: Share::new(self.requests_per_turn, budget),
        };
        let verdict = client.serve(&mut context);
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
            Verdict::Rest => {
                self.set_queued(token, true);
                self.resting.push_back(token);
            }
            Verdict::Wait => {
                self.set_queued(token, true);
                self.waiting.push(token);
            }
            Verdict::Memory => self.note_waiting(token),
            Verdict::Watch => self.note_watching(token),
            Verdict::Gone(reason) => self.close(token, reason),
        }
    }

    #[cold]
    fn note_waiting(&mut self, token: Token) {
        self.set_queued(token, true);
        match self.slots.get_mut(token).and_then(|client| client.claim()) {
            Some(claim) => drop(self.for_memory.insert(claim, token)),
            None => self.run_queue.push_back(token),
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
        while let Some(arrival) = self.roster.take(self.number) {
            self.admit(arrival);
        }
    }

    fn admit(&mut self, arrival: Arrival) {
        // Relaxed: a gauge for reports.
        self.shared.connections().current.fetch_add(1, Ordering::Relaxed);
        let dialect = match arrival.spoken {
            None => self.commands.dialect(),
            Some(spoken) => Dialect::named(spoken.word()),
        };
        let connection = match &self.commands {
            commands if commands.asks_for_token() => Connection::unauthenticated(),
            commands if commands.asks_for_sasl() => Connection::unauthenticated_sasl(),
            _ => Connection::speaking(dialect),
        };
        let token = self.slots.insert(Client::new(arrival.stream, connection, self.commands.now().seconds));
        if self.commands.is_watched(Kinds::CONNECTIONS) {
            self.tell_open(token);
        }
        let Some(client) = self.slots.get_mut(token) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(client.stream(), token, interest) {
            log::error!(error:%; "cannot wait for a client");
            self.close(token, CloseReason::Error);
            return;
        }
        if let Some(wanted) = arrival.tls {
            self.begin_handshake(token, wanted);
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
        if let Some(claim) = client.claim() {
            self.for_memory.remove(&claim);
        }
        self.tell_close(token, &client, reason);
        client.close(&mut self.commands);
        // Relaxed: a gauge for reports.
        self.shared.connections().current.fetch_sub(1, Ordering::Relaxed);
        self.roster.closed(self.number);
    }

    /// Whether a listing of connections waits for this worker's.
    #[inline]
    fn is_asked(&self) -> bool {
        self.shared.listings().asked() != self.listing.answered
    }

    /// Tells about its next clients.
    #[cold]
    fn answer_listing(&mut self) {
        let Some(listing) = self.shared.listings().current() else { return };
        let now = self.commands.now().seconds;
        let clients = self.slots.part(self.listing.place, CONNECTIONS_A_TURN);
        let page = clients.map(|client| client.describe(now));
        let datagrams = (self.listing.place == 0).then(|| self.datagrams.describe(now));
        let page = datagrams.into_iter().flatten().chain(page).collect();
        self.listing.place += CONNECTIONS_A_TURN;
        let is_last = self.listing.place >= self.slots.len();
        if is_last {
            self.listing = ListingPart { answered: self.listing.answered + 1, place: 0 };
        }
        listing.add(page, is_last);
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
    use crate::net::{Arrival, Stream};
    use crate::server::clock::Clock;
    use crate::server::roster::{Roster, WAKE};
    use crate::store::{self, Store};
    use crate::sync::Arc;

    /// A worker on its thread; stopped when dropped.
    struct Running {
        roster: Arc<Roster>,
        accepting: Poll,
        thread: Option<JoinHandle<()>>,
    }

    impl Running {
        fn new() -> Self {
            let (poll, accepting) = (Poll::new().expect("descriptors"), Poll::new().expect("descriptors"));
            let waker = |poll: &Poll| Waker::new(poll.registry(), WAKE).expect("descriptors");
            let roster = Arc::new(Roster::new(waker(&accepting), vec![waker(&poll)]));
            let clock = Clock::start();
            let shared = Arc::new(Shared::new(SharedOptions {
                options: Options::default(),
                store: Arc::new(Store::open(&store::Options::default()).expect("memory")),
                tls: None,
                tokens: None,
                sasl: None,
                settings: Vec::new(),
                started: clock.now(),
                pid: 1,
                restart: None,
                listeners: Vec::new(),
            }));
            let worker = Worker::new(WorkerOptions {
                number: 0,
                poll,
                datagrams: Vec::new(),
                roster: Arc::clone(&roster),
                shared,
                clock,
                requests_per_turn: 2,
                idle_seconds_max: None,
            });
            let thread = Builder::new().spawn(move || worker.run()).expect("a thread");
            Self { roster, accepting, thread: Some(thread) }
        }

        fn connect(&self) -> UnixStream {
            let (ours, theirs) = UnixStream::pair().expect("descriptors");
            theirs.set_nonblocking(true).expect("a socket");
            let stream = Stream::Unix(mio::net::UnixStream::from_std(theirs));
            self.roster.hand_over(Arrival { stream, tls: None, spoken: None }).expect("awake");
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
        running.accepting.poll(&mut events, None).expect("a poll");
        assert_eq!(running.roster.connections(), 0);
    }
}
