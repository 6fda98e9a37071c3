//! Pins: a large item's bytes stay for its readers, and the last to unpin frees the chain, once.

use super::{NOW, audit, delete, explore, open, set, spawn};
use crate::store::{Fetch, FetchOutcome, Local, Pinned, Store, Value};
use crate::sync::Arc;

const LARGE_BYTES: usize = 20_000;

fn large(byte: u8) -> Vec<u8> {
    vec![byte; LARGE_BYTES]
}

fn pin(store: &Store, local: &mut Local) -> Option<Pinned> {
    let fetch = Fetch { touch: None, value: true, cas: true, extras: None };
    let found = store.fetch(local, store.key(b"key"), fetch, NOW, |item| match item.value {
        Value::Pinned(pin) => Some(pin),
        _ => None,
    });
    if let FetchOutcome::Hit(pin) = found { pin } else { None }
}

/// Reads a pinned value of equal bytes to its end and gives the pin back.
fn read(store: &Store, local: &mut Local, mut pin: Pinned) {
    let first = store.pinned_bytes(&mut pin, 0)[0];
    let mut read = 0;
    while read < pin.len() {
        let piece = store.pinned_bytes(&mut pin, read);
        assert!(piece.iter().all(|&byte| byte == first), "byte {read} and following");
        read += piece.len();
    }
    store.unpin(local, pin);
}

/// A reader with a pin against `meanwhile`, which ends the item.
fn against_a_reader(meanwhile: impl Fn(&Store, &mut Local) + Copy + Send + Sync + 'static) {
    explore(3, move || {
        let store = open();
        let (mut reader, mut other) = (store.local(), store.local());
        set(&store, &mut other, "key", &large(b'a'));
        let pinned = pin(&store, &mut reader).expect("a large item");
        let doing = spawn({
            let store = Arc::clone(&store);
            move || {
                meanwhile(&store, &mut other);
                other
            }
        });
        read(&store, &mut reader, pinned);
        let other = doing.join().expect("the other");
        audit(&store, &mut [reader, other]);
    });
}

/// Guards: who ends the index's hold frees the chain only if no reader is left, and its chunks are written only
/// after what readers did (AcqRel).
#[test]
fn a_deleted_item_stays_whole_for_its_reader() {
    against_a_reader(|store, local| {
        delete(store, local, "key");
        // Takes what the delete freed, if it freed anything.
        set(store, local, "other", &large(b'b'));
    });
}

/// Guards: the same when the item is overwritten: pinned bytes never change, an overwrite makes another item.
#[test]
fn an_overwritten_item_stays_whole_for_its_reader() {
    against_a_reader(|store, local| {
        set(store, local, "key", &large(b'b'));
        set(store, local, "other", &large(b'c'));
    });
}

/// Guards: a pin is taken under the stripe's lock, where the index's own pin keeps the count above 0.
#[test]
fn a_pin_is_taken_of_a_live_item_or_not_at_all() {
    explore(2, || {
        let store = open();
        let (mut reader, mut other) = (store.local(), store.local());
        set(&store, &mut other, "key", &large(b'a'));
        let deleting = spawn({
            let store = Arc::clone(&store);
            move || {
                delete(&store, &mut other, "key");
                set(&store, &mut other, "other", &large(b'b'));
                other
            }
        });
        if let Some(pinned) = pin(&store, &mut reader) {
            read(&store, &mut reader, pinned);
        }
        let other = deleting.join().expect("the other");
        audit(&store, &mut [reader, other]);
    });
}

/// Guards: of two readers and the index the last one frees the chain, whoever that is.
#[test]
fn of_two_readers_and_a_delete_the_last_frees() {
    explore(3, || {
        let store = open();
        let (mut one, mut two, mut other) = (store.local(), store.local(), store.local());
        set(&store, &mut other, "key", &large(b'a'));
        let (first, second) = (pin(&store, &mut one).expect("large"), pin(&store, &mut two).expect("large"));
        let reading = spawn({
            let store = Arc::clone(&store);
            move || {
                store.unpin(&mut two, second);
                two
            }
        });
        let deleting = spawn({
            let store = Arc::clone(&store);
            move || {
                delete(&store, &mut other, "key");
                other
            }
        });
        store.unpin(&mut one, first);
        let two = reading.join().expect("the second reader");
        let other = deleting.join().expect("the other");
        audit(&store, &mut [one, two, other]);
    });
}
