//! The numbers on the wire for items' versions, and the way back.
//!
//! A number is a stripe's counter with the stripe behind it. A keyed permutation of both would hide which keys share a
//! stripe, but makes numbers of all bits: there are clients that take none above 32 bits. What one stripe's homes may
//! cost is bounded instead.

/// Bits of a number that name the stripe.
const STRIPE_BITS: u32 = 12;

/// Most stripes that numbers can tell apart.
pub(super) const STRIPES_MAX: usize = 1 << STRIPE_BITS;

/// The number for a version; never 0, if the version is not.
#[inline]
pub(super) fn number(version: u32, stripe: usize) -> u64 {
    u64::from(version) << STRIPE_BITS | u64::try_from(stripe).expect("64 bits hold a usize")
}

/// The version and the stripe that a number was given for; `None`: it is not one of ours.
pub(super) fn version(number: u64) -> Option<(u32, usize)> {
    let version = u32::try_from(number >> STRIPE_BITS).ok().filter(|version| *version != 0)?;
    Some((version, usize::try_from(number).ok()? % STRIPES_MAX))
}

#[cfg(test)]
mod tests {
    use super::{STRIPES_MAX, number, version};

    #[test]
    fn a_number_stands_for_one_version_of_one_stripe() {
        for of in [1, 2, 4096, u32::MAX] {
            for stripe in [0, 1, STRIPES_MAX - 1] {
                assert_eq!(version(number(of, stripe)), Some((of, stripe)));
            }
        }
        assert_eq!((version(0), version(17), version(u64::MAX)), (None, None, None));
    }
}
