//! The coarse clock's units and memcached's rules for exptimes. No clock is read here: now is an argument.
//!
//! Time inside the server is monotonic, in whole seconds since an epoch shortly before the start; Unix
//! time enters only where a client names an absolute exptime or asks for the time.

use crate::limits::RELATIVE_EXPTIME_SECONDS_MAX;

/// How long before its start memcached's clock begins, as far as `flush_all` goes: from this on a Unix time flushes.
const FLUSH_SECONDS_BEFORE_START: i64 = 60;

/// Whole monotonic seconds since the server's epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

impl Seconds {
    /// The first second a server can be in: seconds below it are in the past for every item.
    pub const START: Self = Self(2);
}

/// The moment a turn of an event loop believes it is in: read once a turn.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Seconds since the epoch.
    pub seconds: Seconds,
    /// Unix time of the epoch's second 0, in seconds, as it was read at start.
    pub unix_epoch: i64,
}

impl Now {
    /// The present Unix time in seconds.
    #[must_use]
    pub fn unix(&self) -> i64 {
        self.unix_epoch + i64::from(self.seconds.0)
    }
}

/// What the system's clocks say at one moment: for what outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Which boot of the machine it is in, as a number that no other boot has.
    pub boot: [u64; 2],
    /// Nanoseconds since that boot, those of a suspended machine as well.
    pub boot_nanos: u64,
    /// Unix time in nanoseconds.
    pub unix_nanos: u64,
}

/// When an item dies. It is dead from the very second it names on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// Exptime 0.
    #[default]
    Never,
    /// At this second and later.
    At(Seconds),
}

impl Expiry {
    /// An expiry that has passed for every possible now.
    pub const PAST: Self = Self::At(Seconds(1));

    /// memcached's rule: 0 never; negative at once; up to 30 days relative; above, a Unix time, which is in
    /// the past when it does not come after the server's start.
    #[must_use]
    pub fn from_exptime(exptime: i64, now: &Now) -> Self {
        if exptime == 0 {
            return Self::Never;
        }
        if exptime < 0 {
            return Self::PAST;
        }
        let deadline = if exptime <= RELATIVE_EXPTIME_SECONDS_MAX {
            i64::from(now.seconds.0) + exptime
        } else {
            exptime - now.unix_epoch
        };
        if deadline <= i64::from(Seconds::START.0) {
            return Self::PAST;
        }
        // Past 2^32 - 1 seconds of uptime (136 years) a deadline is as good as the last second.
        Self::At(Seconds(u32::try_from(deadline).unwrap_or(u32::MAX)))
    }

    /// Seconds until then; `None`: for ever.
    #[must_use]
    pub fn seconds_left(self, now: Seconds) -> Option<u32> {
        match self {
            Self::Never => None,
            Self::At(deadline) => Some(deadline.0.saturating_sub(now.0)),
        }
    }

    /// Whether an item with this expiry is dead.
    #[must_use]
    #[inline]
    pub fn has_passed(self, now: Seconds) -> bool {
        match self {
            Self::Never => false,
            Self::At(deadline) => deadline <= now,
        }
    }
}

/// The first second that a `flush_all` with an exptime above 0 spares: what is older goes when the second before it
/// begins, and memcached has it so. Of Unix times only those before its clock's beginning spare all.
#[must_use]
pub fn flush_spares_from(exptime: i64, now: &Now) -> Option<Seconds> {
    let second = if exptime <= RELATIVE_EXPTIME_SECONDS_MAX {
        i64::from(now.seconds.0) + exptime
    } else {
        exptime - now.unix_epoch
    };
    let begins_at = i64::from(Seconds::START.0) - FLUSH_SECONDS_BEFORE_START;
    (second >= begins_at).then(|| Seconds(u32::try_from(second.max(1)).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::{Expiry, Now, Seconds, flush_spares_from};

    const NOW: Now = Now { seconds: Seconds(10), unix_epoch: 1_700_000_000 };

    #[test]
    fn exptimes_follow_the_thirty_day_rule() {
        assert_eq!(Expiry::from_exptime(0, &NOW), Expiry::Never);
        assert_eq!(Expiry::from_exptime(-1, &NOW), Expiry::PAST);
        assert_eq!(Expiry::from_exptime(1, &NOW), Expiry::At(Seconds(11)));
        assert_eq!(Expiry::from_exptime(2_592_000, &NOW), Expiry::At(Seconds(2_592_010)));
        assert_eq!(Expiry::from_exptime(2_592_001, &NOW), Expiry::PAST);
        assert_eq!(Expiry::from_exptime(1_700_000_050, &NOW), Expiry::At(Seconds(50)));
        assert_eq!(Expiry::from_exptime(1_700_000_002, &NOW), Expiry::PAST);
        assert_eq!(Expiry::from_exptime(i64::MAX, &NOW), Expiry::At(Seconds(u32::MAX)));
    }

    #[test]
    fn a_flush_spares_what_comes_after_its_second() {
        assert_eq!(flush_spares_from(1, &NOW), Some(Seconds(11)));
        assert_eq!(flush_spares_from(2_592_000, &NOW), Some(Seconds(2_592_010)));
        assert_eq!(flush_spares_from(2_592_001, &NOW), None, "long before the start");
        assert_eq!(flush_spares_from(NOW.unix(), &NOW), Some(NOW.seconds));
        assert_eq!(flush_spares_from(1_700_000_050, &NOW), Some(Seconds(50)));
        assert_eq!(flush_spares_from(1_700_000_002 - 60, &NOW), Some(Seconds(1)), "a minute before the start");
        assert_eq!(flush_spares_from(1_700_000_002 - 61, &NOW), None);
        assert_eq!(flush_spares_from(i64::MAX, &NOW), Some(Seconds(u32::MAX)));
    }

    #[test]
    fn an_item_is_dead_from_its_deadline_on() {
        assert!(!Expiry::Never.has_passed(NOW.seconds));
        assert!(!Expiry::At(Seconds(11)).has_passed(NOW.seconds));
        assert!(Expiry::At(Seconds(10)).has_passed(NOW.seconds));
        assert!(Expiry::PAST.has_passed(Seconds::START));
    }
}
