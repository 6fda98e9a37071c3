//! The stripe's lock: values are whole, versions are beaten once.

use super::{Mode, StoreOutcome, audit, delete, explore, get, open, set, spawn, store_as};
use crate::sync::Arc;
use crate::time::Expiry;

/// Guards: a live value is written by the stripe's holder only.
#[test]
fn a_reader_sees_the_whole_old_or_the_whole_new_value() {
    explore(3, || {
        let store = open();
        let (mut writer, mut reader) = (store.local(), store.local());
        set(&store, &mut writer, "key", b"old value");
        let writing = spawn({
            let store = Arc::clone(&store);
            move || {
                set(&store, &mut writer, "key", b"new value, in place");
                writer
            }
        });
        let (value, _) = get(&store, &mut reader, "key").expect("nobody deletes it");
        assert!(value == b"old value" || value == b"new value, in place", "{value:?}");
        let writer = writing.join().expect("the writer");
        audit(&store, &mut [writer, reader]);
    });
}

/// Guards: an item's chunk is nobody else's before the stripe's holder took it out of the index.
#[test]
fn a_reader_of_a_key_that_is_deleted_and_set_sees_a_whole_value_or_none() {
    explore(2, || {
        let store = open();
        let (mut writer, mut reader) = (store.local(), store.local());
        set(&store, &mut writer, "key", b"old value");
        let writing = spawn({
            let store = Arc::clone(&store);
            move || {
                delete(&store, &mut writer, "key");
                set(&store, &mut writer, "other", b"other value");
                set(&store, &mut writer, "key", b"new value");
                writer
            }
        });
        if let Some((value, _)) = get(&store, &mut reader, "key") {
            assert!(value == b"old value" || value == b"new value", "{value:?}");
        }
        let writer = writing.join().expect("the writer");
        audit(&store, &mut [writer, reader]);
    });
}

/// Guards: condition and write of a cas stand under one hold of the stripe's lock.
#[test]
fn of_two_cas_one_wins() {
    explore(3, || {
        let store = open();
        let (mut one, mut two) = (store.local(), store.local());
        set(&store, &mut one, "key", b"0");
        let (_, cas) = get(&store, &mut one, "key").expect("it was just set");
        let other = spawn({
            let store = Arc::clone(&store);
            move || (store_as(&store, &mut two, "key", Mode::Cas(cas), Expiry::Never, b"2"), two)
        });
        let first = store_as(&store, &mut one, "key", Mode::Cas(cas), Expiry::Never, b"1");
        let (second, two) = other.join().expect("the other");
        let wins = [first, second].iter().filter(|&&outcome| outcome != StoreOutcome::Exists).count();
        assert_eq!(wins, 1, "{first:?} {second:?}");
        let (value, _) = get(&store, &mut one, "key").expect("nobody deletes it");
        assert_eq!(value, if second == StoreOutcome::Exists { b"1" } else { b"2" });
        audit(&store, &mut [one, two]);
    });
}
