//! The encoder of the meta dialect: a code, then what the line's flags ask for, in their order.

use crate::bytes::{Buffer, push_u64};
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::Reply;
use crate::protocol::ascii::base64;
use crate::protocol::ascii::encode::{push_len, push_reply};
use crate::protocol::ascii::token::Words;

/// Room for the longest line before a value: a key in base64, an opaque, eight flags with a number, three marks.
pub const HEAD_BYTES_MAX: usize = KEY_BYTES_MAX * 4 / 3 + 4 + " k b".len() + 33 + 8 * 22 + " Z X W\r\n".len() + 16;

/// The key and the flags of a request, as its answer needs them.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The key's own bytes.
    pub key: &'a [u8],
    /// Whether it is shown encoded.
    pub is_base64: bool,
    /// The flags as they stand on the line.
    pub flags: &'a [u8],
    /// What goes without saying is not said.
    pub is_quiet: bool,
}

/// What there is to say of an item. Times to live are seconds, `None` for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item {
    /// Length of the value.
    pub value_len: usize,
    /// Version.
    pub cas: u64,
    /// The client's opaque number.
    pub client_flags: u32,
    /// Time to live before the request.
    pub ttl: Option<u32>,
    /// Time to live after `T`.
    pub ttl_touched: Option<u32>,
    /// Time to live after `N`, of an item that this request made.
    pub ttl_created: Option<Option<u32>>,
    /// Seconds since the last access.
    pub idle_seconds: u32,
    /// Fetched before.
    pub was_fetched: bool,
    /// Out of date.
    pub is_stale: bool,
    /// Won by somebody before.
    pub was_won: bool,
    /// Won now.
    pub is_won: bool,
    /// Room in memory.
    pub item_bytes: u64,
    /// Slab class.
    pub class: u32,
}

/// Appends the line of a hit, with its end.
pub fn push_hit_head(out: &mut Buffer, asked: Asked<'_>, item: &Item, shows_value: bool) {
    if shows_value {
        out.extend_from_slice(b"VA ");
        push_len(out, item.value_len);
    } else {
        out.extend_from_slice(b"HD");
    }
    let mut ttl = item.ttl;
    for word in Words::new(asked.flags) {
        match word[0] {
            b'T' => ttl = item.ttl_touched,
            b'N' => ttl = item.ttl_created.unwrap_or(ttl),
            b't' => push_ttl(out, b" t", ttl),
            b's' => push_field(out, b's', u64::try_from(item.value_len).unwrap_or(u64::MAX)),
            b'c' => push_field(out, b'c', item.cas),
            b'f' => push_field(out, b'f', u64::from(item.client_flags)),
            b'l' => push_field(out, b'l', u64::from(item.idle_seconds)),
            b'h' => push_field(out, b'h', u64::from(item.was_fetched)),
            _ => push_echo(out, asked, word),
        }
    }
    for (is_marked, mark) in [(item.was_won, b" Z"), (item.is_stale, b" X"), (item.is_won, b" W")] {
        if is_marked {
            out.extend_from_slice(mark);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to a fetch that found nothing.
pub fn push_miss(out: &mut Buffer, asked: Asked<'_>) {
    if !asked.is_quiet {
        push_echoes(out, b"EN", asked);
    }
}

/// Appends the answer to a store: the new version, 0 if there is none, and the whole value's length.
pub fn push_stored(out: &mut Buffer, asked: Asked<'_>, reply: Reply, cas: u64, value_len: usize) {
    let Some(code) = code(reply) else { return push_reply(out, reply) };
    if asked.is_quiet && reply == Reply::Stored {
        return;
    }
    out.extend_from_slice(code);
    for word in Words::new(asked.flags) {
        match word[0] {
            b'c' => push_field(out, b'c', cas),
            b's' => push_field(out, b's', u64::try_from(value_len).unwrap_or(u64::MAX)),
            _ => push_echo(out, asked, word),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to a delete.
pub fn push_deleted(out: &mut Buffer, asked: Asked<'_>, reply: Reply) {
    let Some(code) = code(reply) else { return push_reply(out, reply) };
    if !(asked.is_quiet && reply == Reply::Deleted) {
        push_echoes(out, code, asked);
    }
}

/// Appends the answer to an arithmetic operation.
pub fn push_number(out: &mut Buffer, asked: Asked<'_>, reply: Reply, item: &Item, shows_value: bool) {
    let Reply::Number(number) = reply else {
        return match code(reply) {
            Some(code) => push_echoes(out, code, asked),
            None => push_reply(out, reply),
        };
    };
    if asked.is_quiet {
        return;
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number).as_bytes();
    if shows_value {
        out.extend_from_slice(b"VA ");
        push_len(out, digits.len());
    } else {
        out.extend_from_slice(b"HD");
    }
    let mut ttl = item.ttl;
    for word in Words::new(asked.flags) {
        match word[0] {
            b'T' => ttl = item.ttl_touched,
            b'N' => ttl = item.ttl_created.unwrap_or(ttl),
            b't' => push_ttl(out, b" t", ttl),
            b'c' => push_field(out, b'c', item.cas),
            _ => push_echo(out, asked, word),
        }
    }
    out.extend_from_slice(b"\r\n");
    if shows_value {
        out.extend_from_slice(digits);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the answer to `me`.
pub fn push_inspected(out: &mut Buffer, asked: Asked<'_>, item: &Item) {
    out.extend_from_slice(b"ME ");
    push_key(out, asked);
    push_ttl(out, b" exp=", item.ttl);
    for (name, value) in [(&b" la="[..], u64::from(item.idle_seconds)), (b" cas=", item.cas)] {
        out.extend_from_slice(name);
        push_u64(out, value);
    }
    out.extend_from_slice(if item.was_fetched { b" fetch=yes cls=" } else { b" fetch=no cls=" });
    push_u64(out, u64::from(item.class));
    out.extend_from_slice(b" size=");
    push_u64(out, item.item_bytes);
    out.extend_from_slice(b"\r\n");
}

/// The code of a reply that has one.
fn code(reply: Reply) -> Option<&'static [u8]> {
    match reply {
        Reply::Stored | Reply::Deleted => Some(b"HD"),
        Reply::NotStored => Some(b"NS"),
        Reply::Exists => Some(b"EX"),
        Reply::NotFound => Some(b"NF"),
        _ => None,
    }
}

/// A line of a code, the key and the opaque.
fn push_echoes(out: &mut Buffer, code: &[u8], asked: Asked<'_>) {
    out.extend_from_slice(code);
    for word in Words::new(asked.flags) {
        push_echo(out, asked, word);
    }
    out.extend_from_slice(b"\r\n");
}

/// What every command gives back: the key and the opaque.
fn push_echo(out: &mut Buffer, asked: Asked<'_>, word: &[u8]) {
    match word[0] {
        b'O' => {
            out.push(b' ');
            out.extend_from_slice(word);
        }
        b'k' => {
            out.extend_from_slice(b" k");
            push_key(out, asked);
            if asked.is_base64 {
                out.extend_from_slice(b" b");
            }
        }
        _ => {}
    }
}

fn push_key(out: &mut Buffer, asked: Asked<'_>) {
    if asked.is_base64 { base64::encode(out, asked.key) } else { out.extend_from_slice(asked.key) }
}

fn push_field(out: &mut Buffer, letter: u8, value: u64) {
    out.extend_from_slice(&[b' ', letter]);
    push_u64(out, value);
}

fn push_ttl(out: &mut Buffer, name: &[u8], ttl: Option<u32>) {
    out.extend_from_slice(name);
    match ttl {
        Some(seconds) => push_u64(out, u64::from(seconds)),
        None => out.extend_from_slice(b"-1"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, HEAD_BYTES_MAX, Item, push_deleted, push_hit_head, push_miss, push_number, push_stored};
    use crate::bytes::Buffer;
    use crate::protocol::Reply;

    const ASKED: Asked<'_> = Asked { key: b"key", is_base64: false, flags: b" c k Oabc s t", is_quiet: false };

    fn encoded(encode: impl FnOnce(&mut Buffer)) -> String {
        let mut out = Buffer::default();
        encode(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn flags_are_answered_in_their_order_and_marks_last() {
        let item = Item { cas: 7, value_len: 3, was_won: true, is_stale: true, ttl: Some(9), ..Item::default() };
        assert_eq!(encoded(|out| push_hit_head(out, ASKED, &item, false)), "HD c7 kkey Oabc s3 t9 Z X\r\n");
        let won = Item { is_won: true, ..Item::default() };
        assert_eq!(encoded(|out| push_hit_head(out, ASKED, &won, true)), "VA 0 c0 kkey Oabc s0 t-1 W\r\n");
    }

    #[test]
    fn a_time_to_live_is_shown_as_it_is_at_that_place_of_the_line() {
        let item = Item { ttl: Some(1), ttl_touched: Some(2), ttl_created: Some(Some(3)), ..Item::default() };
        let asked = |flags| Asked { flags, ..ASKED };
        assert_eq!(encoded(|out| push_hit_head(out, asked(b"t T2 N3"), &item, false)), "HD t1\r\n");
        assert_eq!(encoded(|out| push_hit_head(out, asked(b"T2 t N3"), &item, false)), "HD t2\r\n");
        assert_eq!(encoded(|out| push_hit_head(out, asked(b"T2 N3 t"), &item, false)), "HD t3\r\n");
    }

    #[test]
    fn quiet_hides_what_goes_without_saying() {
        let quiet = Asked { is_quiet: true, is_base64: true, ..ASKED };
        assert_eq!(encoded(|out| push_miss(out, quiet)), "");
        assert_eq!(encoded(|out| push_stored(out, quiet, Reply::Stored, 1, 1)), "");
        assert_eq!(encoded(|out| push_stored(out, quiet, Reply::Exists, 0, 1)), "EX c0 ka2V5 b Oabc s1\r\n");
        assert_eq!(encoded(|out| push_deleted(out, quiet, Reply::Deleted)), "");
        assert_eq!(encoded(|out| push_deleted(out, quiet, Reply::NotFound)), "NF ka2V5 b Oabc\r\n");
        assert_eq!(encoded(|out| push_number(out, quiet, Reply::Number(5), &Item::default(), true)), "");
        assert_eq!(encoded(|out| push_miss(out, ASKED)), "EN kkey Oabc\r\n");
    }

    #[test]
    fn the_longest_head_fits_its_room() {
        let all = format!(" T-2147483648 N-2147483648 s t c f l h k b v O{}", "o".repeat(31));
        let asked = Asked { key: &[0xff; 250], is_base64: true, flags: all.as_bytes(), is_quiet: false };
        let item = Item {
            value_len: usize::MAX,
            cas: u64::MAX,
            client_flags: u32::MAX,
            ttl_touched: Some(u32::MAX),
            idle_seconds: u32::MAX,
            is_stale: true,
            is_won: true,
            was_won: true,
            ..Item::default()
        };
        assert!(encoded(|out| push_hit_head(out, asked, &item, true)).len() <= HEAD_BYTES_MAX);
    }
}
