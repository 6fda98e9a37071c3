//! [`Flags`]: what the flags of a line say, read once; and what that means to each command.

use super::echo::{Echo, Letters, Opaque};
use crate::bytes::{parse_i64, parse_u64};
use crate::limits::KEY_BYTES_MAX;
use crate::operation::{Create, Emptied, Mode};
use crate::protocol::ascii::base64;
use crate::protocol::ascii::token::Words;
use crate::protocol::{
    Arithmetic, ArithmeticExtras, DeleteExtras, Failure, FetchExtras, FetchOptions, ParseRoom, Store, StoreExtras,
};

/// An item without an exptime stays.
const EXPTIME_NEVER: i64 = 0;

/// Whether a word can be a flag at all, known or not: memcached's tokenizer refuses lines with others.
pub(super) fn is_flag(word: &[u8]) -> bool {
    matches!(word, [b'A'..=b'z' | b'0'..=b'9', ..])
}

/// All flags of a line. The commands share one set of letters: what one does not need it ignores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags<'a> {
    /// How many words there were.
    words: usize,
    /// A bit for each letter that was given.
    seen: u128,
    /// Those that the reply is made by.
    letters: Letters,
    opaque: &'a [u8],
    /// The length of the key in its room, if it was decoded.
    decoded_len: Option<usize>,
    touch: Option<i64>,
    create: Option<i64>,
    recache: Option<i64>,
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
    /// What is wrong with them. An unknown or repeated letter ends the reading; of other errors the last is told, as
    /// memcached does.
    failure: Option<Failure>,
}

impl<'a> Flags<'a> {
    /// Reads the words behind a key, which is decoded into `room` if they say so. `None`: one of them cannot be a flag.
    pub(super) fn read(words: Words<'a>, key: &[u8], room: &mut ParseRoom) -> Option<Self> {
        let mut flags = Self {
            words: 0,
            seen: 0,
            letters: Letters::default(),
            opaque: b"",
            decoded_len: None,
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
            failure: None,
        };
        let mut has_ended = false;
        for word in words {
            if !is_flag(word) {
                return None;
            }
            flags.words += 1;
            if has_ended {
                continue;
            }
            match flags.take(word, key, room) {
                Taken::Read => {}
                Taken::Wrong(failure) => flags.failure = Some(failure),
                // F alone has no text of its own and leaves that of a flag before it.
                Taken::WrongClientFlags => flags.failure = flags.failure.or(Some(Failure::BadFormat)),
                Taken::End(failure) => {
                    flags.failure = Some(failure);
                    has_ended = true;
                }
            }
        }
        Some(flags)
    }

    /// Takes one flag.
    fn take(&mut self, word: &'a [u8], key: &[u8], room: &mut ParseRoom) -> Taken {
        let (&letter, token) = word.split_first().expect("a word has a byte");
        let bit = 1 << letter;
        if self.seen & bit != 0 {
            return Taken::End(Failure::MetaDuplicateFlag);
        }
        self.seen |= bit;
        match letter {
            b'k' | b's' | b't' | b'c' | b'f' | b'l' | b'h' => {
                self.letters.push(letter);
                Taken::Read
            }
            b'v' | b'u' | b'q' | b'x' | b'I' | b'P' | b'L' => Taken::Read,
            b'O' => {
                self.letters.push(letter);
                self.opaque = word;
                Taken::Read
            }
            b'b' => {
                self.decoded_len = base64::decode(key, room.key.get_or_insert([0; KEY_BYTES_MAX]));
                if self.decoded_len.is_some() { Taken::Read } else { Taken::Wrong(Failure::MetaBadKey) }
            }
            b'T' => {
                self.letters.push(letter);
                self.touch_is_last = true;
                number_into(&mut self.touch, exptime(token), Failure::MetaBadToken)
            }
            b'N' => {
                self.letters.push(letter);
                self.touch_is_last = false;
                number_into(&mut self.create, exptime(token), Failure::MetaBadToken)
            }
            b'R' => {
                self.recache_after_touch = self.has(b'T');
                number_into(&mut self.recache, exptime(token), Failure::MetaBadToken)
            }
            b'C' => number_into(&mut self.compare, parse_u64(token), Failure::MetaBadToken),
            _ => self.take_rarer(letter, token),
        }
    }

    fn take_rarer(&mut self, letter: u8, token: &[u8]) -> Taken {
        match letter {
            b'E' => parse_u64(token).map_or(Taken::Wrong(Failure::MetaBadToken), |cas| {
                self.own_cas = cas;
                Taken::Read
            }),
            b'J' => parse_u64(token).map_or(Taken::Wrong(Failure::MetaInvalidInitial), |initial| {
                self.initial = initial;
                Taken::Read
            }),
            b'D' => parse_u64(token).map_or(Taken::Wrong(Failure::MetaInvalidDelta), |delta| {
                self.delta = delta;
                Taken::Read
            }),
            b'F' => match parse_u64(token).and_then(|flags| u32::try_from(flags).ok()) {
                Some(flags) => {
                    self.client_flags = flags;
                    Taken::Read
                }
                None => Taken::WrongClientFlags,
            },
            b'M' => {
                // A mode that is missing is an unknown one.
                self.mode = Some(token.first().copied().unwrap_or_default());
                Taken::Read
            }
            _ => Taken::End(Failure::MetaInvalidFlag),
        }
    }

    /// How many words there were.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Length of the key in its room, if it came encoded.
    pub(super) fn decoded_len(&self) -> Option<usize> {
        self.decoded_len
    }

    /// Whether all of them could be read.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }

    /// What the reply shows.
    pub(super) fn echo(&self) -> Result<Echo, Failure> {
        Ok(Echo {
            is_base64: self.decoded_len.is_some(),
            letters: self.letters,
            opaque: Opaque::new(self.opaque).ok_or(Failure::MetaOpaqueTooLong)?,
            touch: self.touch,
            create: self.create,
            shows_value: self.has(b'v'),
        })
    }

    /// Whether a letter was given.
    pub(super) fn has(&self, letter: u8) -> bool {
        self.seen & 1 << letter != 0
    }

    /// A comparison in which 0 stands for none.
    fn compare_unless_zero(&self) -> Option<u64> {
        self.compare.filter(|&cas| cas != 0)
    }

    pub(super) fn fetch_options(&self) -> FetchOptions {
        FetchOptions { value: self.has(b'v'), cas: true, touch: self.touch }
    }

    pub(super) fn fetch_extras(&self) -> FetchExtras {
        FetchExtras {
            no_bump: self.has(b'u'),
            inspects: false,
            unless_cas: self.compare,
            recache: self.recache,
            recache_after_touch: self.recache_after_touch,
            create: self.created().map(|expiry| Create { expiry, own_cas: self.own_cas, binary_key: self.has(b'b') }),
        }
    }

    /// The exptime that an item gets which is made for want of another: of `T` and `N` the last says.
    fn created(&self) -> Option<i64> {
        let touch = self.touch.filter(|_| self.touch_is_last);
        self.create.map(|create| touch.unwrap_or(create))
    }

    pub(super) fn store<'r>(
        &self,
        key: &'r [u8],
        value_len: usize,
        room: &'r mut Option<StoreExtras>,
    ) -> Result<Store<'r>, Failure> {
        let mode = match (self.mode, self.compare) {
            (None | Some(b'S' | b'R'), Some(unique)) => Mode::Cas(unique),
            (None | Some(b'S'), None) => Mode::Set,
            (Some(b'R'), None) => Mode::Replace,
            (Some(b'E'), _) => Mode::Add,
            (Some(b'A'), _) => Mode::Append,
            (Some(b'P'), _) => Mode::Prepend,
            (Some(_), _) => return Err(Failure::MetaInvalidSetMode),
        };
        Ok(Store {
            key,
            mode,
            client_flags: self.client_flags,
            exptime: self.touch.unwrap_or(0),
            value_len,
            refusal_deletes: true,
            shows_cas: true,
            extras: Some(room.insert(StoreExtras {
                compare: self.compare_unless_zero(),
                or_stale: self.has(b'I'),
                create: self.create,
                own_cas: self.own_cas,
                binary_key: self.has(b'b'),
                is_meta: true,
            })),
        })
    }

    pub(super) fn delete_extras(&self) -> DeleteExtras {
        DeleteExtras {
            compare: self.compare,
            invalidate: self.has(b'I'),
            touch: self.touch,
            empty: self
                .has(b'x')
                .then_some(Emptied { client_flags: self.client_flags, expiry: self.touch.unwrap_or(EXPTIME_NEVER) }),
            own_cas: self.own_cas,
            is_meta: true,
        }
    }

    pub(super) fn arithmetic<'r>(
        &self,
        key: &'r [u8],
        room: &'r mut Option<ArithmeticExtras>,
    ) -> Result<Arithmetic<'r>, Failure> {
        let is_decr = match self.mode {
            None | Some(b'I' | b'+') => false,
            Some(b'D' | b'-') => true,
            Some(_) => return Err(Failure::MetaInvalidArithmeticMode),
        };
        Ok(Arithmetic {
            key,
            delta: self.delta,
            is_decr,
            extras: Some(room.insert(ArithmeticExtras {
                compare: self.compare_unless_zero(),
                create: self.created().map(|exptime| (self.initial, exptime)),
                touch: self.touch,
                own_cas: self.own_cas,
                binary_key: self.has(b'b'),
            })),
        })
    }
}

/// What became of a flag.
enum Taken {
    Read,
    Wrong(Failure),
    /// `F` is not followed by a number of 32 bits.
    WrongClientFlags,
    /// It is unknown, or was there already.
    End(Failure),
}

fn number_into<T>(place: &mut Option<T>, number: Option<T>, failure: Failure) -> Taken {
    if number.is_none() {
        return Taken::Wrong(failure);
    }
    *place = number;
    Taken::Read
}

fn exptime(token: &[u8]) -> Option<i64> {
    parse_i64(token).filter(|&exptime| i32::try_from(exptime).is_ok())
}
