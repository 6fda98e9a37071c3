//! [`Stream`]: one client's socket, TCP or unix.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::sys::socket;

/// A connected, non-blocking socket.
///
/// An enum, not a trait object: a worker's read and write are direct calls.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP, with `TCP_NODELAY` and `SO_KEEPALIVE` set. The other side's address is kept: once that side has
    /// reset the connection the kernel does not know it any more.
    Tcp(mio::net::TcpStream, SocketAddr),
    /// Over a unix socket. memcached's idle timeout does not apply to it.
    Unix(mio::net::UnixStream),
}

impl Stream {
    /// Reads what is there; 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there, else what the kernel says.
    #[inline]
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        socket::receive(self.as_fd(), buffer)
    }

    /// Reads what is there into several pieces in one call.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_vectored(&mut self, pieces: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, _) => stream.read_vectored(pieces),
            Self::Unix(stream) => stream.read_vectored(pieces),
        }
    }

    /// Writes one piece.
    ///
    /// # Errors
    /// `WouldBlock` when the kernel's buffer is full, else what the kernel says.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        socket::send(self.as_fd(), bytes)
    }

    /// Writes several pieces in one call.
    ///
    /// # Errors
    /// `WouldBlock` when the kernel's buffer is full, else what the kernel says.
    #[inline]
    pub fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, _) => stream.write_vectored(pieces),
            Self::Unix(stream) => stream.write_vectored(pieces),
        }
    }

    /// Has the kernel acknowledge what came now, not with an answer or 40 ms later: a client without `TCP_NODELAY`
    /// sends nothing before that.
    pub fn acknowledge(&self) {
        if let Self::Tcp(stream, _) = self {
            // It is a hint: a socket that does not take it acknowledges later.
            drop(SockRef::from(stream).set_tcp_quickack(true));
        }
    }

    /// Its descriptor: a number no two open clients have.
    #[must_use]
    pub fn descriptor(&self) -> u32 {
        match self {
            Self::Tcp(stream, _) => descriptor_of(stream),
            Self::Unix(stream) => descriptor_of(stream),
        }
    }

    /// The client's address; `None` for one of a unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, peer) => Some(*peer),
            Self::Unix(_) => None,
        }
    }

    /// The client's address in memcached's words.
    #[must_use]
    pub fn peer_text(&self) -> String {
        match self {
            Self::Tcp(_, peer) => tcp_text(*peer),
            Self::Unix(stream) => unix_text(stream.peer_addr()),
        }
    }

    /// The address the client came to, in memcached's words. Asks the kernel.
    #[must_use]
    pub fn local_text(&self) -> String {
        match self {
            Self::Tcp(stream, _) => stream.local_addr().map_or_else(|_| "tcp:".to_owned(), tcp_text),
            Self::Unix(stream) => unix_text(stream.local_addr()),
        }
    }

    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream, _) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    /// Whether it came over TCP.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(..))
    }
}

/// A socket's descriptor.
pub(super) fn descriptor_of(socket: &impl AsRawFd) -> u32 {
    u32::try_from(socket.as_raw_fd()).expect("an open socket's descriptor is not negative")
}

/// `tcp:IP:PORT` or `tcp6:[IP]:PORT`.
pub(super) fn tcp_text(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    if ip.is_ipv4() { format!("tcp:{ip}:{port}") } else { format!("tcp6:[{ip}]:{port}") }
}

/// `unix:PATH`; a client's socket seldom has a path.
pub(super) fn unix_text(address: io::Result<std::os::unix::net::SocketAddr>) -> String {
    let address = address.ok();
    let path = address.as_ref().and_then(std::os::unix::net::SocketAddr::as_pathname);
    path.map_or_else(|| "unix:".to_owned(), |path| format!("unix:{}", path.display()))
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.register(registry, token, interests),
            Self::Unix(stream) => stream.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.reregister(registry, token, interests),
            Self::Unix(stream) => stream.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stream, tcp_text};

    #[test]
    fn addresses_are_written_in_the_words_of_memcached() {
        assert_eq!(tcp_text("127.0.0.1:11211".parse().expect("an address")), "tcp:127.0.0.1:11211");
        assert_eq!(tcp_text("[::1]:11211".parse().expect("an address")), "tcp6:[::1]:11211");
        let (ours, _theirs) = mio::net::UnixStream::pair().expect("descriptors");
        assert_eq!(Stream::Unix(ours).peer_text(), "unix:");
    }
}
