//! The files by which other programs find this one: the pidfile and the file of bound ports.
//!
//! Both are written beside their place and renamed, so that nobody reads half of one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::net::{Family, Listener};
use crate::sys::process::is_alive;

/// Writes `-P`'s file: this process's number and a line end. A living process in an older one is worth a
/// warning, not more: numbers are used again.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pidfile(path: &Path) -> io::Result<()> {
    let old = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    if let Some(pid) = old.filter(|pid| is_alive(*pid)) {
        log::warn!("the pid file {} names process {pid}, which is alive", path.display());
    }
    replace(path, "tmp", &format!("{}\n", std::process::id()))
}

/// Writes the ports that TCP listeners got, a line each, as `MEMCACHED_PORT_FILENAME` asks for.
///
/// # Errors
/// When the file cannot be written.
pub fn write_ports(path: &Path, listeners: &[Listener]) -> io::Result<()> {
    let mut text = String::new();
    for (family, port) in listeners.iter().filter_map(Listener::port) {
        let family = match family {
            Family::Inet => "INET",
            Family::Inet6 => "INET6",
        };
        text.push_str(&format!("TCP {family}: {port}\n"));
    }
    replace(path, "lck", &text)
}

/// `ending` comes behind the whole name, as with memcached, and replaces nothing of it.
fn replace(path: &Path, ending: &str, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    let beside = PathBuf::from(name);
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{write_pidfile, write_ports};
    use crate::net::{Endpoint, Options, Port, bind};

    #[test]
    fn the_files_hold_what_memcached_writes() {
        let folder = std::env::temp_dir().join(format!("flagstone-files-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let (pids, ports) = (folder.join("a.pid"), folder.join("ports"));
        write_pidfile(&pids).expect("writable");
        write_pidfile(&pids).expect("writable again");
        assert_eq!(fs::read_to_string(&pids).expect("written"), format!("{}\n", std::process::id()));
        let endpoints = vec![Endpoint::Tcp { host: Some("127.0.0.1".to_owned()), port: Port::Any }];
        let listeners = bind(&Options { endpoints, backlog: 1, socket_mark: 0 }).expect("a free port");
        write_ports(&ports, &listeners).expect("writable");
        let (_, port) = listeners[0].port().expect("TCP has a port");
        assert_eq!(fs::read_to_string(&ports).expect("written"), format!("TCP INET: {port}\n"));
        assert_eq!(fs::read_dir(&folder).expect("ours").count(), 2);
        fs::remove_dir_all(&folder).expect("ours");
    }
}
