//! Who was picked to be evicted, and why.

use crate::store::bytes::layout::Ref;
use crate::store::bytes::state;

/// An item picked to be evicted: whether it still is what it was is checked under its stripe's lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Victim {
    pub(crate) reference: Ref,
    pub(crate) hash: u64,
    /// Its version, if that matters: the chunk may hold another item by then, in the same bucket.
    pub(crate) cas: Option<u32>,
    pub(crate) reason: Reason,
}

/// A large item that has a part in the class: how often it was used, and how long ago it was written, in writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) frequency: u8,
    pub(super) writes_since: u32,
    pub(super) victim: Victim,
}

impl Owner {
    /// Colder owners have greater ones. What was just written is warm although nobody has asked for it yet.
    pub(super) fn coldness(&self) -> u32 {
        self.writes_since >> (self.frequency / state::FREQUENCY_ONE)
    }
}

/// Why an item was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its time is over.
    Dead,
    /// The same, found by the sweep and not for somebody who needs memory.
    Swept,
    /// It left the small queue without a hit: the ghost will remember it.
    Small,
    /// The hand found it unused.
    Main,
    /// Whatever its use: nothing colder was near, or its page is wanted.
    Forced,
}
