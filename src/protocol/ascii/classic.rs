//! The parser of the classic commands: one request from the head of the input.
//!
//! Words after those a command needs are ignored, as memcached does, but for a last word `noreply`.

use memchr::memchr;

use super::admin;
use super::token::{self, Line, NextKey, Words};
use crate::bytes::{parse_i64, parse_u64};
use crate::limits::LINE_BYTES_MAX;
use crate::protocol::{
    Admin, Arithmetic, Delete, ErrorText, Fetch, FetchOptions, MetaCommand, MetaLine, Mode, Refused, Request, Store,
};

/// Lines below this length, their end included, are no commands (memcached's rule).
const LINE_BYTES_MIN: usize = 4;

/// Longest value a line may announce (memcached's `INT_MAX - 2`).
const VALUE_BYTES_MAX: i64 = (1 << 31) - 3;

/// What stands at the head of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A request and how many bytes of the input its line takes.
    Request {
        /// The request.
        request: Request<'a>,
        /// Bytes of the line with its end; of a line of keys, its head only.
        used: usize,
    },
    /// A part of a line.
    Incomplete,
    /// A part of a line that is too long already.
    TooLong,
}

impl<'a> Parsed<'a> {
    #[inline]
    fn request(request: Request<'a>, used: usize) -> Self {
        Self::Request { request, used }
    }
}

/// A request in its plainest form, which nearly all have: served without the detour over a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain<'a> {
    /// `get <key>`.
    Get(&'a [u8]),
    /// `set <key> <flags> <exptime> <bytes>`: one space between words, numbers of few digits, nothing else.
    Set(Store<'a>),
}

impl<'a> Plain<'a> {
    /// Its key.
    #[must_use]
    #[inline(always)]
    pub fn key(&self) -> &'a [u8] {
        match self {
            Self::Get(key) => key,
            Self::Set(store) => store.key,
        }
    }

    /// Length of the value that follows its line, if one does.
    #[must_use]
    #[inline(always)]
    pub fn value_len(&self) -> Option<usize> {
        match self {
            Self::Get(_) => None,
            Self::Set(store) => Some(store.value_len),
        }
    }
}

/// Takes a request in its plainest form, and the length of its line, from the input. `None`: [`parse`] knows what it
/// is; what is taken here, it would read the same.
#[must_use]
#[inline(always)]
pub fn parse_plain(input: &[u8]) -> Option<(Plain<'_>, usize)> {
    // As numbers: compared at once, and not byte by byte.
    const GET: u32 = u32::from_le_bytes(*b"get ");
    const SET: u32 = u32::from_le_bytes(*b"set ");
    let (name, rest) = input.split_first_chunk()?;
    match u32::from_le_bytes(*name) {
        GET => {
            let (key, end) = plain_key(rest, b'\n')?;
            let key = key.strip_suffix(b"\r").unwrap_or(key);
            token::is_key(key).then_some((Plain::Get(key), name.len() + end + 1))
        }
        SET => {
            let (key, end) = plain_key(rest, b' ')?;
            let mut at = end + 1;
            let client_flags = plain_number(rest, &mut at, b' ')?;
            let exptime = plain_number(rest, &mut at, b' ')?;
            let value_len = plain_number(rest, &mut at, b'\r')?;
            if !token::is_key(key) || rest.get(at) != Some(&b'\n') {
                return None;
            }
            let store = Store {
                key,
                mode: Mode::Set,
                client_flags,
                exptime: i32::try_from(exptime).ok()?,
                value_len: usize::try_from(value_len).ok()?,
                noreply: false,
                extras: None,
            };
            Some((Plain::Set(store), name.len() + at + 1))
        }
        _ => None,
    }
}

/// The bytes before the first space or LF, if it is the one that is wanted, and where that stands.
#[inline(always)]
fn plain_key(text: &[u8], wanted: u8) -> Option<(&[u8], usize)> {
    let end = token::key_end(text)?;
    (text[end] == wanted).then(|| (&text[..end], end))
}

/// A number of one to nine digits that ends with `end`. Moves `at` behind that.
#[inline(always)]
fn plain_number(text: &[u8], at: &mut usize, end: u8) -> Option<u32> {
    const DIGITS_MAX: usize = 9;
    let start = *at;
    let mut number = 0;
    loop {
        let byte = *text.get(*at)?;
        let digit = byte.wrapping_sub(b'0');
        *at += 1;
        if digit > 9 {
            let digits = *at - 1 - start;
            return (byte == end && (1..=DIGITS_MAX).contains(&digits)).then_some(number);
        }
        number = number.wrapping_mul(10).wrapping_add(u32::from(digit));
    }
}

/// Takes one request from the input.
#[must_use]
pub fn parse(input: &[u8]) -> Parsed<'_> {
    if let Some(rest) = input.strip_prefix(b"get ") {
        return parse_get(FetchOptions::GET, input, rest);
    }
    parse_line(input)
}

/// A get line. Up to `LINE_BYTES_MAX` it is served when it is whole; longer ones are served as they come.
#[inline]
fn parse_get<'a>(options: FetchOptions, input: &'a [u8], rest: &'a [u8]) -> Parsed<'a> {
    let head = input.len() - rest.len();
    match token::next_key(rest) {
        NextKey::Last { key, used } => {
            return Parsed::request(Request::OneKey(Fetch { key, options, extras: None }), head + used);
        }
        NextKey::End { used } => return Parsed::request(refused(ErrorText::BadFormat), head + used),
        NextKey::Key { .. } | NextKey::TooLong | NextKey::Partial => {}
    }
    if memchr(b'\n', rest).is_none() && input.len() <= LINE_BYTES_MAX {
        return Parsed::Incomplete;
    }
    Parsed::request(Request::Keys(options), head)
}

/// Any command: the frequent ones first.
fn parse_line(input: &[u8]) -> Parsed<'_> {
    if let Some(rest) = input.strip_prefix(b"gets ") {
        return parse_get(FetchOptions::GETS, input, rest);
    }
    let Some(Line { text, used }) = token::line(input) else {
        return if input.len() <= LINE_BYTES_MAX { Parsed::Incomplete } else { Parsed::TooLong };
    };
    if used < LINE_BYTES_MIN {
        return Parsed::request(refused(ErrorText::BadFormat), used);
    }
    // A leading space makes an empty first word, which is no command.
    if text.first() == Some(&b' ') {
        return Parsed::request(parse_unknown(text), used);
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
        b"mg" => Some(meta(MetaCommand::Get, words)),
        b"ms" => Some(meta(MetaCommand::Set, words)),
        b"md" => Some(meta(MetaCommand::Delete, words)),
        b"ma" => Some(meta(MetaCommand::Arithmetic, words)),
        b"me" => Some(meta(MetaCommand::Inspect, words)),
        b"mn" => Some(Request::Admin(Admin::MetaNoop)),
        b"replace" => parse_store(Mode::Replace, words),
        b"append" => parse_store(Mode::Append, words),
        b"prepend" => parse_store(Mode::Prepend, words),
        b"get" | b"gets" => Some(refused(ErrorText::BadFormat)),
        name => Some(admin::parse(name, words).unwrap_or_else(|| parse_unknown(text))),
    };
    Parsed::request(request.unwrap_or_else(|| refused(ErrorText::BadFormat)), used)
}

fn meta<'a>(command: MetaCommand, words: Words<'a>) -> Request<'a> {
    Request::Meta(MetaLine { command, words: words.rest() })
}

fn refused<'a>(error: ErrorText) -> Request<'a> {
    Request::Refused(Refused { error, swallow_bytes: 0, noreply: false })
}

pub(super) fn refused_unless<'a>(noreply: bool, error: ErrorText) -> Request<'a> {
    Request::Refused(Refused { error, swallow_bytes: 0, noreply })
}

/// The last word counts, whatever its place: `delete noreply` deletes the key `noreply` in silence (memcached's rule).
#[inline]
pub(super) fn is_noreply(words: Words<'_>) -> bool {
    words.last() == Some(b"noreply")
}

/// `<key> <flags> <exptime> <bytes>`, for cas `<unique>`. `None`: too few words. Once the length is known the
/// data block is swallowed with whatever else is wrong, so that the connection stays in step.
#[inline]
fn parse_store(mode: Mode, mut words: Words<'_>) -> Option<Request<'_>> {
    let (key, flags, exptime, bytes) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let noreply = is_noreply(words);
    // Without a length nobody knows where the next request begins: that is said, noreply or not.
    let value_len = parse_value_len(bytes)?;
    let parsed = (parse_flags(flags), parse_store_exptime(exptime), parse_mode(mode, words));
    let (Some(client_flags), Some(exptime), Some(mode), true) = (parsed.0, parsed.1, parsed.2, token::is_key(key))
    else {
        let swallow_bytes = value_len + b"\r\n".len();
        return Some(Request::Refused(Refused { error: ErrorText::BadFormat, swallow_bytes, noreply }));
    };
    Some(Request::Store(Store { key, mode, client_flags, exptime, value_len, noreply, extras: None }))
}

#[inline]
pub(super) fn parse_value_len(bytes: &[u8]) -> Option<usize> {
    let len = parse_i64(bytes).filter(|&len| len <= VALUE_BYTES_MAX)?;
    usize::try_from(len).ok()
}

/// Client flags are read in 64 bits and kept modulo 2^32 (memcached's rule).
#[inline]
fn parse_flags(word: &[u8]) -> Option<u32> {
    let flags = match parse_u64(word) {
        Some(flags) => flags,
        None => parse_u64(loosened(word)?)?,
    };
    Some(u32::try_from(flags & u64::from(u32::MAX)).expect("masked"))
}

/// A store's exptime is read in 64 bits and kept modulo 2^32 (memcached's rule).
#[inline]
fn parse_store_exptime(word: &[u8]) -> Option<i32> {
    let exptime = match parse_i64(word) {
        Some(exptime) => exptime,
        None => parse_i64(loosened(word)?)?,
    };
    let [a, b, c, d, ..] = exptime.to_le_bytes();
    Some(i32::from_le_bytes([a, b, c, d]))
}

/// The number in a word as C's `strtoll` takes it, which memcached has for a store's flags and exptime: tabs around
/// it, a plus before it. `None`: there is nothing of the kind.
#[cold]
fn loosened(word: &[u8]) -> Option<&[u8]> {
    let bare = word.trim_ascii();
    let unsigned = bare.strip_prefix(b"+").filter(|rest| rest.first().is_some_and(u8::is_ascii_digit));
    Some(unsigned.unwrap_or(bare)).filter(|number| number.len() < word.len())
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
        return Some(refused_unless(noreply, ErrorText::BadFormat));
    }
    Some(Request::Delete(Delete { key, noreply, extras: None }))
}

fn parse_arithmetic(is_decr: bool, mut words: Words<'_>) -> Option<Request<'_>> {
    let noreply = is_noreply(words);
    let (key, delta) = (words.next()?, words.next()?);
    if !token::is_key(key) {
        return Some(refused_unless(noreply, ErrorText::BadFormat));
    }
    let Some(delta) = parse_u64(delta) else {
        return Some(refused_unless(noreply, ErrorText::InvalidDelta));
    };
    Some(Request::Arithmetic(Arithmetic { key, delta, is_decr, noreply, extras: None }))
}

fn parse_touch(mut words: Words<'_>) -> Option<Request<'_>> {
    let noreply = is_noreply(words);
    let (key, exptime) = (words.next()?, words.next()?);
    if !token::is_key(key) {
        return Some(refused_unless(noreply, ErrorText::BadFormat));
    }
    let Some(exptime) = parse_exptime(exptime) else {
        return Some(refused_unless(noreply, ErrorText::InvalidExptime));
    };
    let options = FetchOptions { value: false, cas: false, touch: Some(exptime), noreply };
    Some(Request::Fetch(Fetch { key, options, extras: None }))
}

/// Everywhere but in a store, an exptime must fit 32 bits.
pub(super) fn parse_exptime(word: &[u8]) -> Option<i32> {
    i32::try_from(parse_i64(word)?).ok()
}

/// `<exptime> <key>*`: a line of keys behind a longer head.
fn parse_gat<'a>(cas: bool, text: &'a [u8], mut words: Words<'a>, used: usize) -> Parsed<'a> {
    let exptime = words.next();
    let (Some(exptime), Some(_)) = (exptime, words.last()) else {
        return Parsed::request(refused(ErrorText::BadFormat), used);
    };
    let Some(exptime) = parse_exptime(exptime) else {
        return Parsed::request(refused(ErrorText::InvalidExptime), used);
    };
    let options = FetchOptions { value: true, cas, touch: Some(exptime), noreply: false };
    Parsed::request(Request::Keys(options), text.len() - words.rest().len())
}

/// No command of ours. A browser that was sent here by a hostile page is hung up on.
fn parse_unknown(text: &[u8]) -> Request<'_> {
    let last = Words::new(text).last().unwrap_or_default();
    if last.starts_with(b"HTTP/") && !text.starts_with(last) {
        return Request::Hang;
    }
    refused_unless(last == b"noreply", ErrorText::UnknownCommand)
}

#[cfg(test)]
mod tests {
    use super::{Parsed, Plain, parse, parse_plain};
    use crate::protocol::{Admin, Arithmetic, Delete, ErrorText, Fetch, FetchOptions, Mode, Refused, Request, Store};

    fn request(line: &[u8]) -> Request<'_> {
        match parse(line) {
            Parsed::Request { request, used } => {
                assert_eq!(used, line.len(), "{:?}", String::from_utf8_lossy(line));
                request
            }
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(line)),
        }
    }

    fn refusal(line: &[u8]) -> (ErrorText, usize, bool) {
        match request(line) {
            Request::Refused(Refused { error, swallow_bytes, noreply }) => (error, swallow_bytes, noreply),
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(line)),
        }
    }

    #[test]
    fn what_is_plain_is_read_as_the_parser_reads_it() {
        let words = [
            &b"get"[..],
            b"set",
            b"k",
            b"key-of-some-length",
            &[b'k'; 250],
            &[b'k'; 251],
            b"0",
            b"7",
            b"999999999",
            b"1000000000",
            b"4294967296",
            b"-1",
            b"+1",
            b"1x",
            b"\t1",
            b"1\0",
            b"00",
            b"noreply",
            b"",
            b"\r",
        ];
        let mut plain = 0;
        let mut compare = |line: &[u8]| {
            let Some((taken, used)) = parse_plain(line) else { return };
            let request = match taken {
                Plain::Get(key) => Request::OneKey(Fetch { key, options: FetchOptions::GET, extras: None }),
                Plain::Set(store) => Request::Store(store),
            };
            assert_eq!(parse(line), Parsed::Request { request, used }, "{:?}", String::from_utf8_lossy(line));
            plain += 1;
        };
        for ending in [&b"\r\n"[..], b"\n", b"\r", b"", b" \r\n", b"\r\nget x\r\n", b"\r\r\n", b"\r\n12345678"] {
            for (one, two) in words.iter().flat_map(|one| words.iter().map(move |two| (one, two))) {
                compare(&[&b"get "[..], one, ending].concat());
                compare(&[&b"get "[..], one, b" ", two, ending].concat());
                compare(&[*one, b" ", two, ending].concat());
                for three in words {
                    compare(&[&b"set "[..], one, b" ", two, b" ", three, b" 5", ending].concat());
                    compare(&[&b"set key "[..], one, b" ", two, b" ", three, ending].concat());
                    compare(&[&b"set key 1 "[..], one, b" ", two, b" ", three, ending].concat());
                }
            }
        }
        assert!(plain > 1000, "{plain} lines were plain");
    }

    #[test]
    fn a_get_of_one_key_needs_no_second_look() {
        let fetch = |key, options| Request::OneKey(Fetch { key, options, extras: None });
        assert_eq!(request(b"get k\r\n"), fetch(b"k", FetchOptions::GET));
        assert_eq!(request(b"gets  k\n"), fetch(b"k", FetchOptions::GETS));
    }

    #[test]
    fn a_line_of_keys_gives_its_head() {
        let keys = Parsed::Request { request: Request::Keys(FetchOptions::GET), used: 4 };
        assert_eq!(parse(b"get a b\r\n"), keys);
        assert_eq!(parse(b"get a b"), Parsed::Incomplete);
        let long = [&b"get "[..], &b"key ".repeat(600)].concat();
        assert_eq!(parse(&long), keys, "it may never end");
        assert_eq!(parse(&[b'x'; 2049]), Parsed::TooLong);
        let touch = FetchOptions { touch: Some(-5), cas: true, ..FetchOptions::GET };
        assert_eq!(parse(b"gats -5 a\r\n"), Parsed::Request { request: Request::Keys(touch), used: 7 });
    }

    #[test]
    fn a_store_line_carries_everything_but_the_value() {
        let store = Store {
            key: b"k",
            mode: Mode::Set,
            client_flags: 3,
            exptime: -1,
            value_len: 5,
            noreply: false,
            extras: None,
        };
        assert_eq!(request(b"set k 3 -1 5\r\n"), Request::Store(store));
        assert_eq!(request(b"set k 3 -1 5 noreply\r\n"), Request::Store(Store { noreply: true, ..store }));
        assert_eq!(request(b"set k 3 -1 5 foo bar\r\n"), Request::Store(store));
        let cas = Store { mode: Mode::Cas(u64::MAX), ..store };
        assert_eq!(request(b"cas k 3 -1 5 18446744073709551615\r\n"), Request::Store(cas));
    }

    #[test]
    fn numbers_of_a_store_are_kept_modulo_2_to_the_32() {
        let Request::Store(store) = request(b"set k 4294967303 4294967296 0\r\n") else { panic!("a store") };
        assert_eq!((store.client_flags, store.exptime), (7, 0));
        let Request::Store(store) = request(b"set k 0 2147483648 0\r\n") else { panic!("a store") };
        assert_eq!(store.exptime, i32::MIN);
    }

    #[test]
    fn a_bad_store_line_swallows_its_data_when_its_length_is_known() {
        let long_key = [&b"set "[..], &[b'k'; 251], b" 0 0 9 noreply\r\n"].concat();
        assert_eq!(refusal(&long_key), (ErrorText::BadFormat, 11, true));
        for line in
            [&b"set k x 0 9\r\n"[..], b"set k 0 x 9\r\n", b"set k -1 0 9\r\n", b"cas k 0 0 9\r\n", b"cas k 0 0 9 x\r\n"]
        {
            assert_eq!(refusal(line), (ErrorText::BadFormat, 11, false), "{:?}", String::from_utf8_lossy(line));
        }
        for line in [
            &b"set k 0 0\r\n"[..],
            b"set k 0 0 x\r\n",
            b"set k 0 0 -1\r\n",
            b"set k 0 0 +1\r\n",
            b"set k 0 0 2147483646\r\n",
            b"set k 0 0 x noreply\r\n",
        ] {
            assert_eq!(refusal(line), (ErrorText::BadFormat, 0, false), "{:?}", String::from_utf8_lossy(line));
        }
        assert_eq!(refusal(b"set k 0 noreply\r\n"), (ErrorText::BadFormat, 0, false), "too short to parse");
    }

    #[test]
    fn flags_and_exptime_of_a_store_are_read_loosely() {
        let Request::Store(store) = request(b"set k +5 \t+1000 3\r\n") else { panic!("a store") };
        assert_eq!((store.client_flags, store.exptime), (5, 1000));
        for word in ["+", "++1", "+-1", "5x", "0x5", "\t"] {
            let line = format!("set k {word} 0 3\r\n");
            assert_eq!(refusal(line.as_bytes()), (ErrorText::BadFormat, 5, false), "{word:?}");
        }
    }

    #[test]
    fn noreply_is_the_last_word_even_when_it_is_the_key() {
        assert_eq!(
            request(b"delete noreply\r\n"),
            Request::Delete(Delete { key: b"noreply", noreply: true, extras: None })
        );
        assert_eq!(refusal(b"incr n noreply\r\n"), (ErrorText::InvalidDelta, 0, true));
    }

    #[test]
    fn words_nobody_needs_are_ignored() {
        let delete = Delete { key: b"k", noreply: false, extras: None };
        assert_eq!(request(b"delete k 0\r\n"), Request::Delete(delete));
        assert_eq!(request(b"delete k 0 noreply\r\n"), Request::Delete(Delete { noreply: true, ..delete }));
        let incr = Arithmetic { key: b"k", delta: 1, is_decr: false, noreply: false, extras: None };
        assert_eq!(request(b"incr k 1 2 3\r\n"), Request::Arithmetic(incr));
        assert_eq!(request(b"version x\r\n"), Request::Admin(Admin::Version));
        assert_eq!(request(b"quit x\r\n"), Request::Quit);
    }

    #[test]
    fn a_touch_is_a_fetch_without_value() {
        let options = FetchOptions { value: false, cas: false, touch: Some(10), noreply: true };
        assert_eq!(request(b"touch k 10 noreply\r\n"), Request::Fetch(Fetch { key: b"k", options, extras: None }));
        assert_eq!(refusal(b"touch k 2147483648\r\n"), (ErrorText::InvalidExptime, 0, false));
        assert_eq!(refusal(b"touch k x noreply\r\n"), (ErrorText::InvalidExptime, 0, true));
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
            assert_eq!(refusal(line), (ErrorText::BadFormat, 0, false), "{:?}", String::from_utf8_lossy(line));
        }
        for line in [&b"ab\r\n"[..], b" get k\r\n", b"GET k\r\n", b"cache_memlimit\r\n", b"cache_memlimit x\r\n"] {
            assert_eq!(refusal(line), (ErrorText::UnknownCommand, 0, false), "{:?}", String::from_utf8_lossy(line));
        }
        assert_eq!(refusal(b"foo noreply\r\n"), (ErrorText::UnknownCommand, 0, true));
        assert_eq!(request(b"GET / HTTP/1.1\r\n"), Request::Hang);
        assert_eq!(refusal(b"HTTP/1.1\r\n"), (ErrorText::UnknownCommand, 0, false));
        assert_eq!(refusal(b"foo HTTP/1.1 noreply\r\n"), (ErrorText::UnknownCommand, 0, true));
        assert_eq!(refusal(b"incr k x\r\n"), (ErrorText::InvalidDelta, 0, false));
        assert_eq!(refusal(b"gat x k\r\n"), (ErrorText::InvalidExptime, 0, false));
    }
}
