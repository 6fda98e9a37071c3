//! How the arena is laid out, as far as several files have to know: names of chunks, and sizes in bytes. `LAYOUT.md`
//! has the pictures; what lies in a chunk says `item`.

/// The name of a chunk: its offset in the arena in granules. 0 is never a chunk: the superblock lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ref(pub(crate) u32);

impl Ref {
    /// No chunk.
    pub(crate) const NONE: Self = Self(0);

    /// Whether this names a chunk.
    #[inline]
    pub(crate) fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// Every chunk's address and size is a multiple of this: the header's widest fields are of 4 bytes.
pub(crate) const GRANULE_BYTES_MIN: usize = 4;
/// Smallest chunk: a header, a one-byte key and a short value.
pub(crate) const CHUNK_BYTES_MIN: usize = 16;
/// Chunk size of the last class: an extent of a large item, and the most an item in one chunk takes.
pub(crate) const EXTENT_BYTES: usize = 16 * 1024;
/// Most slab classes: their numbers fit a byte with room for "no class".
pub(crate) const CLASSES_MAX: usize = 250;
/// Bytes of a page table entry.
pub(crate) const PAGE_ENTRY_BYTES: usize = 48;
/// Bytes that a stripe keeps in the arena.
pub(crate) const STRIPE_RECORD_BYTES: usize = 16;
/// Most stripes: 4096 locks keep two of a hundred threads apart.
pub(crate) const STRIPES_MAX: usize = 4096;
/// Bytes of a bucket of the index.
pub(crate) const BUCKET_BYTES: usize = 64;
/// Most cells of a stripe's column: their places fit the link of a bucket.
pub(crate) const CELLS_MAX: usize = 1 << 20;

/// A length or a count in 64 bits.
#[inline]
pub(crate) fn u64_of(n: usize) -> u64 {
    u64::try_from(n).expect("64 bits hold a usize")
}
