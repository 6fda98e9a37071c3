//! What a fuzzer's input means, for each target; `tests/corpus` plays the kept inputs without a fuzzer.
#![allow(dead_code, reason = "each target uses one of them")]

pub(crate) mod auth_file;
pub(crate) mod command_line;
pub(crate) mod memory_file;
pub(crate) mod session;

/// A small generator of numbers that the input seeds: it says where bytes are cut and who is next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).expect("32 bits") % bound
    }
}
