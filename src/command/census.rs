//! The census: `stats conns` asks every worker about its clients, and each writes about its own, some in a turn.
//!
//! A connection lives in its worker's slots and nobody else may look. A cell per connection that everybody may
//! read would cost each idle one the memory of its addresses and each turn a store; a question costs nothing until
//! it is asked. One census is under way at a time: who asks meanwhile waits for its end. No sockets here: the
//! server's threads know who their clients are.

use std::collections::VecDeque;
use std::sync::OnceLock;

use super::Commands;
use crate::bytes::Buffer;
use crate::protocol::ascii::push_stat;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, Rank};

/// Connections a worker writes about in one turn: some fifty microseconds of its time.
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

/// What is said about one connection.
#[derive(Clone, Copy, Debug)]
pub struct Inhabitant<'a> {
    /// Its descriptor.
    pub fd: u32,
    /// The client's address, or a listener's own.
    pub address: &'a str,
    /// The address the client came to; `None` for a listener.
    pub listen_address: Option<&'a str>,
    /// What it is about.
    pub activity: Activity,
    /// Seconds since it was heard last.
    pub silent_seconds: u32,
}

impl Inhabitant<'_> {
    /// Appends its lines.
    pub fn push(&self, out: &mut Buffer) {
        let mut line = |name: &str, value: &str| push_stat(out, &format!("{}:{name}", self.fd), value);
        line("addr", self.address);
        if let Some(address) = self.listen_address {
            line("listen_addr", address);
        }
        line("state", self.activity.text());
        line("secs_since_last_cmd", itoa::Buffer::default().format(self.silent_seconds));
    }
}

/// One question and its answers.
#[derive(Debug)]
pub struct Census {
    state: Mutex<Answers>,
}

#[derive(Debug)]
struct Answers {
    /// Text in whole lines, not yet taken by who asked.
    pages: VecDeque<Buffer>,
    /// Workers that are not through with their clients.
    missing: usize,
}

/// What who asked finds.
#[derive(Debug)]
pub enum Page {
    /// Lines.
    Text(Buffer),
    /// Nothing yet.
    Later,
    /// Everybody has answered, and all was taken.
    End,
}

impl Census {
    fn new(missing: usize, first: Buffer) -> Self {
        Self { state: Mutex::new(Rank::Registry, Answers { pages: VecDeque::from([first]), missing }) }
    }

    /// Adds a worker's lines; `is_last`: it has no more clients.
    pub fn add(&self, page: Buffer, is_last: bool) {
        let mut answers = self.state.lock();
        if !page.is_empty() {
            answers.pages.push_back(page);
        }
        answers.missing -= usize::from(is_last);
    }

    /// The next lines.
    #[must_use]
    pub fn take(&self) -> Page {
        let mut answers = self.state.lock();
        match answers.pages.pop_front() {
            Some(page) => Page::Text(page),
            None if answers.missing > 0 => Page::Later,
            None => Page::End,
        }
    }

    fn is_complete(&self) -> bool {
        self.state.lock().missing == 0
    }
}

/// Where censuses are asked for, one at a time.
pub struct CensusOffice {
    /// Descriptors and addresses of the listeners: they stay as they are.
    listeners: Vec<(u32, String)>,
    desk: Mutex<Desk>,
    /// How many were asked for so far: a worker that has answered fewer has something to do.
    asked: AtomicU64,
    call: OnceLock<Callback>,
}

#[derive(Default)]
struct Desk {
    workers: usize,
    current: Option<Arc<Census>>,
}

type Callback = Box<dyn Fn() + Send + Sync>;

impl CensusOffice {
    pub(super) fn new(listeners: Vec<(u32, String)>) -> Self {
        Self {
            listeners,
            desk: Mutex::new(Rank::Server, Desk::default()),
            asked: AtomicU64::new(0),
            call: OnceLock::new(),
        }
    }

    /// Sets what wakes all workers. Once.
    pub fn on_census(&self, call: impl Fn() + Send + Sync + 'static) {
        // There is one server in a process: the first stays.
        let _ = self.call.set(Box::new(call));
    }

    /// A worker says that it will answer; the number of the last census it has nothing to do with.
    pub fn join(&self) -> u64 {
        let mut desk = self.desk.lock();
        desk.workers += 1;
        self.asked()
    }

    /// A worker that has answered so many ends.
    pub fn leave(&self, answered: u64) {
        let mut desk = self.desk.lock();
        desk.workers -= 1;
        if answered < self.asked()
            && let Some(census) = &desk.current
        {
            census.add(Buffer::default(), true);
        }
    }

    /// How many were asked for so far.
    #[must_use]
    #[inline]
    pub fn asked(&self) -> u64 {
        // Relaxed: who sees a higher number takes the desk's lock before it looks for more.
        self.asked.load(Ordering::Relaxed)
    }

    /// The census under way, or the last one.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Census>> {
        self.desk.lock().current.clone()
    }

    /// Begins a census; `None` while another is under way. `silent_seconds`: since when the listeners listen.
    fn ask(&self, silent_seconds: u32) -> Option<Arc<Census>> {
        let mut desk = self.desk.lock();
        if desk.current.as_ref().is_some_and(|census| !census.is_complete()) {
            return None;
        }
        let mut page = Buffer::default();
        for (fd, address) in &self.listeners {
            let activity = Activity::Listening;
            Inhabitant { fd: *fd, address, listen_address: None, activity, silent_seconds }.push(&mut page);
        }
        let census = Arc::new(Census::new(desk.workers, page));
        desk.current = Some(Arc::clone(&census));
        self.asked.fetch_add(1, Ordering::Relaxed);
        drop(desk);
        if let Some(call) = self.call.get() {
            call();
        }
        Some(census)
    }
}

impl std::fmt::Debug for CensusOffice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CensusOffice").field("asked", &self.asked()).finish_non_exhaustive()
    }
}

impl Commands {
    /// Asks everybody about their connections; `None` while somebody else's question is under way.
    #[must_use]
    pub fn ask_census(&self) -> Option<Arc<Census>> {
        let uptime = self.now.seconds.0.saturating_sub(self.shared.started.seconds.0);
        self.shared.census().ask(uptime)
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, CensusOffice, Inhabitant, Page};
    use crate::bytes::Buffer;

    fn lines(text: &[u8]) -> Buffer {
        let mut lines = Buffer::default();
        lines.extend_from_slice(text);
        lines
    }

    fn office() -> CensusOffice {
        CensusOffice::new(vec![(3, "tcp:127.0.0.1:11211".to_owned())])
    }

    #[test]
    fn lines_are_those_of_memcached() {
        let mut out = Buffer::default();
        let address = "tcp:127.0.0.1:39646";
        let listen_address = Some("tcp:127.0.0.1:22200");
        let activity = Activity::Answering;
        Inhabitant { fd: 27, address, listen_address, activity, silent_seconds: 5 }.push(&mut out);
        let expected = "STAT 27:addr tcp:127.0.0.1:39646\r\nSTAT 27:listen_addr tcp:127.0.0.1:22200\r\n\
            STAT 27:state conn_parse_cmd\r\nSTAT 27:secs_since_last_cmd 5\r\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn it_ends_when_every_worker_has_answered() {
        let office = office();
        assert_eq!((office.join(), office.join()), (0, 0));
        let census = office.ask(9).expect("nobody else asks");
        assert!(matches!(census.take(), Page::Text(listeners) if listeners.starts_with(b"STAT 3:addr tcp:")));
        assert!(matches!(census.take(), Page::Later));
        assert!(office.ask(9).is_none(), "one at a time");
        census.add(lines(b"one"), true);
        census.add(lines(b"two"), false);
        assert!(matches!(census.take(), Page::Text(lines) if *lines == *b"one"));
        assert!(matches!(census.take(), Page::Text(lines) if *lines == *b"two"));
        assert!(matches!(census.take(), Page::Later));
        census.add(Buffer::default(), true);
        assert!(matches!(census.take(), Page::End));
        assert!(office.ask(9).is_some());
    }

    #[test]
    fn a_worker_that_ends_is_not_waited_for() {
        let office = office();
        let answered = office.join();
        let census = office.ask(0).expect("nobody else asks");
        assert!(matches!(census.take(), Page::Text(_)));
        office.leave(answered);
        assert!(matches!(census.take(), Page::End));
    }
}
