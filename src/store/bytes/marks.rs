//! [`Marks`]: what few items have beside key and value.

use super::state;

/// Bytes of the exptime, when present.
pub(crate) const EXPTIME_BYTES: usize = 4;
/// Bytes of the marks, when an item has any.
pub(crate) const MARKS_BYTES: usize = 1;
/// Bytes of a client's own cas, when present.
pub(crate) const OWN_CAS_BYTES: usize = 8;
/// Bytes of the fields that commands can give an item later: an exptime, marks and a client's own cas.
pub(crate) const LATER_BYTES_MAX: usize = EXPTIME_BYTES + MARKS_BYTES + OWN_CAS_BYTES;

/// What few items have. It lies behind the value, so that nobody has to step over it to a key or a value.
///
/// ```text
/// small   | header 10 | exptime? | flags? | key | value | marks 1 | own cas 8? |
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Of [`mark`].
    pub(crate) bits: u8,
    /// The number a client gave the item in place of ours; 0: ours counts.
    pub(crate) own_cas: u64,
}

/// The bits of [`Marks`].
pub(crate) mod mark {
    /// The value is out of date; it may be served until a client that won brings another.
    pub(crate) const STALE: u8 = 1;
    /// A client has won and is bringing another value.
    pub(crate) const TOKEN_SENT: u8 = 1 << 1;
    /// The key came encoded and is shown encoded.
    pub(crate) const BINARY_KEY: u8 = 1 << 2;
    /// A client's own cas follows; in memory only.
    pub(crate) const OWN_CAS: u8 = 1 << 3;
}

impl Marks {
    /// What nearly all items have.
    pub(crate) const NONE: Self = Self { bits: 0, own_cas: 0 };

    /// Room behind the value in bytes.
    #[inline]
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::NONE => 0,
            Self { own_cas: 0, .. } => MARKS_BYTES,
            Self { .. } => MARKS_BYTES + OWN_CAS_BYTES,
        }
    }

    /// The state byte's bit for these marks.
    #[inline]
    pub(crate) fn state(self) -> u8 {
        if self == Self::NONE { 0 } else { state::EXTENDED }
    }
}

/// What every item of a store has room for, needed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Bits of the fields between header and key that it has.
    pub(crate) state: u8,
    /// Room for marks in bytes.
    pub(crate) marks_bytes: usize,
}

impl Kept {
    /// Nothing: an item that needs another field moves to a chunk that has room for it.
    pub(crate) const NOTHING: Self = Self { state: 0, marks_bytes: 0 };
    /// An exptime and a mark: where nothing is evicted there may be no other chunk.
    pub(crate) const EXPTIME_AND_MARK: Self = Self { state: state::HAS_EXPTIME, marks_bytes: MARKS_BYTES };
}
