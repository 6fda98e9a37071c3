//! Looking ahead in the input: memory that the next requests need is asked for before the first of them is served,
//! so that they wait for it together and not one after the other.

use super::{BLOCK_END, Connection, State, Step, Turn, get_hashed};
use crate::command::{Commands, Hint};
use crate::protocol::ascii::classic::{Plain, parse_plain};
use crate::protocol::ascii::token::{NextKey, next_key};

/// Keys looked at together: as many as a processor has ways to wait for memory, and a few more.
const KEYS_MAX: usize = 16;

/// Has the place come near that the plain request at the head of the input needs.
#[inline(always)]
pub(super) fn look_at_first(input: &[u8], commands: &Commands) -> Option<Hint> {
    let (request, _) = parse_plain(input)?;
    Some(commands.ask_for_place(commands.hash_of(request.key())))
}

/// A plain request, read ahead.
#[derive(Clone, Copy, Debug)]
struct PlainAhead<'i> {
    request: Plain<'i>,
    hash: u64,
    line_len: usize,
    /// Where it ends in the input, its value included.
    end: usize,
}

impl<'i> PlainAhead<'i> {
    /// The plain request at a place of the input.
    #[inline(always)]
    fn read(input: &'i [u8], start: usize, hash: impl FnOnce(&[u8]) -> u64) -> Option<Self> {
        let (request, line_len) = parse_plain(input.get(start..)?)?;
        let value_len = request.value_len().map_or(0, |value_len| value_len + BLOCK_END.len());
        Some(Self { request, hash: hash(request.key()), line_len, end: start + line_len + value_len })
    }
}

impl Connection {
    /// Serves plain requests at the head of the input, each of which is read and hashed once; where there are several,
    /// their memory is asked for before. The first one's hash may be known: its memory was asked for then, and it is
    /// served alone. `None`: there is no plain request, or none may be served.
    #[inline(never)]
    pub(super) fn serve_ahead(&mut self, known: Option<u64>, input: &[u8], turn: &mut Turn<'_>) -> Option<Step> {
        if !matches!(self.state, State::Ready) || turn.requests_left == 0 || turn.logged_as.is_some() {
            return None;
        }
        let first = PlainAhead::read(
            input,
            0,
            #[inline(always)]
            |key| known.unwrap_or_else(|| turn.commands.hash_of(key)),
        )?;
        self.has_begun = true;
        if known.is_some() || first.end >= input.len() {
            return Some(self.serve_plain(&first, input, turn));
        }
        Some(self.serve_together(first, input, turn))
    }

    #[inline(never)]
    fn serve_together(&mut self, first: PlainAhead<'_>, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let mut ahead = [const { None }; KEYS_MAX];
        let count = read_together(first, input, turn.commands, &mut ahead);
        let mut used = 0;
        for next in ahead[..count].iter().flatten() {
            let step = self.serve_plain(next, &input[used..], turn);
            used += step.used;
            if step.next.is_some() || !matches!(self.state, State::Ready) {
                return Step { used, ..step };
            }
            // One that took more or less than it seemed to leaves the rest to be read anew.
            if turn.output.is_full() || turn.requests_left == 0 || used != next.end {
                break;
            }
        }
        Step::on(used)
    }

    /// Serves a request that the input begins with.
    #[inline(always)]
    fn serve_plain(&mut self, plain: &PlainAhead<'_>, input: &[u8], turn: &mut Turn<'_>) -> Step {
        match plain.request {
            Plain::Get(key) => get_hashed(key, plain.hash, plain.line_len, turn),
            Plain::Set(store) => self.store(&store, None, Some(plain.hash), plain.line_len, input, turn),
        }
    }
}

/// Reads the plain requests behind the first and has the places of all, then their items come near; how many they are.
#[inline(always)]
fn read_together<'i>(
    first: PlainAhead<'i>,
    input: &'i [u8],
    commands: &Commands,
    ahead: &mut [Option<PlainAhead<'i>>; KEYS_MAX],
) -> usize {
    let mut hints = [Hint::default(); KEYS_MAX];
    hints[0] = commands.ask_for_place(first.hash);
    let mut end = first.end;
    ahead[0] = Some(first);
    let mut count = 1;
    for (place, hint) in ahead.iter_mut().zip(&mut hints).skip(1) {
        let Some(next) = PlainAhead::read(
            input,
            end,
            #[inline(always)]
            |key| commands.hash_of(key),
        ) else {
            break;
        };
        *hint = commands.ask_for_place(next.hash);
        end = next.end;
        *place = Some(next);
        count += 1;
    }
    for &hint in &hints[..count] {
        commands.ask_for_item(hint);
    }
    count
}

/// A key of a line, read ahead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LineKey<'i> {
    pub(super) key: &'i [u8],
    pub(super) hash: u64,
    /// Bytes of the input up to behind it, from behind the one before.
    pub(super) used: usize,
}

/// What follows the keys that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// More of the line.
    More,
    /// The line's end, so many bytes long if the last key did not take it.
    LineEnd { used: usize },
    /// Something too long for a key.
    TooLong,
    /// A part of a key, or nothing at all.
    Partial,
}

/// The next keys of a line, each read and hashed once.
#[derive(Debug)]
pub(super) struct LineKeys<'i> {
    keys: [LineKey<'i>; KEYS_MAX],
    count: usize,
    pub(super) after: After,
}

impl<'i> LineKeys<'i> {
    /// Reads keys from the rest of a line, which may not have ended yet; where that pays, it has their places and then
    /// their items come near.
    #[inline(never)]
    pub(super) fn read(input: &'i [u8], commands: &Commands) -> Self {
        let mut read = Self { keys: [LineKey::default(); KEYS_MAX], count: 0, after: After::More };
        let mut rest = input;
        for place in &mut read.keys {
            let (key, used, is_last) = match next_key(rest) {
                NextKey::Key { key, used } => (key, used, false),
                NextKey::Last { key, used } => (key, used, true),
                NextKey::End { used } => {
                    read.after = After::LineEnd { used };
                    break;
                }
                NextKey::TooLong => {
                    read.after = After::TooLong;
                    break;
                }
                NextKey::Partial => {
                    read.after = After::Partial;
                    break;
                }
            };
            *place = LineKey { key, hash: commands.hash_of(key), used };
            read.count += 1;
            if is_last {
                read.after = After::LineEnd { used: 0 };
                break;
            }
            rest = &rest[used..];
        }
        if commands.looks_ahead() {
            read.ask_for(commands);
        }
        read
    }

    fn ask_for(&self, commands: &Commands) {
        let mut hints = [Hint::default(); KEYS_MAX];
        for (hint, next) in hints.iter_mut().zip(self.keys()) {
            *hint = commands.ask_for_place(next.hash);
        }
        for &hint in &hints[..self.count] {
            commands.ask_for_item(hint);
        }
    }

    /// The keys, in order.
    #[inline]
    pub(super) fn keys(&self) -> &[LineKey<'i>] {
        &self.keys[..self.count]
    }
}
