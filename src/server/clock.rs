//! The clock: the only place that reads one. Everybody else is told the time.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use crate::sys::clock::{coarse_monotonic, monotonic_nanos, since_boot_nanos};
use crate::sys::file::boot_id;
use crate::time::{Moment, Now, Seconds};

const SECOND_NANOS: u64 = 1_000_000_000;

/// Unix time, for lines of the log.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one home of the clock")]
pub fn since_epoch() -> Duration {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

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

    /// What the system's clocks say now.
    ///
    /// # Errors
    /// When the kernel does not say which boot this is.
    #[expect(clippy::disallowed_methods, reason = "the one home of the clock")]
    pub fn moment() -> io::Result<Moment> {
        let unix = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let unix_nanos = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
        Ok(Moment { boot: boot_id()?, boot_nanos: since_boot_nanos(), unix_nanos })
    }

    /// A clock that stood so many nanoseconds behind its epoch at a moment of this boot.
    #[must_use]
    pub fn resume(moment: &Moment, nanos: u64) -> Self {
        let (seconds, part) = coarse_monotonic();
        let passed = since_boot_nanos().saturating_sub(moment.boot_nanos);
        let since = i128::from(nanos) + i128::from(passed);
        let second = i128::from(SECOND_NANOS);
        let epoch = i128::from(seconds) * second + i128::from(part) - since;
        let unix = i128::from(moment.unix_nanos) + i128::from(passed) - since;
        Self {
            // Wrapping, as in `start`.
            epoch_seconds: i64::try_from(epoch.div_euclid(second)).unwrap_or(i64::MIN).cast_unsigned(),
            epoch_nanos: u32::try_from(epoch.rem_euclid(second)).expect("less than a second"),
            // The nearest second: the wall's clock may have been set since the epoch.
            unix_epoch: i64::try_from((unix + second / 2).div_euclid(second)).unwrap_or(0),
        }
    }

    /// The present second.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Now {
        let (seconds, nanos) = coarse_monotonic();
        self.at(seconds, nanos)
    }

    /// The server's second at a moment of the monotonic clock.
    #[inline]
    fn at(&self, seconds: u64, nanos: u32) -> Now {
        let seconds = seconds.wrapping_sub(self.epoch_seconds).wrapping_sub(u64::from(nanos < self.epoch_nanos));
        // A clock that is set back, as only a faked one is, stands still at the start; the end is 136 years later.
        let seconds = seconds.cast_signed().clamp(Seconds::START.0.into(), u32::MAX.into());
        Now { seconds: Seconds(u32::try_from(seconds).expect("clamped")), unix_epoch: self.unix_epoch }
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

    /// Nanoseconds since some fixed moment, exact: for what takes less than the clock's tick. Dearer than the rest.
    #[must_use]
    pub fn exact_nanos() -> u64 {
        monotonic_nanos()
    }

    fn nanos(&self) -> u64 {
        let (seconds, nanos) = coarse_monotonic();
        let whole =
            seconds.wrapping_sub(self.epoch_seconds).cast_signed().clamp(0, i64::MAX / SECOND_NANOS.cast_signed());
        (whole.cast_unsigned() * SECOND_NANOS + u64::from(nanos)).saturating_sub(u64::from(self.epoch_nanos))
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
    fn a_clock_goes_on_where_another_stood() {
        let moment = Clock::moment().expect("Linux has it");
        for seconds in [2, 100, 4_000_000_000] {
            let clock = Clock::resume(&moment, seconds * 1_000_000_000 + 500_000_000);
            let now = clock.now();
            assert!((seconds..seconds + 2).contains(&u64::from(now.seconds.0)), "{now:?} for {seconds}");
            let unix = moment.unix_nanos / 1_000_000_000;
            assert!((unix - 1..unix + 3).contains(&now.unix().cast_unsigned()), "{now:?} at {unix}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        let clock = Clock { epoch_seconds: 1000, epoch_nanos: 500, unix_epoch: 1_700_000_000 };
        for (seconds, nanos, expected) in
            [(0, 0, 2), (997, 0, 2), (1002, 0, 2), (1002, 499, 2), (1003, 500, 3), (1 << 40, 0, u32::MAX)]
        {
            assert_eq!(clock.at(seconds, nanos).seconds, Seconds(expected), "{seconds}.{nanos}");
        }
        let early = Clock { epoch_seconds: 0_u64.wrapping_sub(2), ..clock };
        assert_eq!(early.at(1, 600).seconds, Seconds(3), "started in the machine's first second");
    }

    #[test]
    fn the_way_to_a_moment_ends_there() {
        let clock = Clock::start();
        assert!(clock.until(Seconds::START).is_zero());
        let way = clock.until(Seconds(Seconds::START.0 + 10));
        assert!(way.as_secs() >= 8 && way.as_secs() <= 10, "{way:?}");
    }
}
