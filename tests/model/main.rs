//! The store against a map: seeded random operations with a clock of the test's own, `audit()` after each step.
//!
//! `FLAGSTONE_TEST_SEED` replays one seed; a failure prints its seed and step.

#![expect(clippy::panic, reason = "a test ends by panicking")]

mod background;
mod moves;
mod random;
mod reference;
mod restart;
mod run;
mod shrink;
mod walk;

use flagstone::store::Options;
use run::{Mix, run};

/// A store so small that every edge is near: a few pages, evictions, page moves, index growth.
fn small(limit_kib: u64) -> Options {
    Options {
        limit_bytes: limit_kib << 10,
        item_bytes_max: 256 << 10,
        workers: 2,
        track_sizes: true,
        ..Options::default()
    }
}

#[test]
fn a_store_that_never_fills_answers_like_a_map() {
    run(
        "roomy",
        &small(64 << 10),
        &Mix { keys: 300, value_bytes_max: 3000, large_in: 0, evicts: false, restart_in: 0 },
        (6, 4000),
    );
}

#[test]
fn a_full_store_never_answers_wrong_and_never_refuses() {
    run(
        "full",
        &small(3 << 10),
        &Mix { keys: 4000, value_bytes_max: 2000, large_in: 0, evicts: true, restart_in: 0 },
        (6, 6000),
    );
}

#[test]
fn large_values_come_and_go_in_chains() {
    run(
        "large",
        &small(8 << 10),
        &Mix { keys: 60, value_bytes_max: 20_000, large_in: 4, evicts: true, restart_in: 0 },
        (6, 1500),
    );
}

#[test]
fn tiny_items_fill_the_index() {
    run(
        "tiny",
        &small(2 << 10),
        &Mix { keys: 60_000, value_bytes_max: 4, large_in: 0, evicts: true, restart_in: 0 },
        (3, 40_000),
    );
}

#[test]
fn sizes_that_drift_take_their_pages_along() {
    let mix = Mix { keys: 3000, value_bytes_max: 9000, large_in: 40, evicts: true, restart_in: 0 };
    run("drift", &small(6 << 10), &mix, (4, 6000));
}

#[test]
fn without_evictions_old_data_stays() {
    let options = Options { evict: false, ..small(2 << 10) };
    run(
        "no-evict",
        &options,
        &Mix { keys: 3000, value_bytes_max: 3000, large_in: 0, evicts: false, restart_in: 0 },
        (4, 4000),
    );
}
