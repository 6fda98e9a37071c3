//! [`Header`]: the 24 bytes that a packet begins with. Numbers are big-endian.

use crate::limits::KEY_BYTES_MAX;

/// Length of a header.
pub(super) const HEADER_BYTES: usize = 24;

/// First byte of a request.
pub(in crate::protocol) const REQUEST_MAGIC: u8 = 0x80;
/// First byte of an answer.
pub(super) const ANSWER_MAGIC: u8 = 0x81;

/// Longest body that memcached takes, and we.
pub(super) const BODY_BYTES_MAX: usize = 1 << 30;

/// A request's header. The fields that nobody has a use for (data type, vbucket) are not looked at, as there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) magic: u8,
    pub(super) opcode: u8,
    pub(super) key_len: usize,
    pub(super) extras_len: usize,
    /// Length of extras, key and value together, as the client says.
    pub(super) body_len: usize,
    /// What the answer repeats.
    pub(super) opaque: [u8; 4],
    pub(super) cas: u64,
}

impl Header {
    /// Reads a header.
    #[inline(always)]
    pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [magic, opcode, k0, k1, extras_len, _, _, _, b0, b1, b2, b3, o0, o1, o2, o3, cas @ ..] = *bytes;
        Self {
            magic,
            opcode,
            key_len: usize::from(u16::from_be_bytes([k0, k1])),
            extras_len: usize::from(extras_len),
            body_len: usize::try_from(u32::from_be_bytes([b0, b1, b2, b3])).expect("64 bits hold 32"),
            opaque: [o0, o1, o2, o3],
            cas: u64::from_be_bytes(cas),
        }
    }

    /// Length of all before the value.
    pub(super) fn head_len(&self) -> usize {
        HEADER_BYTES + self.extras_len + self.key_len
    }
}

/// Whether all before a request's value stands in the input.
pub(in crate::protocol) fn has_head(input: &[u8]) -> bool {
    let header = input.first_chunk().map(Header::read);
    header.is_some_and(|header| header.key_len <= KEY_BYTES_MAX && header.head_len() <= input.len())
}

/// What a log shows of a packet: what stands before its value.
pub(in crate::protocol) fn logged(bytes: &[u8]) -> &[u8] {
    let head_len = bytes.first_chunk().map_or(HEADER_BYTES, |header| Header::read(header).head_len());
    &bytes[..head_len.min(bytes.len())]
}
