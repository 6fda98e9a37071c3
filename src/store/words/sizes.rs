//! The histogram of item sizes behind `track_sizes`: a thread's own counts, in steps of 32 bytes.
//!
//! An item is counted where it enters the index and taken off where it leaves it or changes, by whatever thread
//! does so: a thread's count may wrap below zero, the sum does not.

use std::sync::OnceLock;

use crate::telemetry::Counter;

/// Width of a step in bytes (memcached's).
pub(crate) const STEP_BYTES: u64 = 32;

/// Steps of a shelf: 16 KiB of sizes, so that small items need one.
const SHELF_STEPS: usize = 512;

type Shelf = [Counter; SHELF_STEPS];

/// One thread's counts. Shelves are made when an item of their size is first seen: with `-I 1g` there are 65,536.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    shelves: Box<[OnceLock<Box<Shelf>>]>,
}

impl Sizes {
    /// Room for items of up to `item_bytes_max`.
    pub(crate) fn new(item_bytes_max: usize) -> Self {
        let shelves = step(u64::try_from(item_bytes_max).expect("64 bits hold a usize")) / SHELF_STEPS + 1;
        Self { shelves: (0..shelves).map(|_| OnceLock::new()).collect() }
    }

    /// Counts an item that came.
    #[cold]
    pub(crate) fn add(&self, item_bytes: u64) {
        self.count(item_bytes, 1);
    }

    /// Takes an item off that went.
    #[cold]
    pub(crate) fn remove(&self, item_bytes: u64) {
        self.count(item_bytes, 1_u64.wrapping_neg());
    }

    /// Adds its counts to others, one a step.
    pub(crate) fn add_to(&self, counts: &mut Vec<u64>) {
        counts.resize(self.shelves.len() * SHELF_STEPS, 0);
        for (number, shelf) in self.shelves.iter().enumerate() {
            let Some(shelf) = shelf.get() else { continue };
            for (count, counter) in counts[number * SHELF_STEPS..].iter_mut().zip(shelf.iter()) {
                *count = count.wrapping_add(counter.get());
            }
        }
    }

    fn count(&self, item_bytes: u64, change: u64) {
        let step = step(item_bytes);
        let shelf = self.shelves.get(step / SHELF_STEPS).expect("no item is larger than the largest");
        shelf.get_or_init(|| Box::new(std::array::from_fn(|_| Counter::default())))[step % SHELF_STEPS].add(change);
    }
}

/// The step an item counts in: its size, rounded up.
fn step(item_bytes: u64) -> usize {
    usize::try_from(item_bytes.div_ceil(STEP_BYTES)).expect("sizes of items fit memory")
}
