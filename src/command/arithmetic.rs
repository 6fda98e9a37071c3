//! incr and decr.

use super::Commands;
use crate::protocol::{Arithmetic, ErrorText, Reply};
use crate::store::{self, ArithmeticOutcome};

impl Commands {
    /// Changes a number.
    pub fn arithmetic(&mut self, request: Arithmetic<'_>) -> Reply {
        let key = self.store.key(request.key);
        let counters = &self.counters;
        let (change, hits, misses) = if request.is_decr {
            (store::Arithmetic::Decr(request.delta), &counters.decr_hits, &counters.decr_misses)
        } else {
            (store::Arithmetic::Incr(request.delta), &counters.incr_hits, &counters.incr_misses)
        };
        match self.store.arithmetic(&mut self.local, key, change, self.now.seconds) {
            ArithmeticOutcome::Value(number) => {
                hits.bump();
                Reply::Number(number)
            }
            ArithmeticOutcome::NotFound => {
                misses.bump();
                Reply::NotFound
            }
            ArithmeticOutcome::NonNumeric => Reply::Error(ErrorText::NonNumeric),
            ArithmeticOutcome::NoMemory => Reply::Error(ErrorText::OutOfMemory),
        }
    }
}
