//! The order in which a stripe is walked, which growth does not change.
//!
//! Linear hashing puts into bucket b of level k the hashes whose low k bits are b. Read backwards, a hash begins
//! with the bits that choose its bucket: a bucket holds an interval of backward hashes, and a split cuts it in two,
//! side by side. So who walks from interval to interval, and remembers but where the next one begins, meets every
//! hash once, however often buckets were split meanwhile. A merge puts two intervals together again: who stands
//! between them passes over what he has met.
//!
//! ```text
//! bucket, two bits     00                  01                  10                  11
//! backward hashes      0000.. to 0011..    1000.. to 1011..    0100.. to 0111..    1100.. to 1111..
//! ```

use super::homes::home_of;
use super::stripe::LockedStripe;
use crate::store::bytes::layout::Ref;
use crate::store::memory::page::Pages;

/// A bucket and the backward hashes it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    home: u32,
    first: u32,
    /// Where the next one begins; `None`: this is the last.
    next: Option<u32>,
}

impl LockedStripe<'_> {
    /// Shows the items of the home at this backward hash that are not before it, and says where the next home
    /// begins; `None`: there is none.
    pub(crate) fn walk(&self, pages: &Pages, from: u32, mut visit: impl FnMut(Ref)) -> Option<u32> {
        let interval = interval_at(from, self.state.homes);
        for (reference, _) in self.entries_of(interval.home) {
            // Splits end intervals where the next begins. After a merge the walk may stand in the middle of one.
            let is_new =
                interval.first == from || backward(self.index.hash(pages.chunk(reference).key(&*self.state))) >= from;
            if is_new {
                visit(reference);
            }
        }
        interval.next
    }
}

/// The bits of a hash that choose its bucket, the first to choose first.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
fn backward(hash: u64) -> u32 {
    (hash as u32).reverse_bits()
}

/// The interval among those of so many buckets that a backward hash lies in.
fn interval_at(from: u32, homes: u32) -> Interval {
    let home = home_of(u64::from(from.reverse_bits()), homes);
    let level = homes.ilog2();
    let is_split = (home | (1 << level)) < homes;
    let bits = if is_split { level + 1 } else { level };
    let first = home.reverse_bits();
    let next = u32::try_from(u64::from(first) + (1 << (u32::BITS - bits))).ok();
    Interval { home, first, next }
}

#[cfg(test)]
mod tests {
    use super::super::homes::home_of;
    use super::{Interval, backward, interval_at};

    #[test]
    fn the_intervals_of_all_buckets_follow_each_other() {
        for homes in (1..200).chain([u32::MAX >> 4, 1 << 27]) {
            let mut from = Some(0);
            let mut met = 0;
            while let Some(at) = from.filter(|_| met <= 1000) {
                let Interval { first, next, .. } = interval_at(at, homes);
                assert_eq!(first, at, "of {homes}");
                (met, from) = (met + 1, next);
            }
            assert_eq!(met, homes.min(1001));
        }
    }

    #[test]
    fn a_hash_lies_in_the_interval_of_its_bucket() {
        for homes in 1..200 {
            for hash in (0..2000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
                let Interval { home, first, next } = interval_at(backward(hash), homes);
                assert_eq!(home, home_of(hash, homes));
                assert!(first <= backward(hash) && next.is_none_or(|next| backward(hash) < next));
            }
        }
    }

    #[test]
    fn where_an_interval_began_one_begins_after_growth() {
        for homes in 1..200 {
            for grown in homes..220 {
                let mut at = Some(0);
                while let Some(from) = at {
                    assert_eq!(interval_at(from, grown).first, from, "{homes} -> {grown}");
                    at = interval_at(from, homes).next;
                }
            }
        }
    }
}
