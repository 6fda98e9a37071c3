//! [`Flags`]: what the flags of a line say, read once; and what that means to each command.

use super::{MetaArithmetic, MetaKey, MetaStore};
use crate::bytes::{parse_i64, parse_u64};
use crate::protocol::ascii::token::Words;
use crate::protocol::{ArithmeticExtras, DeleteExtras, ErrorText, FetchExtras, FetchOptions, Mode, StoreExtras};

/// Longest opaque flag, its letter included (memcached's rule).
const OPAQUE_BYTES_MAX: usize = 32;

/// Whether a word can be a flag at all, known or not: memcached's tokenizer refuses lines with others.
pub(super) fn is_flag(word: &[u8]) -> bool {
    matches!(word, [b'A'..=b'z' | b'0'..=b'9', ..])
}

/// All flags of a line, each of which [`is_flag`]. The commands share one set of letters: what one does not need it
/// ignores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags<'a> {
    /// A bit for each letter that was given.
    seen: u128,
    opaque: &'a [u8],
    touch: Option<i32>,
    create: Option<i32>,
    recache: Option<i32>,
    /// Letters in the order in which they act on an expiry: the last of `T` and `N` counts on a new item, and
    /// `R` looks at what a `T` before it has set.
    touch_is_last: bool,
    recache_after_touch: bool,
    client_flags: u32,
    compare: Option<u64>,
    own_cas: u64,
    mode: Option<u8>,
    initial: u64,
    delta: u64,
}

impl<'a> Flags<'a> {
    /// Reads the words behind a key. Unknown and repeated letters end it at once; of other errors the last is told, as
    /// memcached does.
    pub(super) fn read(words: Words<'a>, key: &'a [u8]) -> Result<Self, ErrorText> {
        let mut flags = Self {
            seen: 0,
            opaque: b"",
            touch: None,
            create: None,
            recache: None,
            touch_is_last: false,
            recache_after_touch: false,
            client_flags: 0,
            compare: None,
            own_cas: 0,
            mode: None,
            initial: 0,
            delta: 1,
        };
        let mut error = None;
        for word in words {
            let (letter, token) = word.split_first().expect("a word has a byte");
            flags.see(*letter)?;
            if let Err(wrong) = flags.take(*letter, token, word, key)? {
                error = Some(match wrong {
                    // F alone has no text of its own and leaves that of a flag before it.
                    ErrorText::BadFormat => error.unwrap_or(wrong),
                    _ => wrong,
                });
            }
        }
        error.map_or(Ok(flags), Err)
    }

    fn see(&mut self, letter: u8) -> Result<(), ErrorText> {
        let bit = 1 << letter;
        if self.seen & bit != 0 {
            return Err(ErrorText::MetaDuplicateFlag);
        }
        self.seen |= bit;
        Ok(())
    }

    /// Takes one flag. The outer error ends the reading, the inner one is told unless a later one is.
    fn take(
        &mut self,
        letter: u8,
        token: &[u8],
        word: &'a [u8],
        key: &[u8],
    ) -> Result<Result<(), ErrorText>, ErrorText> {
        let taken = match letter {
            b'k' | b's' | b't' | b'c' | b'f' | b'l' | b'h' | b'v' | b'u' | b'q' | b'x' | b'I' | b'P' | b'L' => Ok(()),
            b'b' => MetaKey::new(key, true).map(|_| ()).ok_or(ErrorText::MetaBadKey),
            b'O' => {
                self.opaque = word;
                Ok(())
            }
            b'T' => {
                self.touch_is_last = true;
                exptime(token).map(|exptime| self.touch = Some(exptime))
            }
            b'N' => {
                self.touch_is_last = false;
                exptime(token).map(|exptime| self.create = Some(exptime))
            }
            b'R' => {
                self.recache_after_touch = self.has(b'T');
                exptime(token).map(|exptime| self.recache = Some(exptime))
            }
            b'C' => number(token, ErrorText::MetaBadToken).map(|cas| self.compare = Some(cas)),
            b'E' => number(token, ErrorText::MetaBadToken).map(|cas| self.own_cas = cas),
            b'J' => number(token, ErrorText::MetaInvalidInitial).map(|initial| self.initial = initial),
            b'D' => number(token, ErrorText::MetaInvalidDelta).map(|delta| self.delta = delta),
            b'F' => number(token, ErrorText::BadFormat)
                .and_then(|flags| u32::try_from(flags).map_err(|_| ErrorText::BadFormat))
                .map(|flags| self.client_flags = flags),
            b'M' => {
                // A mode that is missing is an unknown one.
                self.mode = Some(token.first().copied().unwrap_or_default());
                Ok(())
            }
            _ => return Err(ErrorText::MetaInvalidFlag),
        };
        Ok(taken)
    }

    /// Whether a letter was given.
    pub(super) fn has(&self, letter: u8) -> bool {
        self.seen & 1 << letter != 0
    }

    pub(super) fn check_opaque(&self) -> Result<(), ErrorText> {
        if self.opaque.len() > OPAQUE_BYTES_MAX { Err(ErrorText::MetaOpaqueTooLong) } else { Ok(()) }
    }

    /// A comparison in which 0 stands for none.
    fn compare_unless_zero(&self) -> Option<u64> {
        self.compare.filter(|&cas| cas != 0)
    }

    pub(super) fn fetch_options(&self) -> FetchOptions {
        FetchOptions { value: self.has(b'v'), cas: true, touch: self.touch, noreply: false }
    }

    pub(super) fn fetch_extras(&self) -> FetchExtras {
        FetchExtras {
            no_bump: self.has(b'u'),
            inspects: false,
            unless_cas: self.compare,
            recache: self.recache,
            recache_after_touch: self.recache_after_touch,
            create: self.create,
            touch_created: self.touch_is_last,
            own_cas: self.own_cas,
            binary_key: self.has(b'b'),
        }
    }

    pub(super) fn store(&self, value_len: usize) -> Result<MetaStore, ErrorText> {
        let mode = match (self.mode, self.compare) {
            (None | Some(b'S' | b'R'), Some(unique)) => Mode::Cas(unique),
            (None | Some(b'S'), None) => Mode::Set,
            (Some(b'R'), None) => Mode::Replace,
            (Some(b'E'), _) => Mode::Add,
            (Some(b'A'), _) => Mode::Append,
            (Some(b'P'), _) => Mode::Prepend,
            (Some(_), _) => return Err(ErrorText::MetaInvalidSetMode),
        };
        Ok(MetaStore {
            mode,
            client_flags: self.client_flags,
            exptime: self.touch.unwrap_or(0),
            value_len,
            extras: StoreExtras {
                compare: self.compare_unless_zero(),
                or_stale: self.has(b'I'),
                create: self.create,
                own_cas: self.own_cas,
                binary_key: self.has(b'b'),
                refusal_deletes: true,
            },
        })
    }

    pub(super) fn delete(&self) -> DeleteExtras {
        DeleteExtras {
            compare: self.compare,
            invalidate: self.has(b'I'),
            touch: self.touch,
            empty: self.has(b'x').then_some(self.client_flags),
            own_cas: self.own_cas,
        }
    }

    pub(super) fn arithmetic(&self) -> Result<MetaArithmetic, ErrorText> {
        let is_decr = match self.mode {
            None | Some(b'I' | b'+') => false,
            Some(b'D' | b'-') => true,
            Some(_) => return Err(ErrorText::MetaInvalidArithmeticMode),
        };
        Ok(MetaArithmetic {
            delta: self.delta,
            is_decr,
            shows_value: self.has(b'v'),
            extras: ArithmeticExtras {
                compare: self.compare_unless_zero(),
                create: self.create.map(|exptime| (self.initial, exptime)),
                touch_created: self.touch_is_last,
                touch: self.touch,
                own_cas: self.own_cas,
                binary_key: self.has(b'b'),
            },
        })
    }
}

fn exptime(token: &[u8]) -> Result<i32, ErrorText> {
    parse_i64(token).and_then(|exptime| i32::try_from(exptime).ok()).ok_or(ErrorText::MetaBadToken)
}

fn number(token: &[u8], error: ErrorText) -> Result<u64, ErrorText> {
    parse_u64(token).ok_or(error)
}
