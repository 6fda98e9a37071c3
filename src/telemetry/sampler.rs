//! [`Sampler`]: which of many events are looked at closer, one in [`SAMPLED_ONE_IN`] of them on average.

/// Of so many reads of clients' input one is sampled. What a sample costs, some 1500 instructions, is spread over as
/// many: see decisions.md.
pub const SAMPLED_ONE_IN: u32 = 400;

/// Counts down to the next event that is sampled. The gaps are drawn at random, evenly from 1 to twice the mean: no
/// pattern of requests falls in step with them.
#[derive(Debug)]
pub struct Sampler {
    left: u32,
    state: u64,
}

impl Sampler {
    /// A sampler that draws its gaps from this seed.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        // A state of 0 would stay 0.
        let mut sampler = Self { left: 0, state: seed | 1 };
        sampler.left = sampler.gap();
        sampler
    }

    /// Counts an event; true: it is sampled.
    #[inline(always)]
    pub fn is_due(&mut self) -> bool {
        self.left -= 1;
        self.left == 0 && self.begin_gap()
    }

    /// Whether the event that comes behind so many others is the next that is sampled.
    #[must_use]
    #[inline]
    pub fn is_next_behind(&self, others: usize) -> bool {
        usize::try_from(self.left).is_ok_and(|left| left == others + 1)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // xorshift64*: its upper half is random enough to choose by.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        u32::try_from((high * u64::from(bound)) >> 32).expect("below a number of 32 bits")
    }

    #[cold]
    fn begin_gap(&mut self) -> bool {
        self.left = self.gap();
        true
    }

    fn gap(&mut self) -> u32 {
        1 + self.below(2 * SAMPLED_ONE_IN - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{SAMPLED_ONE_IN, Sampler};

    #[test]
    fn one_in_so_many_is_sampled_wherever_it_stands_in_a_pattern() {
        // Patterns as long as the mean gap, half and a quarter of that, and some that have nothing to do with it.
        for length in [1, 7, 64, 100, 200, 400, 399] {
            let mut sampler = Sampler::with_seed(9);
            let mut sampled = vec![0_u32; length];
            for event in 0..40_000 * length {
                sampled[event % length] += u32::from(sampler.is_due());
            }
            let expected = f64::from(40_000 / SAMPLED_ONE_IN);
            for (place, &count) in sampled.iter().enumerate() {
                assert!((f64::from(count) - expected).abs() < 6.0 * expected.sqrt(), "{place} of {length}: {count}");
            }
        }
    }

    #[test]
    fn who_is_next_is_known_before() {
        let mut sampler = Sampler::with_seed(3);
        for _ in 0..1000 {
            let others = (0..).find(|&others| sampler.is_next_behind(others)).expect("the next one");
            (0..others).for_each(|_| assert!(!sampler.is_due()));
            assert!(sampler.is_due());
        }
    }

    #[test]
    fn a_seed_of_0_draws_too() {
        let mut sampler = Sampler::with_seed(0);
        assert!((0..10_000).any(|_| sampler.below(100) > 90));
        assert!((0..100).all(|_| sampler.below(1) == 0));
    }
}
