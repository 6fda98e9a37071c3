//! [`Stream`]: one client's socket, TCP or unix.

use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::sys::socket;

/// A connected, non-blocking socket.
///
/// An enum, not a trait object: a worker's read and write are direct calls.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP, with `TCP_NODELAY` and `SO_KEEPALIVE` set.
    Tcp(mio::net::TcpStream),
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
            Self::Tcp(stream) => stream.write_vectored(pieces),
            Self::Unix(stream) => stream.write_vectored(pieces),
        }
    }

    /// Its descriptor: a number no two open clients have.
    #[must_use]
    pub fn descriptor(&self) -> u32 {
        let descriptor = match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        };
        u32::try_from(descriptor).expect("an open socket's descriptor is not negative")
    }

    /// The client's address; `None` for one of a unix socket, and for one that is gone.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    /// Whether it came over TCP.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interests),
            Self::Unix(stream) => stream.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interests),
            Self::Unix(stream) => stream.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
        }
    }
}
