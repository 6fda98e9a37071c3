//! Memory of `-L`, found ahead of its use: each first touch of a huge page would keep a request waiting, 100 us and
//! more.
//!
//! To find all of it takes seconds, so that it is a thread's own work, a huge page at a time, while the store is in
//! use. Pages of items are given out from the lowest on: what has been given out is passed over, as its memory may
//! have gone back to the system since. What is in use counts against the limit as ever, found ahead or not.

use std::io;

use crate::store::shared::Store;
use crate::sys::memory::HUGE_PAGE_BYTES;

/// Share of the memory limit that is found ahead: what pages of items come to where items are small.
const SHARE_QUARTERS: u64 = 3;

/// How far it has come, in bytes from the arena's start.
#[derive(Debug)]
pub struct Population {
    next: usize,
}

impl Store {
    /// The memory that is to be found ahead; `None` without `-L`.
    #[must_use]
    pub fn population(&self) -> Option<Population> {
        self.options.large_pages.then_some(Population { next: 0 })
    }

    /// Finds the memory of the next huge page; false when all has been found.
    ///
    /// # Errors
    /// When the system has none, or knows no way to find it (before Linux 5.14). It comes at its first touch then.
    pub fn populate_step(&self, population: &mut Population) -> io::Result<bool> {
        let geometry = &self.arena.geometry;
        let used = geometry.pages_at + self.pool.pages_used() * geometry.page_bytes;
        if population.next >= geometry.pages_at {
            population.next = population.next.max(used.next_multiple_of(HUGE_PAGE_BYTES));
        }
        // As the limit is now: lowered, it is no longer asked for.
        let (_, limit_bytes) = self.pool.budget();
        let share = usize::try_from(limit_bytes.min(self.options.limit_bytes) / 4 * SHARE_QUARTERS);
        let end = share.unwrap_or(usize::MAX).min(geometry.index_at);
        if population.next >= end {
            return Ok(false);
        }
        let bytes = HUGE_PAGE_BYTES.min(end - population.next);
        self.arena.memory.populate(population.next, bytes)?;
        population.next += bytes;
        Ok(population.next < end)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::fs;

    use super::Store;
    use crate::store::{Mode, Options, StoreOutcome, StoreRequest};
    use crate::sys::memory::HUGE_PAGE_BYTES;
    use crate::time::{Expiry, Seconds};

    fn open(large_pages: bool) -> Store {
        Store::open(&Options { limit_bytes: 64 << 20, large_pages, ..Options::default() }).expect("a small store")
    }

    /// Bytes of the arena that the system has found memory for.
    fn resident_bytes(store: &Store) -> usize {
        let first = store.arena.memory.base().as_ptr().addr();
        let end = first + store.arena.geometry.rings_at;
        let (mut is_ours, mut bytes) = (false, 0);
        for line in fs::read_to_string("/proc/self/smaps").expect("Linux has it").lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            if let Some((from, _)) = range
                && let Ok(from) = usize::from_str_radix(from, 16)
            {
                is_ours = (first..end).contains(&from);
            } else if let Some(count) = line.strip_prefix("Rss:").filter(|_| is_ours) {
                bytes += count.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10;
            }
        }
        bytes
    }

    /// Finds all memory; how many steps it took.
    fn populate(store: &Store) -> usize {
        let mut population = store.population().expect("-L was given");
        let mut steps = 1;
        while store.populate_step(&mut population).expect("there is memory") {
            steps += 1;
        }
        steps
    }

    #[test]
    fn memory_is_found_step_by_step_and_not_at_the_start() {
        let store = open(true);
        let before = resident_bytes(&store);
        assert!(before < 3 * HUGE_PAGE_BYTES, "{before} bytes before anything is stored");
        assert_eq!(populate(&store), 48 / 2);
        let after = resident_bytes(&store);
        assert!((48 << 20..56 << 20).contains(&after), "{after} bytes");
        let (committed_bytes, _) = store.pool.budget();
        assert!(committed_bytes < 4 << 20, "{committed_bytes} bytes are in use");
        assert!(open(false).population().is_none());
    }

    #[test]
    fn what_is_in_use_is_passed_over() {
        let store = open(true);
        let mut local = store.local();
        for number in 0..40 {
            let key = format!("key {number}");
            let key = store.key(key.as_bytes());
            let request = StoreRequest {
                key,
                mode: Mode::Set,
                client_flags: 0,
                expiry: Expiry::Never,
                shows_cas: false,
                extras: None,
            };
            let outcome = store.store(&mut local, &request, &vec![b'v'; 15 << 10], Seconds(10));
            assert!(matches!(outcome, StoreOutcome::Stored { .. }), "{outcome:?}");
        }
        let used = store.pool.pages_used() * store.arena.geometry.page_bytes;
        let head = store.arena.geometry.pages_at;
        let left = (48 << 20) - (head + used).next_multiple_of(HUGE_PAGE_BYTES);
        assert_eq!(populate(&store), head.div_ceil(HUGE_PAGE_BYTES) + left / HUGE_PAGE_BYTES);
    }

    #[test]
    fn a_lowered_limit_is_heeded_on_the_way() {
        let store = open(true);
        let mut population = store.population().expect("-L was given");
        for _ in 0..10 {
            assert!(store.populate_step(&mut population).expect("there is memory"));
        }
        assert!(store.set_limit_bytes(24 << 20));
        assert!(!store.populate_step(&mut population).expect("there is nothing to do"));
        assert!(resident_bytes(&store) < 28 << 20);
    }
}
