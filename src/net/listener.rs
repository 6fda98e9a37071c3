//! Listening sockets: from an endpoint to bound, listening, non-blocking sockets.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::address::{Port, Spoken};
use super::handed::{Handed, HandedKind};
use super::options::{Endpoint, Options};
use super::stream::{Stream, descriptor_of, tcp_text, unix_text};
use crate::tls::ClientCertificate;

/// A listening socket and what holds for who comes to it.
#[derive(Debug)]
pub struct Listener {
    socket: ListeningSocket,
    tls: Option<ClientCertificate>,
    spoken: Option<Spoken>,
}

#[derive(Debug)]
enum ListeningSocket {
    /// IPv4 or IPv6.
    Tcp(mio::net::TcpListener),
    /// A unix socket. Its file stays when the server ends, as memcached leaves it.
    Unix(mio::net::UnixListener),
}

/// Who came to a listener.
#[derive(Debug)]
pub struct Arrival {
    /// Its socket.
    pub stream: Stream,
    /// What its listener wants of the client's certificate; `None`: no TLS is spoken.
    pub tls: Option<ClientCertificate>,
    /// How it speaks; `None`: as `-B` says.
    pub spoken: Option<Spoken>,
}

/// The address family of a listener, in the words of `MEMCACHED_PORT_FILENAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `INET`.
    Inet,
    /// `INET6`.
    Inet6,
}

/// Why nothing listens.
#[derive(Debug)]
pub struct BindError {
    /// What was asked for: a port, an address, or a file.
    what: String,
    /// The flag that asked for it, and its value.
    flag: String,
    error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to listen on {}: {}", self.what, self.error)
    }
}

impl std::error::Error for BindError {}

impl BindError {
    /// The flag that asked for it, with its value.
    #[must_use]
    pub fn flag(&self) -> &str {
        &self.flag
    }

    /// What the system says.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }
}

impl Listener {
    /// Takes one waiting connection, non-blocking and closed on exec.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; `EMFILE` and the like when there is no room for it, which then stays
    /// in the backlog.
    pub fn accept(&self) -> io::Result<Arrival> {
        // TCP_NODELAY and SO_KEEPALIVE come with the socket: Linux copies them from the listener.
        let stream = match &self.socket {
            ListeningSocket::Tcp(listener) => listener.accept().map(|(stream, peer)| Stream::Tcp(stream, peer))?,
            ListeningSocket::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream))?,
        };
        Ok(Arrival { stream, tls: self.tls, spoken: self.spoken })
    }

    /// Family and port of a TCP listener; `None` for a unix socket.
    #[must_use]
    pub fn port(&self) -> Option<(Family, u16)> {
        let ListeningSocket::Tcp(listener) = &self.socket else { return None };
        listener.local_addr().ok().map(family_and_port)
    }

    /// Its descriptor and its address in memcached's words, for `stats conns`.
    #[must_use]
    pub fn name(&self) -> (u32, String) {
        match &self.socket {
            ListeningSocket::Tcp(listener) => {
                let address = listener.local_addr().map_or_else(|_| "tcp:".to_owned(), tcp_text);
                (descriptor_of(listener), address)
            }
            ListeningSocket::Unix(listener) => (descriptor_of(listener), unix_text(listener.local_addr())),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            ListeningSocket::Tcp(listener) => listener.as_fd(),
            ListeningSocket::Unix(listener) => listener.as_fd(),
        }
    }
}

impl Source for Listener {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match &mut self.socket {
            ListeningSocket::Tcp(listener) => listener.register(registry, token, interests),
            ListeningSocket::Unix(listener) => listener.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match &mut self.socket {
            ListeningSocket::Tcp(listener) => listener.reregister(registry, token, interests),
            ListeningSocket::Unix(listener) => listener.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.socket {
            ListeningSocket::Tcp(listener) => listener.deregister(registry),
            ListeningSocket::Unix(listener) => listener.deregister(registry),
        }
    }
}

/// Binds every endpoint of connections and listens, or takes the socket there that was handed in. All of them or none:
/// half a server is a surprise.
///
/// # Errors
/// The first endpoint that cannot be had.
pub fn bind(options: &Options, handed: &mut Handed) -> Result<Vec<Listener>, BindError> {
    let mut listeners = Vec::new();
    for endpoint in &options.endpoints {
        match endpoint {
            Endpoint::Tcp { host, port, tls, spoken } => open_each(host.as_deref(), *port, "TCP", |address| {
                let socket = match handed.take_inet(HandedKind::Listening, address, *port) {
                    Some(socket) => relisten(socket, options.backlog)?,
                    None => ListeningSocket::Tcp(listen_tcp(address, options)?),
                };
                listeners.push(Listener { socket, tls: *tls, spoken: *spoken });
                Ok(())
            })?,
            Endpoint::Unix { path, mode, spoken } => {
                let socket = match handed.take_unix(path) {
                    Some(socket) => adopt_unix(socket, path, *mode, options.backlog)?,
                    None => bind_unix(path, *mode, options.backlog)?,
                };
                listeners.push(Listener { socket, tls: None, spoken: *spoken });
            }
            Endpoint::Udp { .. } => {}
        }
    }
    Ok(listeners)
}

/// Listens on all that were handed in, whatever the endpoints say, with TLS at those of TCP if it is spoken at all.
///
/// # Errors
/// When the kernel refuses an option.
pub fn adopt(handed: &mut Handed, tls: Option<ClientCertificate>) -> Result<Vec<Listener>, BindError> {
    let mut listeners = Vec::new();
    while let Some(socket) = handed.take_any(HandedKind::Listening) {
        let refused = |error| BindError { what: "a socket handed in".to_owned(), flag: "LISTEN_FDS".to_owned(), error };
        let socket = listening(socket).map_err(refused)?;
        let tls = tls.filter(|_| matches!(socket, ListeningSocket::Tcp(_)));
        listeners.push(Listener { socket, tls, spoken: None });
    }
    Ok(listeners)
}

/// A listening socket with what its clients' sockets inherit.
fn listening(socket: Socket) -> io::Result<ListeningSocket> {
    if socket.domain()? == Domain::UNIX {
        return Ok(ListeningSocket::Unix(mio::net::UnixListener::from_std(socket.into())));
    }
    socket.set_keepalive(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(ListeningSocket::Tcp(mio::net::TcpListener::from_std(socket.into())))
}

/// Listening once more changes nothing but how many may wait.
fn relisten(socket: Socket, backlog: i32) -> io::Result<ListeningSocket> {
    socket.listen(backlog)?;
    listening(socket)
}

fn adopt_unix(socket: Socket, path: &Path, mode: u32, backlog: i32) -> Result<ListeningSocket, BindError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777))
        .and_then(|()| relisten(socket, backlog))
        .map_err(|error| refused_file(path, error))
}

/// Opens a socket for every address that a host has.
pub(super) fn open_each(
    host: Option<&str>,
    port: Port,
    transport: &str,
    mut open: impl FnMut(SocketAddr) -> io::Result<()>,
) -> Result<(), BindError> {
    let number = match port {
        Port::Off => return Ok(()),
        Port::Any => 0,
        Port::Number(number) => number,
    };
    let (what, flag) = match host {
        Some(host) => (format!("one of interface(s) {host}:{number}"), format!("-l {host}:{number}")),
        None if transport == "UDP" => (format!("UDP port {number}"), format!("-U {number}")),
        None => (format!("{transport} port {number}"), format!("-p {number}")),
    };
    let addresses = match resolve(host, number) {
        Ok(addresses) => addresses,
        Err(error) => return Err(BindError { what, flag, error }),
    };
    let (mut opened, mut skipped) = (0, None);
    for address in addresses {
        match open(address) {
            Ok(()) => opened += 1,
            // A kernel without IPv6 still serves IPv4, and the other way round.
            Err(error) if is_absent_family(&error) => skipped = Some(error),
            Err(error) => return Err(BindError { what, flag, error }),
        }
    }
    if opened > 0 {
        return Ok(());
    }
    let error = skipped.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable));
    Err(BindError { what, flag, error })
}

/// What files of ports tell of an address.
pub(super) fn family_and_port(address: SocketAddr) -> (Family, u16) {
    (if address.is_ipv4() { Family::Inet } else { Family::Inet6 }, address.port())
}

fn resolve(host: Option<&str>, port: u16) -> io::Result<Vec<SocketAddr>> {
    let Some(host) = host else {
        let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        return Ok(all.into_iter().map(|address| SocketAddr::new(address, port)).collect());
    };
    let host = if host == "*" { "0.0.0.0" } else { host };
    let mut addresses = Vec::new();
    for address in (host, port).to_socket_addrs()? {
        // A name may stand in the hosts file twice.
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn is_absent_family(error: &io::Error) -> bool {
    let absent = [libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|number| absent.contains(&number))
}

fn listen_tcp(address: SocketAddr, options: &Options) -> io::Result<mio::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_keepalive(true)?;
    socket.set_tcp_nodelay(true)?;
    if options.socket_mark != 0 {
        socket.set_mark(options.socket_mark)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

fn bind_unix(path: &Path, mode: u32, backlog: i32) -> Result<ListeningSocket, BindError> {
    listen_unix(path, mode, backlog).map(ListeningSocket::Unix).map_err(|error| refused_file(path, error))
}

fn refused_file(path: &Path, error: io::Error) -> BindError {
    let file = path.display();
    BindError { what: format!("UNIX socket: {file}"), flag: format!("-s {file}"), error }
}

fn listen_unix(path: &Path, mode: u32, backlog: i32) -> io::Result<mio::net::UnixListener> {
    remove_old_socket(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before `listen` nobody can connect, so nobody gets past a mode that is not set yet.
    fs::set_permissions(PathBuf::from(path), fs::Permissions::from_mode(mode & 0o777))?;
    socket.listen(backlog)?;
    Ok(mio::net::UnixListener::from_std(socket.into()))
}

/// A socket left by an earlier run is in the way; one where a server listens, and any other file, is somebody's, and
/// bind will say so.
fn remove_old_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() && !is_listened_on(path) => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Whether somebody would take a connection, though it may be later: the backlog may be full.
fn is_listened_on(path: &Path) -> bool {
    match mio::net::UnixStream::connect(path) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::{fs, net};

    use super::{Family, ListeningSocket, bind};
    use crate::net::{Endpoint, Handed, Options, Port, Stream};

    fn options(host: &str) -> Options {
        let host = Some(host.to_owned());
        let endpoints = vec![Endpoint::Tcp { host, port: Port::Any, tls: None, spoken: None }];
        Options { endpoints, backlog: 16, socket_mark: 0 }
    }

    #[test]
    fn accepted_sockets_inherit_nodelay_and_keepalive() {
        let listeners = bind(&options("127.0.0.1"), &mut Handed::default()).expect("a free port");
        let (family, port) = listeners[0].port().expect("TCP has a port");
        assert_eq!(family, Family::Inet);
        let _client = net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let accepted = listeners[0].accept().expect("one connection waits").stream;
        assert!(accepted.is_tcp());
        let accepted = match &accepted {
            Stream::Tcp(stream, _) => socket2::SockRef::from(stream),
            Stream::Unix(stream) => socket2::SockRef::from(stream),
        };
        assert!(accepted.tcp_nodelay().expect("a TCP socket"));
        assert!(accepted.keepalive().expect("a TCP socket"));
        assert_eq!(listeners[0].accept().expect_err("no second one").kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_port_in_use_is_refused() {
        let listeners = bind(&options("127.0.0.1"), &mut Handed::default()).expect("a free port");
        let (_, port) = listeners[0].port().expect("TCP has a port");
        let host = Some("127.0.0.1".to_owned());
        let endpoints = vec![Endpoint::Tcp { host, port: Port::Number(port), tls: None, spoken: None }];
        let error = bind(&Options { endpoints, backlog: 16, socket_mark: 0 }, &mut Handed::default())
            .expect_err("it is in use");
        assert!(error.to_string().starts_with("failed to listen on one of interface(s) 127.0.0.1:"), "{error}");
    }

    #[test]
    fn an_old_socket_is_replaced_and_another_file_is_not() {
        let folder = std::env::temp_dir().join(format!("flagstone-unix-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let path = folder.join("socket");
        let endpoints = vec![Endpoint::Unix { path: path.clone(), mode: 0o600, spoken: None }];
        let options = Options { endpoints, backlog: 16, socket_mark: 0 };
        drop(bind(&options, &mut Handed::default()).expect("the first run"));
        let second = bind(&options, &mut Handed::default()).expect("the second run");
        assert!(matches!(second[0].socket, ListeningSocket::Unix(_)));
        let mode = fs::metadata(&path).expect("the socket's file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_file(&path).expect("ours");
        fs::write(&path, "somebody's").expect("a plain file");
        assert!(bind(&options, &mut Handed::default()).is_err());
        assert_eq!(fs::read(&path).expect("still there"), b"somebody's");
        fs::remove_dir_all(&folder).expect("ours");
    }
}
