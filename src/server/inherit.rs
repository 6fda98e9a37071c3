//! What a server begins with that another process has opened: the service manager's sockets and the memory that it kept
//! (`LISTEN_FDS`), or all of the server before (`--takeover`).

use std::fs::File;
use std::os::fd::OwnedFd;

use socket2::Socket;

use super::memory_file::STORED_AS;
use super::takeover::{Predecessor, TakeoverError};
use crate::config::{Config, MemoryFile};
use crate::net::{self, BindError, DatagramSocket, Handed, Listener};

/// What is taken over.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    pub(super) sockets: Handed,
    /// The service manager decides where is listened.
    pub(super) is_activated: bool,
    pub(super) memory: Option<File>,
    pub(super) door: Option<Socket>,
    pub(super) predecessor: Option<Predecessor>,
}

/// Sockets of a server: listeners, and those of UDP by worker.
type Sockets = (Vec<Listener>, Vec<Vec<DatagramSocket>>);

impl Inherited {
    /// All that the server before has, if one runs, else what the service manager hands in.
    pub(super) fn find(config: &Config, activated: Vec<(OwnedFd, String)>) -> Result<Self, TakeoverError> {
        if let Some(path) = &config.takeover
            && let Some((predecessor, given)) = Predecessor::find(path)?
        {
            let inherited = Self::of_server(given, false);
            if inherited.memory.is_none() {
                return Err(TakeoverError::NoMemory);
            }
            return Ok(Self { predecessor: Some(predecessor), ..inherited });
        }
        let mut inherited = Self::default();
        let is_stored = matches!(config.memory_file, Some((MemoryFile::Nameless { is_stored: true }, _)));
        for (descriptor, name) in activated {
            if name == STORED_AS && is_stored {
                inherited.memory = Some(File::from(descriptor));
            } else if inherited.sockets.add(descriptor).is_err() {
                log::warn!(name; "ignored: this descriptor of LISTEN_FDS is no socket to listen on");
            }
        }
        inherited.is_activated = !inherited.sockets.is_empty();
        Ok(inherited)
    }

    /// What a server gave; the kernel says what each is.
    pub(super) fn of_server(given: Vec<OwnedFd>, is_activated: bool) -> Self {
        let mut inherited = Self { is_activated, ..Self::default() };
        for descriptor in given {
            let Err(descriptor) = inherited.sockets.add(descriptor) else { continue };
            let file = File::from(descriptor);
            match file.metadata() {
                Ok(metadata) if metadata.is_file() => inherited.memory = Some(file),
                _ => inherited.door = Some(Socket::from(OwnedFd::from(file))),
            }
        }
        inherited
    }

    /// Listens: where the service manager says, else where the flags say, on sockets that are there already if one is.
    pub(super) fn bind(&mut self, config: &Config) -> Result<Sockets, BindError> {
        let (net, workers, handed) = (&config.net, config.clients.workers, &mut self.sockets);
        if self.is_activated {
            let tls = config.tls.as_ref().map(|_| crate::tls::ClientCertificate::AsConfigured);
            return Ok((net::adopt(handed, tls)?, net::adopt_datagrams(handed, workers)));
        }
        let listeners = net::bind(net, handed)?;
        Ok((listeners, net::bind_datagrams(net, workers, handed)?))
    }
}
