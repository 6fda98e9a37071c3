//! How long memory goes unused, on a clock of the store's own: bytes of chunks taken for new items.
//!
//! Seconds say nothing of a store that turns over in one of them. What is compared by this clock is compared at the
//! scale of the store's turnover: it stands still while nobody needs memory.

/// Two moments of a class, the later one at most as many uses ago as the class has chunks: what has been used since the
/// earlier one tells how long a chunk goes unused now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    before: Moment,
    lately: Moment,
}

/// What the store's clock said when a class had been used so often.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    clock: u64,
    uses: u64,
}

impl Pace {
    /// From now on, where the class's memory was used for something else before.
    pub(crate) fn starting(clock: u64, uses: u64) -> Self {
        let now = Moment { clock, uses };
        Self { before: now, lately: now }
    }

    /// How much the store takes between two uses of a chunk, in bytes: the mean over `chunks` of them, or, if that is
    /// more, how long ago most were used last.
    pub(crate) fn interval(&self, clock: u64, uses: u64, chunks: u64) -> u64 {
        let elapsed = clock.saturating_sub(self.before.clock);
        let used = uses.saturating_sub(self.before.uses).max(1);
        let interval = u128::from(elapsed) * u128::from(chunks) / u128::from(used);
        // Since the later moment fewer have been used than there are.
        u64::try_from(interval).unwrap_or(u64::MAX).max(clock.saturating_sub(self.lately.clock))
    }

    /// Forgets what is further back than the last one to two turns of the class.
    pub(crate) fn renew(&mut self, clock: u64, uses: u64, chunks: u64) {
        if uses.saturating_sub(self.lately.uses) >= chunks.max(1) {
            *self = Self { before: self.lately, lately: Moment { clock, uses } };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn the_mean_of_the_last_turns_is_what_counts() {
        let mut pace = Pace::starting(0, 0);
        // Long ago each of ten chunks was used once in a thousand bytes, since then once in a hundred.
        for (clock, uses) in [(1000, 10), (1100, 20), (1200, 30), (1300, 40)] {
            pace.renew(clock, uses, 10);
        }
        assert_eq!(pace.interval(1350, 45, 10), 100);
    }

    #[test]
    fn a_class_that_nobody_uses_cools_with_the_stores_clock() {
        let pace = Pace::starting(500, 7);
        assert_eq!(pace.interval(500, 7, 10), 0);
        assert_eq!(pace.interval(700, 7, 10), 2000);
        assert_eq!(pace.interval(u64::MAX, 7, u64::MAX), u64::MAX);
    }
}
