//! The table of slab classes: which chunk sizes there are and which one an item of so many bytes gets.
//!
//! Ours step by 4 B to 128 B, by 8 B to 512 B, then eight per doubling up to 16 KiB, so that an item wastes
//! little, and finer where there are many pages; `-f` and `-n` ask for memcached's geometric steps instead. Each
//! size is raised to the largest that keeps its chunks per page; equal ones merge.
//!
//! Clients know classes by a number from 1 to 63, as memcached's: where there are more classes, neighbours share one.
//! Here alone is known which.

use crate::store::bytes::item::HEADER_BYTES;
use crate::store::bytes::layout::{CHUNK_BYTES_MIN, CLASSES_MAX, EXTENT_BYTES, GRANULE_BYTES_MIN};

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

/// The highest number a class has on the wire. memcached's classes have no higher ones, and clients ask for no others.
pub(crate) const NUMBER_MAX: u32 = 63;

/// Sizes are looked up in units of this many bytes: every granule is a multiple.
const LOOKUP_BYTES: usize = GRANULE_BYTES_MIN;

/// A slab class: 0 is the smallest. Clients know it by [`ClassTable::number`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClassId(pub(crate) u8);

impl ClassId {
    /// As an index into tables of classes.
    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Some of the slab classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassSet {
    words: [u64; 4],
}

impl ClassSet {
    /// Every class.
    pub const ALL: Self = Self { words: [u64::MAX; 4] };

    /// Adds those of another set.
    pub fn add(&mut self, other: Self) {
        for (word, more) in self.words.iter_mut().zip(other.words) {
            *word |= more;
        }
    }

    pub(crate) fn from_words(words: [u64; 4]) -> Self {
        Self { words }
    }

    pub(crate) fn words(self) -> [u64; 4] {
        self.words
    }

    pub(crate) fn insert(&mut self, class: ClassId) {
        self.words[class.index() / 64] |= 1 << (class.index() % 64);
    }

    pub(crate) fn has(&self, class: ClassId) -> bool {
        self.words[class.index() / 64] >> (class.index() % 64) & 1 == 1
    }

    /// Whether no class is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The sizes, and the way from a size to its class.
#[derive(Debug)]
pub(crate) struct ClassTable {
    /// Chunk bytes by class, rising; the last is [`EXTENT_BYTES`].
    sizes: Vec<usize>,
    /// Class by size in lookup units, rounded up.
    by_size: Vec<ClassId>,
    /// The number on the wire by class: rising from 1 in steps of at most one.
    numbers: Vec<u32>,
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
        Self::of(sizes)
    }

    /// The table of these sizes, which rise and end with an extent.
    pub(crate) fn of(sizes: Vec<usize>) -> Self {
        let by_size = (0..=EXTENT_BYTES / LOOKUP_BYTES).map(|units| class_for(&sizes, units * LOOKUP_BYTES)).collect();
        let numbers = numbers_for(&sizes);
        Self { sizes, by_size, numbers }
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

    /// Their chunks' sizes in bytes.
    pub(crate) fn chunk_sizes(&self) -> impl ExactSizeIterator<Item = usize> {
        self.sizes.iter().copied()
    }

    /// The number clients know a class by, 1 to [`NUMBER_MAX`].
    pub(crate) fn number(&self, class: ClassId) -> u32 {
        self.numbers[class.index()]
    }

    /// The classes that clients know by this number, smallest first: neighbours.
    pub(crate) fn numbered(&self, number: u32) -> impl DoubleEndedIterator<Item = ClassId> + use<'_> {
        self.all().filter(move |class| self.number(*class) == number)
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

/// The number of each class: its place, if there are few. Else a class shares the number of the one below where the
/// sizes from a number's first to its last lie within some ratio, the least with which numbers suffice: who reads a
/// report sees about as much of small sizes as of large ones. Extents, in which large values stand, have their own.
fn numbers_for(sizes: &[usize]) -> Vec<u32> {
    let within = |thousandths: usize| {
        let (mut number, mut first) = (0, 0);
        let next = |&size: &usize| {
            if number == 0 || size == EXTENT_BYTES || size * 1000 > first * thousandths {
                (number, first) = (number + 1, size);
            }
            number
        };
        sizes.iter().map(next).collect::<Vec<u32>>()
    };
    let suffices = |numbers: &Vec<u32>| numbers.last().is_none_or(|last| *last <= NUMBER_MAX);
    (1000..).map(within).find(suffices).expect("with a ratio of 1024 there are two numbers")
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
    use super::{ClassId, ClassTable, EXTENT_BYTES, NUMBER_MAX};

    #[test]
    fn every_size_gets_the_smallest_chunk_that_holds_it() {
        for (page, granule) in [(64 << 10, 4), (256 << 10, 4), (1 << 20, 8), (1 << 20, 64)] {
            let table = ClassTable::new(4096, page, granule, None, None);
            for bytes in 1..=EXTENT_BYTES {
                let class = table.class_of(bytes).expect("up to an extent");
                assert!(table.chunk_bytes(class) >= bytes);
                assert!(class.0 == 0 || table.chunk_bytes(ClassId(class.0 - 1)) < bytes);
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
    fn every_class_has_a_number_that_clients_ask_for() {
        let tables = [(1024, 64 << 10, 4), (4096, 256 << 10, 4), (16_384, 256 << 10, 4), (65_536, 1 << 20, 64)];
        for (pages, page, granule) in tables {
            let table = ClassTable::new(pages, page, granule, None, None);
            let numbers: Vec<u32> = table.all().map(|class| table.number(class)).collect();
            assert_eq!(numbers[0], 1);
            assert!(numbers.windows(2).all(|pair| pair[1] - pair[0] <= 1), "{numbers:?}");
            assert!(numbers[numbers.len() - 1] <= NUMBER_MAX, "{numbers:?}");
            assert_eq!(table.numbered(table.number(table.extent())).collect::<Vec<_>>(), [table.extent()]);
            for number in 1..=numbers[numbers.len() - 1] {
                let sizes: Vec<usize> = table.numbered(number).map(|class| table.chunk_bytes(class)).collect();
                let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
                assert!(sizes.len() == 1 || last * 100 <= first * 115, "{number}: {first} to {last}");
            }
        }
    }

    #[test]
    fn few_classes_are_numbered_by_place() {
        for factor in [1.12, 1.25, 2.0] {
            let table = ClassTable::new(1024, 1 << 20, 8, Some(factor), Some(48));
            assert!(table.count() <= 63, "{} classes", table.count());
            for (class, place) in table.all().zip(1..) {
                assert_eq!(table.number(class), place);
            }
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
