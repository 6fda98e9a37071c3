//! Becoming another user; the realm of users who name none.

use std::io;
use std::os::unix::ffi::OsStringExt;

use nix::unistd::{Gid, Uid, gethostname, setgid, setgroups, setuid};

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: Uid,
    gid: Gid,
}

/// Whether this process may do everything.
#[must_use]
pub fn is_root() -> bool {
    Uid::current().is_root() || Uid::effective().is_root()
}

/// The number of the user whose rights hold.
#[must_use]
pub fn own_number() -> u32 {
    Uid::effective().as_raw()
}

/// Looks a user up by name; `None` when there is none.
#[must_use]
pub fn find_user(name: &str) -> Option<User> {
    let found = nix::unistd::User::from_name(name).ok()??;
    Some(User { uid: found.uid, gid: found.gid })
}

/// This machine's name, which users belong to that name no realm; empty when it cannot be had.
#[must_use]
pub fn host_name() -> Vec<u8> {
    gethostname().map(OsStringExt::into_vec).unwrap_or_default()
}

/// Gives up the rights of root for good: supplementary groups first, the user last, as each step takes away
/// the right to the one before.
///
/// # Errors
/// When the kernel refuses a step. The process must not go on then.
pub fn become_user(user: User) -> io::Result<()> {
    setgroups(&[])?;
    setgid(user.gid)?;
    Ok(setuid(user.uid)?)
}

#[cfg(test)]
mod tests {
    use super::find_user;

    #[test]
    fn users_are_found_by_name() {
        let root = find_user("root").expect("every machine has root");
        assert_eq!((root.uid.as_raw(), root.gid.as_raw()), (0, 0));
        assert_eq!(find_user("no such user, surely"), None);
        assert_eq!(find_user("a\0b"), None);
    }
}
