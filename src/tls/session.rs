//! [`Session`]: one client's TLS, between the bytes of its socket and those of its connection.

use std::sync::Arc;

pub use rustls::Error;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError};
use rustls::{HandshakeKind, ServerConfig, server::ServerConnectionData};

/// Most plaintext in a record.
pub const RECORD_BYTES_MAX: usize = 16 * 1024;

/// A piece of output at least so long makes a record by itself: to copy it to others' would cost more.
pub const DIRECT_BYTES_MIN: usize = RECORD_BYTES_MAX / 2;

/// No record is longer, with its header, nonce and tag and with what TLS says by itself before it: an update of keys.
const WHOLE_RECORD_BYTES_MAX: usize = RECORD_BYTES_MAX + 512;

/// What a thread lends to its sessions.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Ciphertext that came.
    pub input: Box<[u8]>,
    /// Plaintext of several places, made one record.
    pub stage: Box<[u8]>,
    /// Ciphertext to go.
    pub output: Box<[u8]>,
    write_bytes: usize,
}

impl Buffers {
    /// Room to read `read_bytes` at once, and for records of plaintext until they hold `write_bytes`.
    #[must_use]
    pub fn new(read_bytes: usize, write_bytes: usize) -> Self {
        let room = |bytes| vec![0; bytes].into_boxed_slice();
        // The last record begins before, and one of two may be short.
        let output = write_bytes + write_bytes / 64 + 2 * WHOLE_RECORD_BYTES_MAX;
        Self { input: room(read_bytes), stage: room(RECORD_BYTES_MAX), output: room(output), write_bytes }
    }

    /// Whether another record is to go with `taken` bytes of plaintext that make `filled` bytes of output.
    #[must_use]
    pub fn take_more(&self, taken: usize, filled: usize) -> bool {
        taken < self.write_bytes && self.output.len() - filled >= WHOLE_RECORD_BYTES_MAX
    }
}

/// A client's TLS. Idle, it holds no buffer.
pub struct Session {
    engine: UnbufferedServerConnection,
    /// Ciphertext of half a record, or of half a handshake message.
    kept: Vec<u8>,
    /// Ciphertext that the socket did not take, and how much of it is sent.
    unsent: Vec<u8>,
    sent: usize,
    /// The client has said something that was TLS.
    has_begun: bool,
    /// The client has said that nothing more comes.
    is_closed: bool,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let engine = UnbufferedServerConnection::new(config)?;
        Ok(Self { engine, kept: Vec::new(), unsent: Vec::new(), sent: 0, has_begun: false, is_closed: false })
    }

    /// Ciphertext that came earlier and was not understood: new input belongs behind it.
    #[must_use]
    #[inline]
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether the handshake is not over.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.engine.is_handshaking()
    }

    /// Whether the client has not resumed an earlier session.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.engine.handshake_kind() != Some(HandshakeKind::Resumed)
    }

    /// Whether the client has said something that was TLS.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether something of a record has come, and not the rest.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        !self.is_closed && !self.kept.is_empty()
    }

    /// Whether the client has said that nothing more comes.
    #[must_use]
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes ciphertext that begins with what was kept, and writes its plaintext to the front of `plain`, which is no
    /// shorter; how many bytes that makes. What TLS has to say itself goes to [`Self::unsent`].
    ///
    /// # Errors
    /// When that is no TLS, or none that we agree to. An alert says so to the client.
    #[inline]
    pub fn receive(&mut self, input: &mut [u8], plain: &mut [u8]) -> Result<usize, Error> {
        let (mut used, mut filled) = (0, 0);
        loop {
            let status = self.engine.process_tls_records(&mut input[used..]);
            let mut is_stuck = false;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let payload = record?.payload;
                        let room = plain.get_mut(filled..filled + payload.len());
                        let Some(room) = room else { return Err(Error::PeerSentOversizedRecord) };
                        room.copy_from_slice(payload);
                        filled += payload.len();
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut words)) => encode_behind(&mut words, &mut self.unsent)?,
                // Who lends us the buffers sends what is unsent.
                Ok(ConnectionState::TransmitTlsData(words)) => words.done(),
                Ok(ConnectionState::PeerClosed) => self.is_closed = true,
                Ok(_) => is_stuck = true,
                Err(error) => {
                    used += status.discard;
                    self.take_alert(&mut input[used..]);
                    return Err(error);
                }
            }
            used += status.discard;
            if is_stuck || used == input.len() && filled > 0 {
                break;
            }
        }
        self.has_begun = true;
        if self.kept.capacity() > 0 || used < input.len() {
            self.keep(&input[used..]);
        }
        Ok(filled)
    }

    #[cold]
    fn keep(&mut self, input: &[u8]) {
        // Exactly as much, or nothing.
        self.kept = input.to_vec();
    }

    /// What is said to a client whose bytes were wrong.
    #[cold]
    fn take_alert(&mut self, input: &mut [u8]) {
        // Asked once more than it has to say, the engine would read the wrong bytes again.
        while self.engine.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(mut words)) = self.engine.process_tls_records(input).state
        {
            if encode_behind(&mut words, &mut self.unsent).is_err() {
                return;
            }
        }
    }

    /// Encrypts plaintext, [`RECORD_BYTES_MAX`] at most, to the front of `output`; how many bytes that
    /// makes. What is unsent goes first.
    ///
    /// # Errors
    /// When the session has failed, or has no key left.
    #[inline]
    pub fn encrypt(&mut self, plain: &[u8], output: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        loop {
            // With what was kept: the engine may have half a handshake message in it.
            let status = self.engine.process_tls_records(&mut self.kept);
            let discard = status.discard;
            let is_done = match status.state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    filled += traffic.encrypt(plain, &mut output[filled..]).map_err(exhausted)?;
                    true
                }
                ConnectionState::EncodeTlsData(mut words) => {
                    filled += words.encode(&mut output[filled..]).map_err(|_| unexpected())?;
                    false
                }
                ConnectionState::TransmitTlsData(words) => {
                    words.done();
                    false
                }
                ConnectionState::PeerClosed => {
                    self.is_closed = true;
                    false
                }
                _ => return Err(unexpected()),
            };
            if discard > 0 {
                self.kept.drain(..discard);
            }
            if is_done {
                return Ok(filled);
            }
        }
    }

    /// Ciphertext that is to go to the socket before anything else.
    #[must_use]
    #[inline]
    pub fn unsent(&self) -> &[u8] {
        &self.unsent[self.sent..]
    }

    /// Keeps what the socket did not take.
    pub fn keep_unsent(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Says that the first `n` unsent bytes are sent.
    pub fn sent(&mut self, n: usize) {
        self.sent += n;
        assert!(self.sent <= self.unsent.len(), "no more is sent than there was");
        if self.sent == self.unsent.len() {
            (self.unsent, self.sent) = (Vec::new(), 0);
        }
    }

    /// Writes to the front of `output` that nothing more comes; how many bytes that makes. 0: there is no way to say
    /// it.
    pub fn say_farewell(&mut self, output: &mut [u8]) -> usize {
        match self.engine.process_tls_records(&mut self.kept).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.queue_close_notify(output).unwrap_or(0),
            _ => 0,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kept, unsent) = (self.kept.len(), self.unsent().len());
        f.debug_struct("Session").field("kept", &kept).field("unsent", &unsent).finish_non_exhaustive()
    }
}

/// Appends what TLS has to say itself.
#[cold]
fn encode_behind(words: &mut EncodeTlsData<'_, ServerConnectionData>, unsent: &mut Vec<u8>) -> Result<(), Error> {
    let start = unsent.len();
    let Err(EncodeError::InsufficientSize(needed)) = words.encode(&mut []) else { return Ok(()) };
    unsent.resize(start + needed.required_size, 0);
    words.encode(&mut unsent[start..]).map_err(|_| unexpected())?;
    Ok(())
}

fn exhausted(error: EncryptError) -> Error {
    Error::General(error.to_string())
}

#[cold]
fn unexpected() -> Error {
    Error::General("the session is not where it should be".to_owned())
}
