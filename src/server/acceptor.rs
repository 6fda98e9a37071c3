//! The acceptor: one thread that takes connections from the backlog and hands them to the workers, or refuses
//! them over `-c`.
//!
//! mio is edge-triggered: a listener that was not emptied says nothing more, so the acceptor remembers which
//! ones it left. It leaves them when the limit is reached with `no_maxconns_fast`, or when descriptors run out;
//! it comes back when a connection closes, and each second.

use std::io;
use std::time::Duration;

use crossbeam::utils::CachePadded;
use mio::{Events, Interest, Poll, Token};

use super::clock::Clock;
use super::roster::Roster;
use crate::command::Shared;
use crate::net::{Arrival, Listener};
use crate::sync::{Arc, Ordering};
use crate::telemetry::CommandCounters;

/// What a client over `-c` is told (memcached's words).
const REFUSAL: &[u8] = b"ERROR Too many open connections\r\n";

/// How long the acceptor waits before it tries again without having been woken.
const RETRY: Duration = Duration::from_secs(1);

/// Events taken from the kernel at once; there are as many sources as listeners.
const EVENTS_MAX: usize = 64;

/// Who may come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// `-c`: most connections at a time.
    pub(super) connections_max: usize,
    /// `maxconns_fast`: refuse the next one with a line, rather than leave it waiting.
    pub(super) refuse_fast: bool,
}

/// The acceptor's state. It lives on its own thread.
#[derive(Debug)]
pub(super) struct Acceptor {
    poll: Poll,
    listeners: Vec<ListenerState>,
    roster: Arc<Roster>,
    limits: Limits,
    shared: Arc<Shared>,
    counters: Arc<CachePadded<CommandCounters>>,
    clock: Clock,
    /// Since which microsecond of the clock nobody is let in, if so.
    paused_at: Option<u64>,
}

/// A listener and what is known of it.
#[derive(Debug)]
struct ListenerState {
    listener: Listener,
    /// Connections may wait: the kernel has said so, and we have not seen `WouldBlock` since.
    has_waiting: bool,
}

/// How a try to accept ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    /// Somebody was served or refused; there may be more.
    Served,
    /// Nobody waits.
    Drained,
    /// Somebody may wait, but there is no room now.
    Full,
}

impl Acceptor {
    /// An acceptor of these listeners. `poll` is where the roster's acceptor waker is registered.
    ///
    /// # Errors
    /// When a listener cannot be registered.
    pub(super) fn new(
        poll: Poll,
        listeners: Vec<Listener>,
        roster: Arc<Roster>,
        limits: Limits,
        shared: Arc<Shared>,
        clock: Clock,
    ) -> io::Result<Self> {
        let mut states = Vec::with_capacity(listeners.len());
        for (number, mut listener) in listeners.into_iter().enumerate() {
            poll.registry().register(&mut listener, Token(number), Interest::READABLE)?;
            states.push(ListenerState { listener, has_waiting: true });
        }
        let counters = shared.counters().register();
        // memcached counts a listener as a connection that came.
        counters.total_connections.add(states.len().try_into().unwrap_or(0));
        Ok(Self { poll, listeners: states, roster, limits, shared, counters, clock, paused_at: None })
    }

    /// Accepts until the roster is closed.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.roster.is_closed() {
            if let Err(error) = self.poll.poll(&mut events, self.paused_at.map(|_| RETRY))
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!(error:%; "the acceptor cannot wait for connections");
                return;
            }
            for event in &events {
                // The waker's token is no listener's.
                if let Some(listener) = self.listeners.get_mut(event.token().0) {
                    listener.has_waiting = true;
                }
            }
            self.accept_all();
        }
    }

    /// Empties every backlog, or stops where there is no room.
    fn accept_all(&mut self) {
        for number in 0..self.listeners.len() {
            while self.listeners[number].has_waiting && !self.roster.is_closed() {
                match self.accept_one(number) {
                    Tried::Served => {}
                    Tried::Drained => self.listeners[number].has_waiting = false,
                    Tried::Full => return,
                }
            }
        }
        self.resume();
    }

    fn accept_one(&mut self, number: usize) -> Tried {
        if !self.limits.refuse_fast && self.is_full() {
            self.pause();
            // A connection may have closed before it could see that we paused.
            if self.is_full() {
                return Tried::Full;
            }
        }
        match self.listeners[number].listener.accept() {
            Ok(arrival) => {
                self.serve(arrival);
                Tried::Served
            }
            Err(error) => self.judge(&error),
        }
    }

    fn is_full(&self) -> bool {
        self.roster.connections() >= self.limits.connections_max
    }

    fn serve(&mut self, arrival: Arrival) {
        if self.is_full() {
            self.refuse(arrival);
            return;
        }
        self.resume();
        self.counters.total_connections.bump();
        if let Err(error) = self.roster.hand_over(arrival) {
            log::error!(error:%; "cannot wake a worker for a new connection");
        }
    }

    fn refuse(&self, arrival: Arrival) {
        let mut stream = arrival.stream;
        self.counters.rejected_connections.bump();
        // Best effort: the socket is new, so its buffer has room, and the client may be gone already.
        if let Err(error) = stream.write(REFUSAL) {
            log::debug!("a refused connection was gone: {error}");
        }
    }

    fn judge(&mut self, error: &io::Error) -> Tried {
        match error.kind() {
            io::ErrorKind::WouldBlock => return Tried::Drained,
            // This one client left or was interrupted; the next one is behind it.
            io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => return Tried::Served,
            _ => {}
        }
        // Out of descriptors or memory, or a network that is down: whatever it is, it does not get better by
        // trying at once.
        if self.paused_at.is_none() {
            log::warn!(error:%; "cannot accept connections for now");
        }
        self.pause();
        Tried::Full
    }

    fn pause(&mut self) {
        if self.paused_at.is_none() {
            self.paused_at = Some(self.clock.micros());
            self.roster.pause(true);
            self.counters.listen_disabled_num.bump();
            self.report(false);
        }
    }

    fn resume(&mut self) {
        if let Some(paused_at) = self.paused_at.take() {
            let micros = self.clock.micros().saturating_sub(paused_at);
            // Relaxed: a number for reports.
            self.shared.connections().listen_disabled_micros.fetch_add(micros, Ordering::Relaxed);
            self.roster.pause(false);
            self.report(true);
        }
    }

    fn report(&self, is_accepting: bool) {
        // Relaxed: a word for reports.
        self.shared.connections().is_accepting.store(is_accepting, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net;

    use mio::{Poll, Waker};

    use super::{Acceptor, Limits, REFUSAL};
    use crate::command::{self, Shared, SharedOptions};
    use crate::net::{Endpoint, Handed, Options, Port, bind};
    use crate::server::clock::Clock;
    use crate::server::roster::{Roster, WAKE};
    use crate::store::{self, Store};
    use crate::sync::Arc;

    struct Fixture {
        acceptor: Acceptor,
        roster: Arc<Roster>,
        port: u16,
        _worker: Poll,
    }

    fn fixture(limits: Limits) -> Fixture {
        let host = Some("127.0.0.1".to_owned());
        let endpoints = vec![Endpoint::Tcp { host, port: Port::Any, tls: None, spoken: None }];
        let listeners =
            bind(&Options { endpoints, backlog: 16, socket_mark: 0 }, &mut Handed::default()).expect("a free port");
        let (_, port) = listeners[0].port().expect("TCP has a port");
        let (poll, worker) = (Poll::new().expect("descriptors"), Poll::new().expect("descriptors"));
        let waker = |poll: &Poll| Waker::new(poll.registry(), WAKE).expect("descriptors");
        let roster = Arc::new(Roster::new(waker(&poll), vec![waker(&worker)]));
        let clock = Clock::start();
        let shared = Arc::new(Shared::new(SharedOptions {
            options: command::Options::default(),
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
        let acceptor = Acceptor::new(poll, listeners, Arc::clone(&roster), limits, shared, clock);
        let acceptor = acceptor.expect("descriptors");
        Fixture { acceptor, roster, port, _worker: worker }
    }

    fn connect(fixture: &Fixture) -> net::TcpStream {
        net::TcpStream::connect(("127.0.0.1", fixture.port)).expect("it listens")
    }

    #[test]
    fn fast_refusal_sends_a_line_and_closes() {
        let mut fixture = fixture(Limits { connections_max: 1, refuse_fast: true });
        let (_first, mut second) = (connect(&fixture), connect(&fixture));
        fixture.acceptor.accept_all();
        let mut line = Vec::new();
        second.read_to_end(&mut line).expect("an orderly end");
        assert_eq!(line, REFUSAL);
        assert_eq!(fixture.roster.connections(), 1);
        assert_eq!(fixture.acceptor.counters.rejected_connections.get(), 1);
        assert_eq!(fixture.acceptor.counters.total_connections.get(), 2, "the listener and one client");
        assert!(fixture.roster.is_accepting());
    }

    #[test]
    fn without_fast_refusal_the_next_one_waits_for_a_close() {
        let mut fixture = fixture(Limits { connections_max: 1, refuse_fast: false });
        let (_first, _second) = (connect(&fixture), connect(&fixture));
        fixture.acceptor.accept_all();
        assert_eq!(fixture.roster.connections(), 1);
        assert!(!fixture.roster.is_accepting());
        fixture.acceptor.accept_all();
        assert_eq!(fixture.acceptor.counters.listen_disabled_num.get(), 1);
        drop(fixture.roster.take(0));
        fixture.roster.closed(0);
        fixture.acceptor.accept_all();
        assert_eq!(fixture.roster.connections(), 1);
        assert_eq!(fixture.acceptor.counters.total_connections.get(), 3, "the listener and two clients");
    }

    #[test]
    fn a_lack_of_descriptors_pauses_once() {
        let mut fixture = fixture(Limits { connections_max: 1, refuse_fast: true });
        let error = std::io::Error::from_raw_os_error(libc::EMFILE);
        assert_eq!(fixture.acceptor.judge(&error), super::Tried::Full);
        assert_eq!(fixture.acceptor.judge(&error), super::Tried::Full);
        assert!(!fixture.roster.is_accepting());
        assert_eq!(fixture.acceptor.counters.listen_disabled_num.get(), 1);
        let _client = connect(&fixture);
        fixture.acceptor.accept_all();
        assert!(fixture.roster.is_accepting());
    }
}
