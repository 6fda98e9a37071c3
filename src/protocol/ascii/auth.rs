//! What a client may say before it is let in: `set KEY FLAGS EXPTIME BYTES` with `user password` as the data. Key,
//! flags and exptime mean nothing. Which password is right is not known here.

use super::token::Words;
use super::{Form, asked};
use crate::bytes::parse_u64;
use crate::limits::LINE_BYTES_MAX;
use crate::protocol::{Asked, Failure, Quiet};

/// Less input is waited on, whatever it is (memcached's rule).
const INPUT_BYTES_MIN: usize = 3;

/// A shorter line, its end included, ends the connection: `quit` does (memcached's rule).
const LINE_BYTES_MIN: usize = 7;

/// Longest token a line may announce (memcached's buffer).
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// What ends a token.
const TOKEN_END: &[u8] = b"\r\n";

/// What stands at the head of the input of a client that is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthParsed {
    /// A part of a line.
    Incomplete,
    /// A line of which `used` bytes announce a token of `block_len` bytes, its end included.
    Token {
        /// Bytes of the token and its end.
        block_len: usize,
        /// Bytes of the line with its end.
        used: usize,
    },
    /// A line that is something else.
    Refused {
        /// What is answered.
        failure: Failure,
        /// Bytes of the line with its end.
        used: usize,
    },
    /// Nothing that is answered.
    Hang,
}

/// How a token is answered.
pub const TOKEN_ASKED: Asked<'static> = asked(Quiet::No, Form::Line);

/// Reads a line.
#[must_use]
pub fn parse(input: &[u8]) -> AuthParsed {
    if input.len() < INPUT_BYTES_MIN {
        return AuthParsed::Incomplete;
    }
    let Some(end) = memchr::memchr(b'\n', input) else {
        return if input.len() > LINE_BYTES_MAX { AuthParsed::Hang } else { AuthParsed::Incomplete };
    };
    let used = end + 1;
    if used < LINE_BYTES_MIN {
        return AuthParsed::Hang;
    }
    match announced_bytes(&input[..used]) {
        None => AuthParsed::Refused { failure: Failure::Unauthenticated, used },
        Some(bytes) if bytes > TOKEN_BYTES_MAX => AuthParsed::Refused { failure: Failure::AuthTokenTooLong, used },
        Some(bytes) => {
            let bytes = usize::try_from(bytes).expect("at most 16 KiB");
            AuthParsed::Token { block_len: bytes + TOKEN_END.len(), used }
        }
    }
}

/// The number in the fifth word of a line that begins with `set`. A space or a CR must end it: a bare LF does not
/// (memcached's rule). It has 32 bits.
fn announced_bytes(line: &[u8]) -> Option<u64> {
    if !line.starts_with(b"set") {
        return None;
    }
    let word = Words::new(line).nth(4)?;
    let digits = word.split(|&byte| byte == b'\r').next()?;
    parse_u64(digits).filter(|bytes| u32::try_from(*bytes).is_ok())
}

/// The user and the password in a token with its end.
///
/// # Errors
/// When it does not end as announced, or has no space.
pub fn credentials(block: &[u8]) -> Result<(&[u8], &[u8]), Failure> {
    let token = block.strip_suffix(TOKEN_END).ok_or(Failure::AuthTokenTermination)?;
    let space = token.iter().position(|&byte| byte == b' ').ok_or(Failure::AuthTokenFormat)?;
    Ok((&token[..space], &token[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{AuthParsed, credentials, parse};
    use crate::protocol::Failure;

    #[test]
    fn a_set_announces_a_token_whatever_its_other_words_are() {
        for line in ["set x 0 0 9\r\n", "sets x 0 0 9 \n", "set  x a -1 0009 noreply\n", "setx y 0 0 9\r\r\n"] {
            assert_eq!(parse(line.as_bytes()), AuthParsed::Token { block_len: 11, used: line.len() }, "{line:?}");
        }
        let longest = b"set x 0 0 16384\r\n";
        assert_eq!(parse(longest), AuthParsed::Token { block_len: 16386, used: longest.len() });
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "get a\r\n",
            "set x\r\n",
            " set x 0 0 9\r\n",
            "SET x 0 0 9\r\n",
            "set\tx 0 0 9\r\n",
            "set x 0 0 9\n",
            "set x 0 0 +9\r\n",
            "set x 0 0 -9\r\n",
            "set x 0 0 9x\r\n",
            "set x 0 0 4294967296\r\n",
            "\u{80}version\r\n",
        ] {
            let refused = AuthParsed::Refused { failure: Failure::Unauthenticated, used: line.len() };
            assert_eq!(parse(line.as_bytes()), refused, "{line:?}");
        }
        let line = b"set x 0 0 16385\r\n";
        assert_eq!(parse(line), AuthParsed::Refused { failure: Failure::AuthTokenTooLong, used: line.len() });
    }

    #[test]
    fn short_lines_and_long_ones_without_an_end_are_hung_up_on() {
        for line in ["quit\r\n", "abcde\n", "mn\r\n", "\r\nversion\r\n"] {
            assert_eq!(parse(line.as_bytes()), AuthParsed::Hang, "{line:?}");
        }
        assert_eq!(parse(&[b'a'; 2049]), AuthParsed::Hang);
        for part in [&b""[..], b"\r\n", b"a\n", b"set x", &[b'a'; 2048]] {
            assert_eq!(parse(part), AuthParsed::Incomplete, "{part:?}");
        }
    }

    #[test]
    fn the_first_space_parts_a_token() {
        assert_eq!(credentials(b"user pass\r\n"), Ok((&b"user"[..], &b"pass"[..])));
        assert_eq!(credentials(b"bob my pass \r\n"), Ok((&b"bob"[..], &b"my pass "[..])));
        assert_eq!(credentials(b" \r\n"), Ok((&b""[..], &b""[..])));
        assert_eq!(credentials(b"user:pass\r\n"), Err(Failure::AuthTokenFormat));
        assert_eq!(credentials(b"\r\n"), Err(Failure::AuthTokenFormat));
        assert_eq!(credentials(b"user passxx"), Err(Failure::AuthTokenTermination));
    }
}
