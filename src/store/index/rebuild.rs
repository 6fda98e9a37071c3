//! The index of what another run left: made as large as it will be, then filled.

use super::flush_word::Flush;
use super::stripe::{Index, ROWS_AT_START, SPLIT_ABOVE};
use crate::store::bytes::layout::Ref;
use crate::store::memory::page::Pages;
use crate::store::memory::pool::Pool;
use crate::store::words::outcome::Key;
use crate::sync::Ordering;

/// What became of an item that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakenIn {
    /// It has its place.
    New,
    /// It has the place of an older one with its key, which is to go.
    Instead(Ref),
    /// It is to go: there is a later one with its key.
    Superseded,
    /// There is no memory for its entry.
    NoRoom,
}

impl Index {
    /// Makes room for so many items, and has all stripes see the last flush. The index is empty, and nobody else uses
    /// it.
    pub(crate) fn prepare(&self, pool: &Pool, items: u64) {
        self.flushes.word.store(self.arena.flushes_left(), Ordering::Relaxed);
        let stripes = u64::try_from(self.stripe_count()).expect("64 bits hold a usize");
        let wanted = u32::try_from(items / stripes / u64::from(SPLIT_ABOVE)).unwrap_or(u32::MAX);
        for row in ROWS_AT_START..=wanted {
            if !self.add_row(pool, row) {
                break;
            }
        }
        let homes = wanted.min(self.rows().saturating_sub(1)).max(1);
        for number in 0..self.stripe_count() {
            let mut stripe = self.lock_number(number);
            stripe.state.fresh = homes;
            stripe.set_homes(homes);
        }
    }

    /// Gives an item that was found its place. Of two with the same key the later stays.
    #[inline]
    pub(crate) fn take_in(&self, pages: &Pages, pool: &Pool, key: Key<'_>, reference: Ref) -> TakenIn {
        loop {
            let mut stripe = self.lock(key.hash);
            let (record, cas) = (stripe.record(), pages.chunk(reference).cas());
            if record.cas.load(Ordering::Relaxed).wrapping_sub(cas) > u32::MAX / 2 {
                // Later than the last there was: the next one must not have the same version.
                record.cas.store(cas, Ordering::Relaxed);
            }
            let last = record.cas.load(Ordering::Relaxed);
            let age = |item: Ref| last.wrapping_sub(pages.chunk(item).cas());
            if let Some(found) = stripe.find(pages, key) {
                // Versions wrap: the later is nearer to the last.
                if age(reference) >= age(found.reference) {
                    return TakenIn::Superseded;
                }
                stripe.replace(found.slot, reference);
                return TakenIn::Instead(found.reference);
            }
            if stripe.insert(key.hash, reference).is_ok() {
                stripe.grow(pages);
                return TakenIn::New;
            }
            drop(stripe);
            if !self.add_row(pool, self.rows()) {
                return TakenIn::NoRoom;
            }
        }
    }

    /// Takes an item out again.
    pub(crate) fn take_out_again(&self, hash: u64, reference: Ref) {
        let mut stripe = self.lock(hash);
        if let Some(slot) = stripe.find_reference(hash, reference) {
            stripe.remove(hash, slot);
        }
    }

    /// The flush that was pending, of which nothing is left when all items have been taken in.
    pub(crate) fn end_flush_left(&self) {
        let last = self.flushes.last();
        self.arena.note_flushes(last.0);
        if last.is_pending() {
            self.end_flush(Flush(last.0));
        }
    }
}
