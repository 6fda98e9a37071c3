//! The small queue of a class: references in the order in which their items came, four bytes each.
//!
//! An entry is a hint: whoever takes it out asks the page table and the item whether it still holds. A ring is a
//! list of blocks of 256 bytes from a pool that all rings share, so that a ring costs what it holds, and a
//! class with few items next to nothing.

use std::sync::Arc;

use crate::store::bytes::layout::Ref;
use crate::store::memory::arena::Arena;
use crate::store::memory::page::Pages;
use crate::store::memory::pool::Pool;
use crate::sync::{AtomicU32, AtomicUsize, Mutex, Ordering, Rank};
use crate::sys::memory::{OS_PAGE_BYTES, Table};

/// Words of a block: a link, then entries.
const BLOCK_WORDS: usize = 64;
/// Entries of a block.
const BLOCK_ENTRIES: usize = BLOCK_WORDS - 1;
const BLOCK_BYTES: usize = BLOCK_WORDS * 4;
const BLOCKS_PER_OS_PAGE: usize = OS_PAGE_BYTES / BLOCK_BYTES;

/// The memory of all rings. Links are block numbers plus one, 0 for none.
#[derive(Debug)]
pub(crate) struct Blocks {
    words: Table<AtomicU32>,
    offset: usize,
    state: Mutex<BlocksState>,
    /// Bytes of memory opened; written under the lock, read by reports.
    opened_bytes: AtomicUsize,
}

/// Guarded by the lock of the blocks.
#[derive(Debug, Default)]
struct BlocksState {
    /// First free block that was used before.
    free: u32,
    /// Blocks that were ever used.
    fresh: usize,
}

impl Blocks {
    /// The rings' region of an arena, none of it opened yet.
    pub(crate) fn new(arena: &Arena) -> Self {
        let (offset, bytes) = (arena.geometry.rings_at, arena.geometry.rings_bytes);
        Self {
            words: Table::new(&Arc::clone(&arena.memory), offset, bytes / 4),
            offset,
            state: Mutex::new(Rank::Tables, BlocksState::default()),
            opened_bytes: AtomicUsize::new(0),
        }
    }

    /// Bytes of memory opened for rings.
    pub(crate) fn bytes(&self) -> usize {
        self.opened_bytes.load(Ordering::Relaxed)
    }

    /// The link of an empty block.
    fn take(&self, arena: &Arena, pool: &Pool) -> Option<u32> {
        let mut state = self.state.lock();
        if state.free != 0 {
            let link = state.free;
            state.free = self.word(link, 0).load(Ordering::Relaxed);
            return Some(link);
        }
        if (state.fresh + 1) * BLOCK_WORDS > self.words.len() {
            return None;
        }
        if state.fresh.is_multiple_of(BLOCKS_PER_OS_PAGE) {
            if !pool.open(arena, self.offset + state.fresh * BLOCK_BYTES, OS_PAGE_BYTES) {
                return None;
            }
            self.opened_bytes.fetch_add(OS_PAGE_BYTES, Ordering::Relaxed);
        }
        state.fresh += 1;
        Some(u32::try_from(state.fresh).expect("a region holds fewer than 2^32 blocks"))
    }

    fn give(&self, link: u32) {
        let mut state = self.state.lock();
        self.word(link, 0).store(state.free, Ordering::Relaxed);
        state.free = link;
    }

    /// A word of a block; word 0 is the link to the next.
    fn word(&self, link: u32, nth: usize) -> &AtomicU32 {
        let block = usize::try_from(link - 1).expect("32 bits fit");
        &self.words[block * BLOCK_WORDS + nth]
    }
}

/// What a ring needs to grow.
#[derive(Debug)]
pub(crate) struct RingContext<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) pool: &'a Pool,
    pub(crate) pages: &'a Pages,
    pub(crate) blocks: &'a Blocks,
}

/// A first-in first-out queue of references. Guarded by its class's lock.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// First and last block; 0 while the ring is empty.
    first: u32,
    last: u32,
    /// Entries taken out of the first block.
    taken: usize,
    /// Entries put into the last block.
    put: usize,
    len: usize,
    /// Entries taken out so far: the number of the oldest.
    popped: u64,
}

impl Ring {
    /// Entries in the ring, stale ones included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Entries pushed so far: the number of the next.
    pub(crate) fn pushed(&self) -> u64 {
        self.popped + u64::try_from(self.len).expect("64 bits hold a usize")
    }

    /// Adds a reference at the end; false when there is no memory for it.
    pub(crate) fn push(&mut self, context: &RingContext<'_>, reference: Ref) -> bool {
        if (self.last == 0 || self.put == BLOCK_ENTRIES) && !self.extend(context) {
            return false;
        }
        self.put += 1;
        context.blocks.word(self.last, self.put).store(reference.0, Ordering::Relaxed);
        self.len += 1;
        true
    }

    /// Takes the oldest reference out, with its number.
    pub(crate) fn pop(&mut self, blocks: &Blocks) -> Option<(u64, Ref)> {
        self.len = self.len.checked_sub(1)?;
        self.taken += 1;
        self.popped += 1;
        let reference = Ref(blocks.word(self.first, self.taken).load(Ordering::Relaxed));
        if self.len == 0 {
            blocks.give(self.first);
            *self = Self { popped: self.popped, ..Self::default() };
        } else if self.taken == BLOCK_ENTRIES {
            let next = blocks.word(self.first, 0).load(Ordering::Relaxed);
            blocks.give(self.first);
            (self.first, self.taken) = (next, 0);
        }
        Some((self.popped - 1, reference))
    }

    /// All entries and their numbers, oldest first.
    pub(crate) fn iter(&self, blocks: &Blocks) -> impl Iterator<Item = (u64, Ref)> {
        let (mut block, mut at) = (self.first, self.taken);
        (self.popped..).zip((0..self.len).map(move |_| {
            if at == BLOCK_ENTRIES {
                (block, at) = (blocks.word(block, 0).load(Ordering::Relaxed), 0);
            }
            at += 1;
            Ref(blocks.word(block, at).load(Ordering::Relaxed))
        }))
    }

    fn extend(&mut self, context: &RingContext<'_>) -> bool {
        let blocks = context.blocks;
        let Some(added) = blocks.take(context.arena, context.pool) else { return false };
        blocks.word(added, 0).store(0, Ordering::Relaxed);
        if self.last == 0 {
            (self.first, self.taken) = (added, 0);
        } else {
            blocks.word(self.last, 0).store(added, Ordering::Relaxed);
        }
        (self.last, self.put) = (added, 0);
        true
    }
}
