//! [`Marks`]: what few items have beside key and value.

use super::item::state;

/// Bytes of the marks, when an item has any.
pub(super) const MARKS_BYTES: usize = 1;
/// Bytes of a client's own cas, when present.
pub(super) const OWN_CAS_BYTES: usize = 8;

/// What few items have. It lies behind the value, so that nobody has to step over it to a key or a value.
///
/// ```text
/// small   | header 10 | exptime? | flags? | key | value | marks 1 | own cas 8? |
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Of [`mark`].
    pub(super) bits: u8,
    /// The number a client gave the item in place of ours; 0: ours counts.
    pub(super) own_cas: u64,
}

/// The bits of [`Marks`].
pub(super) mod mark {
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
    pub(super) const NONE: Self = Self { bits: 0, own_cas: 0 };

    /// Room behind the value in bytes.
    #[inline]
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::NONE => 0,
            Self { own_cas: 0, .. } => MARKS_BYTES,
            Self { .. } => MARKS_BYTES + OWN_CAS_BYTES,
        }
    }

    /// The state byte's bit for these marks.
    #[inline]
    pub(super) fn state(self) -> u8 {
        if self == Self::NONE { 0 } else { state::EXTENDED }
    }
}
