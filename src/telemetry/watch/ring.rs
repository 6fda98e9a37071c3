//! [`Ring`]: a bounded queue of records from one thread to whoever drains, without locks and without waiting.
//!
//! ```text
//! words:  | len gid time n0 n1 n2 n3 text.. | len gid time ..        |
//!           ^ head: the next to read                                 ^ tail: the next to write
//! ```
//!
//! Both positions only rise; a word's place is its position modulo the number of words. Words are atomics, so that no
//! unsafe code is needed: their order comes from the positions alone.

use std::sync::OnceLock;

use crossbeam::utils::CachePadded;

use super::event::{Numbers, TEXT_BYTES_MAX};
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

/// Words of a record before its text: the text's length, gid, time, numbers.
const HEAD_WORDS: usize = 3 + 4;
/// Bytes of a word.
const WORD_BYTES: usize = 8;
/// The longest record.
const RECORD_WORDS_MAX: usize = HEAD_WORDS + TEXT_BYTES_MAX / WORD_BYTES;
/// The fewest words of a ring: below, the longest record would never fit.
const WORDS_MIN: usize = RECORD_WORDS_MAX.next_power_of_two();
/// The most: a thread that is so far ahead of who drains will not be caught up with by more.
const WORDS_MAX: usize = (64 << 20) / WORD_BYTES;

/// A record taken out.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) gid: u64,
    pub(super) micros: u64,
    pub(super) numbers: Numbers,
    text: [u8; TEXT_BYTES_MAX],
    text_len: usize,
}

impl Record {
    pub(super) fn new() -> Self {
        Self { gid: 0, micros: 0, numbers: [0; 4], text: [0; TEXT_BYTES_MAX], text_len: 0 }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text[..self.text_len]
    }
}

/// The queue. Its memory is taken when somebody watches for the first time.
#[derive(Debug)]
pub(super) struct Ring {
    words: OnceLock<Box<[AtomicU64]>>,
    /// The next position to read; written by who drains.
    head: CachePadded<AtomicUsize>,
    /// The next position to write; written by the one thread that pushes.
    tail: CachePadded<AtomicUsize>,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self {
            words: OnceLock::new(),
            head: CachePadded::new(AtomicUsize::new(0)),
            tail: CachePadded::new(AtomicUsize::new(0)),
        }
    }

    /// Takes the memory, unless it has it: the bytes asked for, up to a power of two and within bounds.
    pub(super) fn open(&self, bytes: usize) {
        let words = bytes.div_ceil(WORD_BYTES).clamp(WORDS_MIN, WORDS_MAX).next_power_of_two();
        self.open_words(words);
    }

    pub(super) fn open_words(&self, words: usize) {
        assert!(words.is_power_of_two(), "a position finds its place by a mask");
        self.words.get_or_init(|| (0..words).map(|_| AtomicU64::new(0)).collect());
    }

    /// Appends a record; false when there is no room for it: then no `gid` is taken. One thread only.
    pub(super) fn push(&self, gid: impl FnOnce() -> u64, micros: u64, numbers: Numbers, text: &[u8]) -> bool {
        let Some(words) = self.words.get() else { return false };
        let len = HEAD_WORDS + text.len().div_ceil(WORD_BYTES);
        // Relaxed: only this thread writes it.
        let tail = self.tail.load(Ordering::Relaxed);
        // Acquire: pairs with the Release of `pop`: what was read there may be written over.
        let used = tail.wrapping_sub(self.head.load(Ordering::Acquire));
        if words.len() - used < len {
            return false;
        }
        let [n0, n1, n2, n3] = numbers;
        let text_len = u64::try_from(text.len()).expect("a short text");
        for (at, word) in [text_len, gid(), micros, n0, n1, n2, n3].into_iter().enumerate() {
            place(words, tail.wrapping_add(at)).store(word, Ordering::Relaxed);
        }
        for (at, bytes) in text.chunks(WORD_BYTES).enumerate() {
            let mut word = [0; WORD_BYTES];
            word[..bytes.len()].copy_from_slice(bytes);
            let position = tail.wrapping_add(HEAD_WORDS + at);
            place(words, position).store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        // Release: pairs with the Acquire of `pop`: who sees the position sees the record.
        self.tail.store(tail.wrapping_add(len), Ordering::Release);
        true
    }

    /// Takes the oldest record out into `record`; false when there is none. One thread at a time.
    pub(super) fn pop(&self, record: &mut Record) -> bool {
        let Some(words) = self.words.get() else { return false };
        // Relaxed: only who drains writes it, one at a time under a lock.
        let head = self.head.load(Ordering::Relaxed);
        // Acquire: pairs with the Release of `push`.
        if head == self.tail.load(Ordering::Acquire) {
            return false;
        }
        let word = |at: usize| place(words, head.wrapping_add(at)).load(Ordering::Relaxed);
        record.text_len = usize::try_from(word(0)).unwrap_or(TEXT_BYTES_MAX).min(TEXT_BYTES_MAX);
        (record.gid, record.micros) = (word(1), word(2));
        record.numbers = [word(3), word(4), word(5), word(6)];
        for (at, bytes) in record.text[..record.text_len].chunks_mut(WORD_BYTES).enumerate() {
            bytes.copy_from_slice(&word(HEAD_WORDS + at).to_le_bytes()[..bytes.len()]);
        }
        let len = HEAD_WORDS + record.text_len.div_ceil(WORD_BYTES);
        // Release: pairs with the Acquire of `push`: the record has been read.
        self.head.store(head.wrapping_add(len), Ordering::Release);
        true
    }
}

/// The word at a position.
fn place(words: &[AtomicU64], position: usize) -> &AtomicU64 {
    &words[position & (words.len() - 1)]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;
    use std::thread;

    use super::{HEAD_WORDS, Record, Ring, TEXT_BYTES_MAX, WORD_BYTES};

    fn popped(ring: &Ring) -> Option<(u64, Vec<u8>)> {
        let mut record = Record::new();
        ring.pop(&mut record).then(|| (record.gid, record.text().to_vec()))
    }

    #[test]
    fn a_ring_without_memory_takes_nothing() {
        let ring = Ring::new();
        assert!(!ring.push(|| 1, 2, [0; 4], b"k"));
        assert_eq!(popped(&ring), None);
    }

    #[test]
    fn the_smallest_ring_holds_the_longest_record() {
        let ring = Ring::new();
        ring.open(0);
        assert!(ring.push(|| 1, 2, [3; 4], &[b'x'; TEXT_BYTES_MAX]));
        assert_eq!(popped(&ring), Some((1, vec![b'x'; TEXT_BYTES_MAX])));
    }

    #[test]
    fn records_come_out_in_order_and_whole_however_they_wrap() {
        let ring = Ring::new();
        ring.open_words(64);
        let (mut waiting, mut free) = (VecDeque::new(), 64);
        for gid in 0..5000_u64 {
            let text: Vec<u8> = (0..gid % 61).map(|at| (gid + at).to_le_bytes()[0]).collect();
            let len = HEAD_WORDS + text.len().div_ceil(WORD_BYTES);
            assert_eq!(ring.push(|| gid, 0, [gid; 4], &text), free >= len, "record {gid}");
            if free >= len {
                free -= len;
                waiting.push_back((gid, text));
            }
            if gid % 3 > 0 {
                let expected = waiting.pop_front();
                assert_eq!(popped(&ring), expected);
                free += expected.map_or(0, |(_, text)| HEAD_WORDS + text.len().div_ceil(WORD_BYTES));
            }
        }
    }

    #[test]
    fn a_thread_beside_loses_nothing_it_was_told_is_in() {
        let ring = Ring::new();
        ring.open_words(128);
        let (mut dropped, mut got) = (0_u64, 0_u64);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut record, mut last, mut got) = (Record::new(), 0, 0_u64);
                while last < u64::MAX {
                    if !ring.pop(&mut record) {
                        thread::yield_now();
                        continue;
                    }
                    assert!(record.gid > last, "in order");
                    assert_eq!(record.text(), &record.micros.to_le_bytes()[..record.text().len()]);
                    (last, got) = (record.gid, got + 1);
                }
                got
            });
            for gid in 1..=20_000_u64 {
                let text = gid.to_le_bytes();
                if !ring.push(|| gid, gid, [0; 4], &text[..usize::from(text[0] % 9)]) {
                    dropped += 1;
                }
            }
            while !ring.push(|| u64::MAX, 0, [0; 4], b"") {
                thread::yield_now();
            }
            got = reader.join().expect("the reader");
        });
        assert_eq!(got + dropped, 20_001);
    }
}
