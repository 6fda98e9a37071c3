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
