//! What the service manager is told, by the protocol of `sd_notify`: a datagram to the socket it names.

use std::env;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use socket2::SockRef;

use super::descriptors;

/// Where the manager listens; unset where there is none.
const SOCKET: &str = "NOTIFY_SOCKET";
/// Within how many microseconds it wants to hear again that all is well, and from which process.
const WATCHDOG_MICROS: &str = "WATCHDOG_USEC";
const WATCHDOG_PROCESS: &str = "WATCHDOG_PID";

/// The way to the manager, if there is one. Opened once: a process that has given up the right to open sockets still
/// has this one.
#[derive(Debug)]
pub struct Manager(Option<(UnixDatagram, SocketAddr)>);

impl Manager {
    /// Nobody is told anything.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Opens the way that the environment names.
    ///
    /// # Errors
    /// When what it names is no name of a socket, and when there are no descriptors.
    pub fn open() -> io::Result<Self> {
        let Some(name) = env::var_os(SOCKET) else { return Ok(Self(None)) };
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&name)?,
        };
        Ok(Self(Some((UnixDatagram::unbound()?, address))))
    }

    /// Tells the manager something, if there is one: `READY=1`, `STOPPING=1`, `WATCHDOG=1`.
    ///
    /// # Errors
    /// When it named a socket that is not there.
    pub fn tell(&self, state: &str) -> io::Result<()> {
        self.tell_with(state, &[]).map(drop)
    }

    /// The same with descriptors that it is to keep; whether there is a manager.
    ///
    /// # Errors
    /// When it named a socket that is not there.
    pub fn tell_with(&self, state: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<bool> {
        let Some((socket, address)) = &self.0 else { return Ok(false) };
        if descriptors.is_empty() {
            socket.send_to_addr(state.as_bytes(), address)?;
        } else {
            socket.connect_addr(address)?;
            descriptors::send(&SockRef::from(socket), state.as_bytes(), descriptors)?;
        }
        Ok(true)
    }
}

/// How often this process is to say that all is well: twice in the time after which the manager would end it. `None`
/// where nobody waits for it.
#[must_use]
pub fn watchdog_period() -> Option<Duration> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_meant = number(WATCHDOG_PROCESS).is_none_or(|process| process == u64::from(std::process::id()));
    let micros = number(WATCHDOG_MICROS).filter(|micros| is_meant && *micros > 0)?;
    Some(Duration::from_micros(micros / 2))
}
