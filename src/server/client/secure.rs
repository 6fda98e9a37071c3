//! A client that speaks TLS: its handshake, and reading and writing through its session.
//!
//! Ciphertext lies in the worker's buffers between two calls of the kernel. A session keeps half a record, or what the
//! socket did not take: then the connection keeps an output, be it empty, so that the client waits for its socket.

use std::io::{self, IoSlice};

use super::{Client, PIECES_MAX, Verdict, Written};
use crate::bytes::number;
use crate::command::Commands;
use crate::conn::Output;
use crate::net::Stream;
use crate::telemetry::watch::{CloseReason, Event};
use crate::time::Seconds;
use crate::tls::{Buffers, DIRECT_BYTES_MIN, Error, RECORD_BYTES_MAX, Session};

/// What a step of a handshake has come to.
#[derive(Debug)]
pub(in crate::server) enum Shaken {
    /// The other side is awaited.
    Waiting,
    /// There is more to read.
    More,
    /// It is over, and so many bytes of plaintext came with it.
    Done(usize),
    /// It has failed, and why.
    Failed(String),
}

impl Client {
    /// Has it speak TLS: its handshake comes first.
    pub(in crate::server) fn secure(&mut self, session: Session) {
        self.session = Some(Box::new(session));
    }

    /// Whether its handshake is not over.
    pub(in crate::server) fn is_handshaking(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_handshaking())
    }

    /// One step of its handshake: what was left is written, something is read, and its answer written.
    pub(in crate::server) fn shake_hands(
        &mut self,
        plain: &mut [u8],
        buffers: &mut Buffers,
        commands: &Commands,
    ) -> Shaken {
        let Some(session) = self.session.as_deref_mut() else { return Shaken::Done(0) };
        match flush(&mut self.stream, session) {
            Written::All => {}
            Written::Blocked => {
                self.is_writable = false;
                return Shaken::Waiting;
            }
            Written::Gone => return Shaken::Failed("it has left".to_owned()),
        }
        if !self.is_readable {
            return Shaken::Waiting;
        }
        let kept = session.kept().len();
        let received = match self.read_ciphertext(buffers, plain.len(), commands.now().seconds) {
            Ok(received) => received,
            Err(Verdict::Idle) => return Shaken::Waiting,
            Err(Verdict::Again) => return Shaken::More,
            Err(_) if kept == 0 && !self.has_begun() => return Shaken::Failed("it said nothing".to_owned()),
            Err(_) => return Shaken::Failed("it has left".to_owned()),
        };
        let Some(session) = self.session.as_deref_mut() else { return Shaken::Done(0) };
        let understood = session.receive(&mut buffers.input[..received], plain);
        let written = flush(&mut self.stream, session);
        match understood {
            Err(error) => return Shaken::Failed(error.to_string()),
            Ok(_) if written == Written::Gone => return Shaken::Failed("it has left".to_owned()),
            Ok(_) if session.is_handshaking() => {}
            // The last words of a handshake are short: a socket that has no room for them is not read from.
            Ok(_) if written == Written::Blocked => return Shaken::Failed("it does not read".to_owned()),
            Ok(len) => {
                // With TLS 1.3 the client has had the last word, and may wait for our acknowledgement with its request.
                self.stream.acknowledge();
                // What came with it is the client's first input.
                commands.counters().bytes_read.add(number(len));
                self.is_readable |= session.is_closed();
                return Shaken::Done(len);
            }
        }
        if self.is_readable { Shaken::More } else { Shaken::Waiting }
    }

    /// Whether anything was understood of it.
    fn has_begun(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.has_begun())
    }

    /// Whether its session began anew.
    pub(in crate::server) fn is_new_session(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_new())
    }

    /// As [`Client::take_in`]: reads once and decrypts.
    #[inline(never)]
    pub(super) fn take_in_secure(
        &mut self,
        scratch: &mut [u8],
        buffers: &mut Buffers,
        commands: &Commands,
    ) -> Result<usize, Verdict> {
        let kept = self.connection.kept().len();
        let Some(room) = scratch.get_mut(kept..) else { return Err(Verdict::Gone(CloseReason::Error)) };
        let received = match self.read_ciphertext(buffers, room.len(), commands.now().seconds) {
            Err(Verdict::Gone(_)) if self.session.as_ref().is_some_and(|session| session.is_torn()) => {
                self.tell_broken("it has left within a record", commands);
                return Err(Verdict::Gone(CloseReason::Error));
            }
            result => result?,
        };
        let Some(session) = self.session.as_deref_mut() else { return Err(Verdict::Gone(CloseReason::Error)) };
        let len = match session.receive(&mut buffers.input[..received], room) {
            Ok(len) => len,
            Err(error) => {
                // The alert, if there is room for it.
                flush(&mut self.stream, session);
                self.tell_broken(&error.to_string(), commands);
                return Err(Verdict::Gone(CloseReason::Error));
            }
        };
        if session.is_closed() {
            // What is behind its farewell is nothing: the next turn ends it.
            self.is_readable = true;
        }
        // Of a client that asks TLS itself for something (another handshake, which it is refused) this may be all the
        // answer. What the socket does not take goes before the next one.
        if !session.unsent().is_empty() && flush(&mut self.stream, session) == Written::Gone {
            return Err(Verdict::Gone(CloseReason::Error));
        }
        if len == 0 {
            return Err(if self.is_readable { Verdict::Again } else { Verdict::Idle });
        }
        commands.counters().bytes_read.add(number(len));
        if kept > 0 {
            scratch[..kept].copy_from_slice(self.connection.kept());
        }
        Ok(kept + len)
    }

    /// Reads ciphertext behind what the session kept, no more than makes `plain_max` bytes; how much there is then.
    fn read_ciphertext(&mut self, buffers: &mut Buffers, plain_max: usize, now: Seconds) -> Result<usize, Verdict> {
        let Some(session) = self.session.as_deref() else { return Err(Verdict::Gone(CloseReason::Error)) };
        if session.is_closed() {
            return Err(Verdict::Gone(CloseReason::Normal));
        }
        let kept = session.kept().len();
        let end = buffers.input.len().min(plain_max);
        let Some(room) = buffers.input.get_mut(kept..end).filter(|room| !room.is_empty()) else {
            // So long a record is none.
            return Err(Verdict::Gone(CloseReason::Error));
        };
        let (room_len, result) = (room.len(), self.stream.read(room));
        let n = self.note_read(result, room_len, now)?;
        let Some(session) = self.session.as_deref() else { return Err(Verdict::Gone(CloseReason::Error)) };
        buffers.input[..kept].copy_from_slice(session.kept());
        Ok(kept + n)
    }

    /// How much waits to be written, plain and encrypted: whenever the socket takes some, one of them changes.
    pub(super) fn waiting_len(&mut self) -> (usize, usize) {
        let encrypted = self.session.as_ref().map_or(0, |session| session.unsent().len());
        (self.connection.unsent().map_or(0, |unsent| unsent.unsent_len()), encrypted)
    }

    /// Says that nothing more comes, if there is a way to say it at once.
    pub(super) fn say_farewell(&mut self) {
        let Some(session) = self.session.as_deref_mut() else { return };
        if session.is_handshaking() || !session.unsent().is_empty() {
            return;
        }
        let mut words = [0; 64];
        let len = session.say_farewell(&mut words);
        // The socket is closed right after: whoever does not take it misses it.
        drop(self.stream.write(&words[..len]));
    }

    /// Counts a session that broke, and tells who watches.
    #[cold]
    fn tell_broken(&self, why: &str, commands: &Commands) {
        commands.counters().ssl_proto_errors.bump();
        log::info!("closing client {}: its TLS broke: {why}", self.descriptor());
        commands.tell(&Event::TlsError { cfd: self.descriptor(), why: why.as_bytes() });
    }
}

/// Writes all output, as much a record as it holds, and some records a call of the kernel.
#[inline(never)]
pub(super) fn write_secure(
    stream: &mut Stream,
    session: &mut Session,
    output: &mut Output,
    buffers: &mut Buffers,
    commands: &mut Commands,
) -> Written {
    loop {
        let flushed = flush(stream, session);
        if flushed != Written::All || output.is_empty() {
            return flushed;
        }
        let (mut taken, mut filled) = (0, 0);
        while !output.is_empty() && buffers.take_more(taken, filled) {
            let Ok((plain, encrypted)) = encrypt_record(session, output, buffers, filled, commands) else {
                return Written::Gone;
            };
            output.sent(plain, commands);
            (taken, filled) = (taken + plain, filled + encrypted);
        }
        commands.counters().bytes_written.add(number(taken));
        let ciphertext = &buffers.output[..filled];
        match stream.write(ciphertext) {
            Ok(n) if n == filled => {}
            Ok(n) => session.keep_unsent(&ciphertext[n..]),
            Err(error) if is_passing(&error) => session.keep_unsent(ciphertext),
            Err(_) => return Written::Gone,
        }
    }
}

/// Encrypts the front of the output behind what is `filled`; how much of it, and how many bytes that makes. A long
/// piece of a value is encrypted where it lies, and short ones are put together first.
fn encrypt_record(
    session: &mut Session,
    output: &mut Output,
    buffers: &mut Buffers,
    filled: usize,
    commands: &Commands,
) -> Result<(usize, usize), Error> {
    let Buffers { stage, output: ciphertext, .. } = buffers;
    let room = &mut ciphertext[filled..];
    let mut encrypt = |bytes: &[u8]| Ok((bytes.len(), session.encrypt(bytes, room)?));
    if let Some(bytes) = output.plain() {
        return encrypt(&bytes[..bytes.len().min(RECORD_BYTES_MAX)]);
    }
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let count = output.pieces(commands, &mut pieces);
    if pieces[0].len() >= DIRECT_BYTES_MIN {
        return encrypt(&pieces[0][..pieces[0].len().min(RECORD_BYTES_MAX)]);
    }
    let mut staged = 0;
    for piece in pieces[..count].iter().take_while(|piece| piece.len() < DIRECT_BYTES_MIN) {
        let len = piece.len().min(stage.len() - staged);
        stage[staged..staged + len].copy_from_slice(&piece[..len]);
        staged += len;
    }
    encrypt(&stage[..staged])
}

/// Writes what is encrypted already.
fn flush(stream: &mut Stream, session: &mut Session) -> Written {
    while !session.unsent().is_empty() {
        match stream.write(session.unsent()) {
            Ok(0) => return Written::Gone,
            Ok(n) => session.sent(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Blocked,
            Err(_) => return Written::Gone,
        }
    }
    Written::All
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
