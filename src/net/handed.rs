//! Sockets that another process has opened and bound: a service manager, or the server before this one.
//!
//! What each is, the kernel says. Who listens takes from here what is at the place it wants, so that nobody who comes
//! meanwhile is refused, and opens a socket of its own only where there is none.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use super::address::Port;

/// Sockets that nobody has taken yet, in the order in which they came.
#[derive(Debug, Default)]
pub struct Handed {
    sockets: Vec<HandedSocket>,
}

#[derive(Debug)]
struct HandedSocket {
    socket: Socket,
    address: SockAddr,
    kind: HandedKind,
}

/// What a socket that was handed in is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandedKind {
    /// It listens, on TCP or at a file.
    Listening,
    /// UDP.
    Datagrams,
}

impl Handed {
    /// Adds a socket, or gives back what is none that can be served.
    ///
    /// # Errors
    /// The descriptor.
    pub fn add(&mut self, descriptor: OwnedFd) -> Result<(), OwnedFd> {
        let socket = Socket::from(descriptor);
        let is_listening = socket.is_listener().unwrap_or(false);
        let (domain, kind) = (socket.domain().ok(), socket.r#type().ok());
        let is_inet = domain == Some(Domain::IPV4) || domain == Some(Domain::IPV6);
        let kind = match kind {
            Some(Type::STREAM) if is_listening && (is_inet || domain == Some(Domain::UNIX)) => HandedKind::Listening,
            Some(Type::DGRAM) if is_inet => HandedKind::Datagrams,
            _ => return Err(socket.into()),
        };
        match (socket.local_addr(), socket.set_nonblocking(true)) {
            (Ok(address), Ok(())) => {
                self.sockets.push(HandedSocket { socket, address, kind });
                Ok(())
            }
            _ => Err(socket.into()),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// How many UDP sockets there are.
    #[must_use]
    pub fn datagrams(&self) -> usize {
        self.sockets.iter().filter(|handed| handed.kind == HandedKind::Datagrams).count()
    }

    /// One at an address; with `Port::Any` whatever its port.
    pub(super) fn take_inet(&mut self, kind: HandedKind, wanted: SocketAddr, port: Port) -> Option<Socket> {
        self.take(kind, |address| {
            let address = address.as_socket();
            address.is_some_and(|address| {
                address.ip() == wanted.ip() && (port == Port::Any || address.port() == wanted.port())
            })
        })
    }

    /// One at a file.
    pub(super) fn take_unix(&mut self, path: &Path) -> Option<Socket> {
        self.take(HandedKind::Listening, |address| address.as_pathname() == Some(path))
    }

    /// The next one of a kind.
    pub(super) fn take_any(&mut self, kind: HandedKind) -> Option<Socket> {
        self.take(kind, |_| true)
    }

    fn take(&mut self, kind: HandedKind, is_wanted: impl Fn(&SockAddr) -> bool) -> Option<Socket> {
        let at = self.sockets.iter().position(|handed| handed.kind == kind && is_wanted(&handed.address))?;
        Some(self.sockets.remove(at).socket)
    }
}
