//! Decimal numbers in and out of bytes.

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

/// Appends a decimal.
#[inline]
pub fn push_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{parse_i64, parse_u64};

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
