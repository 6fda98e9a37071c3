//! What may be set of the background work, seen by what becomes of items that nobody asks for.

use flagstone::store::{ClassSet, Local, Mode, Options, Progress, Store, StoreRequest};
use flagstone::time::{Expiry, Now, Seconds};

/// Expired items that the store begins with.
const EXPIRED: u64 = 1000;

/// A store with items that die at once, and the second after.
fn store_of_dead(options: &Options) -> (Store, Local) {
    let store = Store::open(options).expect("a small store");
    let mut local = store.local();
    for number in 0..EXPIRED {
        let key = format!("key-{number:04}").into_bytes();
        let expiry = Expiry::At(Seconds(11));
        let request = StoreRequest { key: store.key(&key), mode: Mode::Set, client_flags: 0, expiry, extras: None };
        store.store(&mut local, &request, b"value", Seconds(10));
    }
    store.end_turn(&mut local);
    (store, local)
}

/// Background work until there is none in this second.
fn work(store: &Store, second: u32) {
    let mut local = store.local();
    let now = Now { seconds: Seconds(second), unix_epoch: 1_700_000_000 };
    let rests = (0..100_000).any(|_| matches!(store.step(&mut local, now), Progress::IdleUntil(_)));
    assert!(rests, "background work never ends");
}

#[test]
fn a_sweep_that_is_off_leaves_expired_items_until_it_is_on() {
    let (store, _local) = store_of_dead(&Options { sweep: false, ..crate::small(8 << 10) });
    work(&store, 20);
    assert_eq!(store.totals().curr_items, EXPIRED);
    assert!(store.set_sweeping(true) && !store.set_sweeping(true));
    work(&store, 20);
    assert_eq!(store.totals().curr_items, 0);
}

#[test]
fn a_sweep_that_is_off_takes_back_what_was_flushed() {
    let (store, _local) = store_of_dead(&Options { sweep: false, ..crate::small(8 << 10) });
    store.flush_all(None);
    for second in 20..24 {
        work(&store, second);
    }
    assert_eq!(store.totals().curr_items, 0);
}

#[test]
fn a_bounded_sweep_looks_at_so_many_items_of_a_class_and_goes_on_later() {
    let (store, _local) = store_of_dead(&Options { sweep_items_max: 300, ..crate::small(8 << 10) });
    for (second, checked) in [(20, 300), (21, 600), (22, 900), (23, 1000), (24, 1000)] {
        work(&store, second);
        assert_eq!(store.totals().sweep_items_checked, checked, "in second {second}");
        assert_eq!(store.totals().curr_items, EXPIRED - checked);
    }
}

#[test]
fn a_sweep_that_is_asked_for_looks_at_what_never_expires() {
    let (store, mut local) = store_of_dead(&crate::small(8 << 10));
    work(&store, 20);
    let key = store.key(b"lasting");
    let request = StoreRequest { key, mode: Mode::Set, client_flags: 0, expiry: Expiry::Never, extras: None };
    store.store(&mut local, &request, b"value", Seconds(20));
    store.end_turn(&mut local);
    let before = store.totals().sweep_items_checked;
    work(&store, 21);
    assert_eq!(store.totals().sweep_items_checked, before, "nothing in its page expires");
    store.sweep_soon(ClassSet::ALL);
    work(&store, 21);
    assert_eq!(store.totals().sweep_items_checked, before + 1);
}

#[test]
fn a_sweep_with_a_pause_asks_for_it() {
    let (store, _local) = store_of_dead(&Options { sweep_pause_micros: 70, ..crate::small(8 << 10) });
    let now = Now { seconds: Seconds(20), unix_epoch: 1_700_000_000 };
    assert_eq!(store.step(&mut store.local(), now), Progress::MoreAfter { micros: 70 });
}
