//! `flush_all`: a word that counts flushes, and the mark of each stripe.
//!
//! A flush is one write to that word, however many stripes there are. Whoever takes a stripe's lock looks at the word
//! first: a stripe that has not seen the last flush has written nothing since, so that its mark becomes the version
//! written last. What was found then holds until the lock is let go: all that is done under one hold lies before or
//! behind a flush as a whole, or what is made of a flushed item would get a version behind the mark.
//!
//! The word is odd while there may be flushed items; marks count only then. The sweep, which has every stripe see the
//! flush before it looks at an item and then looks into every page, makes it even, unless there was another flush
//! meanwhile. It only rises: that two threads see it rise in the same order is all that is needed of it, so Relaxed is
//! enough. Who has been told of a flush, by whatever way, sees at least that one.

use super::flush_word::Flush;
use super::stripe::{Index, LockedStripe};
use crate::store::memory::arena::StripeRecord;
use crate::sync::Ordering;

impl Index {
    /// Whether any stripe may have items that a `flush_all` made invisible.
    #[inline]
    pub(crate) fn any_flushed(&self) -> bool {
        self.flushes.last().is_pending()
    }

    /// The last flush, if there may be items left that it made invisible.
    pub(crate) fn pending_flush(&self) -> Option<Flush> {
        Some(self.flushes.last()).filter(|flush| flush.is_pending())
    }

    /// Whether an item of this hash and version is older than a `flush_all`: a hint without the stripe's lock. Exact
    /// for the sweep, if every stripe has seen the flush before.
    pub(crate) fn is_flushed(&self, hash: u64, cas: u32) -> bool {
        let (flush, record) = (self.flushes.last(), &self.arena.records[self.stripe_of(hash)]);
        flush.is_pending() && (record.flushes_seen.load(Ordering::Relaxed) != flush.0 || is_marked(record, cas))
    }

    /// Marks all that is in the index now as flushed. `announce` is told, before any thread can see it, what the count
    /// of flushes will be.
    pub(crate) fn flush(&self, announce: impl Fn(u64)) {
        let mut last = self.flushes.word.load(Ordering::Relaxed);
        loop {
            // To the next odd number.
            let next = (last + 1) | 1;
            announce(next);
            match self.flushes.word.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return self.arena.note_flushes(next),
                Err(other) => last = other,
            }
        }
    }

    /// Has a stripe see what was flushed, if nobody has taken its lock since.
    pub(crate) fn see_flushes(&self, number: usize) {
        drop(self.lock_number(number));
    }

    /// Ends a flush of which nothing is left, if it is still the last.
    pub(crate) fn end_flush(&self, Flush(flush): Flush) {
        if self.flushes.word.compare_exchange(flush, flush + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.arena.note_flushes(flush + 1);
        }
    }

    /// Moves a stripe's mark, if it has not seen this flush. Its lock has just been taken.
    #[cold]
    #[inline(never)]
    pub(super) fn catch_up(&self, number: usize, Flush(flush): Flush) {
        let record = &self.arena.records[number];
        if record.flushes_seen.load(Ordering::Relaxed) != flush {
            record.flush_mark.store(record.cas.load(Ordering::Relaxed), Ordering::Relaxed);
            // Release: for hints; who holds the lock needs none.
            record.flushes_seen.store(flush, Ordering::Release);
        }
    }
}

impl LockedStripe<'_> {
    /// Whether an item of this version is older than a `flush_all`.
    #[inline]
    pub(crate) fn is_flushed(&self, cas: u32) -> bool {
        self.marks_count && is_marked(self.record(), cas)
    }
}

/// Versions wrap: an item is at or before the mark when it is less than half the circle behind it.
fn is_marked(record: &StripeRecord, cas: u32) -> bool {
    record.flush_mark.load(Ordering::Relaxed).wrapping_sub(cas) < u32::MAX / 2
}
