//! `--takeover`: how a server gets listeners and memory from the one before it, and gives them to the one after.
//!
//! They talk over a unix socket that keeps messages apart. The new one asks, has all descriptors, and makes sure that
//! it can go on with them while the old one still serves. Only then it says `stop`: nobody is accepted any more,
//! clients are closed, the memory is marked clean. The listeners stay open all the time, so that who connects waits in
//! their backlog. The old one ends when the new one serves; when the new one ends first, it serves again itself.
//!
//! ```text
//! new   ask            stop                 serving
//! old       offer...        stopped                  (ends)
//! ```

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::signals::{Asked, Signals};
use crate::store::Refusal;
use crate::sys::descriptors::{SENT_MAX, peer, receive, send, wait};
use crate::sys::user;

/// What every message begins with; another version of the talk has another number.
const GREETING: &str = "flagstone takeover 1 ";
/// Longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 64;
/// Most descriptors that one server hands to another: those of UDP are as many as workers at each address.
const DESCRIPTORS_MAX: usize = 16 * 1024;
/// How long one waits for the other's next message while the old one serves.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the new one waits until the old one has closed all clients.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// Who may talk: the user.
const MODE: u32 = 0o600;
/// Who asks at the same time waits.
const BACKLOG: i32 = 4;

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// New: tell me all you have.
    Ask,
    /// Old: here are descriptors, and more will come.
    Offer,
    /// Old: here are the last.
    Last,
    /// New: I can go on with that.
    Stop,
    /// Old: nobody uses the memory.
    Stopped,
    /// New: clients are served.
    Serving,
}

const WORDS: [(Word, &str); 6] = [
    (Word::Ask, "ask"),
    (Word::Offer, "offer"),
    (Word::Last, "last"),
    (Word::Stop, "stop"),
    (Word::Stopped, "stopped"),
    (Word::Serving, "serving"),
];

/// Why a server does not take over from the one before. That one serves on.
#[derive(Debug)]
pub enum TakeoverError {
    /// The socket, or who is there, does not answer as it should.
    Talk(io::Error),
    /// Whoever is there is another user.
    OtherUser(u32),
    /// Its items cannot be kept with these flags or by this program.
    Items(Refusal),
    /// It has no memory to hand over.
    NoMemory,
}

impl fmt::Display for TakeoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to take over from the running server: ")?;
        match self {
            Self::Talk(error) => error.fmt(f),
            Self::OtherUser(number) => write!(f, "it is of another user, {number}"),
            Self::Items(refusal) => write!(f, "its items would be lost: {refusal}"),
            Self::NoMemory => f.write_str("it hands over no memory"),
        }
    }
}

impl std::error::Error for TakeoverError {}

impl From<io::Error> for TakeoverError {
    fn from(error: io::Error) -> Self {
        Self::Talk(error)
    }
}

fn say(socket: &Socket, word: Word, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let (_, text) = WORDS.iter().find(|(known, _)| *known == word).expect("all are listed");
    send(socket, format!("{GREETING}{text}").as_bytes(), descriptors)
}

/// The next message; `None`: the other end is gone.
fn hear(socket: &Socket) -> io::Result<Option<(Word, Vec<OwnedFd>)>> {
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    let (len, descriptors) = receive(socket, &mut buffer).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
        _ => error,
    })?;
    if len == 0 {
        return Ok(None);
    }
    let text = std::str::from_utf8(&buffer[..len]).ok().and_then(|text| text.strip_prefix(GREETING));
    let word = WORDS.iter().find(|(_, known)| text == Some(known)).map(|(word, _)| *word);
    let word = word.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message that is not understood"))?;
    Ok(Some((word, descriptors)))
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it has closed the connection")
}

fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message out of turn")
}

/// The server before this one, which serves until it is told to stop.
#[derive(Debug)]
pub(super) struct Predecessor(Socket);

impl Predecessor {
    /// Asks the server that listens there, if one does, for all that it has.
    pub(super) fn find(path: &Path) -> Result<Option<(Self, Vec<OwnedFd>)>, TakeoverError> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        match socket.connect(&SockAddr::unix(path)?) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        let (theirs, _) = peer(&socket)?;
        if theirs != user::own_number() {
            return Err(TakeoverError::OtherUser(theirs));
        }
        say(&socket, Word::Ask, &[])?;
        let mut all = Vec::new();
        loop {
            let (word, descriptors) = hear(&socket)?.ok_or_else(gone)?;
            all.extend(descriptors);
            match word {
                Word::Last => return Ok(Some((Self(socket), all))),
                Word::Offer if all.len() <= DESCRIPTORS_MAX => {}
                _ => return Err(unexpected().into()),
            }
        }
    }

    /// Has it stop. Afterwards nobody uses its memory.
    pub(super) fn stop(&self) -> Result<(), TakeoverError> {
        self.0.set_read_timeout(Some(STOP_PATIENCE))?;
        say(&self.0, Word::Stop, &[])?;
        match hear(&self.0)? {
            Some((Word::Stopped, _)) => Ok(()),
            Some(_) => Err(unexpected().into()),
            None => {
                // It read the word, and closes the socket by its end alone.
                log::warn!(
                    "the server before ended in the middle of the takeover: its items are checked as after a kill"
                );
                Ok(())
            }
        }
    }

    /// Lets it end.
    pub(super) fn release(self) {
        // If it has ended already nobody is there to hear it.
        let _ = say(&self.0, Word::Serving, &[]);
    }
}

/// Where the server after this one asks, and what it gets.
#[derive(Debug)]
pub(super) struct Door {
    listener: Socket,
    given: Vec<OwnedFd>,
    successor: Option<Socket>,
    /// The service manager opened the sockets.
    pub(super) is_activated: bool,
}

/// What became of a server that has stopped for another.
#[derive(Debug)]
pub(super) enum Fate {
    /// The other one serves.
    Succeeded,
    /// A signal came first.
    Told(Asked),
    /// The other one has ended: here is what it was to have.
    Alone(Vec<OwnedFd>),
}

impl Door {
    /// Listens there, where nobody else does; or goes on with the socket of the server before.
    pub(super) fn open(
        path: &Path,
        handed: Option<Socket>,
        mut given: Vec<OwnedFd>,
        is_activated: bool,
    ) -> io::Result<Self> {
        let listener = match handed {
            Some(socket) => socket,
            None => listen(path)?,
        };
        listener.set_nonblocking(true)?;
        given.push(listener.try_clone()?.into());
        Ok(Self { listener, given, successor: None, is_activated })
    }

    /// Sleeps until a signal arrives or another server is to go on in this one's place.
    pub(super) fn wait(&mut self, signals: &mut Signals) -> Asked {
        loop {
            if let Some(asked) = signals.pending() {
                return asked;
            }
            let (socket, most) = match &self.successor {
                Some(successor) => (successor, Some(PATIENCE)),
                None => (&self.listener, None),
            };
            let ready = match wait(&[signals.as_fd(), socket.as_fd()], most) {
                Ok(ready) => ready,
                Err(error) => {
                    log::error!(error:%; "cannot wait for who takes over");
                    return signals.wait();
                }
            };
            if ready == [false, true] {
                match self.serve() {
                    Ok(true) => return Asked::HandOver,
                    Ok(false) => {}
                    Err(error) => self.turn_away(&error),
                }
            } else if ready == [false, false] && self.successor.is_some() {
                self.turn_away(&io::Error::new(io::ErrorKind::TimedOut, "who asked says nothing more"));
            }
        }
    }

    fn turn_away(&mut self, error: &io::Error) {
        self.successor = None;
        log::warn!(error:%; "serving on: no takeover");
    }

    /// Lets somebody in, or hears them; true: they say `stop`.
    fn serve(&mut self) -> io::Result<bool> {
        let Some(successor) = &self.successor else {
            let (socket, _) = match self.listener.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                accepted => accepted?,
            };
            let (theirs, pid) = peer(&socket)?;
            if theirs != user::own_number() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user {theirs} asked for it")));
            }
            socket.set_nonblocking(false)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            log::info!("process {pid} asks to take over");
            self.successor = Some(socket);
            return Ok(false);
        };
        match hear(successor)? {
            None => Err(gone()),
            Some((Word::Ask, _)) => self.offer(successor).map(|()| false),
            Some((Word::Stop, _)) => Ok(true),
            Some(_) => Err(unexpected()),
        }
    }

    fn offer(&self, successor: &Socket) -> io::Result<()> {
        let mut parts = self.given.chunks(SENT_MAX).peekable();
        while let Some(part) = parts.next() {
            let descriptors: Vec<BorrowedFd<'_>> = part.iter().map(AsFd::as_fd).collect();
            say(successor, if parts.peek().is_some() { Word::Offer } else { Word::Last }, &descriptors)?;
        }
        Ok(())
    }

    /// Says that nobody uses the memory any more.
    pub(super) fn say_stopped(&self) {
        if let Some(successor) = &self.successor {
            // Whether it is still there is found out next.
            let _ = say(successor, Word::Stopped, &[]);
        }
    }

    /// Waits until the other one serves or has ended. It may take as long as it likes: the memory is its.
    pub(super) fn wait_for_successor(self, signals: &mut Signals) -> io::Result<Fate> {
        let Some(successor) = self.successor else { return Ok(Fate::Alone(self.given)) };
        loop {
            if let Some(asked) = signals.pending()
                && asked != Asked::Reload
            {
                return Ok(Fate::Told(asked));
            }
            let ready = wait(&[signals.as_fd(), successor.as_fd()], None)?;
            if ready != [false, true] {
                continue;
            }
            return Ok(match hear(&successor) {
                Ok(Some((Word::Serving, _))) => Fate::Succeeded,
                // It ends, or has ended: it never says anything else.
                _ => Fate::Alone(self.given),
            });
        }
    }
}

fn listen(path: &Path) -> io::Result<Socket> {
    // Nobody answered there.
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before `listen` nobody can connect, so nobody gets past a mode that is not set yet.
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
