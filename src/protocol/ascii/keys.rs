//! [`KeyLine`]: a line of keys, which may be of any length and need not have ended yet.

use super::token::{self, key_end, without_cr};
use super::{Form, asked};
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::{Asked, FetchOptions, Quiet};

/// The rest of a line of keys. Each is a fetch with the same options that is silent about a miss;
/// [`Reply::End`](crate::protocol::Reply::End) answers the line's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLine {
    options: FetchOptions,
    /// The line is answered: what is left of it is passed over.
    is_answered: bool,
}

impl KeyLine {
    /// Of a plain get.
    pub const GET: Self = Self::new(FetchOptions::GET);

    /// How each key is answered.
    pub const ASKED: Asked<'static> = asked(Quiet::Misses, Form::Key);

    pub(super) const fn new(options: FetchOptions) -> Self {
        Self { options, is_answered: false }
    }

    /// How each key is fetched.
    #[must_use]
    #[inline(always)]
    pub fn options(&self) -> FetchOptions {
        self.options
    }

    /// The same line, what is left of which is passed over.
    #[must_use]
    pub fn answered(self) -> Self {
        Self { is_answered: true, ..self }
    }

    /// Whether what is left of it is passed over.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Bytes of the input up to behind the line's end, if that has come.
    #[must_use]
    pub fn rest_len(&self, input: &[u8]) -> Option<usize> {
        token::line(input).map(|line| line.used)
    }

    /// Takes one key.
    #[must_use]
    #[inline(always)]
    pub fn next_key<'a>(&self, input: &'a [u8]) -> NextKey<'a> {
        next_key(input)
    }
}

/// What stands at the head of the rest of a line of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextKey<'a> {
    /// A key that something follows.
    Key {
        /// Its bytes.
        key: &'a [u8],
        /// Bytes of the input up to behind it.
        used: usize,
    },
    /// The line's last key.
    Last {
        /// Its bytes.
        key: &'a [u8],
        /// Bytes of the input up to behind the line's end.
        used: usize,
    },
    /// The line's end.
    End {
        /// Bytes of the input up to behind it.
        used: usize,
    },
    /// Something too long for a key.
    TooLong,
    /// A part of a key, or nothing at all.
    Partial,
}

/// Takes one key from the rest of a line, which may not have ended yet.
#[inline(always)]
pub(super) fn next_key(input: &[u8]) -> NextKey<'_> {
    let mut start = 0;
    while input.get(start) == Some(&b' ') {
        start += 1;
    }
    let text = &input[start..];
    let Some(end) = key_end(text) else {
        // A CR that belongs to the line's end may be the last byte so far.
        return if text.len() > KEY_BYTES_MAX + 1 { NextKey::TooLong } else { NextKey::Partial };
    };
    let used = start + end + 1;
    if text[end] == b' ' {
        let key = &text[..end];
        return if token::is_key(key) { NextKey::Key { key, used } } else { NextKey::TooLong };
    }
    let key = without_cr(&text[..end]);
    if key.is_empty() {
        return NextKey::End { used };
    }
    if token::is_key(key) { NextKey::Last { key, used } } else { NextKey::TooLong }
}

#[cfg(test)]
mod tests {
    use super::{NextKey, next_key};

    #[test]
    fn keys_come_one_by_one() {
        assert_eq!(next_key(b" a b\r\n"), NextKey::Key { key: b"a", used: 3 });
        assert_eq!(next_key(b"b\r\nx"), NextKey::Last { key: b"b", used: 3 });
        assert_eq!(next_key(b"b\nx"), NextKey::Last { key: b"b", used: 2 });
        assert_eq!(next_key(b"  \r\n"), NextKey::End { used: 4 });
        assert_eq!(next_key(b" "), NextKey::Partial);
        assert_eq!(next_key(b"abc"), NextKey::Partial);
        assert_eq!(next_key(b"a\r b"), NextKey::Key { key: b"a\r", used: 3 });
    }

    #[test]
    fn a_key_of_250_bytes_is_the_longest() {
        let longest = [&[b'k'; 250][..], b"\r\n"].concat();
        assert_eq!(next_key(&longest), NextKey::Last { key: &[b'k'; 250], used: 252 });
        assert_eq!(next_key(&longest[..251]), NextKey::Partial);
        assert_eq!(next_key(&[b'k'; 251]), NextKey::Partial);
        assert_eq!(next_key(&[b'k'; 252]), NextKey::TooLong);
        assert_eq!(next_key(&[&[b'k'; 251][..], b" "].concat()), NextKey::TooLong);
        assert_eq!(next_key(&[&[b'k'; 251][..], b"\n"].concat()), NextKey::TooLong);
    }
}
