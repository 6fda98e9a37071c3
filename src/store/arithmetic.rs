//! incr and decr: decimals of 64 bits in place, padded with spaces on the right as memcached pads them.

use super::Store;
use super::item::Ref;
use super::outcome::{Arithmetic, ArithmeticOutcome, Key};
use super::reserve::Local;
use super::table::{Found, LockedStripe};
use super::write::Halt;
use crate::bytes::parse_u64;
use crate::time::Seconds;

/// Longest value that can be a number: twenty digits, and spaces around them as far as memcached looks.
const NUMBER_BYTES_MAX: usize = 128;

impl Store {
    /// Adds to or subtracts from a decimal value. Flags and expiry stay; the item gets a new version.
    pub fn arithmetic(&self, local: &mut Local, key: Key<'_>, change: Arithmetic, now: Seconds) -> ArithmeticOutcome {
        let mut spare = None;
        let outcome = loop {
            let mut stripe = self.index.lock(key.hash);
            let Ok(found) = self.lookup(&mut stripe, local, key, now) else { break ArithmeticOutcome::NotFound };
            match self.calculate(&mut stripe, local, key, found, change, &mut spare, now) {
                Ok(outcome) => break outcome,
                // A key that is in the index needs no cell: only the race that removed it meanwhile gets here.
                Err(Halt::Cell) => {}
                Err(Halt::Chunk(class)) => {
                    drop(stripe);
                    if !self.exchange_spare(local, &mut spare, class, now) {
                        local.counters.outofmemory.bump();
                        break ArithmeticOutcome::NoMemory;
                    }
                }
            }
        };
        if let Some(unused) = spare {
            self.keep_chunk(local, unused);
        }
        outcome
    }

    #[expect(clippy::too_many_arguments, reason = "the pieces of a write, all borrowed from one caller's frame")]
    fn calculate(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        key: Key<'_>,
        found: Found,
        change: Arithmetic,
        spare: &mut Option<Ref>,
        now: Seconds,
    ) -> Result<ArithmeticOutcome, Halt> {
        let chunk = self.pages.chunk(found.reference);
        let old_len = chunk.value_len();
        if chunk.is_large() || old_len > NUMBER_BYTES_MAX {
            return Ok(ArithmeticOutcome::NonNumeric);
        }
        let Some(old) = number_in(chunk.value(&*stripe.state)) else { return Ok(ArithmeticOutcome::NonNumeric) };
        let new = match change {
            Arithmetic::Incr(delta) => old.wrapping_add(delta),
            Arithmetic::Decr(delta) => old.saturating_sub(delta),
        };
        let mut text = [b' '; NUMBER_BYTES_MAX];
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(new).as_bytes();
        text[..digits.len()].copy_from_slice(digits);
        let value = &text[..digits.len().max(old_len)];
        let parts: [&[u8]; 1] = [value];
        self.write(stripe, local, &self.rewritten(key, found, &parts, now), spare)?;
        let class = local.class(self.class_of(found.reference));
        match change {
            Arithmetic::Incr(_) => class.incr_hits.bump(),
            Arithmetic::Decr(_) => class.decr_hits.bump(),
        }
        Ok(ArithmeticOutcome::Value(new))
    }
}

/// The number a value is, spaces around it allowed.
fn number_in(value: &[u8]) -> Option<u64> {
    parse_u64(value.trim_ascii())
}
