//! What sixteen bits tell of an item's last access.

use crate::time::Seconds;

/// Longest time without an access that is told apart, in seconds: sixteen bits wrap after 65,536. A pass that holds
/// older accesses there must come round in less than what is left.
pub(crate) const IDLE_SECONDS_MAX: u16 = 54_000;
/// Accesses may be so much ahead of another thread's second.
const AHEAD_SECONDS_MAX: u16 = 1024;

/// The low sixteen bits of a second: what an item remembers of its last access.
#[expect(clippy::cast_possible_truncation, reason = "the header keeps the low bits")]
pub(crate) fn access_of(now: Seconds) -> u16 {
    now.0 as u16
}

/// Seconds since an access, as long as it is no longer ago than sixteen bits tell.
pub(crate) fn idle_since(access: u16, now: Seconds) -> u16 {
    let idle = access_of(now).wrapping_sub(access);
    if idle > u16::MAX - AHEAD_SECONDS_MAX { 0 } else { idle }
}
