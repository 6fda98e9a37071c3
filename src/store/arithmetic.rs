//! incr and decr: decimals of 64 bits in place, padded with spaces on the right as memcached pads them.

use super::Store;
use super::item::{NewItem, Ref, SMALL_VALUE_BYTES_MAX, state};
use super::marks::{Marks, mark};
use super::outcome::{Arithmetic, ArithmeticExtras, ArithmeticOutcome, ArithmeticRequest};
use super::reserve::Local;
use super::table::{Found, LockedStripe};
use super::write::{Change, Halt};
use crate::bytes::parse_u64;
use crate::time::{Expiry, Seconds};

/// What a number shorter than its value is padded with.
static SPACES: [u8; SMALL_VALUE_BYTES_MAX] = [b' '; SMALL_VALUE_BYTES_MAX];

impl Store {
    /// Adds to or subtracts from a decimal value. Flags and expiry stay; the item gets a new version.
    pub fn arithmetic(&self, local: &mut Local, request: &ArithmeticRequest<'_>, now: Seconds) -> ArithmeticOutcome {
        let extras = request.extras.copied().unwrap_or_default();
        let mut spare = None;
        let outcome = loop {
            let mut stripe = self.index.lock(request.key.hash);
            let done = match self.lookup(&mut stripe, local, request.key, now) {
                Ok(found) => self.calculate(&mut stripe, local, request, &extras, found, &mut spare, now),
                Err(_) => self.begin_at(&mut stripe, local, request, &extras, &mut spare, now),
            };
            let halt = match done {
                Ok((outcome, wants_row)) => {
                    drop(stripe);
                    self.after_write(wants_row);
                    break outcome;
                }
                Err(halt) => halt,
            };
            drop(stripe);
            if !self.help(local, request.key, Some(halt), &mut spare, now) {
                local.counters.outofmemory.bump();
                break ArithmeticOutcome::NoMemory;
            }
        };
        if let Some(unused) = spare {
            self.keep_chunk(local, unused);
        }
        if self.curve.has(request.key.hash) {
            self.sample_stored(request.key, now);
        }
        outcome
    }

    #[expect(clippy::too_many_arguments, reason = "the pieces of a write, all borrowed from one caller's frame")]
    fn calculate(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        request: &ArithmeticRequest<'_>,
        extras: &ArithmeticExtras,
        found: Found,
        spare: &mut Option<Ref>,
        now: Seconds,
    ) -> Result<(ArithmeticOutcome, bool), Halt> {
        let chunk = self.pages.chunk(found.reference);
        let old_len = chunk.value_len();
        if chunk.is_large() || old_len == 0 {
            return Ok((ArithmeticOutcome::NonNumeric, false));
        }
        if extras.compare.is_some_and(|compare| compare != self.wire_cas(stripe, chunk)) {
            return Ok((ArithmeticOutcome::Exists, false));
        }
        let Some(old) = number_in(chunk.value(&*stripe.state)) else {
            return Ok((ArithmeticOutcome::NonNumeric, false));
        };
        let number = match request.change {
            Arithmetic::Incr(delta) => old.wrapping_add(delta),
            Arithmetic::Decr(delta) => old.saturating_sub(delta),
        };
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        let parts = [digits, &SPACES[..old_len.saturating_sub(digits.len())]];
        let (expiry, was_fetched) = (chunk.expiry(), chunk.state() & state::FETCHED != 0);
        let mut change = self.rewritten(request.key, found, &parts, now);
        change.new.expiry = extras.touch.unwrap_or(expiry);
        change.new.marks.own_cas = self.own_cas(extras.own_cas);
        // A value of many spaces may have no room left for an exptime or a cas.
        if self.small_class(change.new.bytes(), change.new.value_len).is_none() {
            return Ok((ArithmeticOutcome::NoMemory, false));
        }
        let written = self.write(stripe, local, &change, spare)?;
        let class = local.class(self.class_of(found.reference));
        match request.change {
            Arithmetic::Incr(_) => class.incr_hits.bump(),
            Arithmetic::Decr(_) => class.decr_hits.bump(),
        }
        if digits.len() > old_len {
            // memcached links a new item then, and counts it.
            local.counters.total_items.bump();
        } else if was_fetched {
            // And else it is the old item.
            self.pages.chunk(written.reference).note_fetched();
        }
        let cas = self.wire_cas(stripe, self.pages.chunk(written.reference));
        Ok((ArithmeticOutcome::Value { number, cas, expiry, is_created: false }, false))
    }

    /// Gives a missing key its first number, if one is asked for.
    fn begin_at(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        request: &ArithmeticRequest<'_>,
        extras: &ArithmeticExtras,
        spare: &mut Option<Ref>,
        now: Seconds,
    ) -> Result<(ArithmeticOutcome, bool), Halt> {
        let Some((number, expiry)) = extras.create else { return Ok((ArithmeticOutcome::NotFound, false)) };
        let mut buffer = itoa::Buffer::new();
        let parts: [&[u8]; 1] = [buffer.format(number).as_bytes()];
        let bits = if extras.binary_key { mark::BINARY_KEY } else { 0 };
        let new = NewItem {
            key: request.key.bytes,
            value_len: parts[0].len(),
            client_flags: 0,
            expiry,
            access: now,
            main: false,
            marks: Marks { bits, own_cas: self.own_cas(extras.own_cas) },
        };
        let written =
            self.write(stripe, local, &Change { key: request.key, found: None, new, parts: &parts }, spare)?;
        local.counters.total_items.bump();
        let cas = self.wire_cas(stripe, self.pages.chunk(written.reference));
        let outcome = ArithmeticOutcome::Value { number, cas, expiry: Expiry::Never, is_created: true };
        Ok((outcome, written.wants_row))
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
