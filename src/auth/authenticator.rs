//! [`Authenticator`]: judges what clients say in their SASL exchanges. It may block: it lives on a thread of its own.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::passwords::PasswordFile;
use crate::sys::cyrus::{self, Library, Outcome};

/// The one mechanism that a file of passwords can authenticator.
const PLAIN: &[u8] = b"PLAIN";

/// Where the system's library is looked for its configuration, if no variable says: memcached's places, each a file in
/// a folder, and the folder.
const CONFIGURATIONS: [(&str, &str); 4] = [
    ("/etc/sasl/memcached.conf/memcached.conf", "/etc/sasl/memcached.conf"),
    ("/etc/sasl/memcached.conf", "/etc/sasl"),
    ("/etc/sasl2/memcached.conf/memcached.conf", "/etc/sasl2/memcached.conf"),
    ("/etc/sasl2/memcached.conf", "/etc/sasl2"),
];

/// What the environment says about where passwords are.
#[derive(Debug, Default)]
pub struct Sources {
    /// `MEMCACHED_SASL_PWDB`: memcached's own file. Given, it alone counts.
    pub password_file: Option<PathBuf>,
    /// `SASL_CONF_PATH`: the folder of Cyrus SASL's `memcached.conf`.
    pub configuration: Option<CString>,
    /// This machine's name: the realm of users who name none.
    pub host: Vec<u8>,
}

/// Why there is no way to judge.
#[derive(Debug)]
pub enum OpenError {
    /// There is neither a file of passwords nor the system's library.
    NoWay(String),
    /// The system's library refuses to begin.
    Refuses(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWay(why) => write!(
                f,
                "SASL (-S) needs one of two: MEMCACHED_SASL_PWDB naming a file of user:password lines, or Cyrus SASL's \
                 libsasl2 installed, which it is not ({why})"
            ),
            Self::Refuses(why) => write!(
                f,
                "Error initializing sasl: {why}. Cyrus SASL wants a memcached.conf in /etc/sasl2, or in the \
                 folder that SASL_CONF_PATH names; MEMCACHED_SASL_PWDB naming a \
                 file of user:password lines needs neither"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// Who judges.
#[derive(Debug)]
enum Way {
    /// Memcached's own file, and the exchanges in which the message of PLAIN is awaited.
    File(PasswordFile, HashSet<u64>),
    /// The system's library.
    Cyrus(Library, HashMap<u64, cyrus::Exchange>),
}

/// Judges what clients say, in exchanges that are under way.
#[derive(Debug)]
pub struct Authenticator {
    way: Way,
    mechanisms: Option<Vec<u8>>,
}

impl Authenticator {
    /// Takes the way that the environment says.
    ///
    /// # Errors
    /// When there is none, or the library refuses.
    pub fn open(sources: Sources) -> Result<Self, OpenError> {
        let Sources { password_file, configuration, host } = sources;
        if let Some(path) = password_file {
            let file = PasswordFile::new(&path, host);
            if let Err(error) = file.read() {
                let path = file.path().display();
                log::warn!(path:%, error:%; "MEMCACHED_SASL_PWDB: nobody is let in until it can be read");
            }
            return Ok(Self { way: Way::File(file, HashSet::new()), mechanisms: Some(PLAIN.to_vec()) });
        }
        let configuration = configuration.or_else(found_configuration);
        let realm = CString::new(host).ok().filter(|host| !host.is_empty());
        let mut library = Library::open(configuration, realm).map_err(|error| match error {
            cyrus::OpenError::Absent(why) => OpenError::NoWay(why),
            cyrus::OpenError::Refuses(why) => OpenError::Refuses(why),
        })?;
        let mechanisms = library.mechanisms().map_err(|error| OpenError::Refuses(error.to_string()))?;
        Ok(Self { way: Way::Cyrus(library, HashMap::new()), mechanisms })
    }

    /// The mechanisms a client may choose from, parted by spaces; `None`: there are none.
    #[must_use]
    pub fn mechanisms(&self) -> Option<&[u8]> {
        self.mechanisms.as_deref()
    }

    /// Takes the choice of a mechanism and what came with it. It begins anew: one that is refused leaves nothing to go
    /// on with, nor does one that is through.
    pub(super) fn start(&mut self, id: u64, mechanism: &[u8], said: &[u8]) -> Outcome {
        self.end(id);
        match &mut self.way {
            Way::File(file, open) => {
                let name = mechanism.split(|byte| *byte == 0).next().unwrap_or_default();
                if !name.eq_ignore_ascii_case(PLAIN) {
                    return Outcome::Refused;
                }
                // Nothing was said with it: it is asked for.
                if said.is_empty() {
                    open.insert(id);
                    return Outcome::Challenge(Vec::new());
                }
                judged(file, said)
            }
            Way::Cyrus(library, open) => {
                let Ok(mut exchange) = library.begin() else { return Outcome::Refused };
                let outcome = library.start(&mut exchange, mechanism, said);
                if matches!(outcome, Outcome::Challenge(_)) {
                    open.insert(id, exchange);
                } else {
                    library.end(exchange);
                }
                outcome
            }
        }
    }

    /// Takes a response to a challenge. One that is refused may be tried again, as with memcached.
    pub(super) fn step(&mut self, id: u64, said: &[u8]) -> Outcome {
        let outcome = match &mut self.way {
            Way::File(file, open) if open.contains(&id) => judged(file, said),
            Way::Cyrus(library, open) => match open.get_mut(&id) {
                Some(exchange) => library.step(exchange, said),
                None => Outcome::Refused,
            },
            Way::File(..) => Outcome::Refused,
        };
        if outcome == Outcome::Accepted {
            self.end(id);
        }
        outcome
    }

    /// Forgets an exchange.
    pub(super) fn end(&mut self, id: u64) {
        match &mut self.way {
            Way::File(_, open) => {
                open.remove(&id);
            }
            Way::Cyrus(library, open) => {
                if let Some(exchange) = open.remove(&id) {
                    library.end(exchange);
                }
            }
        }
    }

    /// Exchanges under way.
    #[cfg(test)]
    pub(super) fn open_exchanges(&self) -> usize {
        match &self.way {
            Way::File(_, open) => open.len(),
            Way::Cyrus(_, open) => open.len(),
        }
    }
}

fn judged(file: &PasswordFile, said: &[u8]) -> Outcome {
    if file.admits(said) { Outcome::Accepted } else { Outcome::Refused }
}

fn found_configuration() -> Option<CString> {
    let (_, folder) = CONFIGURATIONS.iter().find(|(file, _)| Path::new(file).exists())?;
    CString::new(*folder).ok()
}
