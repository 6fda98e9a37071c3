//! What the service manager is told, by the protocol of `sd_notify`: a datagram to the socket it names.

use std::env;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use socket2::SockRef;

use super::descriptors;

/// Where the manager listens; unset where there is none.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells the manager something, if there is one: `READY=1`, `STOPPING=1`.
///
/// # Errors
/// When it names a socket that is not there.
pub fn notify(state: &str) -> io::Result<()> {
    notify_with(state, &[]).map(drop)
}

/// The same with descriptors that it is to keep; whether there is a manager.
///
/// # Errors
/// When it names a socket that is not there.
pub fn notify_with(state: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<bool> {
    let Some(name) = env::var_os(SOCKET) else { return Ok(false) };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    descriptors::send(&SockRef::from(&socket), state.as_bytes(), descriptors)?;
    Ok(true)
}
