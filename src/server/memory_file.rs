//! The file of `-e`: opened, locked, and big enough. Or one without a path, which is handed on.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::config::MemoryFile;
use crate::store::memory_file_owner;
use crate::sys::file;
use crate::sys::notify::Manager;

/// What the service manager calls the file that it keeps (`FDNAME`).
pub(super) const STORED_AS: &str = "flagstone-memory";

/// Why a file cannot be the memory of items.
#[derive(Debug)]
pub enum MemoryFileError {
    /// The system refuses something about it.
    System(MemoryFile, io::Error),
    /// Another process has it: this one, if it says so.
    InUse(MemoryFile, Option<u64>),
    /// Its file system has so many bytes too few.
    TooSmall(MemoryFile, u64),
    /// The one that was handed over is not the one that is asked for.
    Another(MemoryFile),
}

impl fmt::Display for MemoryFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(file, error) => write!(f, "memory file {file}: {error}"),
            Self::InUse(file, Some(pid)) => write!(f, "memory file {file} is in use by process {pid}"),
            Self::InUse(file, None) => write!(f, "memory file {file} is in use"),
            Self::TooSmall(file, missing) => {
                let megabytes = missing.div_ceil(1 << 20);
                write!(f, "memory file {file}: the file system has {megabytes} MB too little for -m")
            }
            Self::Another(file) => {
                write!(
                    f,
                    "memory file {file}: the running server has its items elsewhere, -e has to be as it was there"
                )
            }
        }
    }
}

impl std::error::Error for MemoryFileError {}

impl MemoryFileError {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &MemoryFile {
        match self {
            Self::System(file, _) | Self::InUse(file, _) | Self::TooSmall(file, _) | Self::Another(file) => file,
        }
    }
}

/// Where the items of a file are moved that cannot become what is asked for: beside it, until it takes its name.
pub(super) fn beside(path: &Path) -> PathBuf {
    named_after(path, ".moving")
}

/// The name that a file gets which is not kept and not to be lost.
pub(super) fn old(path: &Path) -> PathBuf {
    named_after(path, ".old")
}

fn named_after(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Opens and locks the file, or checks that it is the one that was handed over, and warns if it lies on a disk.
///
/// # Errors
/// When it cannot be had, or has no room.
pub(super) fn open(wanted: &MemoryFile, handed: Option<File>, limit_bytes: u64) -> Result<File, MemoryFileError> {
    let system = |error| MemoryFileError::System(wanted.clone(), error);
    let opened = match (handed, wanted) {
        (None, MemoryFile::At(path)) => open_at(path, wanted)?,
        (None, MemoryFile::Nameless { .. }) => file::memory("flagstone").map_err(system)?,
        (Some(file), _) if is_wanted(&file, wanted).map_err(system)? => file,
        (Some(_), _) => return Err(MemoryFileError::Another(wanted.clone())),
    };
    if let Some(room) = file::room_bytes(&opened).map_err(system)?
        && room < limit_bytes
    {
        return Err(MemoryFileError::TooSmall(wanted.clone(), limit_bytes - room));
    }
    if !file::is_in_memory(&opened).map_err(system)? {
        log::warn!(file:% = wanted; "the memory file lies on no tmpfs: the kernel will write it to disk");
    }
    if *wanted == (MemoryFile::Nameless { is_stored: true }) {
        keep(&opened);
    }
    Ok(opened)
}

fn open_at(path: &Path, wanted: &MemoryFile) -> Result<File, MemoryFileError> {
    let system = |error| MemoryFileError::System(wanted.clone(), error);
    let opened = file::open_private(path).map_err(system)?;
    if !file::lock(&opened).map_err(system)? {
        // What stands there is no more than a hint.
        return Err(MemoryFileError::InUse(wanted.clone(), memory_file_owner(&opened).ok().filter(|pid| *pid != 0)));
    }
    Ok(opened)
}

fn is_wanted(file: &File, wanted: &MemoryFile) -> io::Result<bool> {
    match wanted {
        MemoryFile::At(path) => file::is_same(file, path),
        MemoryFile::Nameless { .. } => file::is_nameless(file),
    }
}

/// Gives the service manager a descriptor of it; what it has already it keeps once.
fn keep(file: &File) {
    let state = format!("FDSTORE=1\nFDNAME={STORED_AS}");
    match Manager::open().and_then(|manager| manager.tell_with(&state, &[file.as_fd()])) {
        Ok(true) => {}
        Ok(false) => {
            log::warn!(option = "memory_fd_store"; "no service manager is there: the items end with this process");
        }
        Err(error) => log::warn!(option = "memory_fd_store", error:%; "the service manager could not be told"),
    }
}
