//! The ghost: 16-bit tags of keys that were evicted from a small queue without a hit, so that one that comes
//! back soon is known to have been evicted too early.
//!
//! Eight tags to a bucket, oldest out; looked up by hash with no lock: a lost or doubled tag costs a little
//! of the hit ratio and nothing else. The number of buckets follows the number of items one bucket at a time
//! (linear hashing), so that resizing never pauses.

use std::sync::Arc;

use crate::store::memory::arena::Arena;
use crate::store::memory::pool::Pool;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::sys::memory::{OS_PAGE_BYTES, Table};

/// Bytes of a bucket: two words of four tags.
const BUCKET_BYTES: usize = 16;
/// Buckets in an OS page.
const BUCKETS_PER_OS_PAGE: usize = OS_PAGE_BYTES / BUCKET_BYTES;
/// Tags in a bucket.
const TAGS: usize = 8;

const LOW_BITS: u64 = 0x0001_0001_0001_0001;
const HIGH_BITS: u64 = 0x8000_8000_8000_8000;

/// The table of tags.
#[derive(Debug)]
pub(crate) struct Ghost {
    words: Table<AtomicU64>,
    offset: usize,
    /// Buckets in use.
    buckets: AtomicUsize,
    /// Buckets with memory, written by `adjust` alone.
    opened: AtomicUsize,
}

impl Ghost {
    /// An empty ghost; it remembers nothing until `adjust` gives it room.
    pub(crate) fn new(arena: &Arena) -> Self {
        let geometry = &arena.geometry;
        Self {
            words: Table::new(&Arc::clone(&arena.memory), geometry.ghost_at, geometry.ghost_bytes / 8),
            offset: geometry.ghost_at,
            buckets: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
        }
    }

    /// Bytes of memory opened.
    pub(crate) fn bytes(&self) -> usize {
        self.opened.load(Ordering::Relaxed) * BUCKET_BYTES
    }

    /// Remembers a key.
    pub(crate) fn insert(&self, hash: u64) {
        let Some((low, high)) = self.bucket(hash) else { return };
        // Relaxed, here and below: tags are hints, and two writers at once lose one of them.
        let (first, second) = (low.load(Ordering::Relaxed), high.load(Ordering::Relaxed));
        low.store(first << 16 | u64::from(tag(hash)), Ordering::Relaxed);
        high.store(second << 16 | first >> 48, Ordering::Relaxed);
    }

    /// Whether the key is remembered; if so, it is forgotten.
    #[inline]
    pub(crate) fn take(&self, hash: u64) -> bool {
        let Some((low, high)) = self.bucket(hash) else { return false };
        [low, high].into_iter().any(|word| {
            let tags = word.load(Ordering::Relaxed);
            let Some(lane) = lane_of(tags, tag(hash)) else { return false };
            word.store(tags & !(0xffff << (lane * 16)), Ordering::Relaxed);
            true
        })
    }

    /// Moves the number of buckets towards `tags / 8`, at most `steps` of them; true when there is more to do and
    /// memory for it.
    pub(crate) fn adjust(&self, arena: &Arena, pool: &Pool, tags: usize, steps: usize) -> bool {
        let most = self.words.len() / 2;
        let target = (tags / TAGS).min(most);
        for _ in 0..steps {
            let now = self.buckets.load(Ordering::Relaxed);
            if now == target {
                return false;
            }
            if now > target {
                self.buckets.store(now - 1, Ordering::Relaxed);
            } else if !self.add_bucket(arena, pool, now) {
                return false;
            }
        }
        true
    }

    fn add_bucket(&self, arena: &Arena, pool: &Pool, bucket: usize) -> bool {
        let opened = self.opened.load(Ordering::Relaxed);
        if bucket == opened {
            if !pool.open(arena, self.offset + bucket * BUCKET_BYTES, OS_PAGE_BYTES) {
                return false;
            }
            self.opened.store(opened + BUCKETS_PER_OS_PAGE, Ordering::Relaxed);
        }
        // The bucket it splits off from keeps its tags, and the new one starts with the same: those that
        // belong to the other of the two will never be asked for there, and age out.
        let source = if bucket == 0 { 0 } else { bucket - (1 << bucket.ilog2()) };
        for word in 0..2 {
            let tags = if bucket == 0 { 0 } else { self.words[source * 2 + word].load(Ordering::Relaxed) };
            self.words[bucket * 2 + word].store(tags, Ordering::Relaxed);
        }
        // Release: who uses the bucket finds its memory opened and filled.
        self.buckets.store(bucket + 1, Ordering::Release);
        true
    }

    #[inline]
    fn bucket(&self, hash: u64) -> Option<(&AtomicU64, &AtomicU64)> {
        let buckets = self.buckets.load(Ordering::Acquire);
        if buckets == 0 {
            return None;
        }
        let mask = buckets.next_power_of_two() - 1;
        let mut bucket = (hash >> 4) as usize & mask;
        if bucket >= buckets {
            bucket &= mask >> 1;
        }
        Some((&self.words[bucket * 2], &self.words[bucket * 2 + 1]))
    }
}

/// The tag of a key; 0 means no tag.
#[expect(clippy::cast_possible_truncation, reason = "sixteen of the bits")]
fn tag(hash: u64) -> u16 {
    ((hash >> 38) as u16).max(1)
}

/// The lane of a word that holds this tag.
fn lane_of(word: u64, tag: u16) -> Option<u32> {
    let difference = word ^ (u64::from(tag) * LOW_BITS);
    // The lowest set bit is exact: a borrow can only raise false marks above a true one.
    let zero = difference.wrapping_sub(LOW_BITS) & !difference & HIGH_BITS;
    (zero != 0).then(|| zero.trailing_zeros() / 16)
}

#[cfg(test)]
mod tests {
    use super::lane_of;

    #[test]
    fn a_tag_is_found_in_its_lane_and_nowhere_else() {
        let word = 0x0004_0003_0002_0001;
        for lane in 0..4u16 {
            assert_eq!(lane_of(word, lane + 1), Some(u32::from(lane)));
        }
        assert_eq!(lane_of(word, 5), None);
        assert_eq!(lane_of(0x8000_0000_0000_ffff, 0x8000), Some(3));
    }
}
