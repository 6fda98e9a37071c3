//! The files by which other programs find this one, the pidfile and the file of bound ports, and the file of tokens.
//!
//! What is written is written beside its place and renamed, so that nobody reads half of it.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::auth::{TOKENS_MAX, Tokens};
use crate::net::{DatagramSocket, Family, Listener};
use crate::sys::process::is_alive;

/// More of a file of tokens is not read: eight lines of 256 bytes count, the rest may be notes.
const TOKENS_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where tokens are read from, at the start and again later.
#[derive(Debug)]
pub struct TokensFile {
    /// Absolute: a daemon leaves the folder that a relative path starts from.
    path: PathBuf,
}

/// Why tokens could not be read, in memcached's words.
#[derive(Debug)]
pub enum TokensError {
    /// The file could not be opened or read.
    Unreadable(PathBuf, io::Error),
    /// It is not what it should be.
    Malformed(PathBuf),
}

impl fmt::Display for TokensError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "Could not open authfile [{}] for reading, error {error}", path.display())
            }
            Self::Malformed(path) => {
                write!(f, "Authfile [{}] has a malformed entry. Should be 'user:password'", path.display())
            }
        }
    }
}

impl std::error::Error for TokensError {}

impl TokensError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable(path, _) | Self::Malformed(path) => path,
        }
    }
}

impl TokensFile {
    /// The file, and what it says now.
    ///
    /// # Errors
    /// When it cannot be read or a line of it is no token.
    pub fn open(path: &Path) -> Result<(Self, Tokens), TokensError> {
        let file = Self { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) };
        let tokens = file.read()?;
        Ok((file, tokens))
    }

    /// What it says now.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(&self) -> Result<Tokens, TokensError> {
        let unreadable = |error| TokensError::Unreadable(self.path.clone(), error);
        let file = fs::File::open(&self.path).map_err(unreadable)?;
        let mut text = Vec::new();
        file.take(TOKENS_FILE_BYTES_MAX).read_to_end(&mut text).map_err(unreadable)?;
        let tokens = Tokens::parse(&text).map_err(|_| TokensError::Malformed(self.path.clone()))?;
        if tokens.is_cut() {
            log::warn!(path:% = self.path.display(); "authfile: only the first {TOKENS_MAX} lines are heeded");
        }
        Ok(tokens)
    }

    /// Its place.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes `-P`'s file: this process's number and a line end. A living process in an older one is worth a
/// warning, not more: numbers are used again.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pidfile(path: &Path) -> io::Result<()> {
    let old = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    if let Some(pid) = old.filter(|pid| is_alive(*pid)) {
        log::warn!(path:% = path.display(), pid; "the pid file names a process that is alive");
    }
    replace(path, "tmp", &format!("{}\n", std::process::id()))
}

/// Writes the ports that listeners and UDP sockets got, a line each, as `MEMCACHED_PORT_FILENAME` asks for.
///
/// # Errors
/// When the file cannot be written.
pub fn write_ports(path: &Path, listeners: &[Listener], datagrams: &[DatagramSocket]) -> io::Result<()> {
    let mut text = String::new();
    let streams = listeners.iter().filter_map(Listener::port).map(|port| ("TCP", port));
    let datagrams = datagrams.iter().filter_map(DatagramSocket::port).map(|port| ("UDP", port));
    for (transport, (family, port)) in streams.chain(datagrams) {
        let family = match family {
            Family::Inet => "INET",
            Family::Inet6 => "INET6",
        };
        text.push_str(&format!("{transport} {family}: {port}\n"));
    }
    replace(path, "lck", &text)
}

/// `ending` comes behind the whole name, as with memcached, and replaces nothing of it.
fn replace(path: &Path, ending: &str, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    let beside = PathBuf::from(name);
    // What lies there was left behind, or put there for us to write through.
    if let Err(error) = fs::remove_file(&beside)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = fs::File::create_new(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // A failure leaves nothing; if this fails, too, there is nothing more to do.
        drop(fs::remove_file(&beside));
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{TokensError, TokensFile, write_pidfile, write_ports};
    use crate::net::{Endpoint, Handed, Options, Port, bind, bind_datagrams};

    #[test]
    fn the_files_hold_what_memcached_writes() {
        let folder = std::env::temp_dir().join(format!("flagstone-files-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let (pids, ports) = (folder.join("a.pid"), folder.join("ports"));
        write_pidfile(&pids).expect("writable");
        write_pidfile(&pids).expect("writable again");
        assert_eq!(fs::read_to_string(&pids).expect("written"), format!("{}\n", std::process::id()));
        let host = Some("127.0.0.1".to_owned());
        let udp = Endpoint::Udp { host: host.clone(), port: Port::Any };
        let options = Options {
            endpoints: vec![Endpoint::Tcp { host, port: Port::Any, tls: None, spoken: None }, udp],
            backlog: 1,
            socket_mark: 0,
        };
        let listeners = bind(&options, &mut Handed::default()).expect("a free port");
        let datagrams = bind_datagrams(&options, 2, &mut Handed::default()).expect("a free port");
        write_ports(&ports, &listeners, &datagrams[0]).expect("writable");
        let (_, port) = listeners[0].port().expect("TCP has a port");
        let (_, datagram_port) = datagrams[0][0].port().expect("UDP has a port");
        let expected = format!("TCP INET: {port}\nUDP INET: {datagram_port}\n");
        assert_eq!(fs::read_to_string(&ports).expect("written"), expected);
        assert_eq!(fs::read_dir(&folder).expect("ours").count(), 2);
        fs::remove_dir_all(&folder).expect("ours");
    }

    #[test]
    fn a_file_is_not_written_through_a_link_and_a_failure_leaves_none() {
        let folder = std::env::temp_dir().join(format!("flagstone-links-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let (pids, precious) = (folder.join("a.pid"), folder.join("precious"));
        fs::write(&precious, "precious").expect("writable");
        std::os::unix::fs::symlink(&precious, folder.join("a.pid.tmp")).expect("a link");
        write_pidfile(&pids).expect("writable");
        assert_eq!(fs::read_to_string(&precious).expect("still there"), "precious");
        assert!(fs::symlink_metadata(&pids).expect("written").is_file());
        let occupied = folder.join("occupied");
        fs::create_dir(&occupied).expect("a folder");
        write_ports(&occupied, &[], &[]).expect_err("no file takes a folder's place");
        assert!(!folder.join("occupied.lck").exists());
        fs::remove_dir_all(&folder).expect("ours");
    }

    #[test]
    fn a_file_without_tokens_says_which_one_it_is() {
        let path = std::env::temp_dir().join(format!("flagstone-tokens-{}", std::process::id()));
        let missing = TokensFile::open(&path).expect_err("not there");
        assert!(matches!(&missing, TokensError::Unreadable(..)), "{missing}");
        fs::write(&path, "nocolon\n").expect("writable");
        let malformed = TokensFile::open(&path).expect_err("no token").to_string();
        assert!(malformed.starts_with("Authfile [") && malformed.contains("flagstone-tokens"), "{malformed}");
        fs::write(&path, "a:b").expect("writable");
        TokensFile::open(&path).expect("a token");
        fs::remove_file(&path).expect("ours");
    }
}
