//! incr, decr, ma.

use super::Commands;
use crate::protocol::{Arithmetic, Counted, Failure, Reply};
use crate::store::{self, ArithmeticOutcome, ArithmeticRequest};
use crate::telemetry::watch::Kinds;
use crate::time::Expiry;

impl Commands {
    /// Changes a number.
    pub fn arithmetic(&mut self, request: &Arithmetic<'_>) -> Counted {
        if self.is_watched(Kinds::ITEMS) { self.arithmetic_watched(request) } else { self.arithmetic_now(request) }
    }

    /// The same, whoever watches.
    pub(super) fn arithmetic_now(&mut self, request: &Arithmetic<'_>) -> Counted {
        let counters = &self.counters;
        let (change, hits, misses) = if request.is_decr {
            (store::Arithmetic::Decr(request.delta), &counters.decr_hits, &counters.decr_misses)
        } else {
            (store::Arithmetic::Incr(request.delta), &counters.incr_hits, &counters.incr_misses)
        };
        let extras = request.extras.map(|extras| extras.map(|exptime| self.expiry(exptime)));
        let asked = ArithmeticRequest { key: self.store.key(request.key), change, extras: extras.as_ref() };
        let reply = match self.store.arithmetic(&mut self.local, &asked, self.now.seconds) {
            ArithmeticOutcome::Value { number, cas, expiry, is_created } => {
                if !is_created {
                    hits.bump();
                }
                return Counted { reply: Reply::Number(number), cas, expiry, is_created, now: self.now };
            }
            ArithmeticOutcome::NotFound => {
                misses.bump();
                Reply::NotFound
            }
            ArithmeticOutcome::Exists => Reply::Exists,
            ArithmeticOutcome::NonNumeric => Reply::Error(Failure::NonNumeric),
            ArithmeticOutcome::NoMemory => Reply::Error(Failure::OutOfMemory),
        };
        Counted { reply, cas: 0, expiry: Expiry::Never, is_created: false, now: self.now }
    }
}
