//! What the listeners are told at start.

use std::path::PathBuf;

use super::address::{ListenAddress, Place, Port, Spoken, TlsTag};
use crate::tls::ClientCertificate;

/// The options of the listeners. `config` checks them before they get here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen; empty with `-p 0`: then nobody can connect.
    pub endpoints: Vec<Endpoint>,
    /// `-b`: connections the kernel holds until they are accepted.
    pub backlog: i32,
    /// `-o sock_cookie_id`: the mark (`SO_MARK`) that packet filters see; 0: none.
    pub socket_mark: u32,
}

impl Options {
    /// At how many addresses UDP is spoken.
    #[must_use]
    pub fn datagram_addresses(&self) -> usize {
        self.endpoints.iter().filter(|endpoint| matches!(endpoint, Endpoint::Udp { .. })).count()
    }
}

/// One place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address, or all interfaces.
    Tcp {
        /// `None`: all interfaces, IPv4 and IPv6, a socket each.
        host: Option<String>,
        /// Where.
        port: Port,
        /// What it wants of its clients' certificates; `None`: no TLS is spoken.
        tls: Option<ClientCertificate>,
        /// How its clients speak; `None`: as `-B` says.
        spoken: Option<Spoken>,
    },
    /// A UDP address, or all interfaces: a socket for each worker.
    Udp {
        /// As of TCP.
        host: Option<String>,
        /// Where.
        port: Port,
    },
    /// A unix socket.
    Unix {
        /// Its file; an old socket there is removed first.
        path: PathBuf,
        /// The file's mode.
        mode: u32,
        /// How its clients speak; `None`: as `-B` says.
        spoken: Option<Spoken>,
    },
}

impl Endpoint {
    /// What an address of `-l` and `-p` together say, or `-a` and `-Z`; `None` when they say not to listen.
    #[must_use]
    pub fn from_address(address: ListenAddress, default_port: Port, default_mode: u32, has_tls: bool) -> Option<Self> {
        let spoken = address.spoken;
        let tls = match address.tls {
            Some(TlsTag::Off) => None,
            Some(TlsTag::On(wanted)) => Some(wanted),
            None => has_tls.then_some(ClientCertificate::AsConfigured),
        };
        match address.place {
            Place::Unix { path, mode } => Some(Self::Unix { path, mode: mode.unwrap_or(default_mode), spoken }),
            Place::Inet { host, port } => match port.unwrap_or(default_port) {
                Port::Off => None,
                port => Some(Self::Tcp { host: Some(host), port, tls, spoken }),
            },
        }
    }

    /// What the same address and `-U` say of UDP; `None`: nothing. A port of the address comes first there, too, but
    /// UDP is off nevertheless without `-U`.
    #[must_use]
    pub fn of_datagrams(address: &ListenAddress, default_port: Port) -> Option<Self> {
        match &address.place {
            Place::Inet { host, port } if default_port != Port::Off => {
                Some(Self::Udp { host: Some(host.clone()), port: port.unwrap_or(default_port) })
            }
            Place::Inet { .. } | Place::Unix { .. } => None,
        }
    }

    /// What it wants of its clients' certificates; `None`: no TLS is spoken.
    #[must_use]
    pub fn tls(&self) -> Option<ClientCertificate> {
        match self {
            Self::Tcp { tls, .. } => *tls,
            Self::Udp { .. } | Self::Unix { .. } => None,
        }
    }

    /// Whether clients from everywhere reach it: no host, or one that stands for all interfaces.
    #[must_use]
    pub fn is_all_interfaces(&self) -> bool {
        match self {
            Self::Tcp { host: None, .. } | Self::Udp { host: None, .. } => true,
            Self::Tcp { host: Some(host), .. } | Self::Udp { host: Some(host), .. } => {
                matches!(host.as_str(), "0.0.0.0" | "::" | "*" | "0")
            }
            Self::Unix { .. } => false,
        }
    }
}
