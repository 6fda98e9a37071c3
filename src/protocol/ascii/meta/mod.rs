//! The meta dialect: one parser, here, and one encoder into and out of the same four operations that the classic
//! commands use.
//!
//! A line is `command key [length] flags`; a flag is a letter with an optional token behind it. What a flag means
//! is in the operation's options; what it shows is answered in the order of the line, so the flags stay as they
//! came and are read again for the reply.

mod encode;
mod flags;

pub use encode::{
    Asked, HEAD_BYTES_MAX, Item, push_deleted, push_hit_head, push_inspected, push_miss, push_number, push_stored,
};

use self::flags::Flags;
use super::base64;
use super::classic::parse_value_len;
use super::token::Words;
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::{
    ArithmeticExtras, DeleteExtras, ErrorText, FetchExtras, FetchOptions, MetaCommand, MetaLine, Mode, Refused,
    StoreExtras,
};

/// Most words of a line, command and key included (memcached's rule).
const WORDS_MAX: usize = 20;

/// A meta command that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// Where.
    pub key: MetaKey<'a>,
    /// What.
    pub operation: Operation,
    /// The flags as they stand on the line, for the reply.
    pub flags: &'a [u8],
    /// What goes without saying is not said.
    pub is_quiet: bool,
}

/// A key as it stands on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaKey<'a> {
    text: &'a [u8],
    is_base64: bool,
}

/// One of the four operations, but for its key. An item may also be inspected, which is a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `mg`.
    Fetch(FetchOptions, FetchExtras),
    /// `ms`.
    Store(MetaStore),
    /// `md`.
    Delete(DeleteExtras),
    /// `ma`.
    Arithmetic(MetaArithmetic),
    /// `me`.
    Inspect(FetchOptions, FetchExtras),
}

/// What `ms` says besides the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaStore {
    /// On what condition.
    pub mode: Mode,
    /// The client's opaque number.
    pub client_flags: u32,
    /// How long.
    pub exptime: i32,
    /// Length of the value that follows, without its CRLF.
    pub value_len: usize,
    /// The rest.
    pub extras: StoreExtras,
}

/// What `ma` says besides the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaArithmetic {
    /// By how much.
    pub delta: u64,
    /// Down, not up.
    pub is_decr: bool,
    /// The number is shown.
    pub shows_value: bool,
    /// The rest.
    pub extras: ArithmeticExtras,
}

impl<'a> MetaKey<'a> {
    /// Checks a key. It is decoded twice: here, so that nobody after meets a bad one, and when it is used, so that a
    /// request stays small.
    fn new(text: &'a [u8], is_base64: bool) -> Option<Self> {
        let is_key = !is_base64 || base64::decode(text, &mut [0; KEY_BYTES_MAX]).is_some();
        is_key.then_some(Self { text, is_base64 })
    }

    /// The key's own bytes, in `buffer` if they had to be decoded.
    #[must_use]
    pub fn bytes<'b>(&self, buffer: &'b mut [u8; KEY_BYTES_MAX]) -> &'b [u8]
    where
        'a: 'b,
    {
        if !self.is_base64 {
            return self.text;
        }
        let len = base64::decode(self.text, buffer).expect("it was decoded when it was parsed");
        &buffer[..len]
    }

    /// Whether it came encoded.
    #[must_use]
    pub fn is_base64(&self) -> bool {
        self.is_base64
    }
}

/// Reads a meta command.
///
/// # Errors
/// What is answered to a line that cannot be read, quiet or not; a data block whose length could be read is swallowed.
pub fn parse<'a>(line: MetaLine<'a>) -> Result<Meta<'a>, Refused> {
    let refused = |error, swallow_bytes| Refused { error, swallow_bytes, noreply: false };
    let bad_format = || refused(ErrorText::BadFormat, 0);
    let mut words = Words::new(line.words);
    let text = words.next().ok_or_else(bad_format)?;
    // A length is made of digits, and passes.
    if !{ words }.all(flags::is_flag) {
        return Err(bad_format());
    }
    let value_len = match line.command {
        MetaCommand::Set => Some(words.next().and_then(parse_value_len).ok_or_else(bad_format)?),
        _ => None,
    };
    parse_flags(line.command, text, value_len, words).map_err(|error| {
        let error = if line.command == MetaCommand::Arithmetic { of_arithmetic(error) } else { error };
        refused(error, value_len.map_or(0, |len| len + b"\r\n".len()))
    })
}

/// `ma` has one text for nearly all that can be wrong with its flags.
fn of_arithmetic(error: ErrorText) -> ErrorText {
    match error {
        ErrorText::MetaInvalidArithmeticMode | ErrorText::MetaOpaqueTooLong => error,
        _ => ErrorText::MetaInvalidOrDuplicateFlag,
    }
}

fn parse_flags<'a>(
    command: MetaCommand,
    text: &'a [u8],
    value_len: Option<usize>,
    words: Words<'a>,
) -> Result<Meta<'a>, ErrorText> {
    if text.len() > KEY_BYTES_MAX {
        return Err(ErrorText::BadFormat);
    }
    if command == MetaCommand::Inspect {
        return inspect(text, words);
    }
    let before = if value_len.is_some() { 3 } else { 2 };
    if words.count() + before > WORDS_MAX {
        return Err(ErrorText::MetaTooManyFlags);
    }
    let flags = Flags::read(words, text)?;
    let key = MetaKey { text, is_base64: flags.has(b'b') };
    let operation = match command {
        MetaCommand::Get => Operation::Fetch(flags.fetch_options(), flags.fetch_extras()),
        MetaCommand::Set => Operation::Store(flags.store(value_len.unwrap_or_default())?),
        MetaCommand::Delete => Operation::Delete(flags.delete()),
        MetaCommand::Arithmetic => Operation::Arithmetic(flags.arithmetic()?),
        MetaCommand::Inspect => return Err(ErrorText::UnknownCommand),
    };
    flags.check_opaque()?;
    Ok(Meta { key, operation, flags: words.rest(), is_quiet: flags.has(b'q') })
}

/// `me key [b]`; other words are ignored.
fn inspect<'a>(text: &'a [u8], mut words: Words<'a>) -> Result<Meta<'a>, ErrorText> {
    let key = MetaKey::new(text, words.next() == Some(b"b")).ok_or(ErrorText::BadFormat)?;
    let options = FetchOptions { value: false, ..FetchOptions::GET };
    let extras = FetchExtras { no_bump: true, inspects: true, ..FetchExtras::default() };
    Ok(Meta { key, operation: Operation::Inspect(options, extras), flags: b"", is_quiet: false })
}

#[cfg(test)]
mod tests {
    use super::{Meta, Operation, parse};
    use crate::limits::KEY_BYTES_MAX;
    use crate::protocol::{ErrorText, MetaCommand, MetaLine, Mode, Refused};

    fn read(command: MetaCommand, words: &[u8]) -> Result<Meta<'_>, (ErrorText, usize)> {
        parse(MetaLine { command, words }).map_err(|Refused { error, swallow_bytes, noreply }| {
            assert!(!noreply, "meta errors are always told");
            (error, swallow_bytes)
        })
    }

    fn operation(command: MetaCommand, words: &[u8]) -> Operation {
        read(command, words).expect("it can be read").operation
    }

    #[test]
    fn flags_are_kept_for_the_reply_as_they_came() {
        let meta = read(MetaCommand::Get, b" key  v q  Oabc ").expect("it can be read");
        assert_eq!(meta.flags, b"  v q  Oabc ");
        assert!(meta.is_quiet && !meta.key.is_base64());
        assert_eq!(meta.key.bytes(&mut [0; KEY_BYTES_MAX]), b"key");
        let meta = read(MetaCommand::Set, b" Zm9v 5 b").expect("it can be read");
        assert_eq!((meta.flags, meta.key.bytes(&mut [0; KEY_BYTES_MAX])), (&b" b"[..], &b"foo"[..]));
    }

    #[test]
    fn a_compare_makes_a_set_or_a_replace_a_cas() {
        let mode = |words: &[u8]| match operation(MetaCommand::Set, words) {
            Operation::Store(store) => (store.mode, store.extras.compare),
            other => panic!("{other:?}"),
        };
        assert_eq!(mode(b"k 0"), (Mode::Set, None));
        assert_eq!(mode(b"k 0 C7").0, Mode::Cas(7));
        assert_eq!(mode(b"k 0 MR C7").0, Mode::Cas(7));
        assert_eq!(mode(b"k 0 MR").0, Mode::Replace);
        assert_eq!(mode(b"k 0 MEx C7").0, Mode::Add);
        assert_eq!(mode(b"k 0 MA C7"), (Mode::Append, Some(7)));
        assert_eq!(mode(b"k 0 MP C0"), (Mode::Prepend, None));
    }

    #[test]
    fn the_order_of_t_n_and_r_counts() {
        let extras = |words: &[u8]| match operation(MetaCommand::Get, words) {
            Operation::Fetch(options, extras) => (options.touch, extras),
            other => panic!("{other:?}"),
        };
        let (touch, first) = extras(b"k T5 N6 R7");
        assert_eq!((touch, first.create, first.recache), (Some(5), Some(6), Some(7)));
        assert!(!first.touch_created && first.recache_after_touch);
        let (_, second) = extras(b"k R7 N6 T5");
        assert!(second.touch_created && !second.recache_after_touch);
    }

    #[test]
    fn a_repeated_letter_ends_the_reading_and_the_last_of_other_errors_is_told() {
        let error = |words: &[u8]| read(MetaCommand::Get, words).expect_err("it cannot be read").0;
        assert_eq!(error(b"k Tx Jx"), ErrorText::MetaInvalidInitial);
        assert_eq!(error(b"k Jx Tx"), ErrorText::MetaBadToken);
        assert_eq!(error(b"k Jx Fx"), ErrorText::MetaInvalidInitial, "F has no text of its own");
        assert_eq!(error(b"k Fx"), ErrorText::BadFormat);
        assert_eq!(error(b"k Tx v v"), ErrorText::MetaDuplicateFlag);
        assert_eq!(error(b"k v v \x80"), ErrorText::BadFormat, "what cannot be a flag is found first");
        assert_eq!(error(b""), ErrorText::BadFormat);
    }

    #[test]
    fn a_value_is_swallowed_once_its_length_is_known() {
        let refusal = |words: &[u8]| read(MetaCommand::Set, words).expect_err("it cannot be read");
        assert_eq!(refusal(b"k"), (ErrorText::BadFormat, 0));
        assert_eq!(refusal(b"k x"), (ErrorText::BadFormat, 0));
        assert_eq!(refusal(b"k 5 Z"), (ErrorText::MetaInvalidFlag, 7));
        assert_eq!(refusal(b"k 5 Mx"), (ErrorText::MetaInvalidSetMode, 7));
        let long = [&[b'k'; 251][..], b" 5"].concat();
        assert_eq!(refusal(&long), (ErrorText::BadFormat, 7));
    }

    #[test]
    fn no_bytes_make_the_parser_fail_otherwise_than_by_an_answer() {
        let letters = b"kKvVTNRCEFMOJDbqxI 0159-=\x00\x7f\x80\xff";
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let words: Vec<u8> = (0..seed % 40)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    letters[usize::try_from(seed >> 33).expect("31 bits") % letters.len()]
                })
                .collect();
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            for command in [MetaCommand::Get, MetaCommand::Set, MetaCommand::Delete, MetaCommand::Arithmetic] {
                if let Ok(meta) = read(command, &words) {
                    assert!(!meta.key.bytes(&mut [0; KEY_BYTES_MAX]).is_empty(), "{:?}", words.escape_ascii());
                }
            }
        }
    }
}
