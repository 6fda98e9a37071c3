//! Requests in their plainest form: `get <key>` and `set <key> <flags> <exptime> <bytes>`.

use super::{Form, asked, token};
use crate::protocol::dialect::{Plain as Request, PlainForm, PlainHead, PlainSet};
use crate::protocol::{Asked, FetchOptions, Quiet};

/// A plain line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain;

impl PlainForm for Plain {
    const OPTIONS: FetchOptions = FetchOptions::GET;
    const SHOWS_CAS: bool = false;
    const COMES_IN_RUNS: bool = false;

    #[inline(always)]
    fn parse(input: &[u8]) -> Option<PlainHead<'_, Self>> {
        // As numbers: compared at once, and not byte by byte.
        const GET: u32 = u32::from_le_bytes(*b"get ");
        const SET: u32 = u32::from_le_bytes(*b"set ");
        let (name, rest) = input.split_first_chunk()?;
        match u32::from_le_bytes(*name) {
            GET => {
                let (key, end) = plain_key(rest, b'\n')?;
                let key = key.strip_suffix(b"\r").unwrap_or(key);
                token::is_key(key).then_some(head(Request::Get(key), name.len() + end + 1))
            }
            SET => {
                let (key, end) = plain_key(rest, b' ')?;
                let mut at = end + 1;
                let client_flags = plain_number(rest, &mut at, b' ')?;
                let exptime = plain_number(rest, &mut at, b' ')?;
                let value_len = plain_number(rest, &mut at, b'\r')?;
                if !token::is_key(key) || rest.get(at) != Some(&b'\n') {
                    return None;
                }
                let set = PlainSet {
                    key,
                    client_flags,
                    exptime: i64::from(exptime),
                    value_len: usize::try_from(value_len).ok()?,
                };
                Some(head(Request::Set(set), name.len() + at + 1))
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn asked_of_get(self, _key: &[u8]) -> Asked<'_> {
        asked(Quiet::No, Form::OneKey)
    }

    #[inline(always)]
    fn asked_of_set(self) -> Asked<'static> {
        asked(Quiet::No, Form::Line)
    }
}

#[inline(always)]
fn head(plain: Request<'_>, len: usize) -> PlainHead<'_, Plain> {
    PlainHead { plain, form: Plain, len }
}

/// The bytes before the first space or LF, if it is the one that is wanted, and where that stands.
#[inline(always)]
fn plain_key(text: &[u8], wanted: u8) -> Option<(&[u8], usize)> {
    let end = token::key_end(text)?;
    (text[end] == wanted).then(|| (&text[..end], end))
}

/// A number of one to nine digits that ends with `end`. Moves `at` behind that.
#[inline(always)]
fn plain_number(text: &[u8], at: &mut usize, end: u8) -> Option<u32> {
    const DIGITS_MAX: usize = 9;
    let start = *at;
    let mut number = 0;
    loop {
        let byte = *text.get(*at)?;
        let digit = byte.wrapping_sub(b'0');
        *at += 1;
        if digit > 9 {
            let digits = *at - 1 - start;
            return (byte == end && (1..=DIGITS_MAX).contains(&digits)).then_some(number);
        }
        number = number.wrapping_mul(10).wrapping_add(u32::from(digit));
    }
}

#[cfg(test)]
mod tests {
    use super::super::classic::parse;
    use super::{FetchOptions, Plain, PlainForm, PlainHead, Request};
    use crate::protocol::{Fetch, Operation, ParseRoom, Parsed};

    #[test]
    fn what_is_plain_is_read_as_the_parser_reads_it() {
        let words = [
            &b"get"[..],
            b"set",
            b"k",
            b"key-of-some-length",
            &[b'k'; 250],
            &[b'k'; 251],
            b"0",
            b"7",
            b"999999999",
            b"1000000000",
            b"4294967296",
            b"-1",
            b"+1",
            b"1x",
            b"\t1",
            b"1\0",
            b"00",
            b"noreply",
            b"",
            b"\r",
        ];
        let mut plain = 0;
        let mut compare = |line: &[u8]| {
            let Some(PlainHead { plain: taken, form, len: used }) = Plain::parse(line) else { return };
            let operation = match taken {
                Request::Get(key) => Operation::Fetch(Fetch { key, options: FetchOptions::GET, extras: None }),
                Request::Set(set) => Operation::Store(set.store(false)),
            };
            let asked = match taken {
                Request::Get(key) => form.asked_of_get(key),
                Request::Set(_) => form.asked_of_set(),
            };
            let request = crate::protocol::Request { operation, asked };
            assert_eq!(
                parse(line, &mut ParseRoom::default()),
                Parsed::Request { request, used },
                "{:?}",
                String::from_utf8_lossy(line)
            );
            plain += 1;
        };
        for ending in [&b"\r\n"[..], b"\n", b"\r", b"", b" \r\n", b"\r\nget x\r\n", b"\r\r\n", b"\r\n12345678"] {
            for (one, two) in words.iter().flat_map(|one| words.iter().map(move |two| (one, two))) {
                compare(&[&b"get "[..], one, ending].concat());
                compare(&[&b"get "[..], one, b" ", two, ending].concat());
                compare(&[*one, b" ", two, ending].concat());
                for three in words {
                    compare(&[&b"set "[..], one, b" ", two, b" ", three, b" 5", ending].concat());
                    compare(&[&b"set key "[..], one, b" ", two, b" ", three, ending].concat());
                    compare(&[&b"set key 1 "[..], one, b" ", two, b" ", three, ending].concat());
                }
            }
        }
        assert!(plain > 1000, "{plain} lines were plain");
    }
}
