//! Items that move to another file: all of them, as they were, wherever the move ends.

use std::fs::File;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::store::words::outcome::{Fetch, FetchOutcome, ItemView, Key, Mode, StoreOutcome, StoreRequest, Value};
use crate::store::{Local, Opened, Options, Recovery, Restart, Room, Store};
use crate::sync::AtomicBool;
use crate::time::{Expiry, Moment, Seconds};

const NOW: Seconds = Seconds(20);
const SECOND_NANOS: u64 = 1_000_000_000;

fn memory() -> File {
    memfd_create(c"arena", MFdFlags::empty()).expect("Linux has it").into()
}

fn moment() -> Moment {
    Moment { boot: [1, 2], boot_nanos: 28 * SECOND_NANOS, unix_nanos: 1_700_000_020 * SECOND_NANOS }
}

fn options(megabytes: u64) -> Options {
    Options { limit_bytes: megabytes << 20, workers: 2, hash_seed: 5, ..Options::default() }
}

fn recover(store: &Store, left: &Recovery) {
    let mut local = store.local();
    let shares = vec![store.recover_pages(left, &mut local, &AtomicBool::new(false))];
    store.finish_recovery(left, &local, shares);
}

fn value_of(number: usize) -> Vec<u8> {
    let len = if number.is_multiple_of(50) { 20_000 + number * 31 } else { number * 7 % 900 };
    (0..len).map(|at| u8::try_from((number + at * at) % 251).expect("small")).collect()
}

fn key_of(number: usize) -> Vec<u8> {
    format!("key {number}").into_bytes()
}

fn set(store: &Store, local: &mut Local, number: usize) {
    let (key, value) = (key_of(number), value_of(number));
    let expiry = if number.is_multiple_of(3) { Expiry::At(Seconds(500)) } else { Expiry::Never };
    let client_flags = u32::try_from(number % 4 * 30_000).expect("small");
    let request =
        StoreRequest { key: store.key(&key), mode: Mode::Set, client_flags, expiry, shows_cas: false, extras: None };
    let outcome = if value.len() < 16 << 10 {
        store.store(local, &request, &value, NOW)
    } else {
        let mut incoming = store.reserve(&request, value.len()).expect("not too large");
        while incoming.missing() > 0 {
            let at = value.len() - incoming.missing();
            let Room::Bytes(room) = store.room(local, &mut incoming, NOW) else { unreachable!("there is room") };
            let n = room.len().min(value.len() - at);
            room[..n].copy_from_slice(&value[at..at + n]);
            store.filled(&mut incoming, n);
        }
        store.commit(local, incoming, Mode::Set, NOW)
    };
    assert!(matches!(outcome, StoreOutcome::Stored { .. }));
}

/// An item as clients see it.
type Seen = (Vec<u8>, u32, u64, Expiry);

fn read(store: &Store, local: &mut Local, key: Key<'_>) -> Option<Seen> {
    let fetch = Fetch { touch: None, value: true, cas: true, extras: None };
    let mut pinned = None;
    let found = store.fetch(local, key, fetch, NOW, |item: ItemView<'_>| {
        let value = match item.value {
            Value::Whole(bytes) => bytes.to_vec(),
            Value::Pinned(pin) => {
                pinned = Some(pin);
                Vec::new()
            }
            Value::Unwanted => Vec::new(),
        };
        (value, item.client_flags, item.cas)
    });
    let FetchOutcome::Hit((mut value, flags, cas)) = found else { return None };
    if let Some(mut pin) = pinned {
        value = store.pinned_pieces(&mut pin, 0).flatten().copied().collect();
        store.unpin(local, pin);
    }
    Some((value, flags, cas, store.peek(key, NOW).expect("it was there").expiry))
}

/// So many items in a file, and how they look.
fn filled(file: &File, options: &Options, items: usize) -> Vec<Seen> {
    let store = Store::open_on(options, file, Restart::default(), &moment()).expect("memory").store;
    let mut local = store.local();
    (0..items).for_each(|number| set(&store, &mut local, number));
    let seen = (0..items).map(|number| read(&store, &mut local, store.key(&key_of(number))).expect("it is there"));
    let seen = seen.collect();
    store.surrender(&mut local);
    seen
}

fn opened(file: &File, options: &Options) -> (Store, u64) {
    let Opened { store, left, nanos } = Store::open_on(options, file, Restart::default(), &moment()).expect("memory");
    recover(&store, &left.expect("it is believed"));
    (store, nanos)
}

fn beside(old: &Store, options: &Options, file: &File, nanos: u64) -> Store {
    let Opened { store, left, .. } = old.open_beside(options, file, &moment(), nanos).expect("memory");
    if let Ok(left) = left {
        recover(&store, &left);
    }
    store
}

fn bytes_of(file: &File) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect("open")) * 512
}

#[test]
fn items_of_another_layout_are_as_they_were() {
    let others = [
        Options { growth_factor: Some(1.5), ..options(64) },
        Options { chunk_bytes_min: Some(300), ..options(64) },
        options(2000),
        Options { growth_factor: Some(1.1), evict: false, ..options(64) },
    ];
    for other in others {
        let (file, target) = (memory(), memory());
        let seen = filled(&file, &options(64), 3000);
        let (old, nanos) = opened(&file, &other);
        assert!(old.needs_other_file(&other) && !old.needs_other_file(&options(32)));
        let store = beside(&old, &other, &target, nanos);
        let before = bytes_of(&file) + bytes_of(&target);
        assert!(store.take_over(&old, NOW, &AtomicBool::new(false)));
        assert!(!store.needs_other_file(&other));
        assert!(bytes_of(&file) < before / 4, "the old file's memory is given back");
        assert_eq!((old.totals().curr_items, store.totals().curr_items), (0, 3000));
        old.audit().expect("all agrees");
        store.audit().expect("all agrees");
        let mut local = store.local();
        for (number, seen) in seen.into_iter().enumerate() {
            assert!(read(&store, &mut local, store.key(&key_of(number))) == Some(seen), "{number}");
        }
        // A number that is given out now is new.
        set(&store, &mut local, 1);
        store.surrender(&mut local);
        store.audit().expect("all agrees");
    }
}

#[test]
fn a_move_that_was_ended_is_gone_on_with() {
    let other = Options { growth_factor: Some(1.5), ..options(64) };
    let (file, target) = (memory(), memory());
    let seen = filled(&file, &options(64), 3000);
    let mut tries = 0;
    // Each try ends before its second page, without a word: both stores are left as they are.
    for _ in 0..5 {
        let (old, nanos) = opened(&file, &other);
        let store = beside(&old, &other, &target, nanos);
        let (mut local, mut theirs) = (store.local(), old.local());
        store.take_page_over(&mut local, &old, &mut theirs, super::first_page_with_items(&old), NOW);
        assert_eq!(old.totals().curr_items + store.totals().curr_items, 3000);
        tries += u32::from(store.totals().curr_items > 0);
    }
    assert!(tries == 5);
    let (old, nanos) = opened(&file, &other);
    let store = beside(&old, &other, &target, nanos);
    assert!(store.take_over(&old, NOW, &AtomicBool::new(false)));
    store.audit().expect("all agrees");
    let mut local = store.local();
    for (number, seen) in seen.into_iter().enumerate() {
        assert!(read(&store, &mut local, store.key(&key_of(number))) == Some(seen), "{number}");
    }
}

#[test]
fn where_there_is_too_little_room_the_store_goes_on_full() {
    let (file, target) = (memory(), memory());
    filled(&file, &options(64), 3000);
    let other = Options { growth_factor: Some(1.5), ..options(2) };
    let (old, nanos) = opened(&file, &other);
    let store = beside(&old, &other, &target, nanos);
    assert!(store.take_over(&old, NOW, &AtomicBool::new(false)));
    let kept = store.totals().curr_items;
    assert!((100..3000).contains(&kept), "{kept}");
    store.audit().expect("all agrees");
}
