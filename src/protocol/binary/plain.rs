//! Requests in their plainest form: gets, and sets without condition.

use super::Form;
use super::header::{BODY_BYTES_MAX, HEADER_BYTES, Header, REQUEST_MAGIC};
use super::opcode::{GET, GET_KEY, GET_KEY_QUIET, GET_QUIET, SET, SET_QUIET};
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::dialect::{Plain as Request, PlainForm, PlainHead, PlainSet};
use crate::protocol::{Asked, FetchOptions, Form as AnyForm, Quiet};

/// Extras of a set: client flags and exptime.
const SET_EXTRAS_BYTES: usize = 8;

/// A plain packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    opcode: u8,
    opaque: [u8; 4],
}

impl PlainForm for Plain {
    const OPTIONS: FetchOptions = FetchOptions::GETS;
    const SHOWS_CAS: bool = true;
    const COMES_IN_RUNS: bool = true;

    #[inline(always)]
    fn parse(input: &[u8]) -> Option<PlainHead<'_, Self>> {
        let (header, body) = input.split_first_chunk()?;
        let Header { magic, opcode, key_len, extras_len, body_len, opaque, cas } = Header::read(header);
        let form = Self { opcode, opaque };
        if magic != REQUEST_MAGIC || key_len.wrapping_sub(1) >= KEY_BYTES_MAX {
            return None;
        }
        match opcode {
            GET | GET_QUIET | GET_KEY | GET_KEY_QUIET if extras_len == 0 && body_len == key_len => {
                let key = body.get(..key_len)?;
                Some(PlainHead { plain: Request::Get(key), form, len: HEADER_BYTES + key_len })
            }
            SET | SET_QUIET if extras_len == SET_EXTRAS_BYTES && cas == 0 && body_len <= BODY_BYTES_MAX => {
                let (extras, rest) = body.split_first_chunk::<SET_EXTRAS_BYTES>()?;
                let value_len = body_len.checked_sub(SET_EXTRAS_BYTES + key_len)?;
                let [f0, f1, f2, f3, exptime @ ..] = *extras;
                let set = PlainSet {
                    key: rest.get(..key_len)?,
                    client_flags: u32::from_be_bytes([f0, f1, f2, f3]),
                    exptime: i64::from(u32::from_be_bytes(exptime)),
                    value_len,
                };
                Some(PlainHead { plain: Request::Set(set), form, len: HEADER_BYTES + SET_EXTRAS_BYTES + key_len })
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn asked_of_get(self, key: &[u8]) -> Asked<'_> {
        // Of the four the odd ones are quiet, and the last two show the key.
        let quiet = if self.opcode & 1 == 1 { Quiet::Misses } else { Quiet::No };
        let key = if self.opcode & !1 == GET_KEY { key } else { &[] };
        Asked { quiet, form: AnyForm::Binary(Form::new(self.opcode, self.opaque, key)) }
    }

    #[inline(always)]
    fn asked_of_set(self) -> Asked<'static> {
        let quiet = if self.opcode == SET_QUIET { Quiet::Successes } else { Quiet::No };
        Asked { quiet, form: AnyForm::Binary(Form::new(self.opcode, self.opaque, &[])) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::super::parse::tests::{packet, saying};
    use super::{Plain, PlainForm, PlainHead, Request};
    use crate::protocol::{Fetch, Operation, ParseRoom, Parsed};

    /// Says whether a request is taken as plain; if so, the parser must read the same.
    fn is_plain(input: &[u8]) -> bool {
        let Some(PlainHead { plain, form, len: used }) = Plain::parse(input) else { return false };
        let (operation, asked) = match plain {
            Request::Get(key) => {
                (Operation::Fetch(Fetch { key, options: Plain::OPTIONS, extras: None }), form.asked_of_get(key))
            }
            Request::Set(set) => (Operation::Store(set.store(Plain::SHOWS_CAS)), form.asked_of_set()),
        };
        let request = crate::protocol::Request { operation, asked };
        assert_eq!(parse(input, &mut ParseRoom::default()), Parsed::Request { request, used }, "{input:?}");
        true
    }

    #[test]
    fn what_is_plain_is_read_as_the_parser_reads_it() {
        let mut plain = 0;
        for opcode in 0..=u8::MAX {
            for extras in [&[][..], &[0; 4], &[0, 0, 0, 1, 0x80, 0, 0, 0], &[0; 9]] {
                for key in [&[][..], b"k", &[b'k'; 250], &[b'k'; 251]] {
                    for (value, cas) in [(&[][..], 0), (b"v", 0), (b"v", 3)] {
                        plain += usize::from(is_plain(&packet(opcode, extras, key, value, cas)));
                    }
                }
            }
        }
        // Four gets of two keys, and two sets of two keys with two values.
        assert_eq!(plain, 4 * 2 + 2 * 2 * 2);
    }

    #[test]
    fn lengths_that_lie_are_not_plain() {
        for opcode in [0x00, 0x01, 0x0d, 0x11] {
            for says in [(5, 0, 4), (5, 8, 12), (3, 8, (1 << 30) + 1), (3, 8, (1 << 32) - 1), (0, 8, 8), (251, 0, 251)]
            {
                assert!(!is_plain(&saying(opcode, says, 0, &[b'k'; 300])), "{opcode} {says:?}");
            }
        }
    }

    #[test]
    fn a_part_of_a_head_is_not_plain() {
        let set = packet(0x01, &[0; 8], b"key", b"v", 0);
        assert!((0..24 + 8 + 3).all(|len| !is_plain(&set[..len])) && is_plain(&set[..24 + 8 + 3]));
        let get = packet(0x0c, b"", b"key", b"", 0);
        assert!((0..24 + 3).all(|len| !is_plain(&get[..len])) && is_plain(&get));
    }
}
