//! Many threads over one store with little memory, each with its own `Local`, and one that does the background
//! work; in the end everything is given back and `audit()` must hold.
//!
//! Values describe themselves, so that every hit is checked. Each test names the rule it guards and has been
//! seen to fail without it. `FLAGSTONE_TEST_SEED` replays a seed: the same operations, though not the same
//! interleaving.

#![expect(clippy::panic, reason = "a test ends by panicking")]

mod append;
mod counters;
mod crew;
mod drift;
mod flushes;
mod items;
mod large;
#[path = "../model/random.rs"]
mod random;
mod rows;
mod values;
mod walks;

use flagstone::store::Options;

/// A store so small that threads meet everywhere: a few pages, evictions, page moves.
fn small(limit_kib: u64) -> Options {
    Options {
        limit_bytes: limit_kib << 10,
        item_bytes_max: 256 << 10,
        workers: 5,
        track_sizes: true,
        ..Options::default()
    }
}
