//! Rows that few items leave without use go back to the pool, one after another, in steps: each stripe in turn gives up
//! its cell of the last row, and when all have, the row's memory is closed. Who needs the row before gets it back.

use super::stripe::{Index, LockedStripe, ROWS_AT_START};
use crate::store::memory::page::Pages;
use crate::store::memory::pool::Pool;
use crate::sync::Ordering;

/// Stripes that give up a cell in one step, some microseconds each.
const STRIPES_A_STEP: usize = 8;
/// Items a row and stripe, in tenths, when there are many a stripe; growth ends at 92 to 100.
const TENTHS_A_CELL: u64 = 92;
/// A stripe merges buckets while it stays below this load, in items a home bucket: a twelfth below where it splits.
const MERGE_BELOW: u32 = 11;

/// How far the index has come with giving rows back.
#[derive(Debug, Default)]
pub(crate) struct Shrinking {
    /// Rows to be left.
    goal: Option<u32>,
    /// The stripe that is next to give up its cell of the last row.
    stripe: usize,
    /// Rows and items when a row turned out to be needed.
    given_up: (u32, u64),
}

impl Index {
    /// Goes on giving rows back while there are more than so many items need, or begins to when an eighth of them is
    /// more; true: there is more to do.
    pub(crate) fn shrink_step(&self, shrinking: &mut Shrinking, pages: &Pages, pool: &Pool, items: u64) -> bool {
        let opened = self.opened.load(Ordering::Relaxed);
        let Some(goal) = shrinking.goal else {
            let (rows, then) = shrinking.given_up;
            let wanted = self.rows_wanted(items);
            let is_due = opened > wanted + wanted / 8 && (opened > rows || items < then - then / 64);
            shrinking.goal = is_due.then_some(wanted);
            return is_due;
        };
        if opened <= goal {
            *shrinking = Shrinking::default();
            return false;
        }
        let row = opened - 1;
        let mut goes_on = self.leave_row(shrinking, pages, row);
        if goes_on && shrinking.stripe == self.stripes.len() {
            shrinking.stripe = 0;
            goes_on = self.close_row(pool, row);
        }
        if !goes_on {
            self.keep_rows();
            *shrinking = Shrinking { given_up: (opened, items), ..Shrinking::default() };
        }
        goes_on
    }

    /// Rows that suffice for so many items in all: the fullest stripe has some three deviations more than its share.
    fn rows_wanted(&self, items: u64) -> u32 {
        let share = items / u64::try_from(self.stripes.len()).expect("64 bits hold a usize");
        let rows = (share + 3 * share.isqrt()) * 10 / TENTHS_A_CELL;
        u32::try_from(rows).unwrap_or(u32::MAX / 2) + ROWS_AT_START
    }

    /// Has the next stripes give up their cells of the last row; false when one cannot, or somebody needs the row.
    fn leave_row(&self, shrinking: &mut Shrinking, pages: &Pages, row: u32) -> bool {
        if shrinking.stripe == 0 {
            let _opening = self.opening.lock();
            if self.opened.load(Ordering::Relaxed) != row + 1 {
                return false;
            }
            self.rows.store(row, Ordering::Relaxed);
        } else if self.rows() > row {
            return false;
        }
        let end = (shrinking.stripe + STRIPES_A_STEP).min(self.stripes.len());
        let left = (shrinking.stripe..end).all(|number| self.lock_number(number).leave_cell(pages, row));
        shrinking.stripe = end;
        left
    }

    /// Lets stripes have all rows that have memory.
    fn keep_rows(&self) {
        let _opening = self.opening.lock();
        self.rows.store(self.opened.load(Ordering::Relaxed), Ordering::Release);
    }

    /// Gives the memory of the last row back; false when somebody needs it by now.
    fn close_row(&self, pool: &Pool, row: u32) -> bool {
        let _opening = self.opening.lock();
        if self.rows.load(Ordering::Relaxed) > row || self.opened.load(Ordering::Relaxed) != row + 1 {
            return false;
        }
        let at = self.arena.geometry.index_at + usize::try_from(row).expect("32 bits fit") * self.row_bytes();
        pool.close(&self.arena, at, self.row_bytes());
        self.opened.store(row, Ordering::Relaxed);
        true
    }
}

impl LockedStripe<'_> {
    /// Makes the last cell of the column empty and fresh; false when the stripe has no room without it, or has a cell
    /// behind it: between two looks others may have taken the row back and opened the next.
    fn leave_cell(&mut self, pages: &Pages, cell: u32) -> bool {
        if self.state.fresh > cell + 1 {
            return false;
        }
        while self.state.homes > cell {
            if !self.merge() {
                return false;
            }
        }
        if self.state.fresh <= cell {
            return true;
        }
        while !self.can_vacate(cell) {
            if !self.merge() {
                return false;
            }
        }
        self.vacate(pages, cell);
        self.state.fresh = cell;
        true
    }

    /// Takes the last home bucket back into the one it was split from; false when the load or the room forbids.
    fn merge(&mut self) -> bool {
        let Some(target) = self.state.homes.checked_sub(1).filter(|&target| target > 0) else { return false };
        let source = target - (1 << target.ilog2());
        let overflow = self.pieces(source).nth(1).is_some() && self.pieces(target).nth(1).is_some();
        // With overflow behind one of them alone, its pieces and the cell of the other suffice for both.
        if self.state.items > target * MERGE_BELOW || overflow && !self.has_spare_cell() {
            return false;
        }
        self.join(source, target)
    }
}
