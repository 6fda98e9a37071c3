//! Serving a fetch: the store is asked, and what it has is pushed in the form that was asked for.

use super::{Output, Turn};
use crate::command::ItemView;
use crate::protocol::{Asked, Fetch, FetchOptions, Fetched, KeyLine, PlainForm};
use crate::time::Now;

/// Serves a plain get.
#[inline(never)]
pub(super) fn get<F: PlainForm>(key: &[u8], form: F, turn: &mut Turn<'_>) {
    get_hashed(key, turn.commands.hash_of(key), form, turn);
}

/// The same, the hash of its key being known.
#[inline(always)]
pub(super) fn get_hashed<F: PlainForm>(key: &[u8], hash: u64, form: F, turn: &mut Turn<'_>) {
    turn.requests_left -= 1;
    let fetch = Fetch { key, options: F::OPTIONS, extras: None };
    fetch_hashed(
        &fetch,
        &form.asked_of_get(key),
        hash,
        turn,
        #[inline(always)]
        |output, item, now| {
            let fetch = Fetch { key, options: F::OPTIONS, extras: None };
            output.push_hit(&form.asked_of_get(key), &fetch, item, now);
        },
    );
}

/// Fetches a key of a line of plain gets.
#[inline(always)]
pub(super) fn get_in_line(key: &[u8], hash: u64, turn: &mut Turn<'_>) -> Fetched {
    let fetch = Fetch { key, options: FetchOptions::GET, extras: None };
    fetch_hashed(
        &fetch,
        &KeyLine::ASKED,
        hash,
        turn,
        #[inline(always)]
        |output, item, now| {
            let fetch = Fetch { key, options: FetchOptions::GET, extras: None };
            output.push_hit(&KeyLine::ASKED, &fetch, item, now);
        },
    )
}

/// Serves a fetch in any form.
#[inline(never)]
pub(super) fn fetch_asked(fetch: &Fetch<'_>, asked: &Asked<'_>, hash: Option<u64>, turn: &mut Turn<'_>) -> Fetched {
    let hash = hash.unwrap_or_else(|| turn.commands.hash_of(fetch.key));
    fetch_hashed(fetch, asked, hash, turn, |output, item, now| output.push_hit(asked, fetch, item, now))
}

/// Serves a fetch whose key has this hash, with what pushes a hit: what that knows of options and form at its own place
/// is folded into the store's operation, which a reference to them would keep from being.
#[inline(always)]
fn fetch_hashed(
    fetch: &Fetch<'_>,
    asked: &Asked<'_>,
    hash: u64,
    turn: &mut Turn<'_>,
    push_hit: impl FnOnce(&mut Output, ItemView<'_>, Now),
) -> Fetched {
    let output = &mut *turn.output;
    output.reserve_hit();
    let now = turn.commands.now();
    let fetched = turn.commands.fetch(
        fetch,
        hash,
        #[inline(always)]
        |item| push_hit(output, item, now),
    );
    asked.push_fetched(turn.output.bytes(), fetched);
    fetched
}
