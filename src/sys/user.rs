//! Becoming another user.
#![expect(unsafe_code, reason = "getpwnam_r, setgroups, setgid and setuid are not in std")]

use std::ffi::{CString, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Room for the strings of one line of the user database.
const PASSWD_LINE_BYTES_MAX: usize = 16 * 1024;

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: libc::uid_t,
    gid: libc::gid_t,
}

/// Whether this process may do everything.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: has no preconditions and cannot fail.
    let real = unsafe { libc::getuid() };
    // SAFETY: has no preconditions and cannot fail.
    let effective = unsafe { libc::geteuid() };
    real == 0 || effective == 0
}

/// Looks a user up by name; `None` when there is none.
#[must_use]
pub fn find_user(name: &str) -> Option<User> {
    let name = CString::new(name).ok()?;
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut line: Vec<c_char> = vec![0; PASSWD_LINE_BYTES_MAX];
    let mut found: *mut libc::passwd = ptr::null_mut();
    // SAFETY: all pointers are to locals that live through the call, `line` with its true length, and `name`
    // ends with a NUL.
    let result =
        unsafe { libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), line.as_mut_ptr(), line.len(), &raw mut found) };
    if result != 0 || found.is_null() {
        return None;
    }
    // SAFETY: `found` is not null, so the call filled `entry`.
    let entry = unsafe { entry.assume_init() };
    Some(User { uid: entry.pw_uid, gid: entry.pw_gid })
}

/// Gives up the rights of root for good: supplementary groups first, the user last, as each step takes away
/// the right to the one before.
///
/// # Errors
/// When the kernel refuses a step. The process must not go on then.
pub fn become_user(user: User) -> io::Result<()> {
    // SAFETY: a length of 0 reads nothing from the null pointer.
    check(unsafe { libc::setgroups(0, ptr::null()) })?;
    // SAFETY: takes a number only.
    check(unsafe { libc::setgid(user.gid) })?;
    // SAFETY: takes a number only.
    check(unsafe { libc::setuid(user.uid) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::find_user;

    #[test]
    fn users_are_found_by_name() {
        let root = find_user("root").expect("every machine has root");
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(find_user("no such user, surely"), None);
        assert_eq!(find_user("a\0b"), None);
    }
}
