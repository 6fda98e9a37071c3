//! What the service manager is told, by the protocol of `sd_notify`: a datagram to the socket it names.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where the manager listens; unset where there is none.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells the manager something, if there is one: `READY=1`, `STOPPING=1`.
///
/// # Errors
/// When it names a socket that is not there.
pub fn notify(state: &str) -> io::Result<()> {
    let Some(name) = env::var_os(SOCKET) else { return Ok(()) };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}
