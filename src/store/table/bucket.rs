//! A bucket: 64 bytes, a cache line.
//!
//! ```text
//! word 0      tags of slots 0..8, a byte each
//! word 1      tags of slots 8..12 | overflow: the next cell of the chain plus one, 0 for none
//! words 2..8  references of slots 0..12, 32 bits each
//! ```
//!
//! The words are relaxed atomics: the stripe's lock orders them, and a prefetch may look without it.

use std::sync::Arc;

use crate::store::arena::Arena;
use crate::store::item::Ref;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::lanes::equal_to;
use crate::sys::memory::Table;
use crate::sys::prefetch;

/// Bytes of a bucket.
pub(super) const BUCKET_BYTES: usize = 64;
/// Entries of a bucket.
pub(super) const SLOTS: usize = 12;
const WORDS: usize = BUCKET_BYTES / 8;
const FIRST_REFERENCE_WORD: usize = 2;
const TAGS_IN_WORD: usize = 8;

/// A bit for each slot.
const ALL_SLOTS: u32 = (1 << SLOTS) - 1;
/// The tags of word 1; above them lies the overflow link.
const SECOND_TAGS: u64 = 0xffff_ffff;

const _: () = assert!(FIRST_REFERENCE_WORD + SLOTS / 2 == WORDS, "twelve references fill the line");

/// Where an entry stands in its stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(super) cell: u32,
    pub(super) slot: usize,
}

/// The buckets of all stripes, row by row.
#[derive(Debug)]
pub(super) struct Buckets {
    words: Table<AtomicU64>,
    stripes: usize,
}

/// One bucket of a stripe whose lock is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket<'b> {
    words: &'b [AtomicU64],
}

/// The tag of a hash: never 0, which marks an empty slot.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "eight of the bits")]
pub(super) fn tag(hash: u64) -> u8 {
    ((hash >> 24) as u8).max(1)
}

impl Buckets {
    pub(super) fn new(arena: &Arena) -> Self {
        let geometry = &arena.geometry;
        let words = Table::new(&Arc::clone(&arena.memory), geometry.index_at, geometry.index_bytes / 8);
        Self { words, stripes: geometry.stripes }
    }

    /// The bucket at a cell of a stripe's column. The cell's row must be open.
    #[inline(always)]
    pub(super) fn bucket(&self, cell: u32, stripe: usize) -> Bucket<'_> {
        let at = (usize::try_from(cell).expect("32 bits fit") * self.stripes + stripe) * WORDS;
        Bucket { words: &self.words[at..at + WORDS] }
    }

    /// Copies a bucket to an empty cell of the same stripe.
    pub(super) fn copy(&self, from: u32, to: u32, stripe: usize) {
        let (from, to) = (self.bucket(from, stripe), self.bucket(to, stripe));
        for (source, target) in from.words.iter().zip(to.words) {
            target.store(source.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

impl<'b> Bucket<'b> {
    #[inline]
    fn word(self, nth: usize) -> u64 {
        self.words[nth].load(Ordering::Relaxed)
    }

    /// Has the bucket come near.
    #[inline]
    pub(super) fn prefetch(self) {
        prefetch::line(self.words.as_ptr().cast());
    }

    /// Slots whose tag is the hash's: the caller compares keys.
    #[inline(always)]
    pub(super) fn candidates(self, hash: u64) -> Candidates {
        let tags = u128::from(self.word(0)) | u128::from(self.word(1)) << 64;
        Candidates { slots: equal_to(&tags.to_le_bytes(), tag(hash)) & ALL_SLOTS }
    }

    #[inline]
    pub(super) fn reference(self, slot: usize) -> Ref {
        let pair = self.word(FIRST_REFERENCE_WORD + slot / 2);
        #[expect(clippy::cast_possible_truncation, reason = "one half of the pair")]
        Ref((pair >> (slot % 2 * 32)) as u32)
    }

    pub(super) fn set_reference(self, slot: usize, reference: Ref) {
        let shift = slot % 2 * 32;
        let word = &self.words[FIRST_REFERENCE_WORD + slot / 2];
        let others = word.load(Ordering::Relaxed) & !(0xffff_ffff << shift);
        word.store(others | u64::from(reference.0) << shift, Ordering::Relaxed);
    }

    pub(super) fn tag(self, slot: usize) -> u8 {
        self.word(slot / TAGS_IN_WORD).to_le_bytes()[slot % TAGS_IN_WORD]
    }

    /// Writes an entry; tag 0 and no reference empty the slot.
    pub(super) fn set(self, slot: usize, tag: u8, reference: Ref) {
        self.set_reference(slot, reference);
        let word = &self.words[slot / TAGS_IN_WORD];
        let shift = slot % TAGS_IN_WORD * 8;
        let others = word.load(Ordering::Relaxed) & !(0xff << shift);
        word.store(others | u64::from(tag) << shift, Ordering::Relaxed);
    }

    /// The first empty slot. Entries are dense: all slots behind it are empty, too.
    pub(super) fn empty_slot(self) -> Option<usize> {
        (0..SLOTS).find(|&slot| !self.reference(slot).is_some())
    }

    /// The last occupied slot.
    pub(super) fn last_slot(self) -> Option<usize> {
        self.empty_slot().unwrap_or(SLOTS).checked_sub(1)
    }

    /// The next cell of the chain.
    #[inline]
    pub(super) fn next(self) -> Option<u32> {
        u32::try_from(self.word(1) >> 32).expect("the upper half").checked_sub(1)
    }

    pub(super) fn set_next(self, next: Option<u32>) {
        let tags = self.word(1) & SECOND_TAGS;
        self.words[1].store(tags | u64::from(next.map_or(0, |cell| cell + 1)) << 32, Ordering::Relaxed);
    }

    /// Empties the bucket.
    pub(super) fn clear(self) {
        for word in self.words {
            word.store(0, Ordering::Relaxed);
        }
    }
}

/// Iterates over candidate slots.
#[derive(Debug)]
pub(super) struct Candidates {
    /// A bit each.
    slots: u32,
}

impl Iterator for Candidates {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.slots == 0 {
            return None;
        }
        let slot = self.slots.trailing_zeros();
        self.slots &= self.slots - 1;
        usize::try_from(slot).ok()
    }
}
