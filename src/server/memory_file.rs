//! The file of `-e`: opened, locked, and big enough.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::memory_file_owner;
use crate::sys::file;

/// Why a file cannot be the memory of items.
#[derive(Debug)]
pub enum MemoryFileError {
    /// The system refuses something about it.
    System(PathBuf, io::Error),
    /// Another process has it: this one, if it says so.
    InUse(PathBuf, Option<u64>),
    /// Its file system has so many bytes too few.
    TooSmall(PathBuf, u64),
}

impl fmt::Display for MemoryFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(path, error) => write!(f, "memory file {}: {error}", path.display()),
            Self::InUse(path, Some(pid)) => write!(f, "memory file {} is in use by process {pid}", path.display()),
            Self::InUse(path, None) => write!(f, "memory file {} is in use", path.display()),
            Self::TooSmall(path, missing) => {
                let megabytes = missing.div_ceil(1 << 20);
                write!(f, "memory file {}: the file system has {megabytes} MB too little for -m", path.display())
            }
        }
    }
}

impl std::error::Error for MemoryFileError {}

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

/// Opens and locks the file, and warns if it lies on a disk.
///
/// # Errors
/// When it cannot be had, or has no room.
pub(super) fn open(path: &Path, limit_bytes: u64) -> Result<File, MemoryFileError> {
    let system = |error| MemoryFileError::System(path.to_owned(), error);
    let opened = file::open_private(path).map_err(system)?;
    if !file::lock(&opened).map_err(system)? {
        // What stands there is no more than a hint.
        return Err(MemoryFileError::InUse(path.to_owned(), memory_file_owner(&opened).ok().filter(|pid| *pid != 0)));
    }
    if let Some(room) = file::room_bytes(&opened).map_err(system)?
        && room < limit_bytes
    {
        return Err(MemoryFileError::TooSmall(path.to_owned(), limit_bytes - room));
    }
    if !file::is_in_memory(&opened).map_err(system)? {
        log::warn!("memory file {} lies on no tmpfs: the kernel will write it to disk", path.display());
    }
    Ok(opened)
}
