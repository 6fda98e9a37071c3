//! Signals, delivered to a loop: the handler only writes a byte to a socket pair.
//!
//! SIGPIPE needs nothing here: Rust's runtime ignores it, and a write to a client that left is an error.

use std::io::{self, Read};

use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::pipe;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT: end now.
    Stop,
    /// SIGUSR1: end when the workers have finished.
    StopGracefully,
    /// SIGHUP: read files again.
    Reload,
}

const MEANINGS: [(i32, Asked); 4] =
    [(SIGTERM, Asked::Stop), (SIGINT, Asked::Stop), (SIGUSR1, Asked::StopGracefully), (SIGHUP, Asked::Reload)];

/// Where signals arrive from the moment it exists.
#[derive(Debug)]
pub struct Signals {
    poll: Poll,
    events: Events,
    /// One a line of `MEANINGS`, in its order.
    pipes: Vec<UnixStream>,
}

impl Signals {
    /// Takes over the four signals.
    ///
    /// # Errors
    /// When descriptors run out or the kernel refuses a handler.
    pub fn catch() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut pipes = Vec::with_capacity(MEANINGS.len());
        for (number, (signal, _)) in MEANINGS.iter().enumerate() {
            let (mut reader, writer) = UnixStream::pair()?;
            poll.registry().register(&mut reader, Token(number), Interest::READABLE)?;
            pipe::register(*signal, writer)?;
            pipes.push(reader);
        }
        Ok(Self { poll, events: Events::with_capacity(MEANINGS.len()), pipes })
    }

    /// Sleeps until a signal arrives.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn wait(&mut self) -> io::Result<Asked> {
        loop {
            for (pipe, (_, asked)) in self.pipes.iter_mut().zip(MEANINGS) {
                if drain(pipe) {
                    return Ok(asked);
                }
            }
            match self.poll.poll(&mut self.events, None) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}

/// Reads all bytes; several signals of a kind are one.
fn drain(pipe: &mut UnixStream) -> bool {
    let mut scratch = [0; 64];
    let mut any = false;
    while matches!(pipe.read(&mut scratch), Ok(1..)) {
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::{Asked, Signals};
    use crate::sys::process::{Signal, raise};

    #[test]
    fn a_signal_arrives_in_the_loop() {
        let mut signals = Signals::catch().expect("descriptors");
        raise(Signal::User1);
        assert_eq!(signals.wait().expect("a wait"), Asked::StopGracefully);
        raise(Signal::Interrupt);
        assert_eq!(signals.wait().expect("a wait"), Asked::Stop);
    }
}
