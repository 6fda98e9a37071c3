//! Readers of large values: a pin is taken under the stripe's lock and given back later, in any turn.

use crate::store::bytes::layout::u64_of;
use crate::store::bytes::parts::Pins;
use crate::store::bytes::shape::Pinned;
use crate::store::local::Local;
use crate::store::memory::chain::PinnedPieces;
use crate::store::shared::Store;
use crate::sync::Ordering;

impl Store {
    /// The bytes of a pinned value from `offset` on, as far as they lie in one piece; empty at the end. Cheap when
    /// offsets rise.
    #[must_use]
    pub fn pinned_bytes<'p>(&'p self, pinned: &'p mut Pinned, offset: usize) -> &'p [u8] {
        self.pinned_pieces(pinned, offset).next().unwrap_or_default()
    }

    /// The same, piece by piece to the end.
    pub fn pinned_pieces<'p>(&'p self, pinned: &'p mut Pinned, offset: usize) -> PinnedPieces<'p> {
        self.pages.pinned_pieces(pinned, offset)
    }

    /// Gives a pin back.
    pub fn unpin(&self, local: &mut Local, pinned: Pinned) {
        let bytes = u64_of(pinned.len());
        match self.pages.chunk(pinned.head).unpin() {
            Pins::Readers => {}
            Pins::Index => {
                local.counters.read_bytes.sub(bytes);
                if self.line.wants_any() {
                    // It can be evicted now.
                    self.line.call_for(self.pages.classes.extent());
                }
            }
            Pins::None => {
                local.counters.read_bytes.sub(bytes);
                // Relaxed: a sum for a limit; the pin count ordered the rest.
                self.orphaned_bytes.fetch_sub(bytes, Ordering::Relaxed);
                local.free_chain(pinned.head, pinned.shape, pinned.len());
            }
        }
    }

    /// Whether [`Self::memory_is_waited_for`], [`Self::orphans_over_limit`] or [`Self::memory_is_short`] may hold: in
    /// nearly all turns none does.
    #[must_use]
    #[inline]
    pub fn memory_is_tight(&self) -> bool {
        // Relaxed: each is looked at again.
        self.line.is_tense() | (self.orphaned_bytes.load(Ordering::Relaxed) > 0)
    }

    /// Whether readers hold more of what is gone than they may: an eighth of `-m`.
    #[must_use]
    pub fn orphans_over_limit(&self) -> bool {
        self.orphaned_bytes.load(Ordering::Relaxed) > self.options.limit_bytes / 8
    }

    /// Whether somebody found no memory since readers were last seen to hold little of it.
    #[must_use]
    #[inline]
    pub fn memory_is_short(&self) -> bool {
        self.line.is_short()
    }

    /// Whether readers hold more than they may where memory is short: an eighth of `-m`, of values that are there as of
    /// those that are gone.
    #[cold]
    #[must_use]
    pub fn readers_are_in_the_way(&self) -> bool {
        let (_, limit_bytes) = self.pool.budget();
        let is_too_much = self.totals().read_bytes > limit_bytes / 8;
        if !is_too_much {
            self.line.settle();
        }
        is_too_much
    }

    /// Whether a pinned value is gone: only its readers hold its memory.
    #[must_use]
    pub fn is_orphan(&self, pinned: &Pinned) -> bool {
        self.pages.chunk(pinned.head).key_len() == 0
    }
}
