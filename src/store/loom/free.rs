//! Free chunks: from one item to the next only through the class's lock, under which headers and keys may be read.

use super::{Mode, NOW, SMALL, StoreOutcome, audit, delete, explore, open, open_as, set, spawn, store_as};
use crate::store::bytes::layout::Ref;
use crate::store::memory::page::PageId;
use crate::store::supply::reserve::Effort;
use crate::store::{Local, Store};
use crate::sync::{Arc, Ordering};
use crate::time::Expiry;

/// Reads the keys of all live items of the class, as hands and sweeps do.
fn read_keys(store: &Store) {
    let guard = store.classes[SMALL.index()].lock();
    for page in (0..store.pool.pages_used()).map(|page| PageId(u32::try_from(page).expect("a few"))) {
        let entry = store.pages.entry(page);
        if entry.class() != Some(SMALL) {
            continue;
        }
        for number in 0..entry.formatted.load(Ordering::Acquire) {
            let chunk = store.pages.chunk(store.pages.reference(page, SMALL, number));
            if chunk.is_item() {
                // Nothing, if the item went between the two looks: its bytes stay.
                let key = chunk.key(&*guard);
                assert!(key.is_empty() || key.starts_with(b"key"), "{key:?}");
            }
        }
    }
}

/// Guards: a freed chunk is reused only after it went through its class's lock; commit stores the key length last.
#[test]
fn whoever_holds_the_class_lock_reads_the_keys_of_live_items() {
    explore(3, || {
        let store = open();
        let mut writer = store.local();
        set(&store, &mut writer, "key", b"value");
        let writing = spawn({
            let store = Arc::clone(&store);
            move || {
                delete(&store, &mut writer, "key");
                set(&store, &mut writer, "key2", b"value");
                writer
            }
        });
        read_keys(&store);
        let writer = writing.join().expect("the writer");
        audit(&store, &mut [writer]);
    });
}

/// Guards: an item has its place in the index before it is public, so that a chunk that was public never goes
/// back to the magazine.
#[test]
fn an_item_without_a_place_in_the_index_was_never_public() {
    explore(2, || {
        let store = open();
        let mut writer = store.local();
        let key = fill_stripe(&store, &mut writer);
        let adding = spawn({
            let store = Arc::clone(&store);
            move || {
                // Something is evicted from the index for it.
                set(&store, &mut writer, &key, b"value");
                assert_eq!(writer.counters.index_evictions.get(), 1);
                writer
            }
        });
        read_keys(&store);
        let writer = adding.join().expect("the writer");
        audit(&store, &mut [writer]);
    });
}

/// Guards: a store that may not evict says that it is full, also when it is the index that is.
#[test]
fn without_evictions_a_full_index_refuses() {
    explore(1, || {
        let store = open_as(false);
        let mut local = store.local();
        let key = fill_stripe(&store, &mut local);
        assert_eq!(set(&store, &mut local, &key, b"value"), StoreOutcome::NoMemory);
        assert_eq!(store.totals().evictions, 0);
        audit(&store, &mut [local]);
    });
}

/// Fills one chain of the stripe when there is no memory for more buckets; a key that needs a place in it.
fn fill_stripe(store: &Store, local: &mut Local) -> String {
    let chunks: Vec<Ref> = (0..26).filter_map(|_| store.take_chunk(local, SMALL, NOW, Effort::SomeSteps)).collect();
    chunks.into_iter().for_each(|chunk| store.keep_chunk(local, chunk));
    assert!(store.set_limit_bytes(store.pool.budget().0));
    for number in 0..40 {
        let key = format!("key{number}");
        let neighbours = store.index.lock(store.key(key.as_bytes()).hash);
        // A home bucket and half the other cell: a whole one for more there is not.
        if neighbours.neighbours(store.key(key.as_bytes()).hash).count() == 18 {
            return key;
        }
        drop(neighbours);
        set(store, local, &key, b"value");
    }
    panic!("the stripe fills up")
}

/// Guards: a chunk is in one hand at a time: from two who need one, each gets its own.
#[test]
fn two_who_take_chunks_get_different_ones() {
    explore(3, || {
        let store = open();
        let (mut one, mut two) = (store.local(), store.local());
        let add = |store: &Store, local: &mut Local, key: &str| {
            let outcome = store_as(store, local, key, Mode::Add, Expiry::Never, b"value");
            assert_ne!(outcome, StoreOutcome::NoMemory);
            let found = store.index.lock(store.key(key.as_bytes()).hash).find(&store.pages, store.key(key.as_bytes()));
            found.map_or(Ref::NONE, |found| found.reference)
        };
        let adding = spawn({
            let store = Arc::clone(&store);
            move || (add(&store, &mut two, "key2"), two)
        });
        let first = add(&store, &mut one, "key1");
        let (second, two) = adding.join().expect("the other");
        assert_ne!(first, second);
        audit(&store, &mut [one, two]);
    });
}
