//! One client as a state machine over bytes: input and a turn's means come in, output goes out. No socket, no
//! clock, no thread.
//!
//! A connection keeps memory of its own for half a request or unsent output only: the input and the output it
//! works on are its worker's.

mod ahead;
mod auth;
mod body;
mod dump;
mod kept;
mod log;
mod meta;
mod output;
mod turn;
mod watch;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use output::Output;
pub use turn::{Next, Turn};

use std::io::IoSliceMut;

use ahead::{After, LineKeys};
use auth::Knock;
use body::{Answer as StoreAnswer, Body};
use dump::Dumping;
use kept::Kept;

use crate::command::{Activity, Answer, Census, Commands, Fetched, Hint, Page, Stored};
use crate::limits::WHOLE_VALUE_BYTES_MAX;
use crate::protocol::ascii::classic::{self, Parsed, Plain};
use crate::protocol::ascii::meta::{Asked, push_stored};
use crate::protocol::ascii::token;
use crate::protocol::{Admin, ErrorText, Fetch, FetchOptions, ItemLines, Refused, Reply, Request, Store};
use crate::sync::Arc;
use crate::telemetry::watch::Watcher;
use meta::KeptAsked;

/// First byte of a request of the binary protocol, which is not spoken here.
const BINARY_MAGIC: u8 = 0x80;

/// What ends a data block.
const BLOCK_END: &[u8] = b"\r\n";

/// Where in its conversation a client is.
#[derive(Debug)]
enum State {
    /// Before its token, which `-Y` asks for.
    Stranger(Knock),
    /// Before a request.
    Ready,
    /// In a line of keys: they are served as they come.
    Keys(FetchOptions),
    /// In a large value, which goes straight into its item.
    Body(Box<Body>),
    /// The same, but the store has no room for its next bytes yet.
    Wait(Box<Body>),
    /// In a list of items, which is written a little a turn; what the client says meanwhile waits.
    Dump(Box<Dumping>),
    /// In bytes nobody wants.
    Discard(Discard),
    /// In a report about all connections; `None`: somebody else's is under way.
    Census(Option<Arc<Census>>),
    /// Watching.
    Watch(Arc<Watcher>),
    /// Done: what it said was no request, or it has said its last.
    Closing { is_error: bool },
}

/// What is being swallowed.
#[derive(Clone, Copy, Debug)]
enum Discard {
    /// So many bytes, then this is answered.
    Block { left: usize, reply: Option<Reply> },
    /// The rest of a line that is answered already.
    Line,
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
    /// Whether the first byte has come: it tells the protocol.
    has_begun: bool,
    /// Whether its last request was a large value.
    brings_values: bool,
}

impl Connection {
    /// A client that has not said anything.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Ready, kept: Kept::default(), unsent: None, has_begun: false, brings_values: false }
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

    /// Whether memory of values that are gone is held for output that the socket did not take.
    #[must_use]
    pub fn holds_gone(&self, commands: &Commands) -> bool {
        self.unsent.as_ref().is_some_and(|unsent| unsent.holds_gone(commands))
    }

    /// Keeps what the socket did not take of `output`.
    pub fn keep_unsent(&mut self, output: &mut Output) {
        self.unsent = Some(Box::new(output.take_unsent()));
    }

    /// Says that the kept output is written.
    pub fn forget_unsent(&mut self) {
        self.unsent = None;
    }

    /// Whether it waits for a request, all others being answered: what an idle timeout may close.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Ready | State::Stranger(_)) && self.unsent.is_none()
    }

    /// What it is about, for reports.
    #[must_use]
    pub fn activity(&self) -> Activity {
        if self.unsent.is_some() {
            return Activity::Writing;
        }
        match self.state {
            // A whole line that is not served yet waits for its value.
            State::Ready if token::line(self.kept()).is_some() => Activity::Value,
            State::Ready | State::Keys(_) => Activity::Reading,
            State::Body(_) | State::Wait(_) => Activity::Value,
            State::Discard(_) => Activity::Swallowing,
            State::Census(_) => Activity::Answering,
            State::Stranger(_) => Activity::Reading,
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
            State::Stranger(_)
            | State::Ready
            | State::Keys(_)
            | State::Dump(_)
            | State::Discard(_)
            | State::Census(_)
            | State::Closing { .. } => {}
        }
        if let Some(mut unsent) = self.unsent.take() {
            unsent.discard(commands);
        }
    }

    /// Has the place come near that the first request of an input needs, whose hash is for [`Turn::first`]. `None`:
    /// that cannot be told.
    #[must_use]
    #[inline]
    pub fn look_ahead(&self, input: &[u8], commands: &Commands) -> Option<Hint> {
        if matches!(self.state, State::Ready) { ahead::look_at_first(input, commands) } else { None }
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
            State::Keys(FetchOptions::GET) => self.keys(FetchOptions::GET, input, turn),
            State::Keys(options) => self.keys_rare(options, input, turn),
            State::Body(_) | State::Wait(_) => self.body(input, turn),
            State::Dump(_) => self.dump(turn),
            State::Discard(discard) => self.discard(discard, input, turn),
            State::Census(_) => self.census(turn),
            State::Watch(ref watcher) => {
                watcher.take(turn.output.bytes());
                Step::stop(input.len(), Next::Watch)
            }
            State::Closing { .. } => Step::stop(input.len(), Next::Close),
            State::Stranger(knock) => self.stranger_step(knock, input, turn),
        }
    }

    #[inline]
    fn ready(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        if turn.requests_left > 0
            && turn.logged_as.is_none()
            && let Some((plain, used)) = classic::parse_plain(input)
        {
            self.has_begun = true;
            return match plain {
                Plain::Get(key) => get(key, used, turn),
                Plain::Set(store) => self.store(&store, None, None, used, input, turn),
            };
        }
        if input.is_empty() { Step::stop(0, Next::Read) } else { self.ready_rare(input, turn) }
    }

    /// Serves a request that is not plain.
    #[inline(never)]
    fn ready_rare(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let Some(&first) = input.first() else { return Step::stop(0, Next::Read) };
        if !self.has_begun {
            self.has_begun = true;
            if first == BINARY_MAGIC {
                return self.hang(input);
            }
        }
        let (request, used) = match classic::parse(input) {
            Parsed::Request { request, used } => (request, used),
            Parsed::Incomplete => return Step::stop(0, Next::Read),
            Parsed::TooLong => return self.hang(input),
        };
        if turn.requests_left == 0 {
            return Step::stop(0, Next::Yield);
        }
        if turn.logged_as.is_some() {
            return self.execute_logged(request, used, input, turn);
        }
        self.execute(request, used, input, turn)
    }

    /// Serves a request whose line took `used` bytes of `input`. A store takes its value too.
    #[inline]
    fn execute(&mut self, request: Request<'_>, used: usize, input: &[u8], turn: &mut Turn<'_>) -> Step {
        match request {
            Request::OneKey(fetch) => {
                turn.requests_left -= 1;
                if serve_key(fetch, turn) {
                    turn.output.push_reply(Reply::End);
                }
                Step::on(used)
            }
            Request::Store(store) => self.store_as_asked(&store, None, used, input, turn),
            other => {
                turn.requests_left -= 1;
                self.execute_rare(other, used, input, turn)
            }
        }
    }

    fn execute_rare(&mut self, request: Request<'_>, used: usize, input: &[u8], turn: &mut Turn<'_>) -> Step {
        match request {
            Request::Keys(options) => self.state = State::Keys(options),
            Request::OneKey(fetch) | Request::Fetch(fetch) => {
                let reply = touch(fetch, turn.commands);
                answer(reply, fetch.options.noreply, turn);
            }
            Request::Delete(delete) => answer(turn.commands.delete(delete), delete.noreply, turn),
            Request::Arithmetic(arithmetic) => {
                answer(turn.commands.arithmetic(arithmetic).reply, arithmetic.noreply, turn);
            }
            Request::Store(store) => return self.store_as_asked(&store, None, used, input, turn),
            Request::Meta(line) => return self.meta(line, used, input, turn),
            Request::Admin(admin) => return self.admin(admin, used, turn),
            Request::Refused(refused) => self.refuse(refused, turn),
            // Whether something came before it is seen from further up.
            Request::Watch => return Step::stop(0, Next::Watch),
            Request::Quit => return self.close_after(used, false),
            Request::Hang => return self.hang(input),
        }
        Step::on(used)
    }

    #[inline(never)]
    fn store_as_asked(
        &mut self,
        store: &Store<'_>,
        asked: Option<Asked<'_>>,
        used: usize,
        input: &[u8],
        turn: &mut Turn<'_>,
    ) -> Step {
        self.store(store, asked, None, used, input, turn)
    }

    /// A value is stored when it is whole in the input, or else streams into its item. `asked`: the store is a meta
    /// command and is answered as one; `hash`: its key's, if it is known. A caller that knows these has them folded in.
    #[inline(always)]
    fn store(
        &mut self,
        store: &Store<'_>,
        asked: Option<Asked<'_>>,
        hash: Option<u64>,
        used: usize,
        input: &[u8],
        turn: &mut Turn<'_>,
    ) -> Step {
        if store.value_len > WHOLE_VALUE_BYTES_MAX {
            turn.requests_left -= 1;
            self.begin_body(*store, asked, turn);
            return Step::on(used);
        }
        let block = &input[used..];
        let block_len = store.value_len + BLOCK_END.len();
        if block.len() < block_len {
            return Step::stop(0, Next::Read);
        }
        turn.requests_left -= 1;
        let (value, end) = block[..block_len].split_at(store.value_len);
        let stored = if end == BLOCK_END {
            let hash = hash.unwrap_or_else(
                #[inline(always)]
                || turn.commands.hash_of(store.key),
            );
            turn.commands.store(store, hash, value)
        } else {
            turn.commands.spoil(store)
        };
        answer_store(stored, store.noreply, asked, turn);
        Step::on(used + block_len)
    }

    #[inline(never)]
    fn begin_body(&mut self, store: Store<'_>, asked: Option<Asked<'_>>, turn: &mut Turn<'_>) {
        let answer = match asked {
            Some(asked) => StoreAnswer::Meta(KeptAsked::new(asked)),
            None => StoreAnswer::Classic { noreply: store.noreply },
        };
        self.brings_values = true;
        self.state = match turn.commands.begin(&store) {
            Ok(arriving) => State::Body(Box::new(Body::new(arriving, answer))),
            Err(refused) => State::Discard(Discard::Block {
                left: store.value_len + BLOCK_END.len(),
                reply: answer.to_error(refused),
            }),
        };
    }

    #[inline(never)]
    fn keys_rare(&mut self, options: FetchOptions, input: &[u8], turn: &mut Turn<'_>) -> Step {
        self.keys(options, input, turn)
    }

    /// Serves keys of a line, as many as are there and the output takes. Folded into callers that know the options.
    #[inline(always)]
    fn keys(&mut self, options: FetchOptions, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let mut used = 0;
        while !turn.output.is_full() {
            let line = LineKeys::read(&input[used..], turn.commands);
            for (nth, next) in line.keys().iter().enumerate() {
                if turn.output.is_full() {
                    return Step::on(used);
                }
                used += next.used;
                if !fetch_key(Fetch { key: next.key, options, extras: None }, next.hash, turn) {
                    let is_last = nth + 1 == line.keys().len() && line.after == After::LineEnd { used: 0 };
                    self.state = if is_last { State::Ready } else { State::Discard(Discard::Line) };
                    return Step::on(used);
                }
            }
            match line.after {
                After::More => {}
                After::LineEnd { used: end } => {
                    turn.output.push_reply(Reply::End);
                    self.state = State::Ready;
                    return Step::on(used + end);
                }
                After::TooLong => {
                    turn.output.push_reply(Reply::Error(ErrorText::BadFormat));
                    self.state = State::Discard(Discard::Line);
                    return Step::on(used);
                }
                After::Partial => return Step::stop(used, Next::Read),
            }
        }
        Step::on(used)
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
                Step::stop(used, Next::Wait)
            }
            body::Progress::Refused => {
                let left = body.missing();
                let reply = body.refuse(turn.commands);
                self.state = State::Discard(Discard::Block { left, reply });
                Step::on(used)
            }
            body::Progress::Whole | body::Progress::Spoiled => {
                let (stored, how) = body.finish(progress == body::Progress::Whole, turn.commands);
                match how {
                    StoreAnswer::Classic { noreply } => answer_store(stored, noreply, None, turn),
                    StoreAnswer::Meta(asked) => answer_store(stored, false, Some(asked.asked()), turn),
                }
                Step::on(used)
            }
        }
    }

    fn discard(&mut self, discard: Discard, input: &[u8], turn: &mut Turn<'_>) -> Step {
        match discard {
            Discard::Line => {
                let Some(line) = token::line(input) else { return Step::stop(input.len(), Next::Read) };
                self.state = State::Ready;
                Step::on(line.used)
            }
            Discard::Block { left, reply } if left > input.len() => {
                self.state = State::Discard(Discard::Block { left: left - input.len(), reply });
                Step::stop(input.len(), Next::Read)
            }
            Discard::Block { left, reply } => {
                self.state = State::Ready;
                if let Some(reply) = reply {
                    turn.output.push_reply(reply);
                }
                Step::on(left)
            }
        }
    }

    fn refuse(&mut self, refused: Refused, turn: &mut Turn<'_>) {
        let reply = Reply::Error(refused.error);
        if refused.swallow_bytes == 0 {
            answer(reply, refused.noreply, turn);
            return;
        }
        let reply = (!refused.noreply).then_some(reply);
        self.state = State::Discard(Discard::Block { left: refused.swallow_bytes, reply });
    }

    fn admin(&mut self, admin: Admin<'_>, used: usize, turn: &mut Turn<'_>) -> Step {
        match turn.commands.admin(admin, turn.output.bytes()) {
            Answer::Silence | Answer::Report => {}
            Answer::Reply(reply) => turn.output.push_reply(reply),
            Answer::Dump(dump) => {
                if dump.lines() != ItemLines::Cachedump {
                    turn.output.push_reply(Reply::Ok);
                }
                self.state = State::Dump(Box::new(Dumping::new(dump)));
            }
            Answer::Census => self.state = State::Census(None),
            Answer::Shutdown { graceful } => {
                self.state = State::Closing { is_error: false };
                return Step::stop(used, Next::Shutdown { graceful });
            }
        }
        Step::on(used)
    }

    /// Passes on what the census says as it comes.
    #[cold]
    fn census(&mut self, turn: &mut Turn<'_>) -> Step {
        let State::Census(asked) = &mut self.state else { return Step::on(0) };
        if asked.is_none() {
            *asked = turn.commands.ask_census();
        }
        let Some(census) = asked else { return Step::stop(0, Next::Wait) };
        match census.take() {
            Page::Text(lines) => turn.output.bytes().extend_from_slice(&lines),
            Page::Later => return Step::stop(0, Next::Wait),
            Page::End => {
                turn.output.push_reply(Reply::End);
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

/// Answers a store, as a meta command if it is one.
#[inline(always)]
fn answer_store(stored: Stored, noreply: bool, asked: Option<Asked<'_>>, turn: &mut Turn<'_>) {
    match asked {
        None => answer(stored.reply, noreply, turn),
        Some(asked) => push_stored(turn.output.bytes(), asked, stored.reply, stored.cas, stored.value_len),
    }
}

#[inline(always)]
fn answer(reply: Reply, noreply: bool, turn: &mut Turn<'_>) {
    if !noreply {
        turn.output.push_reply(reply);
    }
}

/// Serves a get of one key.
#[inline(never)]
fn get(key: &[u8], used: usize, turn: &mut Turn<'_>) -> Step {
    get_hashed(key, turn.commands.hash_of(key), used, turn)
}

/// The same, its hash being known.
#[inline(always)]
fn get_hashed(key: &[u8], hash: u64, used: usize, turn: &mut Turn<'_>) -> Step {
    turn.requests_left -= 1;
    if fetch_key(Fetch { key, options: FetchOptions::GET, extras: None }, hash, turn) {
        turn.output.push_reply(Reply::End);
    }
    Step::on(used)
}

/// Fetches a key of a get line. False: its line ends here, with an error.
#[inline(never)]
fn serve_key(fetch: Fetch<'_>, turn: &mut Turn<'_>) -> bool {
    let hash = turn.commands.hash_of(fetch.key);
    fetch_key(fetch, hash, turn)
}

/// The same, folded into callers that know the options.
#[inline(always)]
fn fetch_key(fetch: Fetch<'_>, hash: u64, turn: &mut Turn<'_>) -> bool {
    let output = &mut *turn.output;
    output.reserve_hit();
    let (key, shows_cas) = (fetch.key, fetch.options.cas);
    match turn.commands.fetch_hashed(
        fetch,
        hash,
        #[inline(always)]
        |item| output.push_hit(key, item, shows_cas),
    ) {
        Fetched::Hit(()) | Fetched::Miss => true,
        Fetched::NoMemory => {
            turn.output.push_reply(Reply::Error(ErrorText::NoMemoryWriting));
            false
        }
    }
}

fn touch(fetch: Fetch<'_>, commands: &mut Commands) -> Reply {
    match commands.fetch(fetch, |_| ()) {
        Fetched::Hit(()) => Reply::Touched,
        Fetched::Miss => Reply::NotFound,
        Fetched::NoMemory => Reply::Error(ErrorText::OutOfMemory),
    }
}
