//! The parser of the classic commands: one request from the head of the input.
//!
//! Words after those a command needs are ignored, as memcached does, but for a last word `noreply`.

use memchr::memchr;

use super::keys::{KeyLine, NextKey, next_key};
use super::line::{is_noreply, line, parse_exptime, parse_value_len, refused_unless};
use super::meta::{self, Command};
use super::token::{self, Line, Words};
use super::{Form, admin, asked};
use crate::bytes::{parse_i64, parse_u64};
use crate::limits::LINE_BYTES_MAX;
use crate::operation::Mode;
use crate::protocol::{
    Admin, Arithmetic, Delete, Failure, Fetch, FetchOptions, Operation, ParseRoom, Parsed, Quiet, Refused, Request,
    Store,
};

/// Lines below this length, their end included, are no commands (memcached's rule).
const LINE_BYTES_MIN: usize = 4;

/// Takes one request from the input.
pub(in crate::protocol) fn parse<'a>(input: &'a [u8], room: &'a mut ParseRoom) -> Parsed<'a> {
    if let Some(rest) = input.strip_prefix(b"get ") {
        return parse_get(FetchOptions::GET, input, rest);
    }
    parse_line(input, room)
}

/// A get line. Up to `LINE_BYTES_MAX` it is served when it is whole; longer ones are served as they come.
#[inline]
fn parse_get<'a>(options: FetchOptions, input: &'a [u8], rest: &'a [u8]) -> Parsed<'a> {
    let head = input.len() - rest.len();
    match next_key(rest) {
        NextKey::Last { key, used } => {
            let operation = Operation::Fetch(Fetch { key, options, extras: None });
            let request = Request { operation, asked: asked(Quiet::No, Form::OneKey) };
            return Parsed::Request { request, used: head + used };
        }
        NextKey::End { used } => {
            return Parsed::Request { request: refused(Failure::BadFormat), used: head + used };
        }
        NextKey::Key { .. } | NextKey::TooLong | NextKey::Partial => {}
    }
    if memchr(b'\n', rest).is_none() && input.len() <= LINE_BYTES_MAX {
        return Parsed::Incomplete;
    }
    Parsed::Request { request: keys(options), used: head }
}

fn keys<'a>(options: FetchOptions) -> Request<'a> {
    Request { operation: Operation::Keys(KeyLine::new(options)), asked: KeyLine::ASKED }
}

/// Any command: the frequent ones first.
fn parse_line<'a>(input: &'a [u8], room: &'a mut ParseRoom) -> Parsed<'a> {
    if let Some(rest) = input.strip_prefix(b"gets ") {
        return parse_get(FetchOptions::GETS, input, rest);
    }
    let Some(Line { text, used }) = token::line(input) else {
        return if input.len() <= LINE_BYTES_MAX { Parsed::Incomplete } else { Parsed::Hopeless };
    };
    if used < LINE_BYTES_MIN {
        return Parsed::Request { request: refused(Failure::BadFormat), used };
    }
    // A leading space makes an empty first word, which is no command; but some are looked for once more, by the first
    // word there is (memcached's way).
    if text.first() == Some(&b' ') {
        let mut words = Words::new(text);
        let late = words.next().and_then(|name| admin::parse_behind_space(name, words));
        return Parsed::Request { request: late.unwrap_or_else(|| parse_unknown(text)), used };
    }
    let mut words = Words::new(text);
    let request = match words.next().unwrap_or_default() {
        b"set" => parse_store(Mode::Set, words),
        b"add" => parse_store(Mode::Add, words),
        b"cas" => parse_store(Mode::Cas(0), words),
        b"delete" => parse_delete(words),
        b"incr" => parse_arithmetic(false, words),
        b"decr" => parse_arithmetic(true, words),
        b"touch" => parse_touch(words),
        b"gat" => return parse_gat(false, text, words, used),
        b"gats" => return parse_gat(true, text, words, used),
        b"mg" => Some(meta::parse(Command::Get, words, room)),
        b"ms" => Some(meta::parse(Command::Set, words, room)),
        b"md" => Some(meta::parse(Command::Delete, words, room)),
        b"ma" => Some(meta::parse(Command::Arithmetic, words, room)),
        b"me" => Some(meta::parse(Command::Inspect, words, room)),
        b"mn" => Some(line(Operation::Admin(Admin::Noop), false)),
        b"replace" => parse_store(Mode::Replace, words),
        b"append" => parse_store(Mode::Append, words),
        b"prepend" => parse_store(Mode::Prepend, words),
        b"get" | b"gets" => Some(refused(Failure::BadFormat)),
        name => Some(admin::parse(name, words).unwrap_or_else(|| parse_unknown(text))),
    };
    Parsed::Request { request: request.unwrap_or_else(|| refused(Failure::BadFormat)), used }
}

fn refused<'a>(failure: Failure) -> Request<'a> {
    refused_unless(false, failure)
}

/// `<key> <flags> <exptime> <bytes>`, for cas `<unique>`. `None`: too few words. Once the length is known the
/// data block is swallowed with whatever else is wrong, so that the connection stays in step.
#[inline]
fn parse_store(mode: Mode, mut words: Words<'_>) -> Option<Request<'_>> {
    let key = words.next()?;
    let from_flags = words.rest();
    let flags = words.next()?;
    let from_exptime = words.rest();
    let (exptime, bytes) = (words.next()?, words.next()?);
    let noreply = is_noreply(words);
    // Without a length nobody knows where the next request begins: that is said, noreply or not.
    let value_len = parse_value_len(bytes)?;
    let parsed = (parse_flags(flags, from_flags), parse_store_exptime(exptime, from_exptime), parse_mode(mode, words));
    let (Some(client_flags), Some(exptime), Some(mode), true) = (parsed.0, parsed.1, parsed.2, token::is_key(key))
    else {
        let swallow_bytes = value_len + b"\r\n".len();
        let refused = Refused { failure: Failure::BadFormat, swallow_bytes };
        return Some(line(Operation::Refused(refused), noreply));
    };
    // memcached's rule for set; every ms has it, too.
    let refusal_deletes = mode == Mode::Set;
    let store = Store { key, mode, client_flags, exptime, value_len, refusal_deletes, shows_cas: false, extras: None };
    Some(line(Operation::Store(store), noreply))
}

/// Client flags are read in 64 bits and kept modulo 2^32 (memcached's rule). `from`: the line from the word on.
#[inline]
fn parse_flags(word: &[u8], from: &[u8]) -> Option<u32> {
    let flags = match parse_u64(word) {
        Some(flags) => flags,
        None => match c_number(from)? {
            (false, flags) => flags,
            (true, size) => Some(0_u64.wrapping_sub(size)).filter(|flags| flags >> 63 == 0)?,
        },
    };
    Some(u32::try_from(flags & u64::from(u32::MAX)).expect("masked"))
}

/// A store's exptime is read in 64 bits and kept modulo 2^32 (memcached's rule). `from`: the line from the word on.
#[inline]
fn parse_store_exptime(word: &[u8], from: &[u8]) -> Option<i64> {
    let exptime = match parse_i64(word) {
        Some(exptime) => exptime,
        None => match c_number(from)? {
            (false, size) => i64::try_from(size).ok()?,
            (true, size) => 0_i64.checked_sub_unsigned(size)?,
        },
    };
    let [a, b, c, d, ..] = exptime.to_le_bytes();
    Some(i64::from(i32::from_le_bytes([a, b, c, d])))
}

/// The number at the head of a text as C's `strtoll` takes it, which memcached has for a store's flags and exptime:
/// whether it is negative, and its size. White space of any kind may stand before it, even in the number's place (then
/// the next word's is taken), or a sign; white space or a NUL ends it.
#[cold]
fn c_number(text: &[u8]) -> Option<(bool, u64)> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = &text[text.iter().position(|byte| !is_space(byte))?..];
    let is_negative = text.first() == Some(&b'-');
    let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let is_ended = text.get(end).is_none_or(|byte| *byte == 0 || is_space(byte));
    if is_ended { parse_u64(&text[..end]).map(|size| (is_negative, size)) } else { None }
}

#[inline]
fn parse_mode(mode: Mode, mut words: Words<'_>) -> Option<Mode> {
    match mode {
        Mode::Cas(_) => Some(Mode::Cas(parse_u64(words.next()?)?)),
        _ => Some(mode),
    }
}

fn parse_delete(mut words: Words<'_>) -> Option<Request<'_>> {
    let noreply = is_noreply(words);
    let key = words.next()?;
    if !token::is_key(key) {
        return Some(refused_unless(noreply, Failure::BadFormat));
    }
    Some(line(Operation::Delete(Delete { key, extras: None }), noreply))
}

fn parse_arithmetic(is_decr: bool, mut words: Words<'_>) -> Option<Request<'_>> {
    let noreply = is_noreply(words);
    let (key, delta) = (words.next()?, words.next()?);
    if !token::is_key(key) {
        return Some(refused_unless(noreply, Failure::BadFormat));
    }
    let Some(delta) = parse_u64(delta) else {
        return Some(refused_unless(noreply, Failure::InvalidDelta));
    };
    Some(line(Operation::Arithmetic(Arithmetic { key, delta, is_decr, extras: None }), noreply))
}

fn parse_touch(mut words: Words<'_>) -> Option<Request<'_>> {
    let noreply = is_noreply(words);
    let (key, exptime) = (words.next()?, words.next()?);
    if !token::is_key(key) {
        return Some(refused_unless(noreply, Failure::BadFormat));
    }
    let Some(exptime) = parse_exptime(exptime) else {
        return Some(refused_unless(noreply, Failure::InvalidExptime));
    };
    let options = FetchOptions { value: false, cas: false, touch: Some(exptime) };
    Some(line(Operation::Fetch(Fetch { key, options, extras: None }), noreply))
}

/// `<exptime> <key>*`: a line of keys behind a longer head.
fn parse_gat<'a>(cas: bool, text: &'a [u8], mut words: Words<'a>, used: usize) -> Parsed<'a> {
    let exptime = words.next();
    let (Some(exptime), Some(_)) = (exptime, words.last()) else {
        return Parsed::Request { request: refused(Failure::BadFormat), used };
    };
    let Some(exptime) = parse_exptime(exptime) else {
        return Parsed::Request { request: refused(Failure::InvalidExptime), used };
    };
    let options = FetchOptions { value: true, cas, touch: Some(exptime) };
    Parsed::Request { request: keys(options), used: text.len() - words.rest().len() }
}

/// No command of ours. A browser that was sent here by a hostile page is hung up on.
fn parse_unknown(text: &[u8]) -> Request<'_> {
    let last = Words::new(text).last().unwrap_or_default();
    if last.starts_with(b"HTTP/") && !text.starts_with(last) {
        return line(Operation::Hang, false);
    }
    refused_unless(last == b"noreply", Failure::UnknownCommand)
}

#[cfg(test)]
mod tests {
    use super::super::keys::KeyLine;
    use super::Parsed;
    use crate::operation::Mode;
    use crate::protocol::{
        Admin, Arithmetic, Delete, Failure, Fetch, FetchOptions, Operation, Quiet, Refused, Request, Store,
    };

    fn parse(input: &[u8]) -> Parsed<'_> {
        super::parse(input, Box::leak(Box::default()))
    }

    fn whole(line: &[u8]) -> Request<'_> {
        match parse(line) {
            Parsed::Request { request, used } => {
                assert_eq!(used, line.len(), "{:?}", String::from_utf8_lossy(line));
                request
            }
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(line)),
        }
    }

    fn request(line: &[u8]) -> Operation<'_> {
        whole(line).operation
    }

    fn is_silent(line: &[u8]) -> bool {
        whole(line).asked.quiet == Quiet::All
    }

    fn refusal(line: &[u8]) -> (Failure, usize, bool) {
        match request(line) {
            Operation::Refused(Refused { failure, swallow_bytes }) => (failure, swallow_bytes, is_silent(line)),
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(line)),
        }
    }

    #[test]
    fn a_get_of_one_key_needs_no_second_look() {
        let fetch = |key, options| Operation::Fetch(Fetch { key, options, extras: None });
        assert_eq!(request(b"get k\r\n"), fetch(b"k", FetchOptions::GET));
        assert_eq!(request(b"gets  k\n"), fetch(b"k", FetchOptions::GETS));
    }

    #[test]
    fn a_line_of_keys_gives_its_head() {
        let keys_of = |options, used| Parsed::Request { request: super::keys(options), used };
        let keys = keys_of(FetchOptions::GET, 4);
        assert_eq!(parse(b"get a b\r\n"), keys);
        assert_eq!(parse(b"get a b"), Parsed::Incomplete);
        let long = [&b"get "[..], &b"key ".repeat(600)].concat();
        assert_eq!(parse(&long), keys, "it may never end");
        assert_eq!(parse(&[b'x'; 2049]), Parsed::Hopeless);
        assert_eq!(KeyLine::GET.options(), FetchOptions::GET);
        let touch = FetchOptions { touch: Some(-5), cas: true, ..FetchOptions::GET };
        assert_eq!(parse(b"gats -5 a\r\n"), keys_of(touch, 7));
    }

    #[test]
    fn a_store_line_carries_everything_but_the_value() {
        let store = Store {
            key: b"k",
            mode: Mode::Set,
            client_flags: 3,
            exptime: -1,
            value_len: 5,
            refusal_deletes: true,
            shows_cas: false,
            extras: None,
        };
        assert_eq!(request(b"set k 3 -1 5\r\n"), Operation::Store(store));
        assert_eq!(request(b"set k 3 -1 5 noreply\r\n"), Operation::Store(store));
        assert!(is_silent(b"set k 3 -1 5 noreply\r\n") && !is_silent(b"set k 3 -1 5\r\n"));
        assert_eq!(request(b"set k 3 -1 5 foo bar\r\n"), Operation::Store(store));
        let cas = Store { mode: Mode::Cas(u64::MAX), refusal_deletes: false, ..store };
        assert_eq!(request(b"cas k 3 -1 5 18446744073709551615\r\n"), Operation::Store(cas));
    }

    #[test]
    fn numbers_of_a_store_are_kept_modulo_2_to_the_32() {
        let Operation::Store(store) = request(b"set k 4294967303 4294967296 0\r\n") else { panic!("a store") };
        assert_eq!((store.client_flags, store.exptime), (7, 0));
        let Operation::Store(store) = request(b"set k 0 2147483648 0\r\n") else { panic!("a store") };
        assert_eq!(store.exptime, i64::from(i32::MIN));
    }

    #[test]
    fn a_bad_store_line_swallows_its_data_when_its_length_is_known() {
        let long_key = [&b"set "[..], &[b'k'; 251], b" 0 0 9 noreply\r\n"].concat();
        assert_eq!(refusal(&long_key), (Failure::BadFormat, 11, true));
        for line in
            [&b"set k x 0 9\r\n"[..], b"set k 0 x 9\r\n", b"set k -1 0 9\r\n", b"cas k 0 0 9\r\n", b"cas k 0 0 9 x\r\n"]
        {
            assert_eq!(refusal(line), (Failure::BadFormat, 11, false), "{:?}", String::from_utf8_lossy(line));
        }
        for line in [
            &b"set k 0 0\r\n"[..],
            b"set k 0 0 x\r\n",
            b"set k 0 0 -1\r\n",
            b"set k 0 0 +1\r\n",
            b"set k 0 0 2147483646\r\n",
            b"set k 0 0 x noreply\r\n",
        ] {
            assert_eq!(refusal(line), (Failure::BadFormat, 0, false), "{:?}", String::from_utf8_lossy(line));
        }
        assert_eq!(refusal(b"set k 0 noreply\r\n"), (Failure::BadFormat, 0, false), "too short to parse");
    }

    #[test]
    fn flags_and_exptime_of_a_store_are_read_loosely() {
        let Operation::Store(store) = request(b"set k +5 \t+1000 3\r\n") else { panic!("a store") };
        assert_eq!((store.client_flags, store.exptime), (5, 1000));
        for (words, expected) in [
            ("-0 -0 3", (0, 0)),
            ("\t 7 3", (7, 7)),
            ("5\tx 6\x0by 3", (5, 6)),
            ("\x0c5 1\0x 3", (5, 1)),
            ("-18446744073709551615 \t-9 3", (1, -9)),
        ] {
            let line = format!("set k {words}\r\n");
            let Operation::Store(store) = request(line.as_bytes()) else { panic!("a store: {words:?}") };
            assert_eq!((store.client_flags, store.exptime), expected, "{words:?}");
        }
        for word in ["+", "++1", "+-1", "5x", "0x5", "-", "-5", "\tx", "5\0x6 x", "99999999999999999999"] {
            let line = format!("set k {word} x 3\r\n");
            assert_eq!(refusal(line.as_bytes()).0, Failure::BadFormat, "{word:?}");
        }
    }

    #[test]
    fn a_minus_alone_is_0_where_memcached_counts_in_32_bits() {
        let Operation::Store(store) = request(b"set k 0 0 -\r\n") else { panic!("a store") };
        assert_eq!(store.value_len, 0);
        let touched = |line: &'static [u8]| match request(line) {
            Operation::Fetch(fetch) => fetch.options.touch,
            other => panic!("a touch: {other:?}"),
        };
        assert_eq!((touched(b"touch k -\r\n"), touched(b"touch k 00000000010\r\n")), (Some(0), Some(10)));
        assert_eq!(refusal(b"touch k 000000000010\r\n").0, Failure::InvalidExptime, "twelve digits");
    }

    #[test]
    fn behind_a_space_only_some_commands_are_known() {
        assert!(matches!(request(b"  flush_all 0\r\n"), Operation::Admin(Admin::FlushAll { exptime: Some(0), .. })));
        assert!(matches!(request(b" verbosity 1\r\n"), Operation::Admin(Admin::Verbosity { level: 1, .. })));
        for line in [&b" get k\r\n"[..], b" version\r\n", b" stats\r\n", b" quit\r\n", b" watch\r\n", b" mn\r\n"] {
            assert_eq!(refusal(line).0, Failure::UnknownCommand, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn noreply_is_the_last_word_even_when_it_is_the_key() {
        assert_eq!(request(b"delete noreply\r\n"), Operation::Delete(Delete { key: b"noreply", extras: None }));
        assert!(is_silent(b"delete noreply\r\n"));
        assert_eq!(refusal(b"incr n noreply\r\n"), (Failure::InvalidDelta, 0, true));
    }

    #[test]
    fn words_nobody_needs_are_ignored() {
        let delete = Delete { key: b"k", extras: None };
        assert_eq!(request(b"delete k 0\r\n"), Operation::Delete(delete));
        assert!(is_silent(b"delete k 0 noreply\r\n") && !is_silent(b"delete k 0\r\n"));
        let incr = Arithmetic { key: b"k", delta: 1, is_decr: false, extras: None };
        assert_eq!(request(b"incr k 1 2 3\r\n"), Operation::Arithmetic(incr));
        assert_eq!(request(b"version x\r\n"), Operation::Admin(Admin::Version));
        assert_eq!(request(b"quit x\r\n"), Operation::Quit);
    }

    #[test]
    fn a_touch_is_a_fetch_without_value() {
        let options = FetchOptions { value: false, cas: false, touch: Some(10) };
        assert_eq!(request(b"touch k 10 noreply\r\n"), Operation::Fetch(Fetch { key: b"k", options, extras: None }));
        assert!(is_silent(b"touch k 10 noreply\r\n"));
        assert_eq!(refusal(b"touch k 2147483648\r\n"), (Failure::InvalidExptime, 0, false));
        assert_eq!(refusal(b"touch k x noreply\r\n"), (Failure::InvalidExptime, 0, true));
    }

    #[test]
    fn lines_without_sense_are_answered() {
        for line in [
            &b"\r\n"[..],
            b"\n",
            b"a\r\n",
            b"mn\n",
            b"get\r\n",
            b"get \r\n",
            b"gets\r\n",
            b"gat 1\r\n",
            b"delete\r\n",
            b"incr k\r\n",
        ] {
            assert_eq!(refusal(line), (Failure::BadFormat, 0, false), "{:?}", String::from_utf8_lossy(line));
        }
        for line in [&b"ab\r\n"[..], b" get k\r\n", b"GET k\r\n", b"cache_memlimit\r\n", b"cache_memlimit x\r\n"] {
            assert_eq!(refusal(line), (Failure::UnknownCommand, 0, false), "{:?}", String::from_utf8_lossy(line));
        }
        assert_eq!(refusal(b"foo noreply\r\n"), (Failure::UnknownCommand, 0, true));
        assert_eq!(request(b"GET / HTTP/1.1\r\n"), Operation::Hang);
        assert_eq!(refusal(b"HTTP/1.1\r\n"), (Failure::UnknownCommand, 0, false));
        assert_eq!(refusal(b"foo HTTP/1.1 noreply\r\n"), (Failure::UnknownCommand, 0, true));
        assert_eq!(refusal(b"incr k x\r\n"), (Failure::InvalidDelta, 0, false));
        assert_eq!(refusal(b"gat x k\r\n"), (Failure::InvalidExptime, 0, false));
    }
}
