//! `flush_all`: one word that nobody holds a lock for, and a mark of each stripe.

use super::{NOW, audit, explore, get, open, set, spawn};
use crate::store::policy::sweep::Sweep;
use crate::store::{Arithmetic, ArithmeticRequest, Local, Store};
use crate::sync::Arc;
use crate::time::Seconds;

/// What was flushed has been let lie long enough.
const LATER: Seconds = Seconds(NOW.0 + 10);

fn add_one(store: &Store, local: &mut Local, key: &str) {
    let request = ArithmeticRequest { key: store.key(key.as_bytes()), change: Arithmetic::Incr(1), extras: None };
    store.arithmetic(local, &request, NOW);
}

/// Guards: a stripe sees a flush when its lock is taken, and not before it is taken again. What was made of a flushed
/// item would else get a version behind the mark.
#[test]
fn nothing_made_of_a_flushed_item_is_served() {
    explore(3, || {
        let store = open();
        let (mut one, mut other) = (store.local(), store.local());
        set(&store, &mut one, "key", b"1");
        let adding = spawn({
            let store = Arc::clone(&store);
            move || {
                add_one(&store, &mut other, "key");
                other
            }
        });
        store.flush_all(None);
        assert!(get(&store, &mut one, "key").is_none(), "the flush was answered");
        let mut other = adding.join().expect("the other");
        assert!(get(&store, &mut other, "key").is_none(), "whichever came first");
        set(&store, &mut one, "key", b"2");
        assert!(get(&store, &mut other, "key").is_some(), "it came after the flush");
        audit(&store, &mut [one, other]);
    });
}

/// Guards: of two flushes the last one moves the mark, and what an earlier one made invisible stays so meanwhile.
#[test]
fn what_was_flushed_before_is_not_served_during_another_flush() {
    explore(3, || {
        let store = open();
        let (mut one, mut other) = (store.local(), store.local());
        set(&store, &mut one, "key", b"old value");
        store.flush_all(None);
        let asking = spawn({
            let store = Arc::clone(&store);
            move || {
                assert!(get(&store, &mut other, "key").is_none());
                set(&store, &mut other, "other", b"other value");
                other
            }
        });
        store.flush_all(None);
        let other = asking.join().expect("the other");
        assert!(get(&store, &mut one, "key").is_none());
        audit(&store, &mut [one, other]);
    });
}

/// Guards: the sweep ends the flush that it began with, and no later one.
#[test]
fn a_flush_during_the_search_for_an_earlier_one_is_kept() {
    explore(2, || {
        let store = open();
        let (mut sweeping, mut other) = (store.local(), store.local());
        let mut sweep = Sweep::default();
        set(&store, &mut other, "old", b"old value");
        store.flush_all(None);
        // It has seen that something is flushed.
        while store.sweep_step(&mut sweep, &mut sweeping, NOW) {}
        set(&store, &mut other, "key", b"value");
        let flushing = spawn({
            let store = Arc::clone(&store);
            move || {
                store.flush_all(None);
                assert!(get(&store, &mut other, "key").is_none());
                set(&store, &mut other, "new", b"new value");
                other
            }
        });
        while store.sweep_step(&mut sweep, &mut sweeping, LATER) {}
        let mut other = flushing.join().expect("the other");
        while store.sweep_step(&mut sweep, &mut sweeping, LATER) {}
        assert!(!store.index.any_flushed(), "the next pass ends it");
        assert!(get(&store, &mut other, "old").is_none() && get(&store, &mut other, "key").is_none());
        assert!(get(&store, &mut other, "new").is_some());
        audit(&store, &mut [sweeping, other]);
    });
}

/// Guards: every stripe has seen the flush before the search looks at its first item. Who still writes what was there
/// before would else write it behind the search.
#[test]
fn what_is_written_during_the_search_was_flushed_or_comes_later() {
    explore(2, || {
        let store = open();
        let (mut sweeping, mut other) = (store.local(), store.local());
        let mut sweep = Sweep::default();
        store.flush_all(None);
        while store.sweep_step(&mut sweep, &mut sweeping, NOW) {}
        set(&store, &mut other, "key", b"1");
        let adding = spawn({
            let store = Arc::clone(&store);
            move || {
                add_one(&store, &mut other, "key");
                other
            }
        });
        store.flush_all(None);
        while store.sweep_step(&mut sweep, &mut sweeping, LATER) {}
        assert!(!store.index.any_flushed(), "the search is over");
        let mut other = adding.join().expect("the other");
        assert!(get(&store, &mut other, "key").is_none());
        audit(&store, &mut [sweeping, other]);
    });
}
