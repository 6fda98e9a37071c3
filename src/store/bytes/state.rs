//! The bits of an item's state byte: where it stands, how it was used, which optional fields it has.

/// In the main queue; clear: in the small one.
pub(crate) const MAIN: u8 = 1;
/// Lowest bit of the two-bit frequency.
pub(crate) const FREQUENCY_ONE: u8 = 1 << 1;
/// The frequency's bits.
pub(crate) const FREQUENCY: u8 = 3 << 1;
/// An exptime follows the header.
pub(crate) const HAS_EXPTIME: u8 = 1 << 3;
/// Client flags follow the header (and the exptime).
pub(crate) const HAS_FLAGS: u8 = 1 << 4;
/// Fetched since it was stored.
pub(crate) const FETCHED: u8 = 1 << 5;
/// The class's ring has an entry for this chunk. Belongs to the chunk: it outlives the item.
pub(crate) const IN_RING: u8 = 1 << 6;
/// The item has [`Marks`](super::marks::Marks).
pub(crate) const EXTENDED: u8 = 1 << 7;
