//! incr and decr: decimals of 64 bits in place, padded with spaces on the right as memcached pads them.

use super::attempt::{Attempt, Halt};
use crate::bytes::parse_u64;
use crate::store::bytes::item::{NewItem, SMALL_VALUE_BYTES_MAX};
use crate::store::bytes::marks::{Marks, mark};
use crate::store::bytes::state;
use crate::store::index::{Found, LockedStripe};
use crate::store::local::Local;
use crate::store::shared::Store;
use crate::store::words::outcome::{Arithmetic, ArithmeticExtras, ArithmeticOutcome, ArithmeticRequest};
use crate::time::{Expiry, Seconds};

/// What a number shorter than its value is padded with.
static SPACES: [u8; SMALL_VALUE_BYTES_MAX] = [b' '; SMALL_VALUE_BYTES_MAX];

impl Store {
    /// Adds to or subtracts from a decimal value. Flags and expiry stay; the item gets a new version.
    pub fn arithmetic(&self, local: &mut Local, request: &ArithmeticRequest<'_>, now: Seconds) -> ArithmeticOutcome {
        let extras = request.extras.copied().unwrap_or_default();
        let mut attempt = Attempt::new(local, request.key, now);
        let attempted = self.retry(&mut attempt, |attempt, stripe| match self.find(attempt, stripe) {
            Ok(found) => self.calculate(attempt, stripe, request, &extras, found),
            Err(_) => self.begin_at(attempt, stripe, &extras),
        });
        self.end(attempt);
        let outcome = attempted.unwrap_or_else(|_| {
            local.counters.outofmemory.bump();
            ArithmeticOutcome::NoMemory
        });
        if self.curve.has(request.key.hash) {
            self.sample_stored(request.key, now);
        }
        outcome
    }

    fn calculate(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        request: &ArithmeticRequest<'_>,
        extras: &ArithmeticExtras,
        found: Found,
    ) -> Result<ArithmeticOutcome, Halt> {
        let chunk = self.pages.chunk(found.reference);
        let old_len = chunk.value_len();
        if old_len == 0 {
            return Ok(ArithmeticOutcome::NonNumeric);
        }
        if extras.compare.is_some_and(|compare| compare != self.wire_cas(stripe, chunk)) {
            return Ok(ArithmeticOutcome::Exists);
        }
        if chunk.is_large() {
            return Ok(ArithmeticOutcome::NonNumeric);
        }
        let Some(old) = number_in(chunk.value(&*stripe.state)) else {
            return Ok(ArithmeticOutcome::NonNumeric);
        };
        let number = match request.change {
            Arithmetic::Incr(delta) => old.wrapping_add(delta),
            Arithmetic::Decr(delta) => old.saturating_sub(delta),
        };
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        let parts = [digits, &SPACES[..old_len.saturating_sub(digits.len())]];
        let (expiry, was_fetched) = (chunk.expiry(), chunk.state() & state::FETCHED != 0);
        let value_len = digits.len().max(old_len);
        let mut new = self.rewritten(attempt.key.bytes, found.reference, value_len, attempt.now);
        new.expiry = extras.touch.unwrap_or(expiry);
        new.marks.own_cas = self.own_cas(extras.own_cas);
        let reference = self.write(attempt, stripe, &self.change(Some(found), new, &parts))?;
        let class = attempt.local.class(self.class_of(found.reference));
        match request.change {
            Arithmetic::Incr(_) => class.incr_hits.bump(),
            Arithmetic::Decr(_) => class.decr_hits.bump(),
        }
        if digits.len() > old_len {
            // memcached links a new item then, and counts it.
            attempt.local.counters.total_items.bump();
        } else if was_fetched {
            // And else it is the old item.
            self.pages.chunk(reference).note_fetched();
        }
        let cas = self.wire_cas_if(request.extras.is_some(), stripe, reference);
        Ok(ArithmeticOutcome::Value { number, cas, expiry, is_created: false })
    }

    /// Gives a missing key its first number, if one is asked for.
    fn begin_at(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        extras: &ArithmeticExtras,
    ) -> Result<ArithmeticOutcome, Halt> {
        let Some((number, expiry)) = extras.create else { return Ok(ArithmeticOutcome::NotFound) };
        let mut buffer = itoa::Buffer::new();
        let parts: [&[u8]; 1] = [buffer.format(number).as_bytes()];
        let bits = if extras.binary_key { mark::BINARY_KEY } else { 0 };
        let new = NewItem {
            key: attempt.key.bytes,
            value_len: parts[0].len(),
            client_flags: 0,
            expiry,
            access: attempt.now,
            main: false,
            marks: Marks { bits, own_cas: self.own_cas(extras.own_cas) },
            kept: self.kept,
        };
        let reference = self.write(attempt, stripe, &self.change(None, new, &parts))?;
        attempt.local.counters.total_items.bump();
        let cas = self.wire_cas(stripe, self.pages.chunk(reference));
        Ok(ArithmeticOutcome::Value { number, cas, expiry: Expiry::Never, is_created: true })
    }
}

/// The number a value begins with, as memcached reads it: white space and a plus sign may come before it, and
/// after it the end, or white space or a NUL and anything.
fn number_in(value: &[u8]) -> Option<u64> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = value.iter().position(|byte| !is_space(byte))?;
    let unsigned = value[start..].strip_prefix(b"+").unwrap_or_else(|| &value[start..]);
    let digits = unsigned.iter().position(|byte| is_space(byte) || *byte == 0).map_or(unsigned, |end| &unsigned[..end]);
    parse_u64(digits)
}

#[cfg(test)]
mod tests {
    use super::number_in;

    #[test]
    fn a_number_ends_where_white_space_begins() {
        for (value, number) in [
            (&b"5"[..], 5),
            (b" 5", 5),
            (b"5  ", 5),
            (b"+5", 5),
            (b"5 6", 5),
            (b"9 x", 9),
            (b"1\t", 1),
            (b"007", 7),
            (b"9\0x", 9),
        ] {
            assert_eq!(number_in(value), Some(number), "{value:?}");
        }
        for value in [&b""[..], b" ", b"-1", b"x", b"5x", b"++5", b"+ 5", b"\x005", b"18446744073709551616"] {
            assert_eq!(number_in(value), None, "{value:?}");
        }
    }
}
