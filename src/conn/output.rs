//! [`Output`]: replies on their way to a client.
//!
//! ```text
//! bytes:  VALUE a 0 5..hello..VALUE b 0 300000..|..END..
//!                                               ^ a large value goes here, from its extents, never copied
//! ```

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::bytes::Buffer;
use crate::command::{Commands, ItemView, Pinned, Value};
use crate::limits::{OUTPUT_HIGH_WATER_BYTES, WHOLE_VALUE_BYTES_MAX};
use crate::protocol::{Asked, Fetch, HEAD_BYTES_MAX, Hit, TAIL_BYTES_MAX};
use crate::time::Now;

/// Room for any hit whose value is copied.
const HIT_BYTES_MAX: usize = HEAD_BYTES_MAX + WHOLE_VALUE_BYTES_MAX + TAIL_BYTES_MAX;

/// Pieces looked at at once for a copy of the next bytes, which seldom are of more.
const PIECES_TAKEN_MAX: usize = 4;

/// Replies not yet written: bytes of ours, and large values of the store between them.
///
/// Dropping one with large values in it would leak their pins: see [`Output::discard`].
#[derive(Debug, Default)]
pub struct Output {
    bytes: Buffer,
    /// How many of `bytes` are written.
    sent: usize,
    /// Large values, in order of `at`.
    large: VecDeque<Large>,
    /// Unwritten bytes of them all.
    large_unsent: usize,
}

/// A large value's place.
#[derive(Debug)]
struct Large {
    /// Its place in `bytes`: it goes before the byte with this number.
    at: usize,
    pinned: Pinned,
    /// How much of it is written.
    sent: usize,
}

impl Output {
    /// An empty output for a thread's replies: it grows once and stays.
    #[must_use]
    pub fn for_worker() -> Self {
        Self { bytes: Buffer::with_capacity(OUTPUT_HIGH_WATER_BYTES + HIT_BYTES_MAX), ..Self::default() }
    }

    /// Bytes to be written.
    #[must_use]
    #[inline]
    pub fn unsent_len(&self) -> usize {
        self.bytes.len() - self.sent + self.large_unsent
    }

    /// Whether everything is written.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.unsent_len() == 0
    }

    /// Whether so much waits to be written that no more requests are taken.
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.unsent_len() >= OUTPUT_HIGH_WATER_BYTES
    }

    /// The end of the bytes, for replies and reports.
    #[inline]
    pub fn bytes(&mut self) -> &mut Buffer {
        &mut self.bytes
    }

    /// Whether memory of values that are gone is held for it.
    #[must_use]
    pub fn holds_gone(&self, commands: &Commands) -> bool {
        self.large.iter().any(|large| commands.is_gone(&large.pinned))
    }

    /// Whether memory of any value is held for it.
    #[must_use]
    pub fn holds_values(&self) -> bool {
        !self.large.is_empty()
    }

    /// Makes room for any one hit, so that nothing allocates while the store lends the item.
    #[inline]
    pub fn reserve_hit(&mut self) {
        if self.bytes.capacity() - self.bytes.len() < HIT_BYTES_MAX || self.large.capacity() == self.large.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.bytes.reserve(HIT_BYTES_MAX);
        self.large.reserve(1);
    }

    /// Appends a hit in the form that was asked for, in room made by [`Self::reserve_hit`].
    #[inline(always)]
    pub fn push_hit(&mut self, asked: &Asked<'_>, fetch: &Fetch<'_>, item: ItemView<'_>, now: Now) {
        let hit = Hit { client_flags: item.client_flags, cas: item.cas, details: item.details.as_ref(), now };
        match item.value {
            Value::Unwanted => asked.push_found(&mut self.bytes, &hit),
            Value::Whole(value) => asked.push_hit(&mut self.bytes, fetch, &hit, value),
            Value::Pinned(pinned) => self.push_pinned(*asked, *fetch, hit, pinned),
        }
    }

    /// Appends a hit with a large value. What it is told comes by value: so it stays in registers for all others.
    #[inline(never)]
    fn push_pinned(&mut self, asked: Asked<'_>, fetch: Fetch<'_>, hit: Hit<'_>, pinned: Pinned) {
        asked.push_hit_head(&mut self.bytes, &fetch, &hit, pinned.len());
        self.large_unsent += pinned.len();
        self.large.push_back(Large { at: self.bytes.len(), pinned, sent: 0 });
        asked.push_hit_tail(&mut self.bytes);
    }

    /// If all that waits are bytes of ours, those.
    #[must_use]
    #[inline]
    pub fn plain(&self) -> Option<&[u8]> {
        self.large.is_empty().then(|| &self.bytes[self.sent..])
    }

    /// The next pieces to write, in order: fills `pieces` from the front and returns how many. The list may end
    /// early; ask again when these are written.
    pub fn pieces<'p>(&'p mut self, commands: &'p Commands, pieces: &mut [IoSlice<'p>]) -> usize {
        let mut position = self.sent;
        let mut count = 0;
        for large in &mut self.large {
            if count + 2 > pieces.len() {
                return count;
            }
            if large.at > position {
                pieces[count] = IoSlice::new(&self.bytes[position..large.at]);
                count += 1;
                position = large.at;
            }
            for piece in commands.pinned_pieces(&mut large.pinned, large.sent) {
                if count == pieces.len() {
                    return count;
                }
                pieces[count] = IoSlice::new(piece);
                count += 1;
            }
        }
        if position < self.bytes.len() && count < pieces.len() {
            pieces[count] = IoSlice::new(&self.bytes[position..]);
            count += 1;
        }
        count
    }

    /// Says that the next `n` bytes are written.
    #[inline]
    pub fn sent(&mut self, n: usize, commands: &mut Commands) {
        if self.large.is_empty() {
            self.sent += n;
        } else {
            self.sent_mixed(n, commands);
        }
        assert!(self.sent <= self.bytes.len(), "no more is written than there was");
        if self.is_empty() {
            self.sent_plain();
        }
    }

    /// Moves the next bytes to `room`, as many as there are and it holds; how many.
    pub fn take(&mut self, room: &mut [u8], commands: &mut Commands) -> usize {
        let mut taken = 0;
        while taken < room.len() && !self.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES_TAKEN_MAX];
            let count = self.pieces(commands, &mut pieces);
            let before = taken;
            for piece in &pieces[..count] {
                let n = piece.len().min(room.len() - taken);
                room[taken..taken + n].copy_from_slice(&piece[..n]);
                taken += n;
            }
            self.sent(taken - before, commands);
        }
        taken
    }

    /// Says that all bytes are written, there being no large value.
    #[inline]
    pub fn sent_plain(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }

    fn sent_mixed(&mut self, mut n: usize, commands: &mut Commands) {
        while let Some(large) = self.large.front_mut() {
            let before = (large.at - self.sent).min(n);
            self.sent += before;
            n -= before;
            let inside = (large.pinned.len() - large.sent).min(n);
            large.sent += inside;
            self.large_unsent -= inside;
            n -= inside;
            if large.sent < large.pinned.len() {
                return;
            }
            if let Some(large) = self.large.pop_front() {
                commands.unpin(large.pinned);
            }
        }
        self.sent += n;
    }

    /// Moves what is not written into an output of its own, no larger than needed.
    #[must_use]
    pub fn take_unsent(&mut self) -> Self {
        let sent = self.sent;
        let mut rest = Self {
            bytes: Buffer::from(&self.bytes[sent..]),
            sent: 0,
            large: self.large.drain(..).collect(),
            large_unsent: self.large_unsent,
        };
        for large in &mut rest.large {
            large.at -= sent;
        }
        self.bytes.clear();
        self.sent = 0;
        self.large_unsent = 0;
        rest
    }

    /// Forgets everything: the client is gone.
    pub fn discard(&mut self, commands: &mut Commands) {
        for large in self.large.drain(..) {
            commands.unpin(large.pinned);
        }
        self.bytes.clear();
        self.sent = 0;
        self.large_unsent = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::Output;
    use crate::command::Commands;
    use crate::command::testing::commands;
    use crate::operation::Mode;
    use crate::protocol::{Fetch, FetchOptions, KeyLine, Reply, Store};

    /// A store with a large value `L` and the answer to `get L`.
    fn answered() -> (Commands, Output, Vec<u8>) {
        let mut commands = commands();
        let value: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let request = Store {
            key: b"L",
            mode: Mode::Set,
            client_flags: 0,
            exptime: 0,
            value_len: value.len(),
            refusal_deletes: true,
            shows_cas: false,
            extras: None,
        };
        assert_eq!(commands.store(&request, commands.hash_of(request.key), &value).reply, Reply::Stored);
        let mut output = Output::default();
        KeyLine::ASKED.push_reply(output.bytes(), Reply::Stored);
        output.reserve_hit();
        let fetch = Fetch { key: b"L", options: FetchOptions::GET, extras: None };
        let (hash, now) = (commands.hash_of(b"L"), commands.now());
        commands.fetch(&fetch, hash, |item| output.push_hit(&KeyLine::ASKED, &fetch, item, now));
        KeyLine::ASKED.push_reply(output.bytes(), Reply::End);
        let expected = [b"STORED\r\nVALUE L 0 100000\r\n", &value[..], b"\r\nEND\r\n"].concat();
        (commands, output, expected)
    }

    fn written(output: &mut Output, commands: &mut Commands, step: usize) -> Vec<u8> {
        let mut written = Vec::new();
        while !output.is_empty() {
            let mut pieces = [IoSlice::new(&[]); 3];
            let count = output.pieces(commands, &mut pieces);
            assert!(count > 0, "something is left to write");
            let bytes: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.iter().copied()).collect();
            let n = bytes.len().min(step);
            written.extend_from_slice(&bytes[..n]);
            output.sent(n, commands);
        }
        written
    }

    #[test]
    fn a_large_value_is_written_between_the_bytes_around_it() {
        for step in [997, 9000, 16 * 1024, usize::MAX] {
            let (mut commands, mut output, expected) = answered();
            assert_eq!(output.unsent_len(), expected.len());
            assert!(written(&mut output, &mut commands, step) == expected, "in steps of {step}");
        }
    }

    #[test]
    fn what_is_taken_is_what_would_be_written() {
        for step in [1, 5, 1392, 100_000] {
            let (mut commands, mut output, expected) = answered();
            let (mut taken, mut room) = (Vec::new(), vec![0; step]);
            while !output.is_empty() {
                let n = output.take(&mut room, &mut commands);
                taken.extend_from_slice(&room[..n]);
            }
            assert!(taken == expected, "{step} at a time");
        }
    }

    #[test]
    fn what_is_unsent_moves_as_it_is() {
        for sent in [0, 3, 8, 20, 27, 5000, 100_026, 100_030] {
            let (mut commands, mut output, expected) = answered();
            output.sent(sent, &mut commands);
            let mut rest = output.take_unsent();
            assert!(output.is_empty());
            assert!(written(&mut rest, &mut commands, 4096) == expected[sent..], "after {sent}");
        }
    }
}
