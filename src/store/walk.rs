//! Walks over the items for those who list them, a chain or some chunks at a time: nobody waits longer for a walk than
//! for another request.
//!
//! [`Walk`] follows the index in an order that growth does not change: an item that lives throughout is met once,
//! wherever it is moved and however it is written. [`ClassWalk`] follows the pages of one class: cheap where the
//! class is small, but an item that moves meanwhile may be met twice or not at all.

use super::Store;
use super::outcome::Details;
use super::slab::classes::ClassId;
use super::slab::page::PageId;
use crate::sync::Ordering;
use crate::time::{Expiry, Seconds};

/// Chunks looked at in one step of a [`ClassWalk`]: about twenty microseconds of them.
const CHUNKS_A_STEP: u32 = 256;
/// Pages of other classes passed over in one step of a [`ClassWalk`].
const PAGES_A_STEP: usize = 1024;

/// Some of the slab classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassSet {
    words: [u64; 4],
}

impl ClassSet {
    /// Every class.
    pub const ALL: Self = Self { words: [u64::MAX; 4] };

    pub(super) fn from_words(words: [u64; 4]) -> Self {
        Self { words }
    }

    pub(super) fn words(self) -> [u64; 4] {
        self.words
    }

    pub(super) fn insert(&mut self, class: ClassId) {
        self.words[class.index() / 64] |= 1 << (class.index() % 64);
    }

    pub(super) fn has(&self, class: ClassId) -> bool {
        self.words[class.index() / 64] >> (class.index() % 64) & 1 == 1
    }

    /// Whether no class is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A walk over the index, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    classes: ClassSet,
    stripe: usize,
    /// The backward hash in the stripe where it goes on.
    from: u32,
}

impl Walk {
    /// A walk over the items of these classes.
    #[must_use]
    pub fn new(classes: ClassSet) -> Self {
        Self { classes, stripe: 0, from: 0 }
    }
}

/// What a walk lends to its visitor, under the stripe's lock: nothing may block or allocate in there.
#[derive(Debug)]
pub struct Walked<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The client's opaque number.
    pub client_flags: u32,
    /// The item's version; 0 with `-C`.
    pub cas: u64,
    /// The rest.
    pub details: Details,
}

/// A walk over one class's pages, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassWalk {
    class: ClassId,
    page: u32,
    chunk: u32,
}

/// What a [`ClassWalk`] lends to its visitor, under the class's lock: nothing may block or allocate in there.
#[derive(Debug)]
pub struct Held<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Length of the value in bytes.
    pub value_len: usize,
    /// When it dies.
    pub expiry: Expiry,
}

impl Store {
    /// How many slab classes there are: they are numbered from 1 on.
    #[must_use]
    pub fn class_count(&self) -> u32 {
        u32::try_from(self.pages.classes.count()).expect("at most 250 classes")
    }

    /// Adds a class by its number to a set; false when there is none.
    #[must_use]
    pub fn add_class(&self, set: &mut ClassSet, number: u32) -> bool {
        let class = self.class_numbered(number);
        class.inspect(|class| set.insert(*class)).is_some()
    }

    /// The class with this number.
    pub(super) fn class_numbered(&self, number: u32) -> Option<ClassId> {
        let number = number.checked_sub(1).filter(|_| number <= self.class_count())?;
        u8::try_from(number).ok().map(ClassId)
    }

    /// Shows the live items of the next chain; false when there is none.
    pub fn walk_on(&self, walk: &mut Walk, now: Seconds, mut visit: impl FnMut(Walked<'_>)) -> bool {
        if walk.stripe >= self.index.stripe_count() {
            return false;
        }
        let stripe = self.index.lock_number(walk.stripe);
        let next = stripe.walk(&self.pages, walk.from, |reference| {
            let chunk = self.pages.chunk(reference);
            if !walk.classes.has(self.class_of(reference)) || self.why_dead(&stripe, chunk, now).is_some() {
                return;
            }
            visit(Walked {
                key: chunk.key(&*stripe.state),
                client_flags: chunk.client_flags(),
                cas: self.wire_cas(&stripe, chunk),
                details: self.details(reference, now),
            });
        });
        walk.from = next.unwrap_or(0);
        walk.stripe += usize::from(next.is_none());
        true
    }

    /// A walk over the class with this number; `None`: there is none.
    #[must_use]
    pub fn class_walk(&self, number: u32) -> Option<ClassWalk> {
        Some(ClassWalk { class: self.class_numbered(number)?, page: 0, chunk: 0 })
    }

    /// Shows items of the class's next chunks that seem alive, until `visit` says false; false when the walk is over.
    pub fn class_walk_on(&self, walk: &mut ClassWalk, now: Seconds, mut visit: impl FnMut(Held<'_>) -> bool) -> bool {
        for _ in 0..PAGES_A_STEP {
            let page = PageId(walk.page);
            if page.index() >= self.pool.pages_used() {
                return false;
            }
            if self.pages.entry(page).class() == Some(walk.class) {
                return self.show_chunks(walk, now, &mut visit);
            }
            (walk.page, walk.chunk) = (walk.page + 1, 0);
        }
        true
    }

    fn show_chunks(&self, walk: &mut ClassWalk, now: Seconds, visit: &mut impl FnMut(Held<'_>) -> bool) -> bool {
        let guard = self.classes[walk.class.index()].lock();
        let page = PageId(walk.page);
        let entry = self.pages.entry(page);
        let is_ours = entry.class() == Some(walk.class);
        // Acquire: pairs with the Release in `ClassState::take`: headers below the count are valid.
        let end = if is_ours { entry.formatted.load(Ordering::Acquire) } else { 0 };
        let until = end.min(walk.chunk + CHUNKS_A_STEP);
        for number in walk.chunk..until {
            let chunk = self.pages.chunk(self.pages.reference(page, walk.class, number));
            if !chunk.is_item() || self.looks_dead(&guard, chunk, now) {
                continue;
            }
            let held = Held { key: chunk.key(&*guard), value_len: chunk.value_len(), expiry: chunk.expiry() };
            if !visit(held) {
                return false;
            }
        }
        walk.chunk = until;
        if until == end {
            (walk.page, walk.chunk) = (walk.page + 1, 0);
        }
        true
    }
}
