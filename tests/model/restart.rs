//! Runs that end without a word, again and again, and go on over the memory they left.

use std::fs::File;

use flagstone::store::{Opened, Options, Recovered, Restart, Store};
use flagstone::sync::AtomicBool;
use flagstone::time::{Moment, Now};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::run::{Mix, run};
use crate::small;

/// Seeds and steps of a run; where everything is asserted, fewer.
fn fewer(seeds: u64, steps: u32) -> (u64, u32) {
    if cfg!(debug_assertions) { (1, steps / 5) } else { (seeds, steps) }
}

/// Memory that outlives a store.
pub(crate) fn memory() -> File {
    memfd_create(c"arena", MFdFlags::empty()).expect("Linux has it").into()
}

/// A store over what a file holds, ready for use, and what became of that; `None`: it held nothing.
pub(crate) fn open(options: &Options, file: &File, now: Now) -> (Store, Option<Recovered>) {
    let seconds = u64::from(now.seconds.0);
    let unix_nanos = now.unix().cast_unsigned() * 1_000_000_000;
    // The store's clock begins at its second 2: that of these runs is eight seconds behind the machine's.
    let boot_nanos = if file.metadata().expect("open").len() == 0 { 10 } else { seconds + 8 } * 1_000_000_000;
    let moment = Moment { boot: [1, 2], boot_nanos, unix_nanos };
    let opened = Store::open_on(options, file, Restart::default(), &moment).expect("a small store");
    let Opened { store, left, .. } = opened;
    let Ok(left) = left else { return (store, None) };
    let (mut local, stop) = (store.local(), AtomicBool::new(false));
    let shares = vec![store.recover_pages(&left, &mut local, &stop)];
    let found = store.finish_recovery(&left, &local, shares);
    (store, Some(found))
}

#[test]
fn a_store_that_restarts_answers_like_a_map() {
    let mix = Mix { keys: 300, value_bytes_max: 3000, large_in: 0, evicts: false, restart_in: 9 };
    run("roomy restarts", &small(64 << 10), &mix, fewer(4, 3000));
}

#[test]
fn large_values_survive_restarts() {
    let mix = Mix { keys: 60, value_bytes_max: 20_000, large_in: 4, evicts: true, restart_in: 9 };
    run("large restarts", &small(8 << 10), &mix, fewer(6, 1500));
}

#[test]
fn a_full_store_survives_restarts() {
    let mix = Mix { keys: 4000, value_bytes_max: 2000, large_in: 40, evicts: true, restart_in: 20 };
    run("full restarts", &small(3 << 10), &mix, fewer(6, 4000));
}

#[test]
fn without_evictions_old_data_survives_restarts() {
    let options = Options { evict: false, ..small(2 << 10) };
    let mix = Mix { keys: 3000, value_bytes_max: 3000, large_in: 0, evicts: false, restart_in: 20 };
    run("no-evict restarts", &options, &mix, fewer(4, 3000));
}
