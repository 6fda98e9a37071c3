//! The tokenizer: lines out of input, words out of lines.

use memchr::memchr;

use crate::limits::KEY_BYTES_MAX;
use crate::sys::lanes::{LANES, equal_to};

/// A line found in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes without CR and LF.
    pub text: &'a [u8],
    /// Its length with its end.
    pub used: usize,
}

/// The first line of the input; `None` when its LF has not come.
#[must_use]
#[inline]
pub fn line(input: &[u8]) -> Option<Line<'_>> {
    let end = memchr(b'\n', input)?;
    Some(Line { text: without_cr(&input[..end]), used: end + 1 })
}

#[inline]
pub(super) fn without_cr(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// The words of a line, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// All words of `line`.
    #[must_use]
    #[inline]
    pub fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// What follows the words taken so far, leading spaces included.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The last word of those that are left; `None` when none is.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Option<&'a [u8]> {
        let end = self.rest.iter().rposition(|&byte| byte != b' ')? + 1;
        let start = memchr::memrchr(b' ', &self.rest[..end]).map_or(0, |space| space + 1);
        Some(&self.rest[start..end])
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while let [b' ', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let end = word_end(self.rest);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word)
    }
}

/// Where the first word of `text` ends.
#[inline]
fn word_end(text: &[u8]) -> usize {
    // Flags, exptimes and lengths are short: for them a search function costs more than it finds.
    const SHORT_WORD_BYTES: usize = 8;
    let head = &text[..text.len().min(SHORT_WORD_BYTES)];
    if let Some(end) = head.iter().position(|&byte| byte == b' ') {
        return end;
    }
    if text.len() <= SHORT_WORD_BYTES {
        return text.len();
    }
    memchr(b' ', text).unwrap_or(text.len())
}

/// Whether `word` can be a key. Control bytes are not looked for: memcached does not either.
#[must_use]
#[inline]
pub fn is_key(word: &[u8]) -> bool {
    !word.is_empty() && word.len() <= KEY_BYTES_MAX
}

/// Where the first space or LF stands. Keys are short: sixteen bytes at a time in registers cost less than the call of
/// a search function.
#[must_use]
#[inline(always)]
pub fn key_end(text: &[u8]) -> Option<usize> {
    let mut start = 0;
    while let Some(piece) = text[start..].first_chunk() {
        if let Some(end) = end_in(piece) {
            return Some(start + end);
        }
        start += piece.len();
    }
    // The last sixteen bytes again: those before `start` have no end in them.
    if let Some(piece) = text.last_chunk() {
        return end_in(piece).map(|end| text.len() - piece.len() + end);
    }
    text.iter().position(|byte| matches!(byte, b' ' | b'\n'))
}

/// Where the first space or LF stands in a piece.
#[inline(always)]
fn end_in(piece: &[u8; LANES]) -> Option<usize> {
    let ends = equal_to(piece, b' ') | equal_to(piece, b'\n');
    if ends == 0 { None } else { usize::try_from(ends.trailing_zeros()).ok() }
}

#[cfg(test)]
mod tests {
    use super::{Words, key_end, line};

    #[test]
    fn a_line_ends_with_lf_and_drops_one_cr() {
        assert_eq!(line(b"ab"), None);
        assert_eq!(line(b"ab\nc").map(|line| (line.text, line.used)), Some((&b"ab"[..], 3)));
        assert_eq!(line(b"ab\r\n").map(|line| (line.text, line.used)), Some((&b"ab"[..], 4)));
        assert_eq!(line(b"a\r\r\n").map(|line| (line.text, line.used)), Some((&b"a\r"[..], 4)));
    }

    #[test]
    fn words_are_parted_by_any_number_of_spaces() {
        let words: Vec<_> = Words::new(b"  set   longer_than_eight 0  ").collect();
        assert_eq!(words, [&b"set"[..], b"longer_than_eight", b"0"]);
        assert_eq!(Words::new(b"   ").next(), None);
        assert_eq!(Words::new(b"exactly8").next(), Some(&b"exactly8"[..]));
    }

    #[test]
    fn the_last_word_is_found_behind_spaces() {
        assert_eq!(Words::new(b"a b noreply  ").last(), Some(&b"noreply"[..]));
        assert_eq!(Words::new(b"noreply").last(), Some(&b"noreply"[..]));
        assert_eq!(Words::new(b"  ").last(), None);
    }

    #[test]
    fn a_key_ends_at_the_first_space_or_lf_wherever_it_stands() {
        for len in 0..40 {
            let text: Vec<u8> = (0..len).map(|at| [b'k', 0, 0x80, 0xff, b'\r', 0x1f, 0x0b, 0x21][at % 8]).collect();
            assert_eq!(key_end(&text), None);
            for (at, end) in (0..len).flat_map(|at| [(at, b' '), (at, b'\n')]) {
                let mut text = text.clone();
                text[at] = end;
                assert_eq!(key_end(&text), Some(at), "of {len}");
                text[at..].fill(end);
                assert_eq!(key_end(&text), Some(at), "of {len}");
            }
        }
    }
}
