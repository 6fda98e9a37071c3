//! UDP sockets: each worker has its own at every address, so that none waits for another. The kernel gives all that
//! comes from one client's port to the same one (`SO_REUSEPORT`).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use super::address::Port;
use super::handed::{Handed, HandedKind};
use super::listener::{BindError, Family, family_and_port, open_each};
use super::options::{Endpoint, Options};
use super::stream::descriptor_of;

/// Room in the kernel for datagrams that came and for those that leave, in bytes: most systems allow less, which then
/// holds. A reply of a megabyte leaves at once.
const KERNEL_BUFFER_BYTES: usize = 2 << 20;

/// A bound, non-blocking UDP socket.
#[derive(Debug)]
pub struct DatagramSocket(mio::net::UdpSocket);

impl DatagramSocket {
    /// Takes one datagram, as far as the buffer holds it, and the address it came from.
    ///
    /// # Errors
    /// `WouldBlock` when none is there, else what the kernel says; the next one may be there nevertheless.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(buffer)
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// `WouldBlock` when the kernel's buffer is full, else what the kernel says.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send_to(datagram, to).map(drop)
    }

    /// Family and port.
    #[must_use]
    pub fn port(&self) -> Option<(Family, u16)> {
        self.0.local_addr().ok().map(family_and_port)
    }

    /// Its descriptor.
    #[must_use]
    pub fn descriptor(&self) -> u32 {
        descriptor_of(&self.0)
    }

    /// Its own address in memcached's words. Asks the kernel.
    #[must_use]
    pub fn local_text(&self) -> String {
        self.0.local_addr().map_or_else(|_| "udp:".to_owned(), udp_text)
    }
}

/// `udp:IP:PORT` or `udp6:[IP]:PORT`.
#[must_use]
pub fn udp_text(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    if ip.is_ipv4() { format!("udp:{ip}:{port}") } else { format!("udp6:[{ip}]:{port}") }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Source for DatagramSocket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.0.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.0.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.0.deregister(registry)
    }
}

/// Binds every UDP endpoint for each of so many workers: a list of sockets for each of them, in the same order. An
/// address that others reach than this machine is warned of. Sockets there that were handed in come first; if they are
/// more than workers, the rest is closed, with the datagrams that wait in it.
///
/// # Errors
/// The first endpoint that cannot be had.
pub fn bind_datagrams(
    options: &Options,
    workers: usize,
    handed: &mut Handed,
) -> Result<Vec<Vec<DatagramSocket>>, BindError> {
    let mut sockets: Vec<Vec<DatagramSocket>> = (0..workers).map(|_| Vec::new()).collect();
    for endpoint in &options.endpoints {
        let Endpoint::Udp { host, port } = endpoint else { continue };
        open_each(host.as_deref(), *port, "UDP", |address| {
            let first = handed.take_inet(HandedKind::Datagrams, address, *port);
            let address = match &first {
                Some(socket) => inet_address(socket)?,
                None => free_address(address)?,
            };
            let mut next = first;
            for of_worker in &mut sockets {
                let taken = next.take().or_else(|| handed.take_inet(HandedKind::Datagrams, address, Port::Off));
                of_worker.push(taken.map_or_else(|| open(address, options), |socket| Ok(adopted(socket)))?);
            }
            if !address.ip().is_loopback() {
                log::warn!(
                    address:%;
                    "UDP on {address}: who forges a sender's address has replies sent there that are far longer \
                     than the requests; -l 127.0.0.1 or a firewall keeps them out"
                );
            }
            Ok(())
        })?;
    }
    Ok(sockets)
}

/// The address with a port that nobody has: sockets of `SO_REUSEPORT` alone would share it with another server of the
/// same user.
fn free_address(address: SocketAddr) -> io::Result<SocketAddr> {
    let trial = new_socket(address)?;
    trial.bind(&address.into())?;
    inet_address(&trial)
}

fn inet_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

/// Gives the UDP sockets that were handed in to the workers in turn, whatever the endpoints say.
pub fn adopt_datagrams(handed: &mut Handed, workers: usize) -> Vec<Vec<DatagramSocket>> {
    let mut sockets: Vec<Vec<DatagramSocket>> = (0..workers).map(|_| Vec::new()).collect();
    let mut turn = 0;
    while let Some(socket) = handed.take_any(HandedKind::Datagrams) {
        sockets[turn % workers].push(adopted(socket));
        turn += 1;
    }
    sockets
}

fn adopted(socket: Socket) -> DatagramSocket {
    DatagramSocket(mio::net::UdpSocket::from_std(socket.into()))
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn open(address: SocketAddr, options: &Options) -> io::Result<DatagramSocket> {
    let socket = new_socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES)?;
    socket.set_send_buffer_size(KERNEL_BUFFER_BYTES)?;
    if options.socket_mark != 0 {
        socket.set_mark(options.socket_mark)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(adopted(socket))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::{bind_datagrams, udp_text};
    use crate::net::{Endpoint, Handed, Options, Port};

    fn options(port: Port) -> Options {
        let endpoints = vec![Endpoint::Udp { host: Some("127.0.0.1".to_owned()), port }];
        Options { endpoints, backlog: 1, socket_mark: 0 }
    }

    #[test]
    fn workers_share_a_port_and_no_socket_and_another_server_is_refused() {
        let sockets = bind_datagrams(&options(Port::Any), 3, &mut Handed::default()).expect("a free port");
        let ports: Vec<_> = sockets.iter().map(|of_worker| of_worker[0].port().expect("it is bound")).collect();
        assert!(ports.len() == 3 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
        let number = ports[0].1;
        bind_datagrams(&options(Port::Number(number)), 1, &mut Handed::default()).expect_err("it is in use");
        UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).expect_err("it is in use");
    }

    #[test]
    fn addresses_are_written_in_the_words_of_memcached() {
        assert_eq!(udp_text("127.0.0.1:11211".parse().expect("an address")), "udp:127.0.0.1:11211");
        assert_eq!(udp_text("[::1]:11211".parse().expect("an address")), "udp6:[::1]:11211");
    }
}
