//! The table of slab classes: which chunk sizes there are and which one an item of so many bytes gets.
//!
//! Ours step by 4 B to 128 B, by 8 B to 512 B, then eight per doubling up to 16 KiB, so that an item wastes
//! little, and finer where there are many pages; `-f` and `-n` ask for memcached's geometric steps instead. Each
//! size is raised to the largest that keeps its chunks per page; equal ones merge.

use crate::store::item::HEADER_BYTES;

/// Chunk size of the last class: an extent of a large item, and the most an item in one chunk takes.
pub(crate) const EXTENT_BYTES: usize = 16 * 1024;

/// Smallest chunk: a header, a one-byte key and a short value.
pub(crate) const CHUNK_BYTES_MIN: usize = 16;

/// Where steps of the finest granule end, and steps of twice that; and how many classes there are a doubling above.
#[derive(Clone, Copy, Debug)]
struct Steps {
    finest_bytes_max: usize,
    fine_bytes_max: usize,
    classes_a_doubling: usize,
}

/// More classes have fewer pages each. At `-m` 32 to 128 fine steps to 256 B made .2 % more misses over 25 runs,
/// sixteen classes a doubling .3 %; at 256 four traces have the same misses with 32 as with sixteen, and .6 % more of
/// the memory is payload.
const FEW_PAGES: Steps = Steps { finest_bytes_max: 128, fine_bytes_max: 512, classes_a_doubling: 8 };
const MANY_PAGES: Steps = Steps { finest_bytes_max: 256, fine_bytes_max: 512, classes_a_doubling: 32 };
/// Pages that are many: from `-m` 256 on.
const PAGES_MANY: usize = 4096;

/// Every chunk's address and size is a multiple of this: the header's widest fields are of 4 bytes.
pub(crate) const GRANULE_BYTES_MIN: usize = 4;

/// Class numbers fit a byte with room for "no class".
const CLASSES_MAX: usize = 250;

/// Sizes are looked up in units of this many bytes: every granule is a multiple.
const LOOKUP_BYTES: usize = GRANULE_BYTES_MIN;

/// A slab class by number: 0 is the smallest. On the wire classes count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClassId(pub(crate) u8);

impl ClassId {
    /// As an index into tables of classes.
    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The number clients know it by, from 1 on.
    pub(crate) fn number(self) -> u32 {
        u32::from(self.0) + 1
    }
}

/// The sizes, and the way from a size to its class.
#[derive(Debug)]
pub(crate) struct ClassTable {
    /// Chunk bytes by class, rising; the last is [`EXTENT_BYTES`].
    sizes: Vec<usize>,
    /// Class by size in lookup units, rounded up.
    by_size: Vec<ClassId>,
}

impl ClassTable {
    /// The table for so many pages of `page_bytes` and chunks that are multiples of `granule`.
    pub(crate) fn new(
        pages: usize,
        page_bytes: usize,
        granule: usize,
        growth_factor: Option<f64>,
        chunk_bytes_min: Option<usize>,
    ) -> Self {
        assert!(page_bytes.is_multiple_of(EXTENT_BYTES) && EXTENT_BYTES.is_multiple_of(granule));
        let wanted = match (growth_factor, chunk_bytes_min) {
            (None, None) => fine_sizes(if pages < PAGES_MANY { FEW_PAGES } else { MANY_PAGES }),
            (factor, min) => geometric_sizes(factor.unwrap_or(1.25), min.unwrap_or(48), granule),
        };
        let mut sizes: Vec<usize> = Vec::new();
        for size in wanted {
            let raised = raise(size, page_bytes, granule);
            if raised < EXTENT_BYTES && sizes.last() != Some(&raised) && sizes.len() < CLASSES_MAX - 1 {
                sizes.push(raised);
            }
        }
        sizes.push(EXTENT_BYTES);
        let by_size = (0..=EXTENT_BYTES / LOOKUP_BYTES).map(|units| class_for(&sizes, units * LOOKUP_BYTES)).collect();
        Self { sizes, by_size }
    }

    /// The smallest class whose chunks hold `bytes`; `None` above an extent.
    #[inline]
    pub(crate) fn class_of(&self, bytes: usize) -> Option<ClassId> {
        self.by_size.get(bytes.div_ceil(LOOKUP_BYTES)).copied()
    }

    /// Chunk size of a class in bytes.
    #[inline]
    pub(crate) fn chunk_bytes(&self, class: ClassId) -> usize {
        self.sizes[class.index()]
    }

    /// How many classes there are.
    pub(crate) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// All classes, smallest first.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = ClassId> + use<> {
        (0..u8::try_from(self.sizes.len()).expect("at most 250 classes")).map(ClassId)
    }

    /// The class of extents.
    pub(crate) fn extent(&self) -> ClassId {
        ClassId(u8::try_from(self.sizes.len() - 1).expect("at most 250 classes"))
    }
}

fn class_for(sizes: &[usize], bytes: usize) -> ClassId {
    let index = sizes.partition_point(|&size| size < bytes);
    ClassId(u8::try_from(index).expect("at most 250 classes"))
}

/// The largest multiple of the granule with as many chunks in a page.
fn raise(size: usize, page_bytes: usize, granule: usize) -> usize {
    let size = size.next_multiple_of(granule).min(EXTENT_BYTES);
    let per_page = page_bytes / size;
    (page_bytes / per_page / granule * granule).min(EXTENT_BYTES)
}

fn fine_sizes(steps: Steps) -> Vec<usize> {
    let Steps { finest_bytes_max, fine_bytes_max, classes_a_doubling } = steps;
    let mut sizes: Vec<usize> = (CHUNK_BYTES_MIN..finest_bytes_max).step_by(GRANULE_BYTES_MIN).collect();
    sizes.extend((finest_bytes_max..=fine_bytes_max).step_by(2 * GRANULE_BYTES_MIN));
    let mut octave = fine_bytes_max;
    while octave < EXTENT_BYTES {
        sizes.extend((1..=classes_a_doubling).map(|nth| octave + octave * nth / classes_a_doubling));
        octave *= 2;
    }
    sizes
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are between 16 and 16384")]
#[expect(clippy::cast_precision_loss, reason = "sizes are below 2^52")]
fn geometric_sizes(factor: f64, room_min: usize, granule: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut size = (HEADER_BYTES + room_min).max(CHUNK_BYTES_MIN);
    while size < EXTENT_BYTES {
        size = size.next_multiple_of(granule);
        sizes.push(size);
        size = ((size as f64 * factor) as usize).max(size + granule);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::{ClassTable, EXTENT_BYTES};

    #[test]
    fn every_size_gets_the_smallest_chunk_that_holds_it() {
        for (page, granule) in [(64 << 10, 4), (256 << 10, 4), (1 << 20, 8), (1 << 20, 64)] {
            let table = ClassTable::new(4096, page, granule, None, None);
            for bytes in 1..=EXTENT_BYTES {
                let class = table.class_of(bytes).expect("up to an extent");
                assert!(table.chunk_bytes(class) >= bytes);
                assert!(class.0 == 0 || table.chunk_bytes(super::ClassId(class.0 - 1)) < bytes);
            }
            assert!(table.class_of(EXTENT_BYTES + 1).is_none());
        }
    }

    #[test]
    fn sizes_are_raised_to_what_keeps_their_chunks_per_page() {
        let table = ClassTable::new(1024, 64 << 10, 4, None, None);
        for class in table.all() {
            let size = table.chunk_bytes(class);
            assert!(size.is_multiple_of(4));
            assert!(size == EXTENT_BYTES || (64 << 10) / (size + 4) < (64 << 10) / size, "{size} could be raised");
        }
    }

    #[test]
    fn small_items_waste_less_than_a_step() {
        let table = ClassTable::new(1024, 256 << 10, 4, None, None);
        for bytes in 16..=512 {
            let chunk = table.chunk_bytes(table.class_of(bytes).expect("small"));
            let step = if bytes <= 128 { 4 } else { 8 };
            assert!(chunk - bytes < step, "{bytes} gets {chunk}");
        }
    }

    #[test]
    fn growth_factor_and_least_size_are_honoured() {
        let table = ClassTable::new(1024, 1 << 20, 8, Some(2.0), Some(100));
        let sizes: Vec<usize> = table.all().map(|class| table.chunk_bytes(class)).collect();
        assert!(sizes[0] >= 110 && sizes.len() < 10, "{sizes:?}");
        assert_eq!(sizes.last(), Some(&EXTENT_BYTES));
    }
}
