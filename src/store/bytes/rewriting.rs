//! Live items that change where they lie: whoever finds one after the process has ended in the middle of it can tell.
//!
//! All stores of a thread up to the instruction at which it was ended are in memory, and none behind it: for what
//! another run finds, only the compiler could change their order (`LAYOUT.md`, "In which order").

use super::item::{Chunk, HEADER_BYTES, REWRITING, VALUE_LEN_AT, expiry_word};
use super::marks::Marks;
use crate::sync::{Ordering, keep_program_order};
use crate::time::Expiry;

impl Chunk<'_> {
    /// Says that the item is being changed: of this value length, which comes with the bit beside it, from now on.
    #[inline(always)]
    pub(super) fn begin_rewriting(self, value_len: u16) {
        self.u16_at(VALUE_LEN_AT).store(value_len | REWRITING, Ordering::Relaxed);
        // What is written now stays behind that.
        keep_program_order();
    }

    /// Says that it is whole again.
    #[inline(always)]
    pub(super) fn end_rewriting(self, value_len: u16) {
        // Release: what was written stays before it.
        self.u16_at(VALUE_LEN_AT).store(value_len, Ordering::Release);
    }

    /// Changes the expiry of a live item that has the field; for the stripe's holder.
    pub(crate) fn renew_expiry(self, expiry: Expiry) {
        let new = expiry_word(expiry);
        if (self.load_halves(HEADER_BYTES) ^ new) >> 16 == 0 {
            // One store, as nearly always: it is done or it is not.
            #[expect(clippy::cast_possible_truncation, reason = "the half that differs")]
            self.u16_at(HEADER_BYTES).store(new as u16, Ordering::Relaxed);
            return;
        }
        let len = self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed);
        self.begin_rewriting(len);
        self.set_expiry(expiry);
        self.end_rewriting(len);
    }

    /// Gives a live item these marks, for which there is room; for the stripe's holder.
    pub(crate) fn renew_marks(self, marks: Marks) {
        let len = self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed);
        self.begin_rewriting(len);
        self.set_marks(marks);
        self.end_rewriting(len);
    }
}
