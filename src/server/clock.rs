//! The clock: the only place that reads one. Everybody else is told the time.

use std::time::{Duration, UNIX_EPOCH};

use crate::sys::clock::coarse_monotonic;
use crate::time::{Now, Seconds};

const SECOND_NANOS: u64 = 1_000_000_000;

/// Whole seconds since the server's epoch. Cheap to read, once a turn of a loop; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The coarse monotonic clock's second at the epoch's second 0.
    epoch_seconds: u64,
    /// And the nanoseconds of that second: there the epoch's seconds turn.
    epoch_nanos: u32,
    /// Unix time of that moment, in seconds.
    unix_epoch: i64,
}

impl Clock {
    /// Starts the clock at [`Seconds::START`]. Its seconds turn with those of Unix time, as far as that
    /// is not set later: an absolute exptime is then kept to the second.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one home of the clock")]
    pub fn start() -> Self {
        let (seconds, nanos) = coarse_monotonic();
        let unix = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        // Unix time's second began so many nanoseconds ago: perhaps in the monotonic clock's second before.
        let (before, epoch_nanos) = match nanos.checked_sub(unix.subsec_nanos()) {
            Some(nanos) => (0, nanos),
            None => (1, nanos + 1_000_000_000 - unix.subsec_nanos()),
        };
        let unix_seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
        Self {
            // A machine up for less than two seconds has no such moment: wrapping, the difference still holds.
            epoch_seconds: seconds.wrapping_sub(u64::from(Seconds::START.0) + before),
            epoch_nanos,
            unix_epoch: unix_seconds - i64::from(Seconds::START.0),
        }
    }

    /// The present second.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Now {
        let (seconds, nanos) = coarse_monotonic();
        let seconds = seconds.wrapping_sub(self.epoch_seconds).wrapping_sub(u64::from(nanos < self.epoch_nanos));
        // 136 years of uptime.
        Now { seconds: Seconds(u32::try_from(seconds).unwrap_or(u32::MAX)), unix_epoch: self.unix_epoch }
    }

    /// How long until `moment` begins; zero when it has.
    #[must_use]
    pub fn until(&self, moment: Seconds) -> Duration {
        Duration::from_nanos((u64::from(moment.0) * SECOND_NANOS).saturating_sub(self.nanos()))
    }

    /// Microseconds since the epoch, as coarse as the clock.
    #[must_use]
    pub fn micros(&self) -> u64 {
        self.nanos() / 1_000
    }

    /// Unix time in microseconds, exact and as it is set now: for who watches. Dearer than the rest.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one home of the clock")]
    pub fn unix_micros() -> u64 {
        let unix = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(unix.as_micros()).unwrap_or(u64::MAX)
    }

    fn nanos(&self) -> u64 {
        let (seconds, nanos) = coarse_monotonic();
        let whole = seconds.wrapping_sub(self.epoch_seconds).wrapping_mul(SECOND_NANOS);
        whole.wrapping_add(u64::from(nanos)).wrapping_sub(u64::from(self.epoch_nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::time::Seconds;

    #[test]
    fn a_clock_starts_at_the_first_second() {
        let clock = Clock::start();
        let now = clock.now();
        assert!(now.seconds >= Seconds::START);
        assert!(now.seconds <= Seconds(Seconds::START.0 + 1));
        assert!(now.unix() > 1_600_000_000);
    }

    #[test]
    fn the_way_to_a_moment_ends_there() {
        let clock = Clock::start();
        assert!(clock.until(Seconds::START).is_zero());
        let way = clock.until(Seconds(Seconds::START.0 + 10));
        assert!(way.as_secs() >= 8 && way.as_secs() <= 10, "{way:?}");
    }
}
