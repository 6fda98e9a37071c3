//! The tokens of `-Y`'s file, and whether a user and a password are one of them. Not how a client shows its token
//! (`protocol`, `conn`), and no file is opened here.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use crate::sync::{Mutex, Rank};

/// Tokens a file may name (memcached's bound: further lines are not looked at).
pub const TOKENS_MAX: usize = 8;

/// Longest `user:password` (with its line's end memcached's 256 bytes).
const TOKEN_BYTES_MAX: usize = 255;

/// Between user and password in memory: a line's end is in neither of them.
const SEPARATOR: u8 = b'\n';

/// A line that is not `user:password`, or too long, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The tokens of one file.
#[derive(Clone)]
pub struct Tokens {
    /// Always all of them, so that a comparison takes the same time whoever is meant; those not used equal nothing.
    entries: [Entry; TOKENS_MAX],
    used: usize,
    is_cut: bool,
}

/// A token in room for the longest one, its length in front: two of them are compared whole.
#[derive(Clone, Copy)]
struct Entry([u8; 2 + TOKEN_BYTES_MAX]);

impl Entry {
    /// No token has this length.
    const UNUSED: Self = Self([u8::MAX; 2 + TOKEN_BYTES_MAX]);

    /// `None`: it is longer than a token can be.
    fn new(user: &[u8], password: &[u8]) -> Option<Self> {
        let len = user.len().checked_add(1 + password.len()).filter(|len| *len <= TOKEN_BYTES_MAX)?;
        let mut bytes = [0; 2 + TOKEN_BYTES_MAX];
        bytes[..2].copy_from_slice(&u16::try_from(len).ok()?.to_le_bytes());
        let (user_room, rest) = bytes[2..].split_at_mut(user.len());
        user_room.copy_from_slice(user);
        rest[0] = SEPARATOR;
        rest[1..=password.len()].copy_from_slice(password);
        Some(Self(bytes))
    }
}

impl Tokens {
    /// Reads a file's text: lines of `user:password`, where the last may lack its end.
    ///
    /// # Errors
    /// When one of the first lines has no colon or is too long, or there is none.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut lines = text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n');
        let mut entries = [Entry::UNUSED; TOKENS_MAX];
        let mut used = 0;
        for (entry, line) in entries.iter_mut().zip(&mut lines) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|&byte| byte == b':').ok_or(Malformed)?;
            *entry = Entry::new(&line[..colon], &line[colon + 1..]).ok_or(Malformed)?;
            used += 1;
        }
        Ok(Self { entries, used, is_cut: lines.next().is_some() })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.used
    }

    /// Whether the file had more lines than are taken.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether this is one of them. The time it takes tells neither which one nor how much of it was right.
    #[must_use]
    fn contains(&self, user: &[u8], password: &[u8]) -> bool {
        // Longer than any: what is learnt from the time is only what was sent.
        let Some(shown) = Entry::new(user, password) else { return false };
        let same = self.entries.iter().fold(Choice::from(0), |same, entry| same | entry.0.ct_eq(&shown.0));
        same.into()
    }
}

/// Passwords are not for logs.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.used)
    }
}

/// The tokens that hold now.
#[derive(Debug)]
pub struct Gate {
    tokens: Mutex<Tokens>,
}

impl Gate {
    /// A gate that opens to these.
    #[must_use]
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens: Mutex::new(Rank::Server, tokens) }
    }

    /// From now on these open it, and no others. Who is inside stays.
    pub fn replace(&self, tokens: Tokens) {
        *self.tokens.lock() = tokens;
    }

    /// Whether it opens.
    #[must_use]
    pub fn opens_to(&self, user: &[u8], password: &[u8]) -> bool {
        self.tokens.lock().contains(user, password)
    }
}

#[cfg(test)]
mod tests {
    use super::{Gate, Malformed, TOKEN_BYTES_MAX, Tokens};

    fn gate(text: &str) -> Gate {
        Gate::new(Tokens::parse(text.as_bytes()).expect("well formed"))
    }

    #[test]
    fn each_line_is_a_token_and_the_last_may_lack_its_end() {
        for text in ["a:b\nc:d\n", "a:b\nc:d", "a:b\r\nc:d\r\n"] {
            let gate = gate(text);
            assert!(gate.opens_to(b"a", b"b") && gate.opens_to(b"c", b"d"), "{text}");
            for (user, password) in
                [("a", "d"), ("a", ""), ("", "b"), ("a", "b\0"), ("a", "bb"), ("a\nb", ""), ("", "")]
            {
                assert!(!gate.opens_to(user.as_bytes(), password.as_bytes()), "{text}: {user} {password}");
            }
        }
    }

    #[test]
    fn the_first_colon_parts_and_anything_else_is_text() {
        let gate = gate("a:b:c\n:\nn:\nd e:f\nu:x y\n");
        assert!(gate.opens_to(b"a", b"b:c") && !gate.opens_to(b"a:b", b"c"));
        assert!(gate.opens_to(b"", b"") && gate.opens_to(b"n", b"") && gate.opens_to(b"u", b"x y"));
        assert!(gate.opens_to(b"d e", b"f") && !gate.opens_to(b"d", b"e f"));
    }

    #[test]
    fn a_line_that_is_no_token_spoils_the_file() {
        for text in ["", "\n", "nocolon\n", "a:b\nnocolon", "a:b\n\nc:d\n"] {
            assert_eq!(Tokens::parse(text.as_bytes()).err(), Some(Malformed), "{text:?}");
        }
    }

    #[test]
    fn the_longest_token_opens_and_a_longer_one_is_refused() {
        let password = "y".repeat(TOKEN_BYTES_MAX - 2);
        assert!(gate(&format!("x:{password}\n")).opens_to(b"x", password.as_bytes()));
        assert!(!gate("x:y").opens_to(b"x", "y".repeat(1 << 20).as_bytes()));
        assert_eq!(Tokens::parse(format!("x:y{password}").as_bytes()).err(), Some(Malformed));
    }

    #[test]
    fn lines_behind_the_eighth_are_not_looked_at() {
        let text = "a:b\n".repeat(7) + "last:one\n";
        assert!(!Tokens::parse(text.as_bytes()).expect("well formed").is_cut());
        assert!(gate(&text).opens_to(b"last", b"one"));
        let text = text + "ninth:one\nnocolon\n";
        assert!(Tokens::parse(text.as_bytes()).expect("well formed").is_cut());
        assert!(!gate(&text).opens_to(b"ninth", b"one"));
    }

    #[test]
    fn new_tokens_replace_the_old_ones() {
        let gate = gate("a:b");
        gate.replace(Tokens::parse(b"c:d").expect("well formed"));
        assert!(!gate.opens_to(b"a", b"b") && gate.opens_to(b"c", b"d"));
    }

    #[test]
    fn no_password_is_shown() {
        assert_eq!(format!("{:?}", Tokens::parse(b"user:secret").expect("well formed")), "Tokens(1)");
    }
}
