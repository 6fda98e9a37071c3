//! What may be set of the background work, seen by what becomes of items that nobody asks for.

use flagstone::store::{
    ClassSet, DeleteOutcome, Fetch, FetchOutcome, Local, Mode, Options, PageMove, PagePlace, Progress, Store,
    StoreOutcome, StoreRequest, Walk,
};
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
        let request = StoreRequest {
            key: store.key(&key),
            mode: Mode::Set,
            client_flags: 0,
            expiry,
            shows_cas: false,
            extras: None,
        };
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
    let request =
        StoreRequest { key, mode: Mode::Set, client_flags: 0, expiry: Expiry::Never, shows_cas: false, extras: None };
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

/// Stores a value of a hundred bytes.
fn set(store: &Store, local: &mut Local, key: &str, second: u32) {
    set_length(store, local, key, 100, second);
}

fn set_length(store: &Store, local: &mut Local, key: &str, length: usize, second: u32) {
    let key = store.key(key.as_bytes());
    let request =
        StoreRequest { key, mode: Mode::Set, client_flags: 0, expiry: Expiry::Never, shows_cas: false, extras: None };
    let outcome = store.store(local, &request, &vec![b'v'; length], Seconds(second));
    assert!(matches!(outcome, StoreOutcome::Stored { .. }), "{outcome:?}");
    store.end_turn(local);
}

/// The age of the class of those values.
fn age(store: &Store, second: u32) -> u64 {
    let reports = store.class_reports(Seconds(second));
    let report = reports.iter().max_by_key(|report| report.counts.number).expect("a class is in use");
    report.age
}

#[test]
fn the_age_of_a_class_is_that_of_its_oldest_item() {
    let store = Store::open(&crate::small(8 << 10)).expect("a small store");
    let mut local = store.local();
    for (key, second) in [("a", 10), ("b", 20), ("c", 30)] {
        set(&store, &mut local, key, second);
    }
    assert_eq!(age(&store, 100), 90);
    let fetched = store.fetch(&mut local, store.key(b"a"), Fetch::default(), Seconds(100), |_| ());
    assert_eq!(fetched, FetchOutcome::Hit(()));
    assert_eq!(age(&store, 110), 90, "b is the oldest now");
    store.flush_all(None);
    assert_eq!(age(&store, 110), 0, "nothing is there");
}

#[test]
fn the_age_of_a_full_class_is_near_that_of_its_oldest_item() {
    let store = Store::open(&crate::small(2 << 10)).expect("a small store");
    let mut local = store.local();
    let mut second = 10;
    for number in 0..60_000 {
        set(&store, &mut local, &format!("key-{number:05}"), second);
        second += u32::from(number % 50 == 0);
        if number % 3 == 0 {
            let key = format!("key-{:05}", number / 3 * 2);
            store.fetch(&mut local, store.key(key.as_bytes()), Fetch::default(), Seconds(second), |_| ());
        }
    }
    assert!(store.totals().evictions > 0, "it is full");
    let (mut walk, mut oldest) = (Walk::new(ClassSet::ALL), 0);
    while store.walk_on(&mut walk, Seconds(second), |item| oldest = oldest.max(item.details.idle_seconds)) {}
    let (age, oldest) = (age(&store, second), u64::from(oldest));
    assert!(age <= oldest && age * 2 >= oldest, "{age}, the oldest {oldest}");
}

#[test]
fn a_page_comes_from_and_goes_to_the_class_of_a_number_that_has_most_pages() {
    let store = Store::open(&crate::small(8 << 10)).expect("a small store");
    let mut local = store.local();
    // Items of 52 and of 56 bytes: neighbouring classes, to clients one.
    for number in 0..6000 {
        set_length(&store, &mut local, &format!("{number:05}"), if number < 10 { 41 } else { 37 }, 10);
    }
    // A page's items find room in the others.
    for number in 2000..4000 {
        let key = format!("{number:05}");
        assert_eq!(store.delete(&mut local, store.key(key.as_bytes()), None, Seconds(10)), DeleteOutcome::Deleted);
    }
    store.end_turn(&mut local);
    let pages = || store.class_reports(Seconds(20)).iter().map(|report| report.total_pages).collect::<Vec<_>>();
    let reports = store.class_reports(Seconds(20));
    assert!(reports.len() == 2 && reports[0].class == reports[1].class, "{reports:?}");
    let before = pages();
    assert!(before[0] > 2 && before[1] == 1, "{before:?}");
    let number = PagePlace::Class(reports[0].class);
    assert_eq!(store.move_page(&mut local, Some(number), PagePlace::Pool), PageMove::Begun);
    work(&store, 20);
    assert_eq!(pages(), [before[0] - 1, before[1]]);
    assert_eq!(store.move_page(&mut local, Some(PagePlace::Pool), number), PageMove::Begun);
    assert_eq!(pages(), before);
    assert_eq!(store.move_page(&mut local, Some(PagePlace::Class(64)), PagePlace::Pool), PageMove::NoClass);
}
