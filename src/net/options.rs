//! What the listeners are told at start.

use std::path::PathBuf;

use super::address::ListenAddress;

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

/// One place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address, or all interfaces.
    Tcp {
        /// `None`: all interfaces, IPv4 and IPv6, a socket each.
        host: Option<String>,
        /// Where.
        port: Port,
    },
    /// A unix socket.
    Unix {
        /// Its file; an old socket there is removed first.
        path: PathBuf,
        /// `-a`: the file's mode.
        mode: u32,
    },
}

/// A port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// `-p 0`: do not listen.
    Off,
    /// `-p -1`: the kernel picks.
    Any,
    /// This one, 1 to 65535.
    Number(u16),
}

impl Endpoint {
    /// What `-l`'s address and `-p` together say; `None` when both say not to listen.
    #[must_use]
    pub fn from_address(address: ListenAddress, default_port: Port) -> Option<Self> {
        match address.port.unwrap_or(default_port) {
            Port::Off => None,
            port => Some(Self::Tcp { host: Some(address.host), port }),
        }
    }

    /// Whether clients from everywhere reach it: no host, or one that stands for all interfaces.
    #[must_use]
    pub fn is_all_interfaces(&self) -> bool {
        match self {
            Self::Tcp { host: None, .. } => true,
            Self::Tcp { host: Some(host), .. } => matches!(host.as_str(), "0.0.0.0" | "::" | "*" | "0"),
            Self::Unix { .. } => false,
        }
    }
}
