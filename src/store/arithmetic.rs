//! incr and decr: decimals of 64 bits in place, padded with spaces on the right as memcached pads them.

use super::Store;
use super::item::{Ref, SMALL_VALUE_BYTES_MAX};
use super::outcome::{Arithmetic, ArithmeticOutcome, Key};
use super::reserve::Local;
use super::table::{Found, LockedStripe};
use super::write::Halt;
use crate::bytes::parse_u64;
use crate::time::Seconds;

/// What a number shorter than its value is padded with.
static SPACES: [u8; SMALL_VALUE_BYTES_MAX] = [b' '; SMALL_VALUE_BYTES_MAX];

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
        if chunk.is_large() {
            return Ok(ArithmeticOutcome::NonNumeric);
        }
        let Some(old) = number_in(chunk.value(&*stripe.state)) else { return Ok(ArithmeticOutcome::NonNumeric) };
        let new = match change {
            Arithmetic::Incr(delta) => old.wrapping_add(delta),
            Arithmetic::Decr(delta) => old.saturating_sub(delta),
        };
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(new).as_bytes();
        let parts = [digits, &SPACES[..old_len.saturating_sub(digits.len())]];
        self.write(stripe, local, &self.rewritten(key, found, &parts, now), spare)?;
        let class = local.class(self.class_of(found.reference));
        match change {
            Arithmetic::Incr(_) => class.incr_hits.bump(),
            Arithmetic::Decr(_) => class.decr_hits.bump(),
        }
        if digits.len() > old_len {
            // memcached links a new item then, and counts it.
            local.counters.total_items.bump();
        }
        Ok(ArithmeticOutcome::Value(new))
    }
}

/// The number a value begins with, as memcached reads it: white space and a plus sign may come before it, and
/// after it the end or white space and anything.
fn number_in(value: &[u8]) -> Option<u64> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = value.iter().position(|byte| !is_space(byte))?;
    let unsigned = value[start..].strip_prefix(b"+").unwrap_or_else(|| &value[start..]);
    let digits = unsigned.iter().position(is_space).map_or(unsigned, |end| &unsigned[..end]);
    parse_u64(digits)
}

#[cfg(test)]
mod tests {
    use super::number_in;

    #[test]
    fn a_number_ends_where_white_space_begins() {
        for (value, number) in
            [(&b"5"[..], 5), (b" 5", 5), (b"5  ", 5), (b"+5", 5), (b"5 6", 5), (b"9 x", 9), (b"1\t", 1), (b"007", 7)]
        {
            assert_eq!(number_in(value), Some(number), "{value:?}");
        }
        for value in [&b""[..], b" ", b"-1", b"x", b"5x", b"++5", b"+ 5", b"18446744073709551616"] {
            assert_eq!(number_in(value), None, "{value:?}");
        }
    }
}
