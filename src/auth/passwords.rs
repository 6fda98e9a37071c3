//! PLAIN by memcached's own file of passwords, `MEMCACHED_SASL_PWDB`: a line `user:password` each, and what stands
//! behind another colon is not looked at.
//!
//! As with memcached the file is read at each attempt, so that a change counts at once, and a user who names no realm
//! is of this machine's: `user@host:password` is looked for. `user:password`, as memcached's manual has it, is enough
//! here.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use subtle::{Choice, ConstantTimeEq};

/// Longest line that counts (memcached's buffer without its NUL): what is behind it is not looked at.
const LINE_BYTES_MAX: usize = 255;

/// Longest user, with realm, and password together (memcached's bound).
const SHOWN_BYTES_MAX: usize = 252;

/// More of the file is not read: some hundred thousand users.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// A file of passwords.
#[derive(Debug)]
pub(super) struct PasswordFile {
    /// Absolute: a daemon leaves the folder that a relative path starts from.
    path: PathBuf,
    /// The realm of users who name none.
    realm: Vec<u8>,
}

/// What PLAIN brings (RFC 4616): for whom to act, who it is, and the password.
struct Plain<'a> {
    authorized: &'a [u8],
    user: &'a [u8],
    password: &'a [u8],
}

impl<'a> Plain<'a> {
    fn parse(said: &'a [u8]) -> Option<Self> {
        let mut parts = said.split(|byte| *byte == 0);
        let (authorized, user, password) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Self { authorized, user, password })
    }
}

impl PasswordFile {
    /// The file of this name, and the realm of users who name none.
    pub(super) fn new(path: &Path, realm: Vec<u8>) -> Self {
        Self { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), realm }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a message of PLAIN names a user of the file, the password, and nobody else to act for. The time it takes
    /// depends on the file's length and on what was sent, not on who is in the file.
    pub(super) fn admits(&self, said: &[u8]) -> bool {
        let Some(plain) = Plain::parse(said) else { return false };
        let Some(user) = self.canonical(plain.user) else { return false };
        if !plain.authorized.is_empty() && self.canonical(plain.authorized).as_ref() != Some(&user) {
            return false;
        }
        let (Some(full), Some(short)) = (Shown::new(&user, plain.password), self.without_realm(&user, plain.password))
        else {
            return false;
        };
        let text = match self.read() {
            Ok(text) => text,
            Err(error) => {
                log::info!("cannot read the passwords of {}: {error}", self.path.display());
                return false;
            }
        };
        let lines = text.split(|byte| *byte == b'\n').map(Line::new);
        let found = lines.fold(Choice::from(0), |found, line| found | line.is(&full) | line.is(&short));
        found.into()
    }

    /// What is looked for when the line has no realm, and the user is of ours; the same again, if not.
    fn without_realm(&self, user: &[u8], password: &[u8]) -> Option<Shown> {
        let short = user.strip_suffix(&*self.realm).and_then(|user| user.strip_suffix(b"@"));
        Shown::new(short.unwrap_or(user), password)
    }

    /// A user's name as it is looked for: without the blanks around it, and with a realm. `None`: nothing is left.
    fn canonical(&self, user: &[u8]) -> Option<Vec<u8>> {
        let mut name = user.trim_ascii().to_vec();
        if name.is_empty() {
            return None;
        }
        if !name.contains(&b'@') && !self.realm.is_empty() {
            name.push(b'@');
            name.extend_from_slice(&self.realm);
        }
        Some(name)
    }

    /// What the file says now.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        fs::File::open(&self.path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
        if u64::try_from(text.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
            return Err(io::Error::other(format!("more than {FILE_BYTES_MAX} bytes")));
        }
        Ok(text)
    }
}

/// `user:password` in room for the longest line, and where it counts: lines are compared whole.
struct Shown {
    bytes: [u8; LINE_BYTES_MAX + 1],
    mask: [u8; LINE_BYTES_MAX + 1],
    len: usize,
}

impl Shown {
    /// `None`: it is longer than memcached takes.
    fn new(user: &[u8], password: &[u8]) -> Option<Self> {
        if user.len().saturating_add(password.len()) > SHOWN_BYTES_MAX {
            return None;
        }
        let text = [user, b":", password].concat();
        let (mut bytes, mut mask, len) = ([0; LINE_BYTES_MAX + 1], [0; LINE_BYTES_MAX + 1], text.len());
        bytes[..len].copy_from_slice(&text);
        mask[..len].fill(u8::MAX);
        Some(Self { bytes, mask, len })
    }
}

/// A line of the file in room for the longest: zeros behind it.
struct Line([u8; LINE_BYTES_MAX + 1]);

impl Line {
    fn new(text: &[u8]) -> Self {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut bytes = [0; LINE_BYTES_MAX + 1];
        let len = text.len().min(LINE_BYTES_MAX);
        bytes[..len].copy_from_slice(&text[..len]);
        Self(bytes)
    }

    /// Whether it begins with what was shown, and then ends or has a colon.
    fn is(&self, shown: &Shown) -> Choice {
        let mut masked = self.0;
        masked.iter_mut().zip(&shown.mask).for_each(|(byte, mask)| *byte &= mask);
        let end = self.0[shown.len];
        masked.ct_eq(&shown.bytes) & (end.ct_eq(&b':') | end.ct_eq(&0))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{LINE_BYTES_MAX, PasswordFile, SHOWN_BYTES_MAX};

    /// A file of passwords that goes with its test.
    struct Passwords(PasswordFile);

    impl Passwords {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("flagstone-passwords-{name}-{}", std::process::id()));
            fs::write(&path, text).expect("writable");
            Self(PasswordFile::new(&path, b"host".to_vec()))
        }

        fn admits(&self, user: &str, password: &str) -> bool {
            self.0.admits(format!("\0{user}\0{password}").as_bytes())
        }
    }

    impl Drop for Passwords {
        fn drop(&mut self) {
            fs::remove_file(self.0.path()).expect("ours");
        }
    }

    #[test]
    fn a_line_is_a_user_with_or_without_this_machines_realm() {
        let file = Passwords::new("realm", "a:b\nc@host:d\ne@other:f\nlast:line");
        for (user, password) in
            [("a", "b"), ("a@host", "b"), ("c", "d"), ("c@host", "d"), ("e@other", "f"), ("last", "line")]
        {
            assert!(file.admits(user, password), "{user}");
            assert!(!file.admits(user, &format!("{password}x")) && !file.admits(user, ""), "{user}");
        }
        for (user, password) in [("e", "f"), ("a@other", "b"), ("c@other", "d"), ("A", "b"), ("", "b"), ("nobody", "b")]
        {
            assert!(!file.admits(user, password), "{user}");
        }
    }

    #[test]
    fn what_follows_another_colon_may_be_the_passwords_or_not() {
        let file = Passwords::new("colon", "a:b:note\nb:c:\nempty:\r\nnone\n:x\n");
        for (user, password) in [("a", "b"), ("a", "b:note"), ("b", "c"), ("b", "c:"), ("empty", "")] {
            assert!(file.admits(user, password), "{user} {password}");
        }
        for (user, password) in [("a", "b:"), ("a", "b:no"), ("none", ""), ("", "x"), (" ", "x")] {
            assert!(!file.admits(user, password), "{user} {password}");
        }
    }

    #[test]
    fn blanks_around_a_user_are_not_its_name() {
        let file = Passwords::new("blanks", "a b:c\n");
        assert!(file.admits(" a b\t", "c") && !file.admits("a", "c") && !file.admits("a b", " c"));
    }

    #[test]
    fn a_message_has_three_parts_and_acts_for_itself() {
        let file = Passwords::new("parts", "a:b\n");
        for said in ["\0a\0b", "a\0a\0b", "a@host\0a\0b", " a\0a\0b"] {
            assert!(file.0.admits(said.as_bytes()), "{said:?}");
        }
        for said in ["", "a\0b", "\0a", "\0a\0b\0", "\0a\0b\0c", "x\0a\0b", "a@other\0a\0b", " \0a\0b", "\0\0\0"] {
            assert!(!file.0.admits(said.as_bytes()), "{said:?}");
        }
    }

    #[test]
    fn the_longest_that_memcached_takes_and_one_more() {
        let longest = "p".repeat(SHOWN_BYTES_MAX - "u@host".len());
        let long_line = format!("v:{}:{}", "q".repeat(100), "z".repeat(LINE_BYTES_MAX));
        let file = Passwords::new("long", &format!("u:{longest}\nw:{longest}x\n{long_line}z:y\n"));
        assert!(file.admits("u", &longest) && !file.admits("w", &format!("{longest}x")));
        assert!(file.admits("v", &"q".repeat(100)));
        // Memcached would take the rest of a longer line for one more.
        assert!(!file.admits("z", "y"));
        assert!(!file.admits("u", &"p".repeat(1 << 20)));
    }

    #[test]
    fn each_attempt_reads_the_file_as_it_is() {
        let file = Passwords::new("reread", "a:b\n");
        fs::write(file.0.path(), "a:c\n").expect("writable");
        assert!(file.admits("a", "c") && !file.admits("a", "b"));
        let nobody = PasswordFile::new(&PathBuf::from("/nonexistent/passwords"), Vec::new());
        assert!(!nobody.admits(b"\0a\0c"));
    }
}
