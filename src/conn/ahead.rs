//! Looking ahead in the input: memory that the next requests need is asked for before the first of them is served,
//! so that they wait for it together and not one after the other.

use super::fetch::get_hashed;
use super::{Connection, State, Step, Turn};
use crate::command::{Commands, Hint};
use crate::protocol::{Dialect, KeyLine, NextKey, Plain, PlainForm, PlainHead, with_plain_form};

/// Keys looked at together: as many as a processor has ways to wait for memory, and a few more.
const KEYS_MAX: usize = 16;

/// Prefetches the bucket that the plain request at the head of the input needs.
#[inline(always)]
pub(super) fn look_at_first(dialect: Dialect, input: &[u8], commands: &Commands) -> Option<Hint> {
    with_plain_form!(dialect, Form => look_at_plain::<Form>(input, commands))
}

#[inline(always)]
fn look_at_plain<F: PlainForm>(input: &[u8], commands: &Commands) -> Option<Hint> {
    let head = F::parse(input)?;
    Some(commands.ask_for_place(commands.hash_of(head.key())))
}

/// A plain request, read ahead.
#[derive(Clone, Copy, Debug)]
struct PlainAhead<'i, F> {
    head: PlainHead<'i, F>,
    hash: u64,
    /// Where it ends in the input, its value included.
    end: usize,
}

impl<'i, F: PlainForm> PlainAhead<'i, F> {
    /// The plain request at a place of the input.
    #[inline(always)]
    fn read(input: &'i [u8], start: usize, hash: impl FnOnce(&[u8]) -> u64) -> Option<Self> {
        let head = F::parse(input.get(start..)?)?;
        Some(Self { head, hash: hash(head.key()), end: start + head.whole_len() })
    }
}

impl Connection {
    /// Serves plain requests at the head of the input, each of which is read and hashed once; where there are several,
    /// their memory is asked for before. The first one's hash may be known: its memory was asked for then, and it is
    /// served alone. `None`: there is no plain request, or none may be served.
    #[inline(always)]
    pub(super) fn serve_ahead(&mut self, known: Option<u64>, input: &[u8], turn: &mut Turn<'_>) -> Option<Step> {
        with_plain_form!(self.dialect?, Form => self.serve_ahead_in::<Form>(known, input, turn))
    }

    #[inline(never)]
    fn serve_ahead_in<F: PlainForm>(&mut self, known: Option<u64>, input: &[u8], turn: &mut Turn<'_>) -> Option<Step> {
        if !matches!(self.state, State::Ready) || turn.requests_left == 0 || turn.logged_as.is_some() {
            return None;
        }
        let head = F::parse(input)?;
        let end = head.whole_len();
        let is_alone = known.is_some() || end >= input.len();
        // Before it is hashed: of a run all gets are.
        if F::COMES_IN_RUNS
            && !is_alone
            && let Some(step) = serve_gets::<F>(input, turn)
        {
            return Some(step);
        }
        let hash = known.unwrap_or_else(|| turn.commands.hash_of(head.key()));
        if is_alone {
            return Some(self.serve_plain_hashed(&head, hash, input, turn));
        }
        Some(self.serve_together(PlainAhead { head, hash, end }, input, turn))
    }

    #[inline(never)]
    fn serve_together<F: PlainForm>(&mut self, first: PlainAhead<'_, F>, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let mut ahead = [const { None }; KEYS_MAX];
        let count = read_together(first, input, turn.commands, &mut ahead);
        let mut used = 0;
        for next in ahead[..count].iter().flatten() {
            let step = self.serve_plain_hashed(&next.head, next.hash, &input[used..], turn);
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
}

/// Reads the plain requests behind the first and prefetches the buckets of all, then their items; how many they are.
#[inline(always)]
fn read_together<'i, F: PlainForm>(
    first: PlainAhead<'i, F>,
    input: &'i [u8],
    commands: &Commands,
    ahead: &mut [Option<PlainAhead<'i, F>>; KEYS_MAX],
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

/// A plain get, read ahead.
#[derive(Clone, Copy, Debug)]
struct GetAhead<'i, F> {
    key: &'i [u8],
    hash: u64,
    form: F,
    /// Its length in the input.
    len: usize,
}

/// Serves the plain gets at the head of the input, which are several; `None`: there is one, or none.
#[inline(never)]
fn serve_gets<F: PlainForm>(input: &[u8], turn: &mut Turn<'_>) -> Option<Step> {
    let mut used = 0;
    // Filled anew each time: what is behind the count is of the time before.
    let mut gets = [const { None }; KEYS_MAX];
    loop {
        let count = read_gets::<F>(&input[used..], turn, &mut gets);
        if count < 2 {
            break;
        }
        for get in gets[..count].iter().flatten() {
            if turn.output.is_full() {
                return Some(Step::on(used));
            }
            used += get.len;
            get_hashed(get.key, get.hash, get.form, turn);
        }
        if count < KEYS_MAX {
            break;
        }
    }
    (used > 0).then(|| Step::on(used))
}

/// Reads the next plain gets and prefetches the buckets of all, then their items; how many they are.
#[inline(never)]
fn read_gets<'i, F: PlainForm>(
    input: &'i [u8],
    turn: &Turn<'_>,
    gets: &mut [Option<GetAhead<'i, F>>; KEYS_MAX],
) -> usize {
    let mut hints = [Hint::default(); KEYS_MAX];
    let mut rest = input;
    let mut count = 0;
    let most = turn.requests_left.min(KEYS_MAX);
    for (place, hint) in gets[..most].iter_mut().zip(&mut hints) {
        let Some(PlainHead { plain: Plain::Get(key), form, len }) = F::parse(rest) else { break };
        let hash = turn.commands.hash_of(key);
        *hint = turn.commands.ask_for_place(hash);
        *place = Some(GetAhead { key, hash, form, len });
        rest = &rest[len..];
        count += 1;
    }
    for &hint in &hints[..count] {
        turn.commands.ask_for_item(hint);
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
    /// Reads keys from the rest of a line, which may not have ended yet; where that pays, it prefetches their buckets
    /// and then their items.
    #[inline(never)]
    pub(super) fn read(line: KeyLine, input: &'i [u8], commands: &Commands) -> Self {
        let mut read = Self { keys: [LineKey::default(); KEYS_MAX], count: 0, after: After::More };
        let mut rest = input;
        for place in &mut read.keys {
            let (key, used, is_last) = match line.next_key(rest) {
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
