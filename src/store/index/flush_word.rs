//! The word that counts flushes: `flush` says what it stands for.

use crate::sync::{AtomicU64, Ordering};

/// How often there was a flush, or the end of the search for what it left, in this order: odd in between.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    pub(super) word: AtomicU64,
}

/// What was seen of [`Flushes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flush(pub(super) u64);

impl Flush {
    /// Whether there may be items left that were flushed.
    #[inline(always)]
    pub(super) fn is_pending(self) -> bool {
        self.0 & 1 == 1
    }
}

impl Flushes {
    #[inline(always)]
    pub(super) fn last(&self) -> Flush {
        Flush(self.word.load(Ordering::Relaxed))
    }
}
