//! The home buckets of hashes: linear hashing.

/// The home bucket of a hash among so many, by linear hashing: buckets already split in this doubling count
/// one bit more.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
pub(super) fn home_of(hash: u64, homes: u32) -> u32 {
    let mask = u32::MAX >> (homes.leading_zeros());
    let home = hash as u32 & mask;
    if home < homes { home } else { home & (mask >> 1) }
}

#[cfg(test)]
mod tests {
    use super::home_of;

    #[test]
    fn splitting_moves_entries_only_from_the_bucket_in_turn() {
        for homes in 1..200u32 {
            let source = homes - (1 << homes.ilog2());
            for hash in (0..5000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
                let (old, new) = (home_of(hash, homes), home_of(hash, homes + 1));
                assert!(old < homes);
                assert!(new == old || (old == source && new == homes), "{homes}: {old} -> {new}");
            }
        }
    }
}
