//! Files of memory: opened for one user, locked for one process, asked what they lie on. And which boot this is.

use std::fs::{File, OpenOptions, Permissions, read_to_string};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::statfs::{self, FsType, fstatfs};
use nix::unistd::geteuid;

/// Who may read and write a file of memory: its owner.
const MODE: u32 = 0o600;
/// Unit in which a file's memory is told.
const BLOCK_BYTES: u64 = 512;

/// File systems that are memory; `nix` has no name for the second, as older systems of ours have none.
const IN_MEMORY: [FsType; 2] = [statfs::TMPFS_MAGIC, statfs::HUGETLBFS_MAGIC];

/// Opens a file, or makes it, for this user alone.
///
/// # Errors
/// When that is refused, and when it is no file, or another user's.
pub fn open_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

/// Makes a file of memory that has no path: it is there as long as a process has a descriptor of it.
///
/// # Errors
/// When the kernel has none, or the name is not one.
pub fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?.into())
}

/// Whether this file is the one at a path.
///
/// # Errors
/// When the kernel does not say.
pub fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let metadata = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(other) => Ok((metadata.dev(), metadata.ino()) == (other.dev(), other.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether no path leads to a file.
///
/// # Errors
/// When the kernel does not say.
pub fn is_nameless(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() == 0)
}

/// Locks a file for this process and those it forks, until the last of them ends; false when another has it.
///
/// # Errors
/// When the file system knows no locks.
pub fn lock(file: &File) -> io::Result<bool> {
    let word = |constant: i32| i16::try_from(constant).map_err(io::Error::other);
    let (l_type, l_whence) = (word(libc::F_WRLCK)?, word(libc::SEEK_SET)?);
    // All of the file, however long it becomes.
    let whole = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file is memory, and the kernel writes it to no disk.
///
/// # Errors
/// When the kernel does not say.
pub fn is_in_memory(file: &File) -> io::Result<bool> {
    Ok(IN_MEMORY.contains(&fstatfs(file)?.filesystem_type()))
}

/// The bytes that a file has, and those that its file system could give it beside them; `None`: as many as there are.
///
/// # Errors
/// When the kernel does not say.
pub fn room_bytes(file: &File) -> io::Result<Option<u64>> {
    let system = fstatfs(file)?;
    if system.blocks() == 0 {
        // A tmpfs without a limit.
        return Ok(None);
    }
    let block = u64::try_from(system.block_size()).map_err(io::Error::other)?;
    let has = file.metadata()?.blocks() * BLOCK_BYTES;
    Ok(Some(system.blocks_available().saturating_mul(block).saturating_add(has)))
}

/// A number that the machine has for its boot, and for no other.
///
/// # Errors
/// When the kernel does not say.
pub fn boot_id() -> io::Result<[u64; 2]> {
    let text = read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let half = |digits: Option<&str>| {
        let digits = digits.ok_or(io::ErrorKind::InvalidData)?;
        u64::from_str_radix(digits, 16).map_err(io::Error::other)
    };
    Ok([half(digits.get(..16))?, half(digits.get(16..32))?])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{boot_id, is_in_memory, lock, open_private, room_bytes};

    #[test]
    fn a_file_is_one_users_and_one_process_has_it() {
        let path = std::env::temp_dir().join(format!("flagstone-private-{}", std::process::id()));
        std::fs::write(&path, "left").expect("writable");
        let file = open_private(&path).expect("ours");
        assert_eq!(file.metadata().expect("open").permissions().mode() & 0o777, 0o600);
        assert!(lock(&file).expect("known") && lock(&file).expect("known"), "it is ours already");
        let other = open_private(&path).expect("it can be opened");
        assert!(!lock(&other).expect("known"));
        drop(file);
        assert!(lock(&other).expect("known"));
        assert!(room_bytes(&other).expect("known").is_none_or(|bytes| bytes > 4096));
        std::fs::remove_file(&path).expect("ours");
        open_private(&std::env::temp_dir()).expect_err("a folder");
    }

    #[test]
    fn memory_is_told_from_disks_and_a_boot_has_one_number() {
        let memfd = nix::sys::memfd::memfd_create(c"test", nix::sys::memfd::MFdFlags::empty()).expect("Linux has it");
        assert!(is_in_memory(&memfd.into()).expect("known"));
        let proc = std::fs::File::open("/proc/self/status").expect("Linux has it");
        assert!(!is_in_memory(&proc).expect("known"));
        assert_eq!(boot_id().expect("Linux has it"), boot_id().expect("Linux has it"));
    }
}
