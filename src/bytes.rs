//! Bytes being put together, and decimal numbers in and out of bytes; how many there are, as a number.

use std::ops::Deref;

/// Bytes that are appended to: a `Vec<u8>` whose spare room is zeroed when it is made and not looked at again. An
/// append is a copy from slice to slice, and of a piece of known length a store or two; a `Vec`'s is a call.
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
        match self.room[self.len..].get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.put_behind_the_end(bytes),
        }
    }

    /// Writes over bytes that are there already, from `at` on.
    ///
    /// # Panics
    /// When they are fewer than that.
    pub fn write_over(&mut self, at: usize, bytes: &[u8]) {
        self.room[..self.len][at..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Appends what `fill` puts into the spare room; nothing, and false, if that is more than there is room for.
    #[inline(always)]
    pub fn append(&mut self, fill: impl FnOnce(&mut Room<'_>) -> Option<()>) -> bool {
        let Some(spare) = self.room.get_mut(self.len..) else { return false };
        let mut room = Room { spare };
        if fill(&mut room).is_none() {
            return false;
        }
        let left = room.spare.len();
        self.len = self.room.len() - left;
        true
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

/// Spare room of a [`Buffer`], filled from its front. `None`, and nothing is put, where there is not enough of it.
#[derive(Debug)]
pub struct Room<'b> {
    spare: &'b mut [u8],
}

impl Room<'_> {
    /// Puts bytes.
    #[inline(always)]
    pub fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.put_front(bytes, bytes.len())
    }

    /// Puts the first `count` bytes of a piece, whose length is known where `count` is not.
    #[inline(always)]
    pub fn put_front(&mut self, piece: &[u8], count: usize) -> Option<()> {
        self.spare.get_mut(..piece.len())?.copy_from_slice(piece);
        self.spare = std::mem::take(&mut self.spare).get_mut(count..)?;
        Some(())
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

/// Numbers below this have at most four digits.
pub const FOUR_DIGITS: usize = 10_000;

/// The decimal digits of a number below [`FOUR_DIGITS`], the first one in the lowest byte, and how many they are. All
/// at once, by multiplication in lanes of the word: without branches, and without a copy of unknown length.
#[must_use]
#[inline(always)]
pub fn four_digits(number: usize) -> (u32, usize) {
    debug_assert!(number < FOUR_DIGITS);
    #[expect(clippy::cast_possible_truncation, reason = "below 10,000")]
    let number = number as u32;
    // Two lanes of two digits, then four of one; the higher digits in the lower lane.
    let hundreds = (number * 5_243) >> 19;
    let twos = hundreds | (number - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f;
    let ones = tens | (twos - 10 * tens) << 8;
    // Zero has one digit like any other number.
    let zeros = (ones | 1 << 24).trailing_zeros() / 8;
    let count = usize::try_from(4 - zeros).expect("at most four");
    ((ones | 0x3030_3030) >> (8 * zeros), count)
}

/// Parses an unsigned decimal of 32 bits.
#[must_use]
pub fn parse_u32(text: &[u8]) -> Option<u32> {
    u32::try_from(parse_u64(text)?).ok()
}

/// Parses a signed decimal of 32 bits.
#[must_use]
pub fn parse_i32(text: &[u8]) -> Option<i32> {
    i32::try_from(parse_i64(text)?).ok()
}

/// A count or a length as counters, reports and replies have it.
#[must_use]
#[inline]
pub fn number(n: usize) -> u64 {
    u64::try_from(n).expect("64 bits hold a usize")
}

/// Appends a decimal.
#[inline]
pub fn push_u64(out: &mut Buffer, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Buffer, FOUR_DIGITS, four_digits, parse_i64, parse_u64};

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
        buffer.write_over(1, b"bX");
        assert_eq!(&buffer[..], b"abX");
        buffer.write_over(0, b"ab");
        assert_eq!(&Buffer::from(&buffer[1..])[..], b"bX");
        buffer.clear();
        assert!(buffer.is_empty());
    }

    #[test]
    fn four_digits_are_those_that_are_printed() {
        for number in 0..FOUR_DIGITS {
            let (digits, count) = four_digits(number);
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
