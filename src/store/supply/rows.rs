//! Room in the index: rows of cells for all stripes, and where there is none, one item less.

use crate::store::index::RowWish;
use crate::store::local::Local;
use crate::store::shared::Store;
use crate::time::Seconds;

impl Store {
    /// Gives the index the row that a stripe wishes for.
    #[cold]
    pub(crate) fn grant_row(&self, wish: RowWish) -> bool {
        self.index.grant(&self.pool, wish, self.totals().curr_items)
    }

    /// Makes room for an entry in a stripe whose home is full: a new row, or one item less. False when there is
    /// no row to be had and nothing may be evicted.
    #[cold]
    pub(crate) fn make_cell(&self, local: &mut Local, hash: u64, now: Seconds) -> bool {
        let wish = self.index.lock(hash).needs_row();
        if self.grant_row(wish)
            || self.index.any_flushed() && self.drive_sweep(local, None, now) && self.grant_row(wish)
        {
            return true;
        }
        if !self.options.evict {
            return false;
        }
        self.evict_of_home(local, hash, now);
        true
    }
}
