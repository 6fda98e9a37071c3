//! Numbers as the command line writes them. A word that is not wholly a number is none: memcached takes `64x`
//! for 64 and `x` for 0, which starts a server its operator did not mean.

use crate::bytes;

/// Bytes in a megabyte, as all of memcached's flags count.
pub(super) const MEGABYTE: u64 = 1 << 20;

/// A signed decimal.
pub(super) fn parse_integer(text: &str) -> Option<i64> {
    bytes::parse_i64(text.as_bytes())
}

/// A finite number with an optional point.
pub(super) fn parse_factor(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `-m`: megabytes, with an `m` after them or not, in bytes.
pub(super) fn parse_megabytes(text: &str) -> Option<u64> {
    let digits = text.strip_suffix(['m', 'M']).unwrap_or(text);
    bytes::parse_u64(digits.as_bytes())?.checked_mul(MEGABYTE)
}

/// `-I`: bytes, or with a `k` or `m` after them kilobytes or megabytes, in bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().split_last()? {
        (b'k' | b'K', digits) => (digits, 1024),
        (b'm' | b'M', digits) => (digits, MEGABYTE),
        _ => (text.as_bytes(), 1),
    };
    bytes::parse_u64(digits)?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::{parse_factor, parse_megabytes, parse_size};

    #[test]
    fn sizes_take_their_suffixes() {
        assert_eq!(parse_size("1024"), Some(1024));
        assert_eq!(parse_size("2k"), Some(2048));
        assert_eq!(parse_size("1M"), Some(1 << 20));
        assert_eq!(parse_megabytes("64"), Some(64 << 20));
        assert_eq!(parse_megabytes("64m"), Some(64 << 20));
        for wrong in ["", "m", "x", "1g", "-1", "1.5m", "18446744073709551615m"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
            assert_eq!(parse_megabytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn factors_are_finite() {
        assert_eq!(parse_factor("1.25"), Some(1.25));
        for wrong in ["", "x", "inf", "NaN", "1.2.3"] {
            assert_eq!(parse_factor(wrong), None, "{wrong}");
        }
    }
}
