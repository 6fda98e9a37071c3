//! The listing of all connections: `stats conns` asks every worker about its clients, and each tells about its own,
//! some in a turn.
//!
//! A connection lives in its worker's slots and nobody else may look. A cell per connection that everybody may
//! read would cost each idle one the memory of its addresses and each turn a store; a question costs nothing until
//! it is asked. One listing is under way at a time: who asks meanwhile waits for its end. No sockets here: the
//! server's threads know who their clients are.

use std::collections::VecDeque;
use std::sync::OnceLock;

use super::Commands;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, Rank};
use crate::telemetry::{Figure, Label, Visit};

/// Connections a worker tells about in one turn, and who asked writes about: some fifty microseconds of its time.
pub const CONNECTIONS_A_TURN: usize = 64;

/// What a connection is about, in the words of `stats conns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It is a listener.
    Listening,
    /// It waits for the rest of a request, or for one.
    Reading,
    /// It has more requests than its turn allowed.
    Queued,
    /// Its request is being answered.
    Answering,
    /// It waits for the rest of a value.
    Value,
    /// It swallows what nobody wants.
    Swallowing,
    /// It waits until the client takes its replies.
    Writing,
    /// It takes lines of `watch`.
    Watching,
    /// It is done.
    Closing,
}

impl Activity {
    fn text(self) -> &'static str {
        match self {
            Self::Listening => "conn_listening",
            Self::Reading => "conn_read",
            Self::Queued => "conn_new_cmd",
            Self::Answering => "conn_parse_cmd",
            Self::Value => "conn_nread",
            Self::Swallowing => "conn_swallow",
            Self::Writing => "conn_mwrite",
            Self::Watching => "conn_watch",
            Self::Closing => "conn_closing",
        }
    }
}

/// What is told about one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedConnection {
    /// Its descriptor.
    pub fd: u32,
    /// Whether it is a UDP socket.
    pub is_datagram: bool,
    /// The client's address, or that of a listener, or of a UDP socket that serves nobody, its own.
    pub address: String,
    /// The address the client came to, if there is one.
    pub listen_address: Option<String>,
    /// What it is about.
    pub activity: Activity,
    /// Seconds since it was heard last.
    pub silent_seconds: u32,
}

impl ListedConnection {
    /// Tells its figures.
    pub fn report(&self, visit: &mut Visit<'_>) {
        let labels = [Label::number("fd", self.fd)];
        let mut tell = |figure: Figure<'_>| visit(&figure.of("", &labels));
        if self.is_datagram {
            tell(Figure::info("UDP", "UDP"));
        }
        tell(Figure::info("addr", &self.address));
        if let Some(address) = &self.listen_address {
            tell(Figure::info("listen_addr", address));
        }
        tell(Figure::info("state", self.activity.text()));
        tell(Figure::gauge("secs_since_last_cmd", u64::from(self.silent_seconds)));
    }
}

/// One question and its answers.
#[derive(Debug)]
pub struct ConnectionListing {
    state: Mutex<Answers>,
}

#[derive(Debug)]
struct Answers {
    /// What was told and not yet taken by who asked.
    pages: VecDeque<Vec<ListedConnection>>,
    /// Workers that are not through with their clients.
    missing: usize,
}

/// What who asked finds.
#[derive(Debug)]
pub enum Page {
    /// Some connections.
    Of(Vec<ListedConnection>),
    /// Nothing yet.
    Later,
    /// Everybody has answered, and all was taken.
    End,
}

impl ConnectionListing {
    fn new(missing: usize, first: Vec<ListedConnection>) -> Self {
        Self { state: Mutex::new(Rank::Registry, Answers { pages: VecDeque::from([first]), missing }) }
    }

    /// Adds clients of a worker; `is_last`: it has no more.
    pub fn add(&self, page: Vec<ListedConnection>, is_last: bool) {
        let mut answers = self.state.lock();
        if !page.is_empty() {
            answers.pages.push_back(page);
        }
        answers.missing -= usize::from(is_last);
    }

    /// The next connections.
    #[must_use]
    pub fn take(&self) -> Page {
        let mut answers = self.state.lock();
        match answers.pages.pop_front() {
            Some(page) => Page::Of(page),
            None if answers.missing > 0 => Page::Later,
            None => Page::End,
        }
    }

    fn is_complete(&self) -> bool {
        self.state.lock().missing == 0
    }
}

/// Where listings are asked for, one at a time.
pub struct ConnectionListings {
    /// Descriptors and addresses of the listeners: they stay as they are.
    listeners: Vec<(u32, String)>,
    state: Mutex<ListingState>,
    /// How many were asked for so far: a worker that has answered fewer has something to do.
    asked: AtomicU64,
    call: OnceLock<Callback>,
}

#[derive(Default)]
struct ListingState {
    workers: usize,
    current: Option<Arc<ConnectionListing>>,
}

type Callback = Box<dyn Fn() + Send + Sync>;

impl ConnectionListings {
    pub(super) fn new(listeners: Vec<(u32, String)>) -> Self {
        Self {
            listeners,
            state: Mutex::new(Rank::Server, ListingState::default()),
            asked: AtomicU64::new(0),
            call: OnceLock::new(),
        }
    }

    /// Sets what wakes all workers. Once.
    pub fn on_listing(&self, call: impl Fn() + Send + Sync + 'static) {
        // There is one server in a process: the first stays.
        let _ = self.call.set(Box::new(call));
    }

    /// A worker says that it will answer; the number of the last listing it has nothing to do with.
    pub fn join(&self) -> u64 {
        let mut state = self.state.lock();
        state.workers += 1;
        self.asked()
    }

    /// A worker that has answered so many ends.
    pub fn leave(&self, answered: u64) {
        let mut state = self.state.lock();
        state.workers -= 1;
        if answered < self.asked()
            && let Some(listing) = &state.current
        {
            listing.add(Vec::new(), true);
        }
    }

    /// How many were asked for so far.
    #[must_use]
    #[inline]
    pub fn asked(&self) -> u64 {
        // Relaxed: who sees a higher number takes the lock before it looks for more.
        self.asked.load(Ordering::Relaxed)
    }

    /// The listing under way, or the last one.
    #[must_use]
    pub fn current(&self) -> Option<Arc<ConnectionListing>> {
        self.state.lock().current.clone()
    }

    /// Begins a listing; `None` while another is under way. `silent_seconds`: since when the listeners listen.
    fn ask(&self, silent_seconds: u32) -> Option<Arc<ConnectionListing>> {
        let mut state = self.state.lock();
        if state.current.as_ref().is_some_and(|listing| !listing.is_complete()) {
            return None;
        }
        let listener = |(fd, address): &(u32, String)| ListedConnection {
            fd: *fd,
            is_datagram: false,
            address: address.clone(),
            listen_address: None,
            activity: Activity::Listening,
            silent_seconds,
        };
        let listing = Arc::new(ConnectionListing::new(state.workers, self.listeners.iter().map(listener).collect()));
        state.current = Some(Arc::clone(&listing));
        self.asked.fetch_add(1, Ordering::Relaxed);
        drop(state);
        if let Some(call) = self.call.get() {
            call();
        }
        Some(listing)
    }
}

impl std::fmt::Debug for ConnectionListings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionListings").field("asked", &self.asked()).finish_non_exhaustive()
    }
}

impl Commands {
    /// Asks everybody about their connections; `None` while somebody else's question is under way.
    #[must_use]
    pub fn begin_listing(&self) -> Option<Arc<ConnectionListing>> {
        let uptime = self.now.seconds.0.saturating_sub(self.shared.started.seconds.0);
        self.shared.listings().ask(uptime)
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, ConnectionListings, ListedConnection, Page};
    use crate::bytes::Buffer;
    use crate::protocol::ascii::push_stat;

    fn client(fd: u32) -> ListedConnection {
        ListedConnection {
            fd,
            is_datagram: false,
            address: "tcp:127.0.0.1:39646".to_owned(),
            listen_address: Some("tcp:127.0.0.1:22200".to_owned()),
            activity: Activity::Answering,
            silent_seconds: 5,
        }
    }

    fn listings() -> ConnectionListings {
        ConnectionListings::new(vec![(3, "tcp:127.0.0.1:11211".to_owned())])
    }

    #[test]
    fn lines_are_those_of_memcached() {
        let mut out = Buffer::default();
        client(27).report(&mut |figure| push_stat(&mut out, figure));
        let expected = "STAT 27:addr tcp:127.0.0.1:39646\r\nSTAT 27:listen_addr tcp:127.0.0.1:22200\r\n\
            STAT 27:state conn_parse_cmd\r\nSTAT 27:secs_since_last_cmd 5\r\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn it_ends_when_every_worker_has_answered() {
        let listings = listings();
        assert_eq!((listings.join(), listings.join()), (0, 0));
        let listing = listings.ask(9).expect("nobody else asks");
        assert!(matches!(listing.take(), Page::Of(listeners) if listeners[0].fd == 3));
        assert!(matches!(listing.take(), Page::Later));
        assert!(listings.ask(9).is_none(), "one at a time");
        listing.add(vec![client(7)], true);
        listing.add(vec![client(8)], false);
        assert!(matches!(listing.take(), Page::Of(page) if page == [client(7)]));
        assert!(matches!(listing.take(), Page::Of(page) if page == [client(8)]));
        assert!(matches!(listing.take(), Page::Later));
        listing.add(Vec::new(), true);
        assert!(matches!(listing.take(), Page::End));
        assert!(listings.ask(9).is_some());
    }

    #[test]
    fn a_worker_that_ends_is_not_waited_for() {
        let listings = listings();
        let answered = listings.join();
        let listing = listings.ask(0).expect("nobody else asks");
        assert!(matches!(listing.take(), Page::Of(_)));
        listings.leave(answered);
        assert!(matches!(listing.take(), Page::End));
    }
}
