//! The encoder of lists of items.

use super::base64;
use super::encode::{push_len, push_reply};
use crate::bytes::{Buffer, push_u64};
use crate::protocol::{ItemLine, ItemLines, Listed, Reply};

/// Appends an item of a list.
pub fn push_item(out: &mut Buffer, item: &ItemLine<'_>) {
    match *item {
        ItemLine::Metadump(ref item) => push_metadump(out, item),
        ItemLine::Mgdump { key, is_base64 } => push_mgdump(out, key, is_base64),
        ItemLine::Cachedump { key, value_len, expires } => push_cachedump(out, key, value_len, expires),
    }
}

/// Appends the line of an item in a `metadump`: its end is a space and an LF, as with memcached.
fn push_metadump(out: &mut Buffer, item: &Listed<'_>) {
    out.extend_from_slice(b"key=");
    push_uri(out, item.key);
    out.extend_from_slice(b" exp=");
    match item.expires {
        Some(expires) => push_time(out, expires),
        None => out.extend_from_slice(b"-1"),
    }
    out.extend_from_slice(b" la=");
    push_time(out, item.accessed);
    for (name, number) in [
        (&b" cas="[..], item.cas),
        (if item.was_fetched { b" fetch=yes cls=" } else { b" fetch=no cls=" }, u64::from(item.class)),
        (b" size=", item.item_bytes),
        (b" flags=", u64::from(item.client_flags)),
    ] {
        out.extend_from_slice(name);
        push_u64(out, number);
    }
    out.extend_from_slice(b" \n");
}

/// Appends the line of an item in an `mgdump`: a request for it.
fn push_mgdump(out: &mut Buffer, key: &[u8], is_base64: bool) {
    out.extend_from_slice(b"mg ");
    if is_base64 || !is_plain(key) {
        base64::encode(out, key);
        out.extend_from_slice(b" b\r\n");
    } else {
        out.extend_from_slice(key);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the line of an item in a `cachedump`; `expires` is in Unix seconds, 0 for never. A key that could end the
/// line or a word of it, or move a terminal's cursor, is left out: the line has no form for it.
fn push_cachedump(out: &mut Buffer, key: &[u8], value_len: usize, expires: i64) {
    if !is_plain(key) {
        return;
    }
    out.extend_from_slice(b"ITEM ");
    out.extend_from_slice(key);
    out.extend_from_slice(b" [");
    push_len(out, value_len);
    out.extend_from_slice(b" b; ");
    push_time(out, expires);
    out.extend_from_slice(b" s]\r\n");
}

/// Appends what ends a list.
pub fn push_items_end(out: &mut Buffer, lines: ItemLines) {
    match lines {
        ItemLines::Metadump | ItemLines::Cachedump => push_reply(out, Reply::End),
        ItemLines::Mgdump => out.extend_from_slice(b"EN\r\n"),
    }
}

/// A time before 1970 is none.
fn push_time(out: &mut Buffer, unix: i64) {
    push_u64(out, u64::try_from(unix).unwrap_or(0));
}

/// Whether a key can stand in a line as it is.
fn is_plain(key: &[u8]) -> bool {
    !key.iter().any(|&byte| byte == b' ' || byte.is_ascii_control())
}

/// Appends a key so that it has no byte that ends a line or a word.
pub fn push_uri(out: &mut Buffer, key: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in key {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, Listed, push_cachedump, push_metadump, push_mgdump};

    fn encoded(encode: impl FnOnce(&mut Buffer)) -> String {
        let mut out = Buffer::default();
        encode(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn a_metadump_line_has_memcacheds_form() {
        let item = Listed {
            key: b"k%20~-_.z\x01/:a",
            expires: Some(1_795_393_182),
            accessed: 1_795_393_082,
            cas: 3,
            was_fetched: false,
            class: 1,
            item_bytes: 75,
            client_flags: 0,
        };
        let line = "key=k%2520~-_.z%01%2F%3Aa exp=1795393182 la=1795393082 cas=3 fetch=no cls=1 size=75 flags=0 \n";
        assert_eq!(encoded(|out| push_metadump(out, &item)), line);
        let item = Listed { key: b"foo", expires: None, was_fetched: true, client_flags: 5, ..item };
        let line = "key=foo exp=-1 la=1795393082 cas=3 fetch=yes cls=1 size=75 flags=5 \n";
        assert_eq!(encoded(|out| push_metadump(out, &item)), line);
    }

    #[test]
    fn the_other_lines_have_memcacheds_form() {
        assert_eq!(encoded(|out| push_mgdump(out, b"foo", false)), "mg foo\r\n");
        assert_eq!(encoded(|out| push_mgdump(out, b"abc", true)), "mg YWJj b\r\n");
        assert_eq!(encoded(|out| push_cachedump(out, b"foo", 3, 0)), "ITEM foo [3 b; 0 s]\r\n");
    }
}
