//! The encoder of the classic commands: replies to the end of a byte buffer, without the formatting machinery.

use super::texts;
use crate::bytes::{Buffer, FOUR_DIGITS, Room, four_digits, push_u64};
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::{Failure, Reply, VERSION};

/// What ends a value.
pub const VALUE_TAIL: &[u8] = b"\r\n";

/// Room for the longest head of a value: `VALUE key flags bytes cas\r\n`.
pub(super) const VALUE_HEAD_BYTES_MAX: usize = b"VALUE    \r\n".len() + KEY_BYTES_MAX + 10 + 10 + 20;

/// Appends the line before a value.
#[inline(never)]
pub(super) fn push_value_head(out: &mut Buffer, key: &[u8], client_flags: u32, value_len: usize, cas: Option<u64>) {
    out.put(b"VALUE ");
    out.put(key);
    push_head_end(out, client_flags, value_len, cas);
}

fn push_head_end(out: &mut Buffer, client_flags: u32, value_len: usize, cas: Option<u64>) {
    out.push(b' ');
    push_u64(out, u64::from(client_flags));
    out.push(b' ');
    push_len(out, value_len);
    if let Some(cas) = cas {
        out.push(b' ');
        push_u64(out, cas);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a hit.
#[inline(always)]
pub(super) fn push_value(out: &mut Buffer, key: &[u8], client_flags: u32, value: &[u8], cas: Option<u64>) {
    let is_plain = client_flags == 0 && cas.is_none() && value.len() < FOUR_DIGITS;
    if is_plain
        && out.append(
            #[inline(always)]
            |room| put_plain_value(room, key, value),
        )
    {
        return;
    }
    push_value_head(out, key, client_flags, value.len(), cas);
    out.put(value);
    out.put(VALUE_TAIL);
}

/// A hit without flags: ` 0 <bytes>` and the line's end are put together in a register and come in one piece.
#[inline(always)]
fn put_plain_value(room: &mut Room<'_>, key: &[u8], value: &[u8]) -> Option<()> {
    const BEFORE: u128 = u32::from_le_bytes([b' ', b'0', b' ', 0]) as u128;
    const BEFORE_BYTES: usize = 3;
    const AFTER: u64 = u16::from_le_bytes([b'\r', b'\n']) as u64;
    let (digits, count) = four_digits(value.len());
    let behind = u64::from(digits) | AFTER << (8 * count);
    let piece = BEFORE | u128::from(behind) << (8 * BEFORE_BYTES);
    room.put(b"VALUE ")?;
    room.put(key)?;
    room.put_front(&piece.to_le_bytes(), BEFORE_BYTES + count + VALUE_TAIL.len())?;
    room.put(value)?;
    room.put(VALUE_TAIL)
}

#[inline]
pub(super) fn push_len(out: &mut Buffer, len: usize) {
    push_u64(out, u64::try_from(len).unwrap_or(u64::MAX));
}

/// Appends a reply without a value.
#[inline(always)]
pub fn push_reply(out: &mut Buffer, reply: Reply) {
    match reply {
        Reply::Stored => out.put(b"STORED\r\n"),
        Reply::End => out.put(b"END\r\n"),
        reply => push_rarer_reply(out, reply),
    }
}

#[inline(never)]
fn push_rarer_reply(out: &mut Buffer, reply: Reply) {
    let line: &[u8] = match reply {
        Reply::Stored => b"STORED\r\n",
        Reply::NotStored => b"NOT_STORED\r\n",
        Reply::Exists => b"EXISTS\r\n",
        Reply::NotFound => b"NOT_FOUND\r\n",
        Reply::Deleted => b"DELETED\r\n",
        Reply::Ok => b"OK\r\n",
        Reply::Reset => b"RESET\r\n",
        Reply::End => b"END\r\n",
        Reply::Noop => b"MN\r\n",
        Reply::Number(number) => {
            push_u64(out, number);
            b"\r\n"
        }
        Reply::Version => {
            out.extend_from_slice(b"VERSION ");
            out.extend_from_slice(VERSION.as_bytes());
            b"\r\n"
        }
        Reply::Error(error) => return push_error(out, error),
    };
    out.extend_from_slice(line);
}

#[cold]
fn push_error(out: &mut Buffer, failure: Failure) {
    out.extend_from_slice(texts::text(failure).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{VALUE_HEAD_BYTES_MAX, push_reply, push_value, push_value_head};
    use crate::bytes::Buffer;
    use crate::protocol::{Failure, Reply};

    fn encoded(encode: impl FnOnce(&mut Buffer)) -> String {
        let mut out = Buffer::default();
        encode(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn a_hit_shows_its_cas_only_when_asked() {
        assert_eq!(encoded(|out| push_value(out, b"k", 0, b"v", None)), "VALUE k 0 1\r\nv\r\n");
        assert_eq!(encoded(|out| push_value(out, b"k", 7, b"", Some(9))), "VALUE k 7 0 9\r\n\r\n");
    }

    #[test]
    fn the_longest_head_has_the_named_length() {
        // Values end at 2^31 - 3 bytes: ten digits.
        let len = 2_147_483_645;
        let head = encoded(|out| push_value_head(out, &[b'k'; 250], u32::MAX, len, Some(u64::MAX)));
        assert_eq!(head.len(), VALUE_HEAD_BYTES_MAX);
    }

    #[test]
    fn replies_are_lines() {
        assert_eq!(encoded(|out| push_reply(out, Reply::Stored)), "STORED\r\n");
        assert_eq!(encoded(|out| push_reply(out, Reply::Number(18))), "18\r\n");
        assert_eq!(encoded(|out| push_reply(out, Reply::Error(Failure::UnknownCommand))), "ERROR\r\n");
        assert_eq!(encoded(|out| push_reply(out, Reply::Version)), "VERSION 1.6.45\r\n");
    }
}
