//! A small seeded random source: the same seed gives the same run everywhere.

/// xorshift64*: good enough to choose operations, and a few lines.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The seeds of a test: one from the environment, or so many of our own.
pub(crate) fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("FLAGSTONE_TEST_SEED") {
        Ok(seed) => vec![seed.parse().expect("FLAGSTONE_TEST_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}
