//! The superblock at the arena's start: how to read the rest, and what another run has to know of this one.
//!
//! What is fixed from the arena's making on stands under a check and is believed as a whole or not at all. The rest
//! changes while the store is in use, a word at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::hash::KeyHasher;
use crate::store::bytes::layout::{CHUNK_BYTES_MIN, CLASSES_MAX, EXTENT_BYTES, GRANULE_BYTES_MIN, STRIPES_MAX, u64_of};
use crate::store::words::refusal::Refusal;
use crate::sync::{AtomicU64, Ordering, crash};
use crate::sys::memory::{OS_PAGE_BYTES, Reservation, Table};

/// First word of every arena: "FLAGSTON" read as a little-endian number.
const MAGIC: u64 = u64::from_le_bytes(*b"FLAGSTON");
/// Number of the layout that `LAYOUT.md` describes.
const LAYOUT: u64 = 7;
/// Bytes of the superblock.
pub(super) const SUPERBLOCK_BYTES: usize = OS_PAGE_BYTES;
const WORDS: usize = SUPERBLOCK_BYTES / 8;
/// What is hashed to see whether another build of the program hashes as this one.
const PROOF: &[u8] = b"the quick brown fox jumps over the lazy dog";
/// Bits of [`Word::Meaning`].
const WITH_CAS: u64 = 1;

/// The words of the superblock, in their order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    Magic,
    Layout,
    /// Over all up to `Classes`, and the classes' sizes.
    Check,
    PageBytes,
    Granule,
    Stripes,
    PagesMax,
    LimitMax,
    HashSeed,
    HashProof,
    Meaning,
    Classes,
    // From here on they change.
    Epoch,
    LastTick,
    Flushes,
    PlannedFlush,
    BootHigh,
    BootLow,
    BootEpoch,
    IsClean,
    Owner,
    LimitPeak,
    /// `-n` that it was made with, and the bits of `-f`; 0 without.
    ChunkBytesMin,
    GrowthFactor,
    DueFlush,
    FirstClassSize,
}

/// What is fixed from the arena's making on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) page_bytes: usize,
    pub(crate) granule: usize,
    pub(crate) stripes: usize,
    pub(crate) pages_max: usize,
    pub(crate) limit_bytes_max: u64,
    pub(crate) hash_seed: u64,
    pub(crate) hash_proof: u64,
    pub(crate) with_cas: bool,
    pub(crate) chunk_sizes: Vec<usize>,
}

/// The hash of a fixed text under a seed.
pub(crate) fn hash_proof(seed: u64) -> u64 {
    KeyHasher::with_seed(seed).hash(PROOF)
}

impl Fixed {
    /// The words from `PageBytes` to `Classes`, and the classes' sizes behind them.
    fn words(&self) -> Vec<u64> {
        let head = [
            u64_of(self.page_bytes),
            u64_of(self.granule),
            u64_of(self.stripes),
            u64_of(self.pages_max),
            self.limit_bytes_max,
            self.hash_seed,
            self.hash_proof,
            if self.with_cas { WITH_CAS } else { 0 },
            u64_of(self.chunk_sizes.len()),
        ];
        head.into_iter().chain(self.chunk_sizes.iter().map(|size| u64_of(*size))).collect()
    }

    /// What the first bytes of a file say, as far as they can be believed: every number is within its bounds.
    ///
    /// # Errors
    /// Why they cannot.
    pub(crate) fn read(file: &File) -> io::Result<Result<Self, Refusal>> {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], u64_of(filled))? {
                0 => break,
                n => filled += n,
            }
        }
        if bytes[..filled].iter().all(|byte| *byte == 0) {
            return Ok(Err(Refusal::Empty));
        }
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        }
        let read = Self::parse(&words);
        Ok(read.map(|fixed| fixed.filter(Self::is_sound).ok_or(Refusal::Damaged)).unwrap_or_else(Err))
    }

    fn parse(words: &[u64; WORDS]) -> Result<Option<Self>, Refusal> {
        let word = |word: Word| words[word as usize];
        if word(Word::Magic) != MAGIC {
            return Err(Refusal::Foreign);
        }
        if word(Word::Layout) != LAYOUT {
            return Err(Refusal::Layout(word(Word::Layout)));
        }
        let number = |word: Word| usize::try_from(words[word as usize]).unwrap_or(usize::MAX);
        let classes = number(Word::Classes);
        if !(1..=CLASSES_MAX).contains(&classes) || word(Word::Meaning) & !WITH_CAS != 0 {
            return Ok(None);
        }
        let sizes = &words[Word::FirstClassSize as usize..][..classes];
        let fixed = Self {
            page_bytes: number(Word::PageBytes),
            granule: number(Word::Granule),
            stripes: number(Word::Stripes),
            pages_max: number(Word::PagesMax),
            limit_bytes_max: word(Word::LimitMax),
            hash_seed: word(Word::HashSeed),
            hash_proof: word(Word::HashProof),
            with_cas: word(Word::Meaning) & WITH_CAS != 0,
            chunk_sizes: sizes.iter().map(|size| usize::try_from(*size).unwrap_or(usize::MAX)).collect(),
        };
        Ok((check(&fixed.words()) == word(Word::Check)).then_some(fixed))
    }

    /// Whether all numbers are such as a store could have chosen.
    fn is_sound(&self) -> bool {
        let is_power = |n: usize, least, most| n.is_power_of_two() && (least..=most).contains(&n);
        let sizes = &self.chunk_sizes;
        is_power(self.page_bytes, EXTENT_BYTES, 1 << 20)
            && is_power(self.granule, GRANULE_BYTES_MIN, EXTENT_BYTES)
            && (1..=STRIPES_MAX).contains(&self.stripes)
            && self.pages_max > 0
            && self.pages_max <= (usize::MAX >> 8) / self.page_bytes
            && self.limit_bytes_max >> 56 == 0
            && sizes.windows(2).all(|pair| pair[0] < pair[1])
            && sizes[0] >= CHUNK_BYTES_MIN
            && sizes.iter().all(|size| size.is_multiple_of(self.granule))
            && sizes.last() == Some(&EXTENT_BYTES)
    }
}

/// A number that differs for other words: each step can be undone, so that no single change is lost.
fn check(words: &[u64]) -> u64 {
    words.iter().fold(MAGIC, |sum, word| (sum.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The superblock of an arena in use.
#[derive(Debug)]
pub(crate) struct Superblock {
    words: Table<AtomicU64>,
}

impl Superblock {
    /// That of opened memory.
    pub(crate) fn new(memory: &Arc<Reservation>) -> Self {
        Self { words: Table::new(memory, 0, WORDS) }
    }

    /// Writes what is fixed, into a new arena.
    pub(crate) fn write(&self, fixed: &Fixed) {
        let words = fixed.words();
        let (head, sizes) = words.split_at(words.len() - fixed.chunk_sizes.len());
        self.set(Word::Layout, LAYOUT);
        self.set(Word::Check, check(&words));
        for (at, word) in (Word::PageBytes as usize..).zip(head) {
            self.words[at].store(*word, Ordering::Relaxed);
        }
        for (at, size) in (Word::FirstClassSize as usize..).zip(sizes) {
            self.words[at].store(*size, Ordering::Relaxed);
        }
        // The magic last: an arena without it was never finished.
        self.set(Word::Magic, MAGIC);
    }

    /// A word.
    pub(crate) fn get(&self, word: Word) -> u64 {
        self.words[word as usize].load(Ordering::Acquire)
    }

    /// Changes a word.
    pub(crate) fn set(&self, word: Word, value: u64) {
        crash::point();
        self.words[word as usize].store(value, Ordering::Release);
        crash::point();
    }

    /// Raises a word; of two threads that do, the higher value stays.
    pub(crate) fn raise(&self, word: Word, value: u64) {
        crash::point();
        self.words[word as usize].fetch_max(value, Ordering::Release);
        crash::point();
    }
}

const _: () = assert!(Word::Classes as usize - Word::PageBytes as usize == 8, "what is fixed stands together");
const _: () = assert!(Word::FirstClassSize as usize + CLASSES_MAX <= WORDS, "the class table fits");

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::{Fixed, SUPERBLOCK_BYTES, Superblock, Word, hash_proof};
    use crate::store::words::refusal::Refusal;
    use crate::sys::memory::Reservation;

    fn file() -> std::fs::File {
        let flags = nix::sys::memfd::MFdFlags::empty();
        nix::sys::memfd::memfd_create(c"superblock", flags).expect("Linux has it").into()
    }

    #[test]
    fn what_was_written_is_read_and_every_changed_bit_is_seen() {
        let fixed = Fixed {
            page_bytes: 64 << 10,
            granule: 4,
            stripes: 64,
            pages_max: 1000,
            limit_bytes_max: 64 << 20,
            hash_seed: 7,
            hash_proof: hash_proof(7),
            with_cas: true,
            chunk_sizes: vec![16, 20, 16 << 10],
        };
        let file = file();
        assert_eq!(Fixed::read(&file).expect("readable"), Err(Refusal::Empty));
        let clone = file.try_clone().expect("descriptors");
        let memory = Reservation::on_file(clone, SUPERBLOCK_BYTES, 2 * SUPERBLOCK_BYTES).expect("memory");
        Superblock::new(&std::sync::Arc::new(memory)).write(&fixed);
        assert_eq!(Fixed::read(&file).expect("readable"), Ok(fixed.clone()));
        let words = (0..=Word::Classes as u64).chain(Word::FirstClassSize as u64..Word::FirstClassSize as u64 + 3);
        for bit in words.flat_map(|word| word * 64..(word + 1) * 64) {
            let (at, mask) = (bit / 8, 1 << (bit % 8));
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("readable");
            file.write_all_at(&[byte[0] ^ mask], at).expect("writable");
            assert!(Fixed::read(&file).expect("readable").is_err(), "bit {bit}");
            file.write_all_at(&byte, at).expect("writable");
        }
        assert_eq!(Fixed::read(&file).expect("readable"), Ok(fixed));
    }
}
