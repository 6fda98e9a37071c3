//! [`Client`]: a connection and its socket; what it does in one turn of its worker.
//!
//! mio is edge-triggered: readiness is remembered here, and taken back when the socket says `WouldBlock` or a
//! read comes back short.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use crate::bytes::Buffer;
use crate::command::{Activity, Commands, Hint, Inhabitant};
use crate::conn::{Connection, Next, Output, Turn};
use crate::net::Stream;
use crate::sys::events::Event;
use crate::sys::process::{self, Signal};
use crate::telemetry::watch::CloseReason;
use crate::time::Seconds;

/// Pieces of output given to the kernel in one call.
const PIECES_MAX: usize = 64;

/// Pieces of a large value read into at once: 256 KiB, some 40 us of copying.
const ROOMS_MAX: usize = 16;

/// Most bytes read where a line is expected that a large value follows.
const LINE_READ_BYTES: usize = 4096;

/// How often in a turn a client's output may reach the high-water mark before others have their turn.
const FULL_OUTPUTS_MAX: usize = 4;

/// What a worker lends to the client whose turn it is.
#[derive(Debug)]
pub(super) struct Bench<'b> {
    /// With an output that is empty between clients.
    pub(super) turn: Turn<'b>,
    /// Room for what is read.
    pub(super) scratch: &'b mut [u8],
    /// So many bytes at the front of `scratch` are the client's input: it was read already.
    pub(super) received: Option<usize>,
    /// The worker's turns so far: a clock fine enough to tell who is slower.
    pub(super) turns: u64,
}

/// What a client waits for after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its socket.
    Idle,
    /// Its next turn.
    Again,
    /// Memory, in a turn a little later.
    Wait,
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
    connection: Connection,
    /// What the connection needs next, as of its last turn.
    next: Next,
    is_readable: bool,
    is_writable: bool,
    /// The other side has closed, or an error waits: no more events will come, so a short read proves nothing.
    is_hung_up: bool,
    /// Whether it stands in the worker's run queue.
    pub(super) is_queued: bool,
    last_heard: Seconds,
    /// The turn in which its socket last took some of the output that is now unsent.
    last_taken: u64,
}

impl Client {
    pub(super) fn new(stream: Stream, connection: Connection, now: Seconds) -> Self {
        Self {
            stream,
            connection,
            next: Next::Read,
            is_readable: false,
            is_writable: true,
            is_hung_up: false,
            is_queued: false,
            last_heard: now,
            last_taken: 0,
        }
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Appends its lines of `stats conns`.
    pub(super) fn describe(&self, now: Seconds, out: &mut Buffer) {
        let activity = if self.next == Next::Yield { Activity::Queued } else { self.connection.activity() };
        let inhabitant = Inhabitant {
            fd: self.stream.descriptor(),
            address: &self.stream.peer_text(),
            listen_address: Some(&self.stream.local_text()),
            activity,
            silent_seconds: now.0.saturating_sub(self.last_heard.0),
        };
        inhabitant.push(out);
    }

    /// Notes what the kernel says.
    #[inline]
    pub(super) fn note(&mut self, event: Event) {
        self.is_writable |= event.is_writable();
        self.is_hung_up |= event.is_hung_up();
        self.is_readable |= event.is_readable() || self.is_hung_up;
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

    /// Since which turn its socket has taken nothing, if memory of values that are gone is held for it.
    pub(super) fn holds_gone_since(&self, commands: &Commands) -> Option<u64> {
        self.connection.holds_gone(commands).then_some(self.last_taken)
    }

    /// Gives back what the store lent.
    pub(super) fn close(mut self, commands: &mut Commands) {
        self.connection.close(commands);
    }

    /// One turn: unsent output first, then at most one read, and one write of all replies unless they are many.
    pub(super) fn serve(&mut self, bench: &mut Bench<'_>) -> Verdict {
        if let Some(verdict) = self.write_unsent(bench) {
            return verdict;
        }
        if self.next != Next::Read {
            return self.go_on(FULL_OUTPUTS_MAX, bench);
        }
        if !self.is_readable && bench.received.is_none() {
            return Verdict::Idle;
        }
        if let Err(verdict) = self.read(bench) {
            return verdict;
        }
        self.hand_out(bench).unwrap_or_else(|| self.go_on(FULL_OUTPUTS_MAX - 1, bench))
    }

    /// Goes on with what was read, until its output has been full so often.
    #[inline(never)]
    fn go_on(&mut self, outputs_max: usize, bench: &mut Bench<'_>) -> Verdict {
        for _ in 0..outputs_max {
            if self.has_left() {
                return Verdict::Gone(CloseReason::Error);
            }
            self.next = self.connection.resume(&mut bench.turn);
            if let Some(verdict) = self.hand_out(bench) {
                return verdict;
            }
        }
        Verdict::Again
    }

    /// Writes its replies. A verdict, if the turn ends with them.
    #[inline(always)]
    fn hand_out(&mut self, bench: &mut Bench<'_>) -> Option<Verdict> {
        match self.write(bench) {
            Written::All => self.judge(bench),
            Written::Blocked => Some(Verdict::Idle),
            Written::Gone => Some(Verdict::Gone(CloseReason::Error)),
        }
    }

    /// Output that the socket would not take earlier. A verdict, if the turn ends with it.
    #[inline]
    fn write_unsent(&mut self, bench: &mut Bench<'_>) -> Option<Verdict> {
        let unsent = self.connection.unsent()?;
        if !self.is_writable {
            return Some(if self.has_left() { Verdict::Gone(CloseReason::Error) } else { Verdict::Idle });
        }
        let before = unsent.unsent_len();
        match write_all(&mut self.stream, unsent, bench.turn.commands) {
            Written::All => self.connection.forget_unsent(),
            Written::Blocked => {
                if unsent.unsent_len() < before {
                    self.last_taken = bench.turns;
                }
                self.is_writable = false;
                return Some(Verdict::Idle);
            }
            Written::Gone => return Some(Verdict::Gone(CloseReason::Error)),
        }
        (self.next == Next::Close).then(|| Verdict::Gone(self.last_reason()))
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

    /// Reads once and serves it, if that was not read early. Bytes of a large value go straight into their item.
    #[inline(always)]
    fn read(&mut self, bench: &mut Bench<'_>) -> Result<(), Verdict> {
        let received = match bench.received.take() {
            Some(received) => received,
            None if self.connection.brings_values() => return self.read_of_values(bench),
            None => self.take_in(bench.scratch, bench.turn.commands)?,
        };
        self.next = self.connection.receive(&bench.scratch[..received], &mut bench.turn);
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
    pub(super) fn take_in(&mut self, scratch: &mut [u8], commands: &Commands) -> Result<usize, Verdict> {
        let kept = self.connection.kept().len();
        let Some(room) = scratch.get_mut(kept..).filter(|room| !room.is_empty()) else {
            // A line of that length is no request.
            return Err(Verdict::Gone(CloseReason::Error));
        };
        let (room_len, result) = (room.len(), self.stream.read(room));
        let n = self.note_read(result, room_len, commands)?;
        if kept > 0 {
            scratch[..kept].copy_from_slice(self.connection.kept());
        }
        Ok(kept + n)
    }

    /// Has the memory come near that the first request of its input needs: see [`Connection::look_ahead`].
    #[inline]
    pub(super) fn look_ahead(&self, input: &[u8], commands: &Commands) -> Option<Hint> {
        self.connection.look_ahead(input, commands)
    }

    /// Reads of a client that brings large values: little with a line, so that few of a value's bytes are read to where
    /// they do not belong.
    #[inline(never)]
    fn read_of_values(&mut self, bench: &mut Bench<'_>) -> Result<(), Verdict> {
        if self.read_value(bench)? {
            return Ok(());
        }
        let end = bench.scratch.len().min(self.connection.kept().len() + LINE_READ_BYTES);
        let received = self.take_in(&mut bench.scratch[..end], bench.turn.commands)?;
        self.next = self.connection.receive(&bench.scratch[..received], &mut bench.turn);
        self.connection.expect_requests();
        if self.next == Next::Read && self.is_readable && bench.turn.output.is_empty() {
            self.read_value(bench)?;
        }
        Ok(())
    }

    /// Reads into an item, and behind its last bytes what ends the value; false when there is no room to read into: the
    /// rest comes behind what was kept.
    fn read_value(&mut self, bench: &mut Bench<'_>) -> Result<bool, Verdict> {
        let missing = self.connection.missing();
        let mut rooms: [IoSliceMut<'_>; ROOMS_MAX + 1] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let count = self.connection.rooms(bench.turn.commands, &mut rooms[..ROOMS_MAX]);
        if count == 0 {
            return Ok(false);
        }
        let value_len = rooms[..count].iter().map(|room| room.len()).sum::<usize>();
        let behind_len = if value_len == missing { LINE_READ_BYTES } else { 0 };
        rooms[count] = IoSliceMut::new(&mut bench.scratch[..behind_len]);
        let result = self.stream.read_vectored(&mut rooms[..=count]);
        let n = self.note_read(result, value_len + behind_len, bench.turn.commands)?;
        self.connection.filled(n.min(value_len), bench.turn.commands);
        if n > value_len {
            self.next = self.connection.receive(&bench.scratch[..n - value_len], &mut bench.turn);
        }
        Ok(true)
    }

    /// Notes what a read into so much room came to; how many bytes came.
    #[inline(always)]
    fn note_read(&mut self, result: io::Result<usize>, room_len: usize, commands: &Commands) -> Result<usize, Verdict> {
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
        self.last_heard = commands.now().seconds;
        commands.counters().bytes_read.add(count(n));
        Ok(n)
    }

    /// Writes all replies of the turn; what the socket does not take is kept.
    #[inline]
    fn write(&mut self, bench: &mut Bench<'_>) -> Written {
        if bench.turn.output.is_empty() {
            return Written::All;
        }
        let written = write_all(&mut self.stream, bench.turn.output, bench.turn.commands);
        match written {
            Written::All => {}
            Written::Blocked => {
                self.is_writable = false;
                self.last_taken = bench.turns;
                self.connection.keep_unsent(bench.turn.output);
                self.raise_if_shutdown();
            }
            Written::Gone => bench.turn.output.discard(bench.turn.commands),
        }
        written
    }

    /// What the connection's wish means, its output being written; `None`: on with it in this turn.
    #[inline(always)]
    fn judge(&mut self, bench: &Bench<'_>) -> Option<Verdict> {
        if self.next == Next::Read {
            return Some(if self.is_readable { Verdict::Again } else { Verdict::Idle });
        }
        self.judge_rarer(bench)
    }

    #[inline(never)]
    fn judge_rarer(&mut self, bench: &Bench<'_>) -> Option<Verdict> {
        match self.next {
            Next::Read => None,
            Next::Yield => {
                bench.turn.commands.counters().conn_yields.bump();
                Some(Verdict::Again)
            }
            Next::Rest => Some(Verdict::Again),
            Next::Write => None,
            Next::Wait => Some(Verdict::Wait),
            Next::Watch => Some(Verdict::Watch),
            Next::Close => Some(Verdict::Gone(self.last_reason())),
            Next::Shutdown { .. } => {
                self.raise_if_shutdown();
                Some(Verdict::Gone(CloseReason::Shutdown))
            }
        }
    }

    /// A signal takes the server down the same way as one from outside.
    fn raise_if_shutdown(&mut self) {
        if let Next::Shutdown { graceful } = self.next {
            self.next = Next::Close;
            process::raise(if graceful { Signal::User1 } else { Signal::Interrupt });
        }
    }
}

/// Writes all output, nearly always in one call.
#[inline(always)]
fn write_all(stream: &mut Stream, output: &mut Output, commands: &mut Commands) -> Written {
    if let Some(bytes) = output.plain().filter(|bytes| !bytes.is_empty()) {
        let len = bytes.len();
        let result = stream.write(bytes);
        if result.as_ref().is_ok_and(|&n| n == len) {
            commands.counters().bytes_written.add(count(len));
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
            commands.counters().bytes_written.add(count(n));
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

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
