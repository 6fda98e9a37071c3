//! Signals, which a thread waits for: the handler only writes a byte to a socket pair.
//!
//! SIGPIPE needs nothing here: Rust's runtime ignores it, and a write to a client that left is an error.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

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

/// Where signals arrive from the moment it exists.
#[derive(Debug)]
pub struct Signals(signal_hook::iterator::Signals);

impl Signals {
    /// Takes over the four signals.
    ///
    /// # Errors
    /// When descriptors run out or the kernel refuses a handler.
    pub fn catch() -> io::Result<Self> {
        signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP]).map(Self)
    }

    /// Whether a signal has arrived that says to stop; others that have are forgotten.
    pub fn pending_stop(&mut self) -> Option<Asked> {
        self.0.pending().map(asked).find(|asked| *asked != Asked::Reload)
    }

    /// Sleeps until a signal arrives.
    pub fn wait(&mut self) -> Asked {
        // Only a handle that nobody has could end the iterator.
        self.0.forever().next().map_or(Asked::Stop, asked)
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
