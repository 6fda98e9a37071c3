//! Signals, which a thread waits for: the handler only writes a byte to a socket pair.
//!
//! SIGPIPE needs nothing here: Rust's runtime ignores it, and a write to a client that left is an error.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::sys::descriptors;

/// What a signal asks for, or another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT: end now.
    Stop,
    /// SIGUSR1: end when the workers have finished.
    StopGracefully,
    /// SIGHUP: read files again.
    Reload,
    /// Another server is to go on in this one's place.
    HandOver,
}

/// Where signals arrive from the moment it exists.
#[derive(Debug)]
pub struct Signals(SignalDelivery<UnixStream, SignalOnly>);

impl Signals {
    /// Takes over the four signals.
    ///
    /// # Errors
    /// When descriptors run out or the kernel refuses a handler.
    pub fn catch() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        SignalDelivery::with_pipe(read, write, SignalOnly, [SIGTERM, SIGINT, SIGUSR1, SIGHUP]).map(Self)
    }

    /// Whether a signal has arrived that says to stop; others that have are forgotten.
    pub fn pending_stop(&mut self) -> Option<Asked> {
        self.0.pending().map(asked).find(|asked| *asked != Asked::Reload)
    }

    /// A signal that has arrived; there may be others.
    pub fn pending(&mut self) -> Option<Asked> {
        self.0.pending().next().map(asked)
    }

    /// Sleeps until a signal arrives.
    pub fn wait(&mut self) -> Asked {
        loop {
            if let Some(asked) = self.pending() {
                return asked;
            }
            if let Err(error) = descriptors::wait(&[self.as_fd()], None) {
                log::error!("cannot wait for signals: {error}");
                return Asked::Stop;
            }
        }
    }
}

impl AsFd for Signals {
    /// What can be read when a signal has arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_read().as_fd()
    }
}

fn asked(signal: i32) -> Asked {
    match signal {
        SIGHUP => Asked::Reload,
        SIGUSR1 => Asked::StopGracefully,
        _ => Asked::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Signals};
    use crate::sys::process::{Signal, raise};

    #[test]
    fn a_signal_is_waited_for() {
        let mut signals = Signals::catch().expect("descriptors");
        raise(Signal::User1);
        assert_eq!(signals.wait(), Asked::StopGracefully);
        raise(Signal::Interrupt);
        assert_eq!(signals.wait(), Asked::Stop);
    }
}
