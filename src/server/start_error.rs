//! Why a server could not be started, in words that somebody can act on: why, and in a line below which flag asked for
//! it, and what would do.

use std::fmt;
use std::io;

use super::memory_file::MemoryFileError;
use super::takeover::TakeoverError;
use super::{SaslError, files};
use crate::config::MemoryFile;
use crate::store::OpenError;
use crate::{net, tls};

/// Why a server could not be started.
#[derive(Debug)]
pub enum StartError {
    /// An address, port or file to listen on could not be had.
    Bind(net::BindError),
    /// The file of `-e` could not be had.
    MemoryFile(MemoryFileError),
    /// The running server's place could not be taken.
    Takeover(TakeoverError),
    /// So many bytes of memory for the items could not be had.
    Store(OpenError, u64),
    /// The certificates could not be read.
    Certificates(tls::LoadError),
    /// The tokens that clients are to show could not be read.
    Tokens(files::TokensError),
    /// There is no way to judge who is who by SASL.
    Sasl(SaslError),
    /// The kernel refused descriptors or threads.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f)?,
            Self::MemoryFile(error) => error.fmt(f)?,
            Self::Takeover(error) => error.fmt(f)?,
            Self::Store(error, _) => error.fmt(f)?,
            Self::Certificates(error) => error.fmt(f)?,
            Self::Tokens(error) => error.fmt(f)?,
            Self::Sasl(error) => error.fmt(f)?,
            Self::System(error) => write!(f, "failed to start threads: {error}")?,
        }
        write!(f, "\nflagstone: {}: {}", self.given(), self.remedy())
    }
}

impl StartError {
    /// Flag and value that asked for what there is not.
    fn given(&self) -> String {
        match self {
            Self::Bind(error) => error.flag().to_owned(),
            Self::MemoryFile(error) => match error.file() {
                MemoryFile::At(path) => format!("-e {}", path.display()),
                MemoryFile::Nameless { is_stored: true } => "-o memory_fd_store".to_owned(),
                MemoryFile::Nameless { is_stored: false } => "--takeover".to_owned(),
            },
            Self::Takeover(_) => "--takeover".to_owned(),
            Self::Store(_, limit_bytes) => format!("-m {}", limit_bytes >> 20),
            Self::Certificates(error) => error.option(),
            Self::Tokens(error) => format!("-Y {}", error.path().display()),
            Self::Sasl(_) => "-S".to_owned(),
            Self::System(_) => "-t, -c".to_owned(),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Bind(error) => of_address(error.kind()),
            Self::MemoryFile(MemoryFileError::System(..)) => {
                "name a file of this user in a folder that is there, on tmpfs, as -e /dev/shm/flagstone"
            }
            Self::MemoryFile(MemoryFileError::InUse(..)) => "end that server first, or name another file",
            Self::MemoryFile(MemoryFileError::TooSmall(..)) => {
                "lower -m by so much, or make room there (mount -o remount,size=.. for a tmpfs)"
            }
            Self::MemoryFile(MemoryFileError::Another(_)) => {
                "give -e as the running server has it, or end that one first"
            }
            Self::Takeover(_) => "mend what it says; the running server goes on, and what it holds is not lost",
            Self::Store(OpenError::Memory(_), _) => "lower -m, or raise the limit of address space (ulimit -v)",
            Self::Store(OpenError::TooSmall, _) => "raise -m, or lower -I",
            Self::Certificates(_) => "name files in PEM that belong together and that this user may read",
            Self::Tokens(_) => "name a file that this user may read, of lines user:password",
            Self::Sasl(SaslError::NoWay(_)) => "set MEMCACHED_SASL_PWDB to such a file, or install libsasl2-2",
            Self::Sasl(SaslError::Refuses(_)) => "set MEMCACHED_SASL_PWDB, or write that memcached.conf",
            Self::System(_) => "lower them, or raise the limits of processes and open files (ulimit -u, -n)",
        }
    }
}

/// What would do in place of an address that cannot be listened on.
fn of_address(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "end the server that has it (ss -lp shows it), or give another port or file",
        io::ErrorKind::PermissionDenied => {
            "give a port from 1024 on, or a file in a folder of this user's; others are root's"
        }
        io::ErrorKind::AddrNotAvailable => "give an address of this machine: ip address lists them",
        io::ErrorKind::NotFound => "make the folder first, or name a file in one that is there",
        _ => "give an address of this machine, or a name that stands for one, as -l 127.0.0.1",
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
