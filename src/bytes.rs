//! Bytes being put together, and decimal numbers in and out of bytes.

use std::ops::Deref;

/// Bytes that are appended to: a `Vec<u8>` whose spare room is zeroed when it is made and not looked at again. An append
/// is a copy from slice to slice, and of a piece of known length a store or two; a `Vec`'s is a call.
#[derive(Debug, Default)]
pub struct Buffer {
    room: Vec<u8>,
    /// Bytes of `room` that count.
    len: usize,
}

impl Buffer {
    /// An empty buffer with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { room: vec![0; bytes], len: 0 }
    }

    /// How many bytes it holds without growing.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.room.len()
    }

    /// Makes room for so many more bytes.
    #[cold]
    pub fn reserve(&mut self, bytes: usize) {
        let needed = self.len + bytes;
        if needed > self.room.len() {
            self.room.resize(needed.max(2 * self.room.len()), 0);
        }
    }

    /// Appends bytes.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.put(bytes);
    }

    /// Appends bytes, without a call if their number is known.
    #[inline(always)]
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.room.get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.put_behind_the_end(bytes),
        }
    }

    #[cold]
    fn put_behind_the_end(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.put(bytes);
    }

    /// Appends a byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    /// Forgets all bytes from `len` on.
    #[inline(always)]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets all bytes.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        Self { room: bytes.to_vec(), len: bytes.len() }
    }
}

/// Parses an unsigned decimal: digits only, at least one, at most `u64::MAX`.
#[must_use]
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Parses a signed decimal: an optional minus sign and digits.
#[must_use]
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let Some(digits) = text.strip_prefix(b"-") else {
        return i64::try_from(parse_u64(text)?).ok();
    };
    let magnitude = parse_u64(digits)?;
    if magnitude > i64::MIN.unsigned_abs() { None } else { Some(0i64.wrapping_sub_unsigned(magnitude)) }
}

/// Numbers below this have their digits in one word.
pub const WORD_NUMBERS: usize = 100_000_000;

/// The decimal digits of a number below [`WORD_NUMBERS`], the first one in the lowest byte, and how many they are. All
/// at once, by multiplication in lanes of the word: without branches, and without a copy of unknown length.
#[must_use]
#[inline(always)]
pub fn digits_in_word(number: usize) -> (u64, usize) {
    debug_assert!(number < WORD_NUMBERS);
    let number = number as u64;
    // Two lanes of four digits, then four of two, then eight of one; the higher digits in the lower lane.
    let fours = number / 10_000 | (number % 10_000) << 32;
    let hundreds = (fours * 10_486 >> 20) & 0x7f_0000_007f;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = (twos * 103 >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | (twos - 10 * tens) << 8;
    // Zero has one digit like any other number.
    let zeros = ((ones | 1 << 56).trailing_zeros() / 8) as usize;
    ((ones | 0x3030_3030_3030_3030) >> (8 * zeros), 8 - zeros)
}

/// Appends a decimal.
#[inline]
pub fn push_u64(out: &mut Buffer, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Buffer, WORD_NUMBERS, digits_in_word, parse_i64, parse_u64};

    #[test]
    fn a_buffer_holds_what_was_appended_and_grows() {
        let mut buffer = Buffer::with_capacity(3);
        for byte in b"abc" {
            buffer.push(*byte);
        }
        assert_eq!((&buffer[..], buffer.capacity()), (&b"abc"[..], 3));
        buffer.extend_from_slice(b"defghijk");
        assert_eq!(&buffer[..], b"abcdefghijk");
        buffer.truncate(20);
        buffer.truncate(2);
        buffer.put(b"X");
        assert_eq!(&buffer[..], b"abX");
        assert_eq!(&Buffer::from(&buffer[1..])[..], b"bX");
        buffer.clear();
        assert!(buffer.is_empty());
    }

    #[test]
    fn digits_of_a_word_are_those_that_are_printed() {
        let around = |power: usize| power.saturating_sub(3)..power + 3;
        let edges = (0..8).flat_map(|exponent| around(10usize.pow(exponent)));
        let steps = (0..WORD_NUMBERS).step_by(9_973);
        for number in (0..20_000).chain(edges).chain(steps).chain([WORD_NUMBERS - 1]) {
            let (digits, count) = digits_in_word(number);
            assert_eq!(digits.to_le_bytes()[..count], *number.to_string().as_bytes());
        }
    }

    #[test]
    fn unsigned_numbers_end_at_the_last_one_that_fits() {
        assert_eq!(parse_u64(b"0"), Some(0));
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"0000000000000000000000001"), Some(1));
        for bad in [&b""[..], b"-1", b"+1", b"1x", b"x", b" 1"] {
            assert_eq!(parse_u64(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn signed_numbers_take_a_minus_only() {
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"-9223372036854775809"), None);
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"9223372036854775808"), None);
        for bad in [&b""[..], b"-", b"--1", b"+1", b"1-"] {
            assert_eq!(parse_i64(bad), None, "{bad:?}");
        }
    }
}
