//! [`SaslQueue`]: where workers leave what clients say in SASL exchanges, and find what came of it. The authenticator
//! may wait for a file or for another program (`saslauthd`); a worker never waits for the authenticator.

use std::fmt;
use std::sync::OnceLock;

use crossbeam::queue::SegQueue;

use super::{Authenticator, Outcome};
use crate::sync::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering, Rank};
use crate::telemetry::watch::Call;

/// Responses that may wait there: who has another one keeps it at its own connection. With
/// [`RESPONSE_BYTES_MAX`](super::RESPONSE_BYTES_MAX) each some 16 MiB, also where clients
/// leave before they are answered.
const RESPONSES_MAX: usize = 1024;

/// What a client says.
#[derive(Clone, PartialEq, Eq)]
pub enum Response {
    /// The choice of a mechanism.
    Start {
        /// Its name.
        mechanism: Vec<u8>,
        /// What came with it, up to [`RESPONSE_BYTES_MAX`](super::RESPONSE_BYTES_MAX) bytes.
        said: Vec<u8>,
    },
    /// An answer to a challenge.
    Step {
        /// The answer, with the same bound.
        said: Vec<u8>,
    },
}

/// It may be a password.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Start { .. }) { "Start" } else { "Step" })
    }
}

/// Between the workers and the authenticator.
pub struct SaslQueue {
    mechanisms: Option<Vec<u8>>,
    messages: SegQueue<Message>,
    /// Responses among them.
    responses: AtomicUsize,
    last_id: AtomicU64,
    call: OnceLock<Call>,
}

/// What a worker tells the authenticator, in order.
enum Message {
    Response(Sent),
    /// The client of this exchange has left.
    End(u64),
}

/// What a client said, and where the outcome belongs.
struct Sent {
    id: u64,
    response: Response,
    slot: Arc<Slot>,
    call: Call,
}

/// Where an outcome lies until its worker comes for it.
#[derive(Debug)]
struct Slot(Mutex<Option<Outcome>>);

/// A client's exchange with the authenticator. Dropped, it is over.
pub struct Exchange {
    queue: Arc<SaslQueue>,
    id: u64,
    slot: Arc<Slot>,
}

impl fmt::Debug for SaslQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslQueue").field("responses", &self.responses).finish_non_exhaustive()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SaslQueue {
    /// One for this authenticator, which comes to it by [`Self::serve`].
    #[must_use]
    pub fn new(authenticator: &Authenticator) -> Self {
        Self {
            mechanisms: authenticator.mechanisms().map(<[u8]>::to_vec),
            messages: SegQueue::new(),
            responses: AtomicUsize::new(0),
            last_id: AtomicU64::new(0),
            call: OnceLock::new(),
        }
    }

    /// The mechanisms a client may choose from, parted by spaces; `None`: there are none.
    #[must_use]
    pub fn mechanisms(&self) -> Option<&[u8]> {
        self.mechanisms.as_deref()
    }

    /// Sets what calls the authenticator's thread when there is a message. Once.
    pub fn on_message(&self, call: Call) {
        // There is one authenticator: the first call stays.
        let _ = self.call.set(call);
    }

    /// Begins an exchange.
    #[must_use]
    pub fn exchange(queue: &Arc<Self>) -> Exchange {
        // Relaxed: a number that nobody else has.
        let id = queue.last_id.fetch_add(1, Ordering::Relaxed);
        Exchange { queue: Arc::clone(queue), id, slot: Arc::new(Slot(Mutex::new(Rank::Server, None))) }
    }

    /// The authenticator takes the first message; false: there is none.
    pub fn serve(&self, authenticator: &mut Authenticator) -> bool {
        match self.messages.pop() {
            None => return false,
            Some(Message::End(id)) => authenticator.end(id),
            Some(Message::Response(sent)) => {
                // Relaxed: a bound of memory, which orders nothing.
                self.responses.fetch_sub(1, Ordering::Relaxed);
                // Where the client has left, nobody would come for the outcome.
                if Arc::strong_count(&sent.slot) > 1 {
                    let outcome = match &sent.response {
                        Response::Start { mechanism, said } => authenticator.start(sent.id, mechanism, said),
                        Response::Step { said } => authenticator.step(sent.id, said),
                    };
                    *sent.slot.0.lock() = Some(outcome);
                    sent.call.call();
                }
            }
        }
        true
    }

    fn leave(&self, message: Message) {
        self.messages.push(message);
        if let Some(call) = self.call.get() {
            call.call();
        }
    }
}

impl Exchange {
    /// Leaves what the client says; `call` is called when there is an outcome. One at a time. False: too many others
    /// wait.
    #[must_use]
    pub fn send(&self, response: impl FnOnce() -> Response, call: Call) -> bool {
        // Relaxed: see `SaslQueue::serve`. Workers that come together may be a few over it.
        if self.queue.responses.load(Ordering::Relaxed) >= RESPONSES_MAX {
            return false;
        }
        self.queue.responses.fetch_add(1, Ordering::Relaxed);
        let slot = Arc::clone(&self.slot);
        self.queue.leave(Message::Response(Sent { id: self.id, response: response(), slot, call }));
        true
    }

    /// What came of it, once that is known.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.slot.0.lock().take()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Behind its last response: the authenticator does not begin anew what is over.
        self.queue.leave(Message::End(self.id));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{Outcome, RESPONSES_MAX, Response, SaslQueue};
    use crate::auth::{Authenticator, Sources};
    use crate::sync::{Arc, AtomicUsize, Ordering};
    use crate::telemetry::watch::Call;

    /// A queue and its authenticator, over a file of passwords that goes with its test.
    struct Office {
        path: PathBuf,
        authenticator: Authenticator,
        queue: Arc<SaslQueue>,
    }

    impl Office {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("flagstone-queue-{name}-{}", std::process::id()));
            fs::write(&path, "user:pass\n").expect("writable");
            let sources = Sources { password_file: Some(path.clone()), ..Sources::default() };
            let authenticator = Authenticator::open(sources).expect("a file");
            Self { path, queue: Arc::new(SaslQueue::new(&authenticator)), authenticator }
        }

        fn serve_all(&mut self) {
            while self.queue.serve(&mut self.authenticator) {}
        }
    }

    impl Drop for Office {
        fn drop(&mut self) {
            fs::remove_file(&self.path).expect("ours");
        }
    }

    fn start(mechanism: &str, said: &str) -> Response {
        Response::Start { mechanism: mechanism.into(), said: said.into() }
    }

    fn step(said: &str) -> Response {
        Response::Step { said: said.into() }
    }

    const GOOD: &str = "\0user\0pass";
    const BAD: &str = "\0user\0word";
    const AWAITED: Outcome = Outcome::Challenge(Vec::new());

    #[test]
    fn exchanges_go_as_with_memcached() {
        let mut office = Office::new("exchanges");
        let (ok, no) = (Outcome::Accepted, Outcome::Refused);
        for (number, steps) in [
            vec![(start("PLAIN", GOOD), &ok)],
            vec![(start("plain\0x", GOOD), &ok)],
            vec![(start("PLAIN", BAD), &no), (step(GOOD), &no), (start("PLAIN", GOOD), &ok)],
            vec![(start("PLAIN ", GOOD), &no), (start("", GOOD), &no), (start("CRAM-MD5", ""), &no)],
            vec![(start("PLAIN", ""), &AWAITED), (step(BAD), &no), (step(""), &no), (step(GOOD), &ok)],
            vec![(start("PLAIN", ""), &AWAITED), (start("PLAIN", ""), &AWAITED), (start("PLAIN", GOOD), &ok)],
            vec![(start("PLAIN", ""), &AWAITED), (start("X", ""), &no), (step(GOOD), &no)],
            vec![(step(GOOD), &no), (start("PLAIN", GOOD), &ok), (step(GOOD), &no)],
        ]
        .into_iter()
        .enumerate()
        {
            let exchange = SaslQueue::exchange(&office.queue);
            for (response, outcome) in steps {
                assert!(exchange.send(|| response, Call::nobody()));
                assert_eq!(exchange.outcome(), None);
                office.serve_all();
                assert_eq!(exchange.outcome().as_ref(), Some(outcome), "exchange {number}");
            }
        }
    }

    #[test]
    fn an_exchange_that_ends_leaves_nothing() {
        let mut office = Office::new("ends");
        let exchanges: Vec<_> = (0..10).map(|_| SaslQueue::exchange(&office.queue)).collect();
        for exchange in &exchanges {
            assert!(exchange.send(|| start("PLAIN", ""), Call::nobody()));
        }
        office.serve_all();
        assert_eq!(office.authenticator.open_exchanges(), 10);
        // Who leaves at once is not looked at.
        let hasty = SaslQueue::exchange(&office.queue);
        assert!(hasty.send(|| start("PLAIN", ""), Call::nobody()));
        drop((hasty, exchanges));
        office.serve_all();
        assert_eq!(office.authenticator.open_exchanges(), 0);
    }

    #[test]
    fn responses_are_bounded_and_who_sends_is_called() {
        let mut office = Office::new("bounded");
        let calls = Arc::new(AtomicUsize::new(0));
        let send = |queue: &Arc<SaslQueue>| {
            let (exchange, counted) = (SaslQueue::exchange(queue), Arc::clone(&calls));
            let call = Call::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
            });
            let is_sent = exchange.send(|| start("PLAIN", GOOD), call);
            (exchange, is_sent)
        };
        let sent: Vec<_> = (0..RESPONSES_MAX).map(|_| send(&office.queue)).collect();
        assert!(sent.iter().all(|(_, is_sent)| *is_sent));
        assert!(!send(&office.queue).1);
        office.serve_all();
        assert_eq!(calls.load(Ordering::Relaxed), RESPONSES_MAX);
        assert!(send(&office.queue).1);
    }
}
