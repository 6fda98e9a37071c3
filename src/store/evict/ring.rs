//! The small queue of a class: references in the order in which their items came, four bytes each.
//!
//! An entry is a hint: whoever takes it out asks the page table and the item whether it still holds. The
//! memory lies in the arena and is opened as the ring grows; everything here is guarded by the class's lock.

use std::sync::Arc;

use crate::store::arena::Arena;
use crate::store::item::Ref;
use crate::store::slab::pool::Pool;
use crate::sync::{AtomicU32, Ordering};
use crate::sys::memory::{OS_PAGE_BYTES, Table};

/// A ring grows by whole OS pages.
const GROWTH_ENTRIES: usize = OS_PAGE_BYTES / 4;

/// A first-in first-out queue of references.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    region: Option<Region>,
    /// Entries that memory is opened for.
    capacity: usize,
    head: usize,
    len: usize,
    /// Entries taken out so far: the number of the oldest.
    popped: u64,
}

#[derive(Debug)]
struct Region {
    entries: Table<AtomicU32>,
    offset: usize,
}

impl Ring {
    /// A ring in `[offset, offset + bytes)` of the arena, none of it opened yet.
    pub(crate) fn new(arena: &Arena, offset: usize, bytes: usize) -> Self {
        let region = Region { entries: Table::new(&Arc::clone(&arena.memory), offset, bytes / 4), offset };
        Self { region: Some(region), ..Self::default() }
    }

    /// Entries in the ring, stale ones included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Entries pushed so far: the number of the next.
    pub(crate) fn pushed(&self) -> u64 {
        self.popped + u64::try_from(self.len).expect("64 bits hold a usize")
    }

    /// Bytes of memory opened for the ring.
    pub(crate) fn bytes(&self) -> usize {
        self.capacity * 4
    }

    /// Adds a reference at the end; false when the ring is full and cannot grow.
    pub(crate) fn push(&mut self, arena: &Arena, pool: &Pool, reference: Ref) -> bool {
        if self.len == self.capacity && !self.grow(arena, pool) {
            return false;
        }
        let at = self.place(self.len);
        self.entry(at).store(reference.0, Ordering::Relaxed);
        self.len += 1;
        true
    }

    /// Takes the oldest reference out, with its number.
    pub(crate) fn pop(&mut self) -> Option<(u64, Ref)> {
        if self.len == 0 {
            return None;
        }
        let reference = Ref(self.entry(self.head).load(Ordering::Relaxed));
        self.head = self.place(1);
        self.len -= 1;
        self.popped += 1;
        Some((self.popped - 1, reference))
    }

    /// All entries and their numbers, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Ref)> {
        (self.popped..).zip((0..self.len).map(|nth| Ref(self.entry(self.place(nth)).load(Ordering::Relaxed))))
    }

    /// Where the `nth` entry from the head lies.
    fn place(&self, nth: usize) -> usize {
        let at = self.head + nth;
        if at < self.capacity { at } else { at - self.capacity }
    }

    fn entry(&self, at: usize) -> &AtomicU32 {
        &self.region.as_ref().expect("a ring with entries has a region").entries[at]
    }

    /// Opens an eighth more, at least one OS page. What stood before the end of the old room moves to the
    /// end of the new one, so that the order stays.
    fn grow(&mut self, arena: &Arena, pool: &Pool) -> bool {
        let Some(region) = &self.region else { return false };
        let more = (self.capacity / 8).next_multiple_of(GROWTH_ENTRIES).max(GROWTH_ENTRIES);
        let grown = (self.capacity + more).min(region.entries.len());
        if grown == self.capacity {
            return false;
        }
        let (from, bytes) = (region.offset + self.capacity * 4, (grown - self.capacity) * 4);
        if !pool.open(arena, from, bytes) {
            return false;
        }
        let tail = self.capacity - self.head;
        for back in 1..=tail {
            let moved = region.entries[self.capacity - back].load(Ordering::Relaxed);
            region.entries[grown - back].store(moved, Ordering::Relaxed);
        }
        self.head = if self.capacity == 0 { 0 } else { grown - tail };
        self.capacity = grown;
        true
    }
}
