//! [`Client`]: a connection and its socket; what it does in one turn of its worker.
//!
//! mio is edge-triggered: readiness is remembered here, and taken back when the socket says `WouldBlock` or a
//! read comes back short.

use std::io::{self, IoSlice};

use crate::command::Commands;
use crate::conn::{Connection, Next, Output, Turn};
use crate::net::Stream;
use crate::sys::process::{self, Signal};
use crate::time::Seconds;

/// Pieces of output given to the kernel in one call.
const PIECES_MAX: usize = 64;

/// How often in a turn a client's output may reach the high-water mark before others have their turn.
const FULL_OUTPUTS_MAX: usize = 4;

/// What a worker lends to the client whose turn it is.
#[derive(Debug)]
pub(super) struct Bench<'b> {
    pub(super) commands: &'b mut Commands,
    /// Empty between clients.
    pub(super) output: &'b mut Output,
    pub(super) scratch: &'b mut [u8],
    pub(super) requests_left: usize,
    pub(super) logged_as: Option<u64>,
    /// The worker's turns so far: a clock fine enough to tell who is slower.
    pub(super) turn: u64,
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
    /// Nothing: it is to be closed.
    Gone,
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
    pub(super) fn new(stream: Stream, now: Seconds) -> Self {
        Self {
            stream,
            connection: Connection::new(),
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

    /// Notes what the kernel says.
    #[inline]
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        self.is_writable |= event.is_writable();
        self.is_hung_up |= event.is_read_closed() || event.is_error();
        self.is_readable |= event.is_readable() || self.is_hung_up;
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
        let mut may_read = true;
        for _ in 0..FULL_OUTPUTS_MAX {
            if self.next == Next::Read {
                if !self.is_readable {
                    return Verdict::Idle;
                }
                if !may_read {
                    return Verdict::Again;
                }
                may_read = false;
                if let Err(verdict) = self.read(bench) {
                    return verdict;
                }
            } else {
                self.next = self.connection.resume(&mut turn(bench));
            }
            match self.write(bench) {
                Written::All => {}
                Written::Blocked => return Verdict::Idle,
                Written::Gone => return Verdict::Gone,
            }
            if let Some(verdict) = self.judge(bench) {
                return verdict;
            }
        }
        Verdict::Again
    }

    /// Output that the socket would not take earlier. A verdict, if the turn ends with it.
    #[inline]
    fn write_unsent(&mut self, bench: &mut Bench<'_>) -> Option<Verdict> {
        let unsent = self.connection.unsent()?;
        if !self.is_writable {
            return Some(Verdict::Idle);
        }
        let before = unsent.unsent_len();
        match write_all(&mut self.stream, unsent, bench.commands) {
            Written::All => self.connection.forget_unsent(),
            Written::Blocked => {
                if unsent.unsent_len() < before {
                    self.last_taken = bench.turn;
                }
                self.is_writable = false;
                return Some(Verdict::Idle);
            }
            Written::Gone => return Some(Verdict::Gone),
        }
        (self.next == Next::Close).then_some(Verdict::Gone)
    }

    /// Reads once, behind what was kept, and serves it.
    fn read(&mut self, bench: &mut Bench<'_>) -> Result<(), Verdict> {
        let kept = self.connection.kept().len();
        let Some(room) = bench.scratch.get_mut(kept..).filter(|room| !room.is_empty()) else {
            // A line of that length is no request.
            return Err(Verdict::Gone);
        };
        let (room_len, n) = (room.len(), self.stream.read(room));
        let n = match n {
            Ok(0) => return Err(Verdict::Gone),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                return Err(Verdict::Idle);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(Verdict::Again),
            Err(_) => return Err(Verdict::Gone),
        };
        self.is_readable = n == room_len || self.is_hung_up;
        self.last_heard = bench.commands.now().seconds;
        bench.commands.counters().bytes_read.add(count(n));
        bench.scratch[..kept].copy_from_slice(self.connection.kept());
        let Bench { commands, output, scratch, requests_left, logged_as, .. } = bench;
        let mut turn = Turn { commands, output, requests_left: *requests_left, logged_as: *logged_as };
        self.next = self.connection.receive(&scratch[..kept + n], &mut turn);
        *requests_left = turn.requests_left;
        Ok(())
    }

    /// Writes all replies of the turn; what the socket does not take is kept.
    #[inline]
    fn write(&mut self, bench: &mut Bench<'_>) -> Written {
        if bench.output.is_empty() {
            return Written::All;
        }
        let written = write_all(&mut self.stream, bench.output, bench.commands);
        match written {
            Written::All => {}
            Written::Blocked => {
                self.is_writable = false;
                self.last_taken = bench.turn;
                self.connection.keep_unsent(bench.output);
                self.raise_if_shutdown();
            }
            Written::Gone => bench.output.discard(bench.commands),
        }
        written
    }

    /// What the connection's wish means, its output being written; `None`: on with it in this turn.
    #[inline]
    fn judge(&mut self, bench: &Bench<'_>) -> Option<Verdict> {
        match self.next {
            Next::Read if self.is_readable => Some(Verdict::Again),
            Next::Read => Some(Verdict::Idle),
            Next::Yield => {
                bench.commands.counters().conn_yields.bump();
                Some(Verdict::Again)
            }
            Next::Rest => Some(Verdict::Again),
            Next::Write => None,
            Next::Wait => Some(Verdict::Wait),
            Next::Close => Some(Verdict::Gone),
            Next::Shutdown { .. } => {
                self.raise_if_shutdown();
                Some(Verdict::Gone)
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

fn write_all(stream: &mut Stream, output: &mut Output, commands: &mut Commands) -> Written {
    while !output.is_empty() {
        let result = match output.plain() {
            Some(bytes) => stream.write(bytes),
            None => write_pieces(stream, output, commands),
        };
        match result {
            Ok(0) => return Written::Gone,
            Ok(n) => {
                commands.counters().bytes_written.add(count(n));
                output.sent(n, commands);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Blocked,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Written::Gone,
        }
    }
    Written::All
}

fn write_pieces(stream: &mut Stream, output: &mut Output, commands: &Commands) -> io::Result<usize> {
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let count = output.pieces(commands, &mut pieces);
    stream.write_vectored(&pieces[..count])
}

fn turn<'t>(bench: &'t mut Bench<'_>) -> Turn<'t> {
    Turn {
        commands: bench.commands,
        output: bench.output,
        requests_left: bench.requests_left,
        logged_as: bench.logged_as,
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
