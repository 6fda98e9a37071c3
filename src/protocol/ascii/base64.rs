//! Base64 of keys: the standard alphabet with padding, nothing else in between.

use crate::bytes::Buffer;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the encoding of `bytes`.
pub(super) fn encode(out: &mut Buffer, bytes: &[u8]) {
    for group in bytes.chunks(3) {
        let byte = |at: usize| group.get(at).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * digit) & 63).expect("six bits");
            out.push(if digit <= group.len() { ALPHABET[index] } else { b'=' });
        }
    }
}

/// Decodes `text` into the front of `into` and returns how long it got; `None`: not base64, nothing, or no room.
pub(super) fn decode(text: &[u8], into: &mut [u8]) -> Option<usize> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let mut len = 0;
    for group in digits.chunks(4) {
        let mut bits = 0;
        for &digit in group {
            bits = bits << 6 | value(digit)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, bytes @ ..] = u32::to_be_bytes(bits);
        let whole = group.len() - 1;
        into.get_mut(len..len + whole)?.copy_from_slice(&bytes[..whole]);
        len += whole;
    }
    (len > 0).then_some(len)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::bytes::Buffer;

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut into = [0; 32];
        decode(text, &mut into).map(|len| into[..len].to_vec())
    }

    #[test]
    fn the_vectors_of_the_rfc_go_both_ways() {
        let vectors: [(&[u8], &[u8]); 6] = [
            (b"f", b"Zg=="),
            (b"fo", b"Zm8="),
            (b"foo", b"Zm9v"),
            (b"foob", b"Zm9vYg=="),
            (b"fooba", b"Zm9vYmE="),
            (b"\xff\x00\xfe", b"/wD+"),
        ];
        for (bytes, text) in vectors {
            let mut out = Buffer::default();
            encode(&mut out, bytes);
            assert_eq!(&out[..], text);
            assert_eq!(decoded(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [&b""[..], b"Zg", b"Zg=", b"Z===", b"====", b"Zm9v=", b"Zm 9", b"Zm9-", b"=Zm9", b"Zg==Zg=="] {
            assert_eq!(decoded(text), None, "{:?}", text.escape_ascii());
        }
        assert_eq!(decode(b"Zm9v", &mut [0; 2]), None, "no room");
    }
}
