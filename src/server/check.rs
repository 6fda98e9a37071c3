//! `--check=ADDR`: whether a server serves, asked by the program itself where there is no other, as in a container.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a server may take for each step. A busy one answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the server at `host:port` or `unix:PATH` for its version. Whatever it answers, it serves: it may ask for a
/// token first, speak TLS, be full, or close on text.
///
/// # Errors
/// When nobody listens there, or nothing comes in time.
pub fn ask(address: &str) -> io::Result<()> {
    if let Some(path) = address.strip_prefix("unix:") {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        return hear(socket);
    }
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => {
                socket.set_read_timeout(Some(PATIENCE))?;
                return hear(socket);
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn hear(mut socket: impl Read + Write) -> io::Result<()> {
    socket.write_all(b"version\r\n")?;
    // Nothing but an end is an answer, too: a worker has looked at what came.
    match socket.read(&mut [0; 64]) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(()),
    }
}
