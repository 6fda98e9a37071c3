//! The meta dialect: one parser, here, and one encoder into and out of the same four operations that the classic
//! commands use.
//!
//! A line is `command key [length] flags`; a flag is a letter with an optional token behind it. A line is read once:
//! what a flag means is in the operation's options, and what it shows is answered in the order of the line, which an
//! [`Echo`] has.

mod echo;
mod encode;
mod flags;

pub use echo::Echo;
pub(super) use encode::{
    HEAD_BYTES_MAX, push_counted, push_hit, push_hit_head, push_inspected, push_miss, push_reply_to, push_stored,
};

use self::flags::{Flags, is_flag};
use super::line::{line, parse_value_len};
use super::token::Words;
use super::{Form, asked, base64};
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::{
    Delete, Failure, Fetch, FetchExtras, FetchOptions, Operation, ParseRoom, Quiet, Refused, Request,
};

/// Most words of a line, command and key included (memcached's rule).
const WORDS_MAX: usize = 20;

/// The meta commands that name a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `mg`.
    Get,
    /// `ms`.
    Set,
    /// `md`.
    Delete,
    /// `ma`.
    Arithmetic,
    /// `me`.
    Inspect,
}

/// Reads a meta command. A line that cannot be read is answered, quiet or not; a data block whose length could be read
/// is swallowed.
#[inline(never)]
pub(super) fn parse<'a>(command: Command, words: Words<'a>, room: &'a mut ParseRoom) -> Request<'a> {
    let read = if command == Command::Inspect { inspect(words, room) } else { read(command, words, room) };
    read.unwrap_or_else(|refused| line(Operation::Refused(refused), false))
}

fn refused(failure: Failure, swallow_bytes: usize) -> Refused {
    Refused { failure, swallow_bytes }
}

fn bad_format() -> Refused {
    refused(Failure::BadFormat, 0)
}

fn read<'a>(command: Command, mut words: Words<'a>, room: &'a mut ParseRoom) -> Result<Request<'a>, Refused> {
    let text = words.next().ok_or_else(bad_format)?;
    let value_len = match command {
        // A minus alone would be 0, but no such word may stand among the flags.
        Command::Set => {
            Some(words.next().filter(|word| is_flag(word)).and_then(parse_value_len).ok_or_else(bad_format)?)
        }
        _ => None,
    };
    let flags = Flags::read(words, text, room).ok_or_else(bad_format)?;
    let words_before = if value_len.is_some() { 3 } else { 2 };
    request(command, text, value_len, &flags, words_before, room).map_err(|failure| {
        let failure = if command == Command::Arithmetic { of_arithmetic(failure) } else { failure };
        refused(failure, value_len.map_or(0, |len| len + b"\r\n".len()))
    })
}

/// `ma` has one text for nearly all that can be wrong with its flags.
fn of_arithmetic(failure: Failure) -> Failure {
    match failure {
        Failure::MetaInvalidArithmeticMode | Failure::MetaOpaqueTooLong => failure,
        _ => Failure::MetaInvalidOrDuplicateFlag,
    }
}

fn request<'a>(
    command: Command,
    text: &'a [u8],
    value_len: Option<usize>,
    flags: &Flags<'a>,
    words_before: usize,
    room: &'a mut ParseRoom,
) -> Result<Request<'a>, Failure> {
    if text.len() > KEY_BYTES_MAX {
        return Err(Failure::BadFormat);
    }
    if flags.words() + words_before > WORDS_MAX {
        return Err(Failure::MetaTooManyFlags);
    }
    flags.check()?;
    let ParseRoom { key: decoded, fetch, store, delete, arithmetic, echo } = room;
    let key = match (flags.decoded_len(), decoded) {
        (Some(len), Some(decoded)) => &decoded[..len],
        _ => text,
    };
    let operation = match command {
        Command::Get | Command::Inspect => {
            let extras = fetch.insert(flags.fetch_extras());
            Operation::Fetch(Fetch { key, options: flags.fetch_options(), extras: Some(extras) })
        }
        Command::Set => Operation::Store(flags.store(key, value_len.unwrap_or_default(), store)?),
        Command::Delete => Operation::Delete(Delete { key, extras: Some(delete.insert(flags.delete_extras())) }),
        Command::Arithmetic => Operation::Arithmetic(flags.arithmetic(key, arithmetic)?),
    };
    let quiet = match command {
        _ if !flags.has(b'q') => Quiet::No,
        Command::Get | Command::Inspect => Quiet::Misses,
        Command::Set | Command::Delete | Command::Arithmetic => Quiet::Successes,
    };
    Ok(Request { operation, asked: asked(quiet, Form::Meta { key, echo: echo.insert(flags.echo()?) }) })
}

/// `me key [b]`; other words are ignored.
fn inspect<'a>(mut words: Words<'a>, room: &'a mut ParseRoom) -> Result<Request<'a>, Refused> {
    let text = words.next().ok_or_else(bad_format)?;
    if !{ words }.all(is_flag) || text.len() > KEY_BYTES_MAX {
        return Err(bad_format());
    }
    let key = if words.next() == Some(b"b") {
        let into = room.key.insert([0; KEY_BYTES_MAX]);
        let len = base64::decode(text, into).ok_or_else(bad_format)?;
        &into[..len]
    } else {
        text
    };
    let options = FetchOptions { value: false, ..FetchOptions::GET };
    let extras = FetchExtras { no_bump: true, inspects: true, ..FetchExtras::default() };
    let operation = Operation::Fetch(Fetch { key, options, extras: Some(room.fetch.insert(extras)) });
    Ok(Request { operation, asked: asked(Quiet::No, Form::Inspection { key }) })
}

#[cfg(test)]
mod tests {
    use super::{Command, FetchExtras, parse};
    use crate::bytes::Buffer;
    use crate::operation::Mode;
    use crate::protocol::ascii::token::Words;
    use crate::protocol::{Failure, Operation, Quiet, Refused, Reply, Request, Store, Stored};

    fn read(command: Command, words: &[u8]) -> Result<Request<'_>, (Failure, usize)> {
        let request = parse(command, Words::new(words), Box::leak(Box::default()));
        match request.operation {
            Operation::Refused(Refused { failure, swallow_bytes }) => {
                assert_eq!(request.asked.quiet, Quiet::No, "meta errors are always told");
                Err((failure, swallow_bytes))
            }
            _ => Ok(request),
        }
    }

    fn operation(command: Command, words: &[u8]) -> Operation<'_> {
        read(command, words).expect("it can be read").operation
    }

    fn reply_to(request: &Request<'_>) -> String {
        let mut out = Buffer::default();
        request.asked.push_stored(&mut out, &Stored { reply: Reply::Exists, cas: 7, value_len: 3 });
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn flags_are_kept_for_the_reply_in_their_order() {
        let request = read(Command::Set, b" key 5 s q  Oabc k c ").expect("it can be read");
        assert_eq!(request.asked.quiet, Quiet::Successes);
        assert_eq!(reply_to(&request), "EX s3 Oabc kkey c7\r\n");
        let request = read(Command::Set, b" Zm9v 5 b k").expect("it can be read");
        assert!(matches!(request.operation, Operation::Store(Store { key: b"foo", .. })));
        assert_eq!(reply_to(&request), "EX kZm9v b\r\n");
        assert_eq!(read(Command::Get, b"key q").expect("it can be read").asked.quiet, Quiet::Misses);
    }

    #[test]
    fn a_compare_makes_a_set_or_a_replace_a_cas() {
        let mode = |words: &[u8]| match operation(Command::Set, words) {
            Operation::Store(store) => (store.mode, store.extras.and_then(|extras| extras.compare)),
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
        let extras = |words: &[u8]| match operation(Command::Get, words) {
            Operation::Fetch(fetch) => (fetch.options.touch, *fetch.extras.expect("a meta command has them")),
            other => panic!("{other:?}"),
        };
        let created = |extras: FetchExtras| extras.create.map(|create| create.expiry);
        let (touch, first) = extras(b"k T5 N6 R7");
        assert_eq!((touch, created(first), first.recache), (Some(5), Some(6), Some(7)));
        assert!(first.recache_after_touch);
        let (_, second) = extras(b"k R7 N6 T5");
        assert_eq!(created(second), Some(5));
        assert!(!second.recache_after_touch);
    }

    #[test]
    fn a_repeated_letter_ends_the_reading_and_the_last_of_other_errors_is_told() {
        let error = |words: &[u8]| read(Command::Get, words).expect_err("it cannot be read").0;
        assert_eq!(error(b"k Tx Jx"), Failure::MetaInvalidInitial);
        assert_eq!(error(b"k Jx Tx"), Failure::MetaBadToken);
        assert_eq!(error(b"k Jx Fx"), Failure::MetaInvalidInitial, "F has no text of its own");
        assert_eq!(error(b"k Fx"), Failure::BadFormat);
        assert_eq!(error(b"k Tx v v"), Failure::MetaDuplicateFlag);
        assert_eq!(error(b"k v v \x80"), Failure::BadFormat, "what cannot be a flag is found first");
        assert_eq!(error(b""), Failure::BadFormat);
    }

    #[test]
    fn a_value_is_swallowed_once_its_length_is_known() {
        let refusal = |words: &[u8]| read(Command::Set, words).expect_err("it cannot be read");
        assert_eq!(refusal(b"k"), (Failure::BadFormat, 0));
        assert_eq!(refusal(b"k x"), (Failure::BadFormat, 0));
        assert_eq!(refusal(b"k - Z"), (Failure::BadFormat, 0));
        assert_eq!(refusal(b"k 5 Z"), (Failure::MetaInvalidFlag, 7));
        assert_eq!(refusal(b"k 5 Mx"), (Failure::MetaInvalidSetMode, 7));
        let long = [&[b'k'; 251][..], b" 5"].concat();
        assert_eq!(refusal(&long), (Failure::BadFormat, 7));
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
            for command in [Command::Get, Command::Set, Command::Delete, Command::Arithmetic] {
                if let Ok(meta) = read(command, &words) {
                    let key = match meta.operation {
                        Operation::Fetch(fetch) => fetch.key,
                        Operation::Store(store) => store.key,
                        Operation::Delete(delete) => delete.key,
                        Operation::Arithmetic(arithmetic) => arithmetic.key,
                        other => panic!("{other:?}"),
                    };
                    assert!(!key.is_empty(), "{:?}", words.escape_ascii());
                }
            }
        }
    }
}
