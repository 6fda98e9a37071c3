//! Looking ahead in the input: memory that the next requests need is asked for before the first of them is served,
//! so that they wait for it together and not one after the other.

use crate::command::Commands;
use crate::protocol::ascii::classic::{Plain, parse_plain};
use crate::protocol::ascii::token::{NextKey, next_key};

/// Keys looked at together: as many as a processor has ways to wait for memory, and a few more.
const KEYS_MAX: usize = 16;

/// Looks at the plain request at the head of the input; its key's hash, for its item to be asked for later, and where
/// the request ends.
#[inline(always)]
pub(super) fn look_at_first(input: &[u8], commands: &Commands) -> Option<(u64, usize)> {
    let (key, used) = plain_request(input)?;
    let hash = commands.hash_of(key);
    commands.ask_for_place(hash);
    Some((hash, used))
}

/// The key of the plain request at the head of the input, and where the request ends.
#[inline(always)]
fn plain_request(input: &[u8]) -> Option<(&[u8], usize)> {
    Some(match parse_plain(input)? {
        (Plain::Get(key), used) => (key, used),
        (Plain::Set(store), used) => (store.key, used + store.value_len + super::BLOCK_END.len()),
    })
}

/// Looks at the plain requests at the head of the input; how far it has seen, at least a byte.
#[inline(never)]
pub(super) fn look_at_requests(input: &[u8], commands: &Commands) -> usize {
    let mut seen = 0;
    let keys = std::iter::from_fn(|| {
        let (key, used) = plain_request(input.get(seen..)?)?;
        seen += used;
        Some(key)
    });
    ask_for(keys, commands);
    seen.max(1)
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
        for next in self.keys() {
            commands.ask_for_place(next.hash);
        }
        for next in self.keys() {
            commands.ask_for_item(next.hash);
        }
    }

    /// The keys, in order.
    #[inline]
    pub(super) fn keys(&self) -> &[LineKey<'i>] {
        &self.keys[..self.count]
    }
}

/// First where the keys' items are, then the items.
#[inline(always)]
fn ask_for<'k>(keys: impl Iterator<Item = &'k [u8]>, commands: &Commands) {
    let mut hashes = [0; KEYS_MAX];
    let mut count = 0;
    for (hash, key) in hashes.iter_mut().zip(keys) {
        *hash = commands.hash_of(key);
        commands.ask_for_place(*hash);
        count += 1;
    }
    for &hash in &hashes[..count] {
        commands.ask_for_item(hash);
    }
}
