//! [`Client`]: a connection and its socket; what it does in one turn of its worker.
//!
//! mio is edge-triggered: readiness is remembered here, and taken back when the socket says `WouldBlock` or a
//! read comes back short.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

mod sampled;
mod secure;

use sampled::Sample;
pub(super) use secure::Shaken;
use secure::write_secure;

use super::clock::Clock;
use crate::bytes::number;
use crate::command::{Activity, Claim, Commands, Hint, ListedConnection};
use crate::conn::{Connection, Next, Output, Turn};
use crate::net::Stream;
use crate::sys::events::Event;
use crate::sys::process::{self, Signal};
use crate::telemetry::watch::CloseReason;
use crate::time::Seconds;
use crate::tls::{Buffers, Session};

/// Pieces of output given to the kernel in one call.
const PIECES_MAX: usize = 64;

/// Pieces of a large value read into at once: 256 KiB, some 40 us of copying.
const ROOMS_MAX: usize = 16;

/// Most bytes read where a line is expected that a large value follows.
const LINE_READ_BYTES: usize = 4096;

/// How often in a turn a client's output may reach the high-water mark before others have their turn.
const FULL_OUTPUTS_MAX: usize = 4;

/// What a client works with in its turn.
#[derive(Debug)]
pub(super) struct TurnContext<'b> {
    /// With an output that is empty between clients.
    pub(super) turn: Turn<'b>,
    /// Room for what is read.
    pub(super) scratch: &'b mut [u8],
    /// Room for ciphertext, where TLS is spoken.
    pub(super) buffers: &'b mut Buffers,
    /// So many bytes at the front of `scratch` are the client's input: it was read already.
    pub(super) received: Option<usize>,
    /// Tells who is slower.
    pub(super) clock: &'b Clock,
    /// Where in it memcached would have gone on to the next client.
    pub(super) share: Share,
}

/// How memcached cuts a client's requests into turns, to count its yields: a turn here may be longer.
///
/// It counts a request when it is done, and yields with the first one past `-R`. Writing what is answered counts as one
/// more: it comes where the input ends, unless that is a get, whose answer is written at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// `-R`.
    requests: usize,
    /// With so many left of this turn's budget it has one request to go.
    last_at: usize,
}

impl Share {
    /// At the start of a turn with a budget, which is a multiple of `-R`.
    #[inline(always)]
    pub(super) fn new(requests: usize, budget: usize) -> Self {
        Self { requests, last_at: budget - requests }
    }
}

/// What a client waits for after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its socket.
    Idle,
    /// Its next turn.
    Again,
    /// A turn for its list of items, one of which goes on at a time.
    Rest,
    /// Others' answers, in a turn a little later.
    Wait,
    /// Memory, when the store calls.
    Memory,
    /// Lines: it watches.
    Watch,
    /// Nothing: it is to be closed.
    Gone(CloseReason),
}

/// How writing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    All,
    Blocked,
    Gone,
}

/// A connection and its socket.
#[derive(Debug)]
pub(super) struct Client {
    stream: Stream,
    /// Its TLS, if it speaks that.
    session: Option<Box<Session>>,
    connection: Connection,
    /// What the connection needs next, as of its last turn.
    next: Next,
    is_readable: bool,
    is_writable: bool,
    /// The other side has closed, or an error waits: no more events will come, so a short read proves nothing.
    is_hung_up: bool,
    /// Whether it stands in the worker's run queue.
    pub(super) is_queued: bool,
    /// Whether it stands among those whose handshake has something to do.
    pub(super) is_step_due: bool,
    last_heard: Seconds,
    /// When its socket last took some of the output that is now unsent, in the clock's microseconds.
    last_taken: u64,
    /// What is measured of it, if that is not over.
    sample: Option<Box<Sample>>,
}

impl Client {
    pub(super) fn new(stream: Stream, connection: Connection, now: Seconds) -> Self {
        Self {
            stream,
            session: None,
            connection,
            next: Next::Read,
            is_readable: false,
            is_writable: true,
            is_hung_up: false,
            is_queued: false,
            is_step_due: false,
            last_heard: now,
            last_taken: 0,
            sample: None,
        }
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// What `stats conns` tells about it.
    pub(super) fn describe(&self, now: Seconds) -> ListedConnection {
        ListedConnection {
            fd: self.stream.descriptor(),
            is_datagram: false,
            address: self.stream.peer_text(),
            listen_address: Some(self.stream.local_text()),
            activity: if self.next == Next::Yield { Activity::Queued } else { self.connection.activity() },
            silent_seconds: now.0.saturating_sub(self.last_heard.0),
        }
    }

    /// Notes what the kernel says.
    #[inline]
    pub(super) fn note(&mut self, event: Event) {
        if event.is_writable() {
            self.is_writable = true;
        }
        if event.is_hung_up() {
            self.is_hung_up = true;
        }
        if event.is_readable() || self.is_hung_up {
            self.is_readable = true;
        }
    }

    /// Whether the kernel says that it has left: it sends nothing more than what is there.
    #[inline]
    pub(super) fn is_hung_up(&self) -> bool {
        self.is_hung_up
    }

    /// Its descriptor.
    pub(super) fn descriptor(&self) -> u32 {
        self.stream.descriptor()
    }

    /// Whether it came over TCP.
    pub(super) fn is_tcp(&self) -> bool {
        self.stream.is_tcp()
    }

    /// Its address, if it has one and is still there.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }

    /// Whether it has been silent for more than `seconds`, all its requests being answered. A unix socket's
    /// client may be silent for ever (memcached's rule).
    pub(super) fn is_idle_for(&self, seconds: u32, now: Seconds) -> bool {
        self.stream.is_tcp() && self.connection.is_idle() && now.0.saturating_sub(self.last_heard.0) > seconds
    }

    /// Its place among those that wait for memory, if it does.
    pub(super) fn claim(&self) -> Option<Claim> {
        self.connection.claim()
    }

    /// Whether it has sent nothing of a value for more than `seconds` that holds memory.
    pub(super) fn is_silent_in_value(&self, seconds: u32, now: Seconds) -> bool {
        self.connection.is_in_value() && !self.is_readable && now.0.saturating_sub(self.last_heard.0) > seconds
    }

    /// Since when its socket has taken nothing, if memory of values that are gone is held for it.
    pub(super) fn holds_gone_since(&self, commands: &Commands) -> Option<u64> {
        self.connection.holds_gone(commands).then_some(self.last_taken)
    }

    /// The same of any values.
    pub(super) fn holds_values_since(&self) -> Option<u64> {
        self.connection.holds_values().then_some(self.last_taken)
    }

    /// Gives back what the store lent.
    pub(super) fn close(mut self, commands: &mut Commands) {
        self.say_farewell();
        self.connection.close(commands);
    }

    /// One turn: unsent output first, then at most one read, and one write of all replies unless they are many.
    pub(super) fn serve(&mut self, context: &mut TurnContext<'_>) -> Verdict {
        if let Some(verdict) = self.write_unsent(context) {
            return verdict;
        }
        match self.next {
            Next::Read => {}
            Next::Yield => {
                context.share.last_at = context.turn.requests_left;
                return self.go_on(FULL_OUTPUTS_MAX, context);
            }
            _ => return self.go_on(FULL_OUTPUTS_MAX, context),
        }
        if !self.is_readable && context.received.is_none() {
            return Verdict::Idle;
        }
        if let Err(verdict) = self.read(context) {
            return verdict;
        }
        self.hand_out(context).unwrap_or_else(|| self.go_on(FULL_OUTPUTS_MAX - 1, context))
    }

    /// Goes on with what was read, until its output has been full so often.
    #[inline(never)]
    fn go_on(&mut self, outputs_max: usize, context: &mut TurnContext<'_>) -> Verdict {
        for _ in 0..outputs_max {
            if self.has_left() {
                return Verdict::Gone(CloseReason::Error);
            }
            let verdict = if self.sample.is_some() {
                self.go_on_sampled(context)
            } else {
                self.next = self.connection.resume(&mut context.turn);
                self.hand_out(context)
            };
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
        Verdict::Again
    }

    /// Writes its replies. A verdict, if the turn ends with them.
    #[inline(always)]
    fn hand_out(&mut self, context: &mut TurnContext<'_>) -> Option<Verdict> {
        if context.turn.requests_left <= context.share.last_at {
            self.count_yields(context);
        }
        match self.write(context) {
            Written::All => self.judge(),
            Written::Blocked => Some(Verdict::Idle),
            Written::Gone => Some(Verdict::Gone(CloseReason::Error)),
        }
    }

    /// Counts how often memcached would have gone on to the next client before the last of the requests served.
    #[inline(never)]
    fn count_yields(&self, context: &mut TurnContext<'_>) {
        let Share { requests, last_at } = context.share;
        let past = last_at - context.turn.requests_left;
        let mut yields = past.div_ceil(requests);
        context.share.last_at = last_at.saturating_sub(yields * requests);
        let writes_at_end = || !context.turn.output.plain().is_some_and(is_written_at_once);
        let is_at_end = self.next == Next::Read && context.turn.requests_left == context.share.last_at;
        if is_at_end && (past == 0 || requests > 1) && writes_at_end() {
            yields += 1;
        }
        context.turn.commands.counters().conn_yields.add(number(yields));
    }

    /// Output that the socket would not take earlier. A verdict, if the turn ends with it.
    #[inline]
    fn write_unsent(&mut self, context: &mut TurnContext<'_>) -> Option<Verdict> {
        self.connection.unsent()?;
        self.write_kept(context)
    }

    fn write_kept(&mut self, context: &mut TurnContext<'_>) -> Option<Verdict> {
        if !self.is_writable {
            return Some(if self.has_left() { Verdict::Gone(CloseReason::Error) } else { Verdict::Idle });
        }
        let before = self.waiting_len();
        match self.write_out_kept(context) {
            Written::All => {
                self.connection.forget_unsent();
                self.count_unsent(context.turn.commands);
            }
            Written::Blocked => {
                if self.waiting_len() != before {
                    self.last_taken = context.clock.micros();
                }
                self.is_writable = false;
                return Some(Verdict::Idle);
            }
            Written::Gone => return Some(Verdict::Gone(CloseReason::Error)),
        }
        match self.next {
            Next::Close => Some(Verdict::Gone(self.last_reason())),
            Next::Rest => Some(Verdict::Rest),
            _ => None,
        }
    }

    fn write_out_kept(&mut self, context: &mut TurnContext<'_>) -> Written {
        let Self { stream, session, connection, .. } = self;
        let Some(unsent) = connection.unsent() else { return Written::All };
        match session {
            Some(session) => write_secure(stream, session, unsent, context.buffers, context.turn.commands),
            None => write_all(stream, unsent, context.turn.commands),
        }
    }

    /// Whether it watched and left: nothing is read of who watches, so nothing else would tell. memcached calls that an
    /// error.
    fn has_left(&self) -> bool {
        self.next == Next::Watch && self.is_hung_up
    }

    /// Why a connection ends that has come to its end.
    fn last_reason(&self) -> CloseReason {
        if self.connection.ends_in_error() { CloseReason::Error } else { CloseReason::Normal }
    }

    /// Reads once and serves it, if that was not read early. Bytes of a large value go straight into their item. Where
    /// that is measured, all of the turn is done here, so that no other pays for it: its verdict is the error.
    #[inline(always)]
    fn read(&mut self, context: &mut TurnContext<'_>) -> Result<(), Verdict> {
        let received = match context.received.take() {
            Some(received) => received,
            None if self.connection.brings_values() => return self.read_of_values(context),
            None => self.take_in(context.scratch, context.buffers, context.turn.commands)?,
        };
        if context.turn.commands.is_sampled() {
            return Err(self.serve_sampled(received, context));
        }
        self.next = self.connection.receive(&context.scratch[..received], &mut context.turn);
        Ok(())
    }

    /// Whether its turn begins with input for the scratch buffer, so that this may be read before its turn.
    #[inline]
    pub(super) fn can_be_read_early(&mut self) -> bool {
        self.next == Next::Read
            && self.is_readable
            && self.connection.unsent().is_none()
            && !self.connection.brings_values()
    }

    /// Reads once, behind what was kept, which is put there; how many bytes of input that makes.
    #[inline(always)]
    pub(super) fn take_in(
        &mut self,
        scratch: &mut [u8],
        buffers: &mut Buffers,
        commands: &Commands,
    ) -> Result<usize, Verdict> {
        if self.session.is_some() {
            return self.take_in_secure(scratch, buffers, commands);
        }
        let kept = self.connection.kept().len();
        let Some(room) = scratch.get_mut(kept..).filter(|room| !room.is_empty()) else {
            // A line of that length is no request.
            return Err(Verdict::Gone(CloseReason::Error));
        };
        let (room_len, result) = (room.len(), self.stream.read(room));
        let n = self.note_read(result, room_len, commands.now().seconds)?;
        commands.counters().bytes_read.add(number(n));
        if kept > 0 {
            scratch[..kept].copy_from_slice(self.connection.kept());
        }
        Ok(kept + n)
    }

    /// Prefetches what the first request of its input needs: see [`Connection::look_ahead`].
    #[inline]
    pub(super) fn look_ahead(&self, input: &[u8], commands: &Commands) -> Option<Hint> {
        self.connection.look_ahead(input, commands)
    }

    /// Reads of a client that brings large values: little with a line, so that few of a value's bytes are read to where
    /// they do not belong.
    #[inline(never)]
    fn read_of_values(&mut self, context: &mut TurnContext<'_>) -> Result<(), Verdict> {
        let is_plain = self.session.is_none();
        if is_plain && self.read_value(context)? {
            return Ok(());
        }
        let line_end = self.connection.kept().len() + LINE_READ_BYTES;
        let end = if is_plain { context.scratch.len().min(line_end) } else { context.scratch.len() };
        let received = self.take_in(&mut context.scratch[..end], context.buffers, context.turn.commands)?;
        if context.turn.commands.is_sampled() {
            let verdict = self.serve_sampled(received, context);
            self.connection.expect_requests();
            return Err(verdict);
        }
        self.next = self.connection.receive(&context.scratch[..received], &mut context.turn);
        self.connection.expect_requests();
        if is_plain && self.next == Next::Read && self.is_readable && context.turn.output.is_empty() {
            self.read_value(context)?;
        }
        Ok(())
    }

    /// Reads into an item, and behind its last bytes what ends the value and what follows; false when there is no room
    /// to read into: the rest comes behind what was kept.
    fn read_value(&mut self, context: &mut TurnContext<'_>) -> Result<bool, Verdict> {
        let missing = self.connection.missing();
        let mut rooms: [IoSliceMut<'_>; ROOMS_MAX + 1] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let count = self.connection.rooms(context.turn.commands, &mut rooms[..ROOMS_MAX]);
        if count == 0 {
            return Ok(false);
        }
        let value_len = rooms[..count].iter().map(|room| room.len()).sum::<usize>();
        let behind_len = if value_len == missing { LINE_READ_BYTES } else { 0 };
        rooms[count] = IoSliceMut::new(&mut context.scratch[..behind_len]);
        let result = self.stream.read_vectored(&mut rooms[..=count]);
        let n = self.note_read(result, value_len + behind_len, context.turn.commands.now().seconds)?;
        context.turn.commands.counters().bytes_read.add(number(n));
        self.connection.filled(n.min(value_len), context.turn.commands);
        if n >= value_len && value_len == missing {
            if context.turn.commands.is_sampled() {
                return Err(self.serve_sampled(n - value_len, context));
            }
            self.next = self.connection.receive(&context.scratch[..n - value_len], &mut context.turn);
        }
        Ok(true)
    }

    /// Notes what a read into so much room came to; how many bytes came.
    #[inline(always)]
    fn note_read(&mut self, result: io::Result<usize>, room_len: usize, now: Seconds) -> Result<usize, Verdict> {
        let n = match result {
            Ok(0) => return Err(Verdict::Gone(CloseReason::Normal)),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                return Err(Verdict::Idle);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(Verdict::Again),
            Err(_) => return Err(Verdict::Gone(CloseReason::Error)),
        };
        self.is_readable = n == room_len || self.is_hung_up;
        self.last_heard = now;
        Ok(n)
    }

    /// Writes all replies of the turn; what the socket does not take is kept.
    #[inline]
    fn write(&mut self, context: &mut TurnContext<'_>) -> Written {
        if context.turn.output.is_empty() {
            return Written::All;
        }
        let (output, commands) = (&mut *context.turn.output, &mut *context.turn.commands);
        let written = match &mut self.session {
            Some(session) => write_secure(&mut self.stream, session, output, context.buffers, commands),
            None => write_all(&mut self.stream, output, commands),
        };
        if written != Written::All {
            self.note_unwritten(written, context);
        }
        written
    }

    #[cold]
    fn note_unwritten(&mut self, written: Written, context: &mut TurnContext<'_>) {
        match written {
            Written::All => {}
            Written::Blocked => {
                self.is_writable = false;
                self.last_taken = context.clock.micros();
                self.connection.keep_unsent(context.turn.output);
                self.raise_if_shutdown();
            }
            Written::Gone => context.turn.output.discard(context.turn.commands),
        }
    }

    /// What the connection's wish means, its output being written; `None`: on with it in this turn.
    #[inline(always)]
    fn judge(&mut self) -> Option<Verdict> {
        if self.next == Next::Read {
            return Some(if self.is_readable { Verdict::Again } else { Verdict::Idle });
        }
        self.judge_rarer()
    }

    #[inline(never)]
    fn judge_rarer(&mut self) -> Option<Verdict> {
        match self.next {
            Next::Read => None,
            Next::Yield => Some(Verdict::Again),
            Next::Rest => Some(Verdict::Rest),
            Next::Write => None,
            Next::Wait => Some(Verdict::Wait),
            Next::Memory => Some(Verdict::Memory),
            Next::Watch => Some(Verdict::Watch),
            Next::Close => Some(Verdict::Gone(self.last_reason())),
            Next::Shutdown | Next::GracefulShutdown => {
                self.raise_if_shutdown();
                Some(Verdict::Gone(CloseReason::Shutdown))
            }
        }
    }

    fn raise_if_shutdown(&mut self) {
        let graceful = match self.next {
            Next::Shutdown => false,
            Next::GracefulShutdown => true,
            _ => return,
        };
        self.next = Next::Close;
        shut_down(graceful);
    }
}

/// A signal takes the server down the same way as one from outside.
pub(super) fn shut_down(graceful: bool) {
    process::raise(if graceful { Signal::User1 } else { Signal::Interrupt });
}

/// Whether memcached writes before the next request what ends so: a get's answer, and that of `mn`.
fn is_written_at_once(replies: &[u8]) -> bool {
    replies.ends_with(b"END\r\n") || replies.ends_with(b"MN\r\n")
}

/// Writes all output, nearly always in one call.
#[inline(always)]
fn write_all(stream: &mut Stream, output: &mut Output, commands: &mut Commands) -> Written {
    if let Some(bytes) = output.plain().filter(|bytes| !bytes.is_empty()) {
        let len = bytes.len();
        let result = stream.write(bytes);
        if result.as_ref().is_ok_and(|&n| n == len) {
            commands.counters().bytes_written.add(number(len));
            output.sent_plain();
            return Written::All;
        }
        if let Some(written) = account(result, output, commands) {
            return written;
        }
    }
    write_rest(stream, output, commands)
}

#[inline(never)]
fn write_rest(stream: &mut Stream, output: &mut Output, commands: &mut Commands) -> Written {
    while !output.is_empty() {
        let result = match output.plain() {
            Some(bytes) => stream.write(bytes),
            None => write_pieces(stream, output, commands),
        };
        if let Some(written) = account(result, output, commands) {
            return written;
        }
    }
    Written::All
}

/// Takes off what a write took; says how writing ended, if it did.
#[inline(never)]
fn account(result: io::Result<usize>, output: &mut Output, commands: &mut Commands) -> Option<Written> {
    match result {
        Ok(0) => Some(Written::Gone),
        Ok(n) => {
            commands.counters().bytes_written.add(number(n));
            output.sent(n, commands);
            None
        }
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Some(Written::Blocked),
            io::ErrorKind::Interrupted => None,
            _ => Some(Written::Gone),
        },
    }
}

fn write_pieces(stream: &mut Stream, output: &mut Output, commands: &Commands) -> io::Result<usize> {
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let count = output.pieces(commands, &mut pieces);
    stream.write_vectored(&pieces[..count])
}
