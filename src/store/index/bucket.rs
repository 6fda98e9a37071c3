//! A bucket: twelve entries in 64 bytes, a cache line. What does not fit its home bucket stands in a piece of
//! overflow: a quarter of a line, a half or a whole one, the smallest that holds it.
//!
//! ```text
//! whole     tags 12 | next piece 3 bytes, tags seen behind 1 | references 12 x 4
//! half      tags 6 | - 2 | references 6 x 4
//! quarter   tags 3 | - 1 | references 3 x 4
//! ```
//!
//! The words are relaxed atomics: the stripe's lock orders them, and a prefetch may look without it.

use std::sync::Arc;

use crate::store::bytes::layout::{BUCKET_BYTES, CELLS_MAX, Ref};
use crate::store::memory::arena::Arena;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::lanes::equal_to;
use crate::sys::memory::Table;
use crate::sys::prefetch;

/// Entries of a bucket.
pub(super) const SLOTS: usize = 12;
const WORDS: usize = BUCKET_BYTES / 8;
const TAGS_IN_WORD: usize = 8;

/// Word 1 of a whole bucket, from the top: a bit for each kind of tag that stands behind it; where its overflow is;
/// tags.
const BEHIND_SHIFT: u32 = 56;
const NEXT_SHIFT: u32 = 32;
const NEXT: u64 = (1 << (BEHIND_SHIFT - NEXT_SHIFT)) - 1;

/// The free pieces' own word 0: no tag, the size, and the next of their list; word 1 has the one before.
const FREE_SIZE_SHIFT: u32 = 8;
const FREE_NEXT_SHIFT: u32 = 32;

const _: () = assert!(CELLS_MAX << (QUARTER_BITS + SIZE_BITS) == 1 << (BEHIND_SHIFT - NEXT_SHIFT));

/// Sizes of pieces: the logarithm of their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    Quarter = 1,
    Half = 2,
    Whole = 3,
}

const SIZE_BITS: u32 = 2;
const SIZE: u32 = (1 << SIZE_BITS) - 1;
const QUARTER_BITS: u32 = 2;

impl Size {
    /// All sizes, smallest first.
    pub(super) const ALL: [Self; 3] = [Self::Quarter, Self::Half, Self::Whole];

    /// The smallest that holds so many entries, at most twelve.
    pub(super) fn for_entries(entries: usize) -> Self {
        Self::ALL.into_iter().find(|size| size.slots() >= entries).unwrap_or(Self::Whole)
    }

    /// Entries of a piece.
    pub(super) fn slots(self) -> usize {
        SLOTS >> (Self::Whole as u32 - self as u32)
    }

    /// Quarters it covers.
    pub(super) fn quarters(self) -> u32 {
        1 << (self as u32 - 1)
    }

    pub(super) fn smaller(self) -> Option<Self> {
        Self::from_bits((self as u32).checked_sub(1)?)
    }

    pub(super) fn larger(self) -> Option<Self> {
        Self::from_bits(self as u32 + 1)
    }

    fn from_bits(bits: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|&size| size as u32 == bits)
    }
}

/// Where a piece lies in its stripe's column: the quarter of a cell it begins at, and its size. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(u32);

impl Place {
    /// The whole of a cell.
    #[inline(always)]
    pub(super) fn whole(cell: u32) -> Self {
        Self(cell << (QUARTER_BITS + SIZE_BITS) | Size::Whole as u32)
    }

    pub(super) fn new(cell: u32, quarter: u32, size: Size) -> Self {
        Self((cell << QUARTER_BITS | quarter) << SIZE_BITS | size as u32)
    }

    pub(super) fn cell(self) -> u32 {
        self.0 >> (QUARTER_BITS + SIZE_BITS)
    }

    pub(super) fn quarter(self) -> u32 {
        self.0 >> SIZE_BITS & ((1 << QUARTER_BITS) - 1)
    }

    pub(super) fn size(self) -> Size {
        Size::from_bits(self.0 & SIZE).expect("a place is made with its size")
    }

    /// The first part of it, of a smaller size.
    pub(super) fn first(self, size: Size) -> Self {
        Self::new(self.cell(), self.quarter(), size)
    }

    /// The other part of the piece twice its size; `None` for a whole cell.
    pub(super) fn buddy(self) -> Option<Self> {
        let size = self.size();
        (size != Size::Whole).then(|| Self::new(self.cell(), self.quarter() ^ size.quarters(), size))
    }

    /// The piece it forms with its buddy; a whole cell stays one.
    pub(super) fn joined(self) -> Self {
        let size = self.size().larger().unwrap_or(Size::Whole);
        Self::new(self.cell(), self.quarter() & !(size.quarters() - 1), size)
    }

    /// As a link, of 24 bits; 0 is none.
    pub(super) fn link(place: Option<Self>) -> u32 {
        place.map_or(0, |place| place.0)
    }

    pub(super) fn from_link(link: u32) -> Option<Self> {
        (link != 0).then_some(Self(link))
    }
}

/// Where an entry stands in its stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(super) place: Place,
    pub(super) slot: usize,
}

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) tag: u8,
    pub(super) reference: Ref,
}

impl Entry {
    /// An empty slot.
    pub(super) const NONE: Self = Self { tag: 0, reference: Ref::NONE };

    pub(super) fn new(hash: u64, reference: Ref) -> Self {
        Self { tag: tag(hash), reference }
    }

    /// The bit of its kind: what a home bucket knows of the entries behind it.
    pub(super) fn kind(self) -> u8 {
        1 << kind(self.tag)
    }
}

/// The buckets of all stripes, row by row.
#[derive(Debug)]
pub(super) struct Buckets {
    words: Table<AtomicU64>,
    stripes: usize,
}

/// A bucket, or a piece of overflow, of a stripe whose lock is held.
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

/// The kind of a tag, one of eight.
#[inline(always)]
fn kind(tag: u8) -> u32 {
    u32::from(tag & 7)
}

impl Buckets {
    pub(super) fn new(arena: &Arena) -> Self {
        let geometry = &arena.geometry;
        let words = Table::new(&Arc::clone(&arena.memory), geometry.index_at, geometry.index_bytes / 8);
        Self { words, stripes: geometry.stripes }
    }

    /// The number of the first word of a cell.
    #[inline(always)]
    pub(super) fn first_word(&self, cell: u32, stripe: usize) -> usize {
        (usize::try_from(cell).expect("32 bits fit") * self.stripes + stripe) * WORDS
    }

    /// The bucket that is a whole cell of a stripe's column. The cell's row must be open.
    #[inline(always)]
    pub(super) fn bucket(&self, cell: u32, stripe: usize) -> Bucket<'_> {
        self.bucket_at(self.first_word(cell, stripe))
    }

    /// The bucket that begins with this word.
    #[inline(always)]
    pub(super) fn bucket_at(&self, first_word: usize) -> Bucket<'_> {
        Bucket { words: &self.words[first_word..first_word + WORDS] }
    }

    /// The bucket or piece at a place.
    #[inline]
    pub(super) fn piece(&self, place: Place, stripe: usize) -> Bucket<'_> {
        let at = self.first_word(place.cell(), stripe) + place.quarter() as usize * 2;
        Bucket { words: &self.words[at..at + (1 << (place.0 & SIZE))] }
    }
}

impl<'b> Bucket<'b> {
    #[inline(always)]
    fn word(self, nth: usize) -> u64 {
        self.words[nth].load(Ordering::Relaxed)
    }

    /// Entries it has room for.
    #[inline(always)]
    pub(super) fn slots(self) -> usize {
        self.words.len() * 3 / 2
    }

    /// Has the bucket come near.
    #[inline]
    pub(super) fn prefetch(self) {
        prefetch::line(self.words.as_ptr().cast());
    }

    /// Slots whose tag is the hash's: the caller compares keys.
    #[inline(always)]
    pub(super) fn candidates(self, hash: u64) -> Candidates {
        self.tagged(tag(hash))
    }

    /// Slots with this tag.
    #[inline(always)]
    fn tagged(self, tag: u8) -> Candidates {
        let tags = u128::from(self.word(0)) | u128::from(self.word(1)) << 64;
        Candidates { slots: equal_to(&tags.to_le_bytes(), tag) & ((1 << self.slots()) - 1) }
    }

    /// The word and the shift of a slot's reference: references begin behind a quarter of the bytes.
    #[inline(always)]
    fn reference_at(self, slot: usize) -> (usize, usize) {
        // Those of a quarter begin in the middle of a word. Written so that a whole bucket's offsets are constants.
        let slot = slot + self.words.len() / 2 % 2;
        (self.words.len() / 4 + slot / 2, slot % 2 * 32)
    }

    #[inline(always)]
    pub(super) fn reference(self, slot: usize) -> Ref {
        let (word, shift) = self.reference_at(slot);
        #[expect(clippy::cast_possible_truncation, reason = "one half of the word")]
        Ref((self.word(word) >> shift) as u32)
    }

    pub(super) fn set_reference(self, slot: usize, reference: Ref) {
        let (word, shift) = self.reference_at(slot);
        let others = self.word(word) & !(0xffff_ffff << shift);
        self.words[word].store(others | u64::from(reference.0) << shift, Ordering::Relaxed);
    }

    fn tag(self, slot: usize) -> u8 {
        self.word(slot / TAGS_IN_WORD).to_le_bytes()[slot % TAGS_IN_WORD]
    }

    pub(super) fn entry(self, slot: usize) -> Entry {
        Entry { tag: self.tag(slot), reference: self.reference(slot) }
    }

    pub(super) fn set(self, slot: usize, entry: Entry) {
        self.set_reference(slot, entry.reference);
        let word = &self.words[slot / TAGS_IN_WORD];
        let shift = slot % TAGS_IN_WORD * 8;
        let others = word.load(Ordering::Relaxed) & !(0xff << shift);
        word.store(others | u64::from(entry.tag) << shift, Ordering::Relaxed);
    }

    /// How many entries there are. They are dense: all slots behind the first empty one are empty, too.
    pub(super) fn len(self) -> usize {
        self.tagged(Entry::NONE.tag).next().unwrap_or_else(|| self.slots())
    }

    /// The next piece of overflow.
    #[inline]
    pub(super) fn next(self) -> Option<Place> {
        if self.words.len() < WORDS {
            return None;
        }
        Place::from_link(u32::try_from(self.word(1) >> NEXT_SHIFT & NEXT).expect("24 bits"))
    }

    /// Whether an entry of this hash may stand behind this, its home bucket: one in eight of those that do not says so.
    #[inline(always)]
    pub(super) fn may_follow(self, hash: u64) -> bool {
        self.word(1) >> (BEHIND_SHIFT + kind(tag(hash))) & 1 == 1
    }

    /// Leads on to overflow, from a whole bucket.
    pub(super) fn set_next(self, next: Option<Place>) {
        let others = self.word(1) & !(NEXT << NEXT_SHIFT);
        self.words[1].store(others | u64::from(Place::link(next)) << NEXT_SHIFT, Ordering::Relaxed);
    }

    /// A bit for each kind of tag that stands behind this, a home bucket.
    pub(super) fn kinds_behind(self) -> u8 {
        self.word(1).to_le_bytes()[7]
    }

    pub(super) fn set_kinds_behind(self, kinds: u8) {
        let others = self.word(1) << 8 >> 8;
        self.words[1].store(others | u64::from(kinds) << BEHIND_SHIFT, Ordering::Relaxed);
    }

    /// The kinds of its own tags.
    pub(super) fn kinds(self) -> u8 {
        (0..self.len()).fold(0, |kinds, slot| kinds | 1 << kind(self.tag(slot)))
    }

    /// Copies a piece to an empty one of the same size.
    pub(super) fn copy_to(self, target: Bucket<'_>) {
        for (source, target) in self.words.iter().zip(target.words) {
            target.store(source.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Empties the bucket.
    pub(super) fn clear(self) {
        for word in self.words {
            word.store(0, Ordering::Relaxed);
        }
    }

    // --- free pieces ----------------------------------------------------------------------------------------

    /// What begins here in a cell that is no home: its size, and whether it is free. A piece in use is the smallest
    /// for its entries, so its tags tell.
    pub(super) fn begins(self) -> (Size, bool) {
        let tags = self.word(0).to_le_bytes();
        if tags[0] == 0 {
            let size = Size::from_bits(u32::from(tags[1])).expect("a free piece has its size");
            return (size, true);
        }
        let is_more_than = |size: Size| tags[size.slots()] != 0;
        let size = if !is_more_than(Size::Quarter) {
            Size::Quarter
        } else if !is_more_than(Size::Half) {
            Size::Half
        } else {
            Size::Whole
        };
        (size, false)
    }

    /// Marks an empty piece as free.
    pub(super) fn set_free(self, size: Size, next: Option<Place>) {
        let word = (size as u64) << FREE_SIZE_SHIFT | u64::from(Place::link(next)) << FREE_NEXT_SHIFT;
        self.words[0].store(word, Ordering::Relaxed);
        self.words[1].store(0, Ordering::Relaxed);
    }

    /// The next free piece of this one's list, and the one before.
    pub(super) fn free_links(self) -> (Option<Place>, Option<Place>) {
        let link = |word: u64| u32::try_from(word).ok().and_then(Place::from_link);
        (link(self.word(0) >> FREE_NEXT_SHIFT), link(self.word(1)))
    }

    pub(super) fn set_free_next(self, next: Option<Place>) {
        let size = self.word(0) & ((1 << FREE_NEXT_SHIFT) - 1);
        self.words[0].store(size | u64::from(Place::link(next)) << FREE_NEXT_SHIFT, Ordering::Relaxed);
    }

    pub(super) fn set_free_previous(self, previous: Option<Place>) {
        self.words[1].store(u64::from(Place::link(previous)), Ordering::Relaxed);
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

/// First of the free pieces of each size, as links.
#[derive(Debug, Default)]
pub(super) struct FreePieces([u32; 3]);

impl FreePieces {
    pub(super) fn first(&self, size: Size) -> Option<Place> {
        Place::from_link(self.0[size as usize - 1])
    }

    pub(super) fn set_first(&mut self, size: Size, place: Option<Place>) {
        self.0[size as usize - 1] = Place::link(place);
    }
}
