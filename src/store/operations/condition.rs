//! Whether what a store's mode asks for holds.

use super::attempt::Attempt;
use crate::store::index::{Found, LockedStripe};
use crate::store::shared::Store;
use crate::store::words::outcome::{Miss, Mode, StoreExtras, StoreOutcome};

/// How a store whose condition holds is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    AsAsked,
    /// As out of date from the start.
    Stale,
}

impl Store {
    /// Whether the mode's condition holds for what is there.
    #[inline(always)]
    pub(crate) fn check(
        &self,
        attempt: &Attempt<'_, '_>,
        stripe: &LockedStripe<'_>,
        mode: Mode,
        extras: Option<&StoreExtras>,
        found: &Result<Found, Miss>,
    ) -> Result<Verdict, StoreOutcome> {
        if mode == Mode::Set {
            return Ok(Verdict::AsAsked);
        }
        self.check_condition(attempt, stripe, mode, extras, found)
    }

    #[inline(never)]
    fn check_condition(
        &self,
        attempt: &Attempt<'_, '_>,
        stripe: &LockedStripe<'_>,
        mode: Mode,
        extras: Option<&StoreExtras>,
        found: &Result<Found, Miss>,
    ) -> Result<Verdict, StoreOutcome> {
        match (mode, found) {
            (Mode::Add, Ok(found)) => {
                self.pages.chunk(found.reference).note_use(attempt.now);
                Err(StoreOutcome::NotStored)
            }
            (Mode::Replace | Mode::Append | Mode::Prepend, Err(_)) => Err(StoreOutcome::NotStored),
            (Mode::Cas(_), Err(_)) => Err(StoreOutcome::NotFound),
            (Mode::Cas(unique), Ok(found)) => {
                let class = attempt.local.class(self.class_of(found.reference));
                let chunk = self.pages.chunk(found.reference);
                let or_stale = extras.is_some_and(|extras| extras.or_stale);
                let is_older = or_stale && self.is_older(stripe, chunk, unique);
                if self.options.cas && (is_older || self.wire_cas(stripe, chunk) == unique) {
                    Ok(if is_older { Verdict::Stale } else { Verdict::AsAsked })
                } else {
                    class.cas_badval.bump();
                    Err(StoreOutcome::Exists)
                }
            }
            (Mode::Append | Mode::Prepend, Ok(found)) => {
                let compare = extras.and_then(|extras| extras.compare);
                let differs = |unique| unique != self.wire_cas(stripe, self.pages.chunk(found.reference));
                if compare.is_some_and(differs) { Err(StoreOutcome::Exists) } else { Ok(Verdict::AsAsked) }
            }
            (Mode::Set | Mode::Add | Mode::Replace, _) => Ok(Verdict::AsAsked),
        }
    }
}
