//! Under loom only: atomics that stand for bytes of mapped memory, where loom's cannot lie, and marks by which loom
//! sees who reads and writes the bytes that are no atomics.
//!
//! They are made when an address is first named, and all later looks at it must come after that: a chunk's header
//! is zeroed before anybody is told of it.

#![expect(unsafe_code, reason = "marks without content are shared on purpose: loom judges who may")]

use std::ptr::NonNull;
use std::sync::OnceLock;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU8, AtomicU16, AtomicU32};

/// Addresses are told apart by so many places of 16 bytes: more than a model's pages have.
const PLACES: usize = 1 << 13;

loom::lazy_static! {
    static ref ALL: Vec<OnceLock<Box<Beside>>> = (0..PLACES).map(|_| OnceLock::new()).collect();
}

/// What stands beside the bytes from one address on. Fields of different widths at one offset are different atomics:
/// a model does not write one and read the other.
#[derive(Debug)]
pub struct Beside {
    bytes: [AtomicU8; 20],
    halves: [AtomicU16; 20],
    words: [AtomicU32; 16],
    /// One mark for each kind of bytes behind the atomics.
    marks: [UnsafeCell<()>; 2],
}

// SAFETY: the cells hold nothing; loom checks that looks at them are ordered.
unsafe impl Sync for Beside {}
// SAFETY: as for Sync.
unsafe impl Send for Beside {}

impl Beside {
    /// What stands beside this address.
    pub fn of(start: NonNull<u8>) -> &'static Self {
        let place = start.as_ptr().addr() / 16 % PLACES;
        ALL[place].get_or_init(|| {
            Box::new(Self {
                bytes: Default::default(),
                halves: Default::default(),
                words: Default::default(),
                marks: Default::default(),
            })
        })
    }

    /// The byte at an offset.
    pub fn u8_at(&self, offset: usize) -> &AtomicU8 {
        &self.bytes[offset]
    }

    /// The 16 bits at an offset.
    pub fn u16_at(&self, offset: usize) -> &AtomicU16 {
        &self.halves[offset / 2]
    }

    /// The 32 bits at an offset.
    pub fn u32_at(&self, offset: usize) -> &AtomicU32 {
        &self.words[offset / 4]
    }

    /// Notes that the bytes of a kind are about to be read.
    pub fn read(&self, mark: usize) {
        self.marks[mark].with(|_| ());
    }

    /// Notes that the bytes of a kind are about to be written.
    pub fn written(&self, mark: usize) {
        self.marks[mark].with_mut(|_| ());
    }
}
