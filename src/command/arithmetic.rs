//! incr, decr, ma.

use super::Commands;
use crate::protocol::{Arithmetic, ArithmeticExtras, ErrorText, Reply};
use crate::store::{self, ArithmeticOutcome, ArithmeticRequest};
use crate::telemetry::watch::Kinds;
use crate::time::Expiry;

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What is answered.
    pub reply: Reply,
    /// The item's new version.
    pub cas: u64,
    /// Its expiry before; never, if it was made.
    pub expiry: Expiry,
    /// The key was missing and has its first number now.
    pub is_created: bool,
}

impl Commands {
    /// Changes a number.
    pub fn arithmetic(&mut self, request: Arithmetic<'_>) -> Counted {
        if self.is_watched(Kinds::ITEMS) { self.arithmetic_watched(request) } else { self.arithmetic_now(request) }
    }

    /// The same, whoever watches.
    pub(super) fn arithmetic_now(&mut self, request: Arithmetic<'_>) -> Counted {
        let counters = &self.counters;
        let (change, hits, misses) = if request.is_decr {
            (store::Arithmetic::Decr(request.delta), &counters.decr_hits, &counters.decr_misses)
        } else {
            (store::Arithmetic::Incr(request.delta), &counters.incr_hits, &counters.incr_misses)
        };
        let extras = request.extras.map(|extras| self.arithmetic_extras(extras));
        let asked = ArithmeticRequest { key: self.store.key(request.key), change, extras: extras.as_ref() };
        let reply = match self.store.arithmetic(&mut self.local, &asked, self.now.seconds) {
            ArithmeticOutcome::Value { number, cas, expiry, is_created } => {
                if !is_created {
                    hits.bump();
                }
                return Counted { reply: Reply::Number(number), cas, expiry, is_created };
            }
            ArithmeticOutcome::NotFound => {
                misses.bump();
                Reply::NotFound
            }
            ArithmeticOutcome::Exists => Reply::Exists,
            ArithmeticOutcome::NonNumeric => Reply::Error(ErrorText::NonNumeric),
            ArithmeticOutcome::NoMemory => Reply::Error(ErrorText::OutOfMemory),
        };
        Counted { reply, cas: 0, expiry: Expiry::Never, is_created: false }
    }

    fn arithmetic_extras(&self, extras: &ArithmeticExtras) -> store::ArithmeticExtras {
        let touch = extras.touch.map(|exptime| self.expiry(exptime));
        let touch_created = touch.filter(|_| extras.touch_created);
        store::ArithmeticExtras {
            compare: extras.compare,
            create: extras
                .create
                .map(|(initial, exptime)| (initial, touch_created.unwrap_or_else(|| self.expiry(exptime)))),
            touch,
            own_cas: extras.own_cas,
            binary_key: extras.binary_key,
        }
    }
}
