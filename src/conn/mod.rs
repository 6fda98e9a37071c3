//! One client as a state machine over bytes: input and a turn's context come in, output goes out. No socket, no
//! clock, no thread.
//!
//! A connection keeps memory of its own for half a request or unsent output only: the input and the output it
//! works on are its worker's.

mod ahead;
mod auth;
mod body;
mod datagram;
mod dump;
mod fetch;
mod kept;
mod log;
mod output;
mod sample;
mod sasl;
mod serve;
mod turn;
mod watch;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use output::Output;
pub use sample::Mark;
pub use turn::{Next, Turn};

use std::io::IoSliceMut;

use auth::Awaited;
use body::Body;
use dump::Dumping;
use kept::Kept;
use sasl::Unauthenticated;

use crate::command::{Activity, Claim, Commands, ConnectionListing, Hint, Page};
use crate::protocol::{AskedKept, Dialect, KeyLine, ParseRoom, Parsed, Reply, with_plain_form};
use crate::sync::Arc;
use crate::telemetry::watch::Watcher;

/// Where in its conversation a client is.
#[derive(Debug)]
enum State {
    /// Before its token, which `-Y` asks for.
    Unauthenticated(Awaited),
    /// Before SASL has let it in, which `-S` asks for.
    Sasl(Box<Unauthenticated>),
    /// Before a request.
    Ready,
    /// In a line of keys: they are served as they come.
    Keys(KeyLine),
    /// In a large value, which goes straight into its item.
    Body(Box<Body>),
    /// The same, but the store has no room for its next bytes yet.
    Wait(Box<Body>),
    /// In a list of items, which is written a little a turn; what the client says meanwhile waits.
    Dump(Box<Dumping>),
    /// In bytes nobody wants.
    Discard(Box<Discard>),
    /// In a report about all connections.
    Listing(Box<Listing>),
    /// Watching.
    Watch(Arc<Watcher>),
    /// Done: what it said was no request, or it has said its last.
    Closing { is_error: bool },
}

/// What is being swallowed.
#[derive(Debug)]
struct Discard {
    /// So many bytes, then this is answered.
    left: usize,
    reply: Reply,
    asked: AskedKept,
}

/// A report about all connections on its way out.
#[derive(Debug)]
struct Listing {
    /// `None`: somebody else's is under way.
    listing: Option<Arc<ConnectionListing>>,
    asked: AskedKept,
}

/// The head of a request in the input.
#[derive(Clone, Copy, Debug)]
struct Head<'i> {
    /// The input, which it begins.
    input: &'i [u8],
    /// Its length.
    len: usize,
}

/// What a step through the input has come to.
struct Step {
    /// Bytes of the input it took.
    used: usize,
    /// What stops the connection; `None`: on with the next step.
    next: Option<Next>,
}

impl Step {
    #[inline]
    fn on(used: usize) -> Self {
        Self { used, next: None }
    }

    #[inline]
    fn stop(used: usize, next: Next) -> Self {
        Self { used, next: Some(next) }
    }
}

/// One client.
#[derive(Debug)]
pub struct Connection {
    state: State,
    /// Input that is not consumed.
    kept: Kept,
    /// Output that the socket did not take.
    unsent: Option<Box<Output>>,
    /// How it speaks; `None`: nothing has come that would tell.
    dialect: Option<Dialect>,
    /// Whether its last request was a large value.
    brings_values: bool,
    /// Whether all that it says is one datagram.
    is_datagram: bool,
}

impl Connection {
    /// A client that has not said anything.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Ready,
            kept: Kept::default(),
            unsent: None,
            dialect: None,
            brings_values: false,
            is_datagram: false,
        }
    }

    /// The same, known to speak this dialect, if any.
    #[must_use]
    pub fn speaking(dialect: Option<Dialect>) -> Self {
        Self { dialect, ..Self::new() }
    }

    /// Input that came earlier and is not consumed: new input belongs behind it.
    #[must_use]
    #[inline]
    pub fn kept(&self) -> &[u8] {
        self.kept.bytes()
    }

    /// Output that the socket did not take.
    #[must_use]
    #[inline]
    pub fn unsent(&mut self) -> Option<&mut Output> {
        self.unsent.as_deref_mut()
    }

    /// Whether there is such output.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.unsent.is_some()
    }

    /// Whether memory of values that are gone is held for output that the socket did not take.
    #[must_use]
    pub fn holds_gone(&self, commands: &Commands) -> bool {
        self.unsent.as_ref().is_some_and(|unsent| unsent.holds_gone(commands))
    }

    /// Whether memory of any value is held for it.
    #[must_use]
    pub fn holds_values(&self) -> bool {
        self.unsent.as_ref().is_some_and(|unsent| unsent.holds_values())
    }

    /// Keeps what the socket did not take of `output`.
    pub fn keep_unsent(&mut self, output: &mut Output) {
        self.unsent = Some(Box::new(output.take_unsent()));
    }

    /// Says that the kept output is written.
    pub fn forget_unsent(&mut self) {
        self.unsent = None;
    }

    /// Whether it waits for a request or the rest of its line, all others being answered: what an idle timeout may
    /// close.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let waits_for_line = match self.state {
            State::Ready => !self.awaits_value(),
            State::Unauthenticated(_) | State::Keys(_) => true,
            State::Sasl(ref client) => client.is_idle(),
            State::Body(_)
            | State::Wait(_)
            | State::Dump(_)
            | State::Discard(_)
            | State::Listing(_)
            | State::Watch(_)
            | State::Closing { .. } => false,
        };
        waits_for_line && self.unsent.is_none()
    }

    /// Whether the head of a request has come that is not served yet: it waits for its value.
    fn awaits_value(&self) -> bool {
        self.dialect.is_some_and(|dialect| dialect.has_head(self.kept()))
    }

    /// Its place among those that wait for memory, if it does.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        if let State::Wait(body) = &self.state { body.claim() } else { None }
    }

    /// Whether it is in a large value that holds memory, and waits for more of it to come.
    #[must_use]
    pub fn is_in_value(&self) -> bool {
        matches!(&self.state, State::Body(body) if body.has_begun()) && self.unsent.is_none()
    }

    /// What it is about, for reports.
    #[must_use]
    pub fn activity(&self) -> Activity {
        if self.unsent.is_some() {
            return Activity::Writing;
        }
        match self.state {
            State::Ready if self.awaits_value() => Activity::Value,
            State::Keys(line) if line.is_answered() => Activity::Swallowing,
            State::Ready | State::Keys(_) => Activity::Reading,
            State::Body(_) | State::Wait(_) => Activity::Value,
            State::Discard(_) => Activity::Swallowing,
            State::Listing(_) => Activity::Answering,
            State::Unauthenticated(_) => Activity::Reading,
            State::Sasl(ref client) => client.activity(),
            State::Dump(_) => Activity::Answering,
            State::Watch(_) => Activity::Watching,
            State::Closing { .. } => Activity::Closing,
        }
    }

    /// Serves `input`, which begins with what was kept. What is not consumed is kept.
    #[inline]
    pub fn receive(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Next {
        let (used, next) = self.advance(input, turn.first, turn);
        self.kept.replace(&input[used..]);
        next
    }

    /// Goes on with what was kept.
    pub fn resume(&mut self, turn: &mut Turn<'_>) -> Next {
        let mut kept = std::mem::take(&mut self.kept);
        let (used, next) = self.advance(kept.bytes(), None, turn);
        kept.consume(used);
        self.kept = kept;
        next
    }

    /// Whether it ends because what came was no request.
    #[must_use]
    pub fn ends_in_error(&self) -> bool {
        matches!(self.state, State::Closing { is_error: true })
    }

    /// Whether large values are to be expected of it, whose bytes may be read straight into their items: see
    /// [`Self::rooms`].
    #[must_use]
    #[inline]
    pub fn brings_values(&self) -> bool {
        self.brings_values
    }

    /// Says that what it brings are no large values any more.
    pub fn expect_requests(&mut self) {
        self.brings_values = matches!(self.state, State::Body(_));
    }

    /// Bytes missing of a large value that may be read straight into their item. 0: there is something else to do
    /// before, and input belongs behind what was kept.
    #[must_use]
    pub fn missing(&self) -> usize {
        match &self.state {
            State::Body(body) if self.kept.bytes().is_empty() => body.missing_of_value(),
            _ => 0,
        }
    }

    /// Where the next bytes of a large value belong: fills `rooms` from the front and returns how many; 0 as for
    /// [`Self::missing`], and when memory for them is not free yet.
    pub fn rooms<'c>(&'c mut self, commands: &'c mut Commands, rooms: &mut [IoSliceMut<'c>]) -> usize {
        match &mut self.state {
            State::Body(body) if self.kept.bytes().is_empty() => body.rooms(commands, rooms),
            _ => 0,
        }
    }

    /// Says that the first `n` bytes of the last rooms are there.
    pub fn filled(&mut self, n: usize, commands: &mut Commands) {
        if let State::Body(body) = &mut self.state {
            body.filled(n, commands);
        }
    }

    /// Gives back what the store lent: the client is gone.
    pub fn close(&mut self, commands: &mut Commands) {
        match std::mem::replace(&mut self.state, State::Closing { is_error: false }) {
            State::Body(body) | State::Wait(body) => body.abandon(commands),
            State::Watch(watcher) => commands.unwatch(&watcher),
            State::Unauthenticated(_)
            | State::Sasl(_)
            | State::Ready
            | State::Keys(_)
            | State::Dump(_)
            | State::Discard(_)
            | State::Listing(_)
            | State::Closing { .. } => {}
        }
        if let Some(mut unsent) = self.unsent.take() {
            unsent.discard(commands);
        }
    }

    /// Prefetches the bucket that the first request of an input needs; the key's hash is for [`Turn::first`]. `None`:
    /// the request is not plain, or the connection is within one.
    #[must_use]
    #[inline]
    pub fn look_ahead(&self, input: &[u8], commands: &Commands) -> Option<Hint> {
        if matches!(self.state, State::Ready) { ahead::look_at_first(self.dialect?, input, commands) } else { None }
    }

    /// Takes steps until something stops it. The hash of the first request's key may be known.
    fn advance(&mut self, input: &[u8], first: Option<u64>, turn: &mut Turn<'_>) -> (usize, Next) {
        let mut used = 0;
        let mut first = first;
        loop {
            if turn.output.is_full() {
                return (used, Next::Write);
            }
            let rest = &input[used..];
            let ahead = if turn.commands.looks_ahead() { self.serve_ahead(first.take(), rest, turn) } else { None };
            let step = ahead.unwrap_or_else(
                #[inline(always)]
                || self.step(rest, turn),
            );
            used += step.used;
            let Some(next) = step.next else {
                // Nearly every turn ends so: all that came is served.
                if used == input.len() && matches!(self.state, State::Ready) {
                    return (used, Next::Read);
                }
                continue;
            };
            if next == Next::Watch && matches!(self.state, State::Ready) {
                used += self.begin_watch(&input[used..], used > 0, turn);
                if matches!(self.state, State::Ready) {
                    continue;
                }
            }
            return (used, next);
        }
    }

    #[inline(always)]
    fn step(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        if matches!(self.state, State::Ready) { self.ready(input, turn) } else { self.step_inside(input, turn) }
    }

    /// A step within a request.
    #[inline(never)]
    fn step_inside(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        match self.state {
            State::Ready => self.ready_rare(input, turn),
            State::Keys(line) => self.keys(line, input, turn),
            State::Body(_) | State::Wait(_) => self.body(input, turn),
            State::Dump(_) => self.dump(turn),
            State::Discard(_) => self.discard(input, turn),
            State::Listing(_) => self.listing(turn),
            State::Watch(ref watcher) => {
                watcher.take(turn.output.bytes());
                Step::stop(input.len(), Next::Watch)
            }
            State::Closing { .. } => Step::stop(input.len(), Next::Close),
            State::Unauthenticated(awaited) => self.authenticate(awaited, input, turn),
            State::Sasl(_) => self.sasl(input, turn),
        }
    }

    #[inline]
    fn ready(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        if let Some(dialect) = self.dialect
            && turn.requests_left > 0
            && turn.logged_as.is_none()
            && let Some(step) = with_plain_form!(dialect, Form => self.serve_if_plain::<Form>(input, turn))
        {
            return step;
        }
        if input.is_empty() { Step::stop(0, Next::Read) } else { self.ready_rare(input, turn) }
    }

    /// Serves a request that is not plain, or the first one: its first byte tells the dialect.
    #[inline(never)]
    fn ready_rare(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let Some(&first) = input.first() else { return Step::stop(0, Next::Read) };
        let dialect = *self.dialect.get_or_insert_with(|| Dialect::told_by(first));
        let mut room = ParseRoom::default();
        let (request, used) = match dialect.parse(input, &mut room) {
            Parsed::Request { request, used } => (request, used),
            Parsed::Incomplete => return Step::stop(0, Next::Read),
            Parsed::Hopeless => return self.hang(input),
        };
        if turn.requests_left == 0 {
            return Step::stop(0, Next::Yield);
        }
        let head = Head { input, len: used };
        if turn.logged_as.is_some() {
            return self.execute_logged(dialect, &request, head, turn);
        }
        self.execute(&request, head, turn)
    }

    /// Fills a large value, or waits for room for it.
    fn body(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let (State::Body(mut body) | State::Wait(mut body)) = std::mem::replace(&mut self.state, State::Ready) else {
            return Step::on(0);
        };
        let (used, progress) = body.fill(input, turn.commands);
        match progress {
            body::Progress::Hungry => {
                self.state = State::Body(body);
                Step::stop(used, Next::Read)
            }
            body::Progress::NoRoom => {
                self.state = State::Wait(body);
                Step::stop(used, Next::Memory)
            }
            body::Progress::Refused => {
                self.refuse_body(*body, turn);
                Step::on(used)
            }
            body::Progress::Whole | body::Progress::Spoiled => {
                let (stored, asked) = body.finish(progress == body::Progress::Whole, turn.commands);
                asked.asked().push_stored(turn.output.bytes(), &stored);
                Step::on(used)
            }
        }
    }

    /// Swallows the rest of a value there is no memory for, then says so.
    fn refuse_body(&mut self, body: Body, turn: &mut Turn<'_>) {
        let left = body.missing();
        let (reply, asked) = body.refuse(turn.commands);
        self.state = State::Discard(Box::new(Discard { left, reply, asked }));
    }

    /// Swallows bytes, then answers.
    fn discard(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let State::Discard(discard) = &mut self.state else { return Step::on(0) };
        if discard.left > input.len() {
            discard.left -= input.len();
            return Step::stop(input.len(), Next::Read);
        }
        let used = discard.left;
        discard.asked.asked().push_reply(turn.output.bytes(), discard.reply);
        self.state = State::Ready;
        Step::on(used)
    }

    /// Writes what the listing says as it comes, a page a turn.
    #[cold]
    fn listing(&mut self, turn: &mut Turn<'_>) -> Step {
        let State::Listing(state) = &mut self.state else { return Step::on(0) };
        let Listing { listing, asked } = &mut **state;
        if listing.is_none() {
            *listing = turn.commands.begin_listing();
        }
        let Some(listing) = listing else { return Step::stop(0, Next::Wait) };
        let (out, asked) = (turn.output.bytes(), asked.asked());
        match listing.take() {
            Page::Of(connections) => {
                for connection in connections {
                    connection.report(&mut |figure| asked.push_figure(out, figure));
                }
                return Step::stop(0, Next::Rest);
            }
            Page::Later => return Step::stop(0, Next::Wait),
            Page::End => {
                asked.push_reply(out, Reply::End);
                self.state = State::Ready;
            }
        }
        Step::on(0)
    }

    fn close_after(&mut self, used: usize, is_error: bool) -> Step {
        self.state = State::Closing { is_error };
        Step::stop(used, Next::Close)
    }

    /// Nothing more is understood.
    #[cold]
    fn hang(&mut self, input: &[u8]) -> Step {
        self.close_after(input.len(), true)
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}
