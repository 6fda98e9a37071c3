//! The roster: how sockets get from the acceptor to the workers, and who serves how many.
//!
//! A worker is known here by its number. It is handed sockets through a queue of its own and woken; it says
//! when one of its connections has closed. The acceptor alone hands over, so it alone raises a count.

use std::io;

use crossbeam::queue::SegQueue;
use crossbeam::utils::CachePadded;
use mio::{Token, Waker};

use crate::net::Arrival;
use crate::sync::{AtomicBool, AtomicUsize, Ordering};

/// The token of every thread's waker: no slot and no listener has it.
pub const WAKE: Token = Token(usize::MAX);

/// All workers' mailboxes and the state that the server's threads share about connections.
#[derive(Debug)]
pub struct Roster {
    mailboxes: Box<[CachePadded<Mailbox>]>,
    acceptor: Waker,
    /// Set while the acceptor leaves connections in the backlog; who closes one then wakes it.
    is_paused: AtomicBool,
    /// Set before `is_stopping`: nobody is accepted any more.
    is_closed: AtomicBool,
    is_stopping: AtomicBool,
}

/// What the acceptor hands over to one worker, and how many of it the worker still serves.
#[derive(Debug)]
struct Mailbox {
    /// Sockets handed over and not yet taken.
    arrivals: SegQueue<Arrival>,
    /// Connections handed over and not yet closed.
    connections: AtomicUsize,
    waker: Waker,
}

impl Roster {
    /// A roster of one worker per waker.
    #[must_use]
    pub fn new(acceptor: Waker, workers: Vec<Waker>) -> Self {
        let mailbox =
            |waker| CachePadded::new(Mailbox { arrivals: SegQueue::new(), connections: AtomicUsize::new(0), waker });
        Self {
            mailboxes: workers.into_iter().map(mailbox).collect(),
            acceptor,
            is_paused: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Gives a socket to the worker with the fewest connections. Only the acceptor may call this.
    ///
    /// # Errors
    /// When the worker cannot be woken; it then finds the socket when it wakes for another reason.
    pub fn hand_over(&self, arrival: Arrival) -> io::Result<()> {
        // Relaxed: a recent count is good enough to choose by.
        let fewest = self.mailboxes.iter().min_by_key(|mailbox| mailbox.connections.load(Ordering::Relaxed));
        let mailbox = fewest.expect("at least one worker: config refuses -t 0");
        // Relaxed: the queue orders the socket itself.
        mailbox.connections.fetch_add(1, Ordering::Relaxed);
        mailbox.arrivals.push(arrival);
        mailbox.waker.wake()
    }

    /// The next socket handed to this worker.
    #[must_use]
    pub fn take(&self, worker: usize) -> Option<Arrival> {
        self.mailboxes[worker].arrivals.pop()
    }

    /// Says that a connection of this worker has closed: its descriptor is free already.
    pub fn closed(&self, worker: usize) {
        // SeqCst, with `pause` and `connections`: either the acceptor sees the lower count, or we see that it paused.
        self.mailboxes[worker].connections.fetch_sub(1, Ordering::SeqCst);
        if self.is_paused.load(Ordering::SeqCst) {
            self.wake_acceptor();
        }
    }

    /// All connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        // SeqCst: see `closed`.
        self.mailboxes.iter().map(|mailbox| mailbox.connections.load(Ordering::SeqCst)).sum()
    }

    /// Says that the acceptor stops or goes on accepting. Having stopped, it must look at
    /// [`Self::connections`] once more before it sleeps.
    pub fn pause(&self, is_paused: bool) {
        // SeqCst: see `closed`.
        self.is_paused.store(is_paused, Ordering::SeqCst);
    }

    /// Whether connections are being accepted.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        // Relaxed: a recent word.
        !self.is_paused.load(Ordering::Relaxed)
    }

    /// Tells the acceptor to end, and wakes it: who comes from then on stays in the backlog. A client that is closed by
    /// what follows and connects again is not let in only to be closed once more.
    pub fn close(&self) {
        // Release, as in `stop`.
        self.is_closed.store(true, Ordering::Release);
        self.wake_acceptor();
    }

    /// Whether nobody is to be accepted any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release of `close`.
        self.is_closed.load(Ordering::Acquire)
    }

    /// Tells every other thread to end, and wakes it.
    pub fn stop(&self) {
        // Release: what was done before is seen by who ends because of it.
        self.is_stopping.store(true, Ordering::Release);
        self.wake_workers();
    }

    /// Wakes every worker: each then ends a turn.
    pub fn wake_workers(&self) {
        for worker in 0..self.mailboxes.len() {
            self.wake_worker(worker);
        }
    }

    /// Wakes one worker: it then has a turn.
    pub fn wake_worker(&self, worker: usize) {
        if let Err(error) = self.mailboxes[worker].waker.wake() {
            log::error!(error:%; "cannot wake a worker");
        }
    }

    /// Whether it is time to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        // Acquire: pairs with the Release of `stop`.
        self.is_stopping.load(Ordering::Acquire)
    }

    fn wake_acceptor(&self) {
        if let Err(error) = self.acceptor.wake() {
            log::error!(error:%; "cannot wake the acceptor");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Waker};

    use super::{Roster, WAKE};
    use crate::net::{Arrival, Stream};

    fn arrival() -> Arrival {
        let (ours, _) = mio::net::UnixStream::pair().expect("descriptors");
        Arrival { stream: Stream::Unix(ours), tls: None, spoken: None }
    }

    fn waker(poll: &Poll) -> Waker {
        Waker::new(poll.registry(), WAKE).expect("descriptors")
    }

    #[test]
    fn sockets_go_to_the_worker_with_the_fewest() {
        let poll = Poll::new().expect("descriptors");
        let others = [Poll::new().expect("descriptors"), Poll::new().expect("descriptors")];
        let roster = Roster::new(waker(&poll), others.iter().map(waker).collect());
        for _ in 0..3 {
            roster.hand_over(arrival()).expect("awake");
        }
        assert_eq!(roster.connections(), 3);
        assert!(roster.take(1).is_some());
        assert!(roster.take(1).is_none());
        roster.closed(0);
        roster.closed(0);
        roster.hand_over(arrival()).expect("awake");
        assert_eq!(roster.connections(), 2);
        assert!(roster.take(0).is_some());
    }

    #[test]
    fn a_close_wakes_a_paused_acceptor() {
        let mut poll = Poll::new().expect("descriptors");
        let worker = Poll::new().expect("descriptors");
        let roster = Roster::new(waker(&poll), vec![waker(&worker)]);
        roster.hand_over(arrival()).expect("awake");
        roster.pause(true);
        assert!(!roster.is_accepting());
        roster.closed(0);
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::from_secs(10))).expect("a poll");
        assert!(!events.is_empty());
    }
}
