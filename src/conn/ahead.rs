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
    Some((commands.ask_for_place(key), used))
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

/// Looks at the next keys of a line; how far it has seen, at least a byte.
#[inline(never)]
pub(super) fn look_at_keys(input: &[u8], commands: &Commands) -> usize {
    let mut seen = 0;
    let mut is_last = false;
    let keys = std::iter::from_fn(|| {
        if is_last {
            return None;
        }
        let (key, used) = match next_key(&input[seen..]) {
            NextKey::Key { key, used } => (key, used),
            NextKey::Last { key, used } => {
                is_last = true;
                (key, used)
            }
            NextKey::End { .. } | NextKey::TooLong | NextKey::Partial => return None,
        };
        seen += used;
        Some(key)
    });
    ask_for(keys, commands);
    seen.max(1)
}

/// First where the keys' items are, then the items.
#[inline(always)]
fn ask_for<'k>(keys: impl Iterator<Item = &'k [u8]>, commands: &Commands) {
    let mut hashes = [0; KEYS_MAX];
    let mut count = 0;
    for (hash, key) in hashes.iter_mut().zip(keys) {
        *hash = commands.ask_for_place(key);
        count += 1;
    }
    for &hash in &hashes[..count] {
        commands.ask_for_item(hash);
    }
}
