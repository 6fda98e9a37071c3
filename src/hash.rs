//! The keyed hash of the index, and nothing else: which bits mean what is `store`'s business.
//!
//! ahash is keyed with process-local randomness, so that nobody outside can choose keys that collide.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;

/// A key hasher with a seed of its own.
#[derive(Clone, Debug)]
pub struct KeyHasher {
    state: RandomState,
}

impl KeyHasher {
    /// A hasher with the given seed: the same seed gives the same hashes within one build.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        // The four words only have to differ; ahash mixes them with its own constants.
        let state = RandomState::with_seeds(seed, seed.rotate_left(17), !seed, seed.rotate_left(41));
        Self { state }
    }

    /// The 64-bit hash of a key.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}
