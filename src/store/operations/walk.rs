//! Walks over the items for those who list them, a chain or some chunks at a time: nobody waits longer for a walk than
//! for another request.
//!
//! [`Walk`] follows the index in an order that growth does not change: an item that lives throughout is met once,
//! wherever it is moved and however it is written. [`ClassWalk`] follows the pages of the classes of one number: cheap
//! where they are few, but an item that moves meanwhile may be met twice or not at all.

use crate::store::memory::classes::{ClassId, ClassSet, NUMBER_MAX};
use crate::store::memory::page::PageId;
use crate::store::shared::Store;
use crate::store::words::outcome::Details;
use crate::sync::Ordering;
use crate::time::{Expiry, Seconds};

/// Chunks looked at in one step of a [`ClassWalk`]: about twenty microseconds of them.
const CHUNKS_A_STEP: u32 = 256;
/// Pages of other classes passed over in one step of a [`ClassWalk`].
const PAGES_A_STEP: usize = 1024;

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

/// A walk over the pages of the classes of one number, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassWalk {
    classes: ClassSet,
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
    /// The classes with this number: none for one above those in use. `None`: no class is ever numbered so.
    #[must_use]
    pub fn classes_numbered(&self, number: u32) -> Option<ClassSet> {
        (1..=NUMBER_MAX).contains(&number).then(|| {
            let mut set = ClassSet::default();
            self.pages.classes.numbered(number).for_each(|class| set.insert(class));
            set
        })
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

    /// A walk over the classes with this number; `None`: no class is ever numbered so.
    #[must_use]
    pub fn class_walk(&self, number: u32) -> Option<ClassWalk> {
        Some(ClassWalk { classes: self.classes_numbered(number)?, page: 0, chunk: 0 })
    }

    /// Shows items of the classes' next chunks that seem alive, until `visit` says false; false when the walk is over.
    pub fn class_walk_on(&self, walk: &mut ClassWalk, now: Seconds, mut visit: impl FnMut(Held<'_>) -> bool) -> bool {
        for _ in 0..PAGES_A_STEP {
            let page = PageId(walk.page);
            if page.index() >= self.pool.pages_used() {
                return false;
            }
            if let Some(class) = self.pages.entry(page).class().filter(|class| walk.classes.has(*class)) {
                return self.show_chunks(walk, class, now, &mut visit);
            }
            (walk.page, walk.chunk) = (walk.page + 1, 0);
        }
        true
    }

    fn show_chunks(
        &self,
        walk: &mut ClassWalk,
        class: ClassId,
        now: Seconds,
        visit: &mut impl FnMut(Held<'_>) -> bool,
    ) -> bool {
        let guard = self.classes[class.index()].lock();
        let page = PageId(walk.page);
        let entry = self.pages.entry(page);
        let is_ours = entry.class() == Some(class);
        // Acquire: pairs with the Release in `ClassState::take`: headers below the count are valid.
        let end = if is_ours { entry.formatted.load(Ordering::Acquire) } else { 0 };
        let until = end.min(walk.chunk + CHUNKS_A_STEP);
        for number in walk.chunk..until {
            let chunk = self.pages.chunk(self.pages.reference(page, class, number));
            if !chunk.is_item() || self.index.looks_dead(&*guard, chunk, now) {
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
