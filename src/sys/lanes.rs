//! Sixteen bytes looked at together.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "vector instructions are not in std's safe part"))]

/// Bytes that are looked at together.
pub const LANES: usize = 16;

/// One bit for each of the bytes that is `byte`, the first one's lowest.
#[cfg(target_arch = "x86_64")]
#[must_use]
#[inline(always)]
pub fn equal_to(bytes: &[u8; LANES], byte: u8) -> u32 {
    // SAFETY: every processor of this architecture has SSE2.
    unsafe { sse2::equal_to(bytes, byte) }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn equal_to(bytes: &[u8; super::LANES], byte: u8) -> u32 {
        let (halves, _) = bytes.as_chunks::<8>();
        let (low, high) = (i64::from_le_bytes(halves[0]), i64::from_le_bytes(halves[1]));
        _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_set_epi64x(high, low), _mm_set1_epi8(byte.cast_signed()))).cast_unsigned()
    }
}

/// One bit for each of the bytes that is `byte`, the first one's lowest.
#[cfg(not(target_arch = "x86_64"))]
#[must_use]
#[inline(always)]
pub fn equal_to(bytes: &[u8; LANES], byte: u8) -> u32 {
    bytes.iter().rev().fold(0, |bits, &other| bits << 1 | u32::from(other == byte))
}

#[cfg(test)]
mod tests {
    use super::{LANES, equal_to};

    #[test]
    fn each_equal_byte_has_its_bit() {
        assert_eq!(equal_to(b" a \xa0 bcdefgh\x1f!\n ", b' '), 1 | 1 << 2 | 1 << 4 | 1 << 15);
        assert_eq!(equal_to(&[0xff; LANES], 0xff), 0xffff);
        assert_eq!(equal_to(&[0xff; LANES], 0x7f), 0);
    }
}
