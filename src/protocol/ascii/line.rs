//! What the lines of all commands have in common: how one is answered, and the numbers in it.

use super::token::Words;
use super::{Form, asked};
use crate::bytes::parse_i32;
use crate::protocol::{Admin, Failure, Operation, Quiet, Refused, Request};

/// Longest value a line may announce (memcached's `INT_MAX - 2`).
const VALUE_BYTES_MAX: i32 = i32::MAX - 2;

/// A command that is answered with a line, or not at all.
pub(super) fn line(operation: Operation<'_>, noreply: bool) -> Request<'_> {
    Request { operation, asked: asked(if noreply { Quiet::All } else { Quiet::No }, Form::Line) }
}

/// An answer is given even if `noreply` stands there.
pub(super) fn told(admin: Admin<'_>) -> Request<'_> {
    line(Operation::Admin(admin), false)
}

pub(super) fn refused_unless<'a>(noreply: bool, failure: Failure) -> Request<'a> {
    line(Operation::Refused(Refused { failure, swallow_bytes: 0 }), noreply)
}

/// The last word counts, whatever its place: `delete noreply` deletes the key `noreply` in silence (memcached's rule).
#[inline]
pub(super) fn is_noreply(words: Words<'_>) -> bool {
    words.last() == Some(b"noreply")
}

#[inline]
pub(super) fn parse_value_len(bytes: &[u8]) -> Option<usize> {
    let len = parse_signed(bytes).filter(|&len| len <= VALUE_BYTES_MAX)?;
    usize::try_from(len).ok()
}

/// A signed number of 32 bits as memcached's tokenizer reads it: at most eleven bytes, and a minus alone is 0.
#[inline]
pub(super) fn parse_signed(word: &[u8]) -> Option<i32> {
    const BYTES_MAX: usize = 11;
    match word {
        b"-" => Some(0),
        _ if word.len() > BYTES_MAX => None,
        _ => parse_i32(word),
    }
}

/// Everywhere but in a store, an exptime must fit 32 bits.
pub(super) fn parse_exptime(word: &[u8]) -> Option<i64> {
    parse_signed(word).map(i64::from)
}
