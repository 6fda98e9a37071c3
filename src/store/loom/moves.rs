//! Page moves and sweeps: no page goes while a chunk of it is out, and no deadline is lost.

use super::{NOW, SMALL, audit, delete, explore, get, open, set, spawn, store_as};
use crate::store::policy::mover::Mover;
use crate::store::policy::sweep::Sweep;
use crate::store::{Local, Mode, Store};
use crate::sync::{Arc, MutexGuard};
use crate::time::{Expiry, Seconds};

/// Begins to empty a page of the small class for the pool.
fn begin<'s>(store: &'s Store, local: &mut Local) -> MutexGuard<'s, Mover> {
    let mut mover = store.mover.lock();
    assert!(store.begin_drain_of(&mut mover, SMALL, None, local), "there is a page");
    mover
}

/// Goes on until the page is empty; everybody else has ended the turn.
fn finish(store: &Store, mover: &mut Mover, local: &mut Local) {
    for _ in 0..4 {
        store.drain_step(mover, local, NOW);
    }
    assert!(mover.draining().is_none(), "everything came home");
}

/// A thread that has a free chunk in its magazine does `meanwhile` while the page of that chunk is emptied.
/// The old item has been hit: if `is_kept`, it must be there in the end.
fn against_a_move(meanwhile: impl Fn(&Store, &mut Local) + Copy + Send + Sync + 'static, is_kept: bool) {
    explore(2, move || {
        let store = open();
        let (mut moving, mut other) = (store.local(), store.local());
        set(&store, &mut other, "old", b"old value");
        // A write in place leaves the chunk that was taken for it in the magazine.
        set(&store, &mut other, "old", b"old value");
        get(&store, &mut other, "old");
        let doing = spawn({
            let store = Arc::clone(&store);
            move || {
                meanwhile(&store, &mut other);
                store.end_turn(&mut other);
                other
            }
        });
        let mut mover = begin(&store, &mut moving);
        store.drain_step(&mut mover, &mut moving, NOW);
        let mut other = doing.join().expect("the other");
        // The call that a first pass in vain makes reaches everybody at the end of a turn.
        if mover.draining().is_some() {
            store.drain_step(&mut mover, &mut moving, NOW);
        }
        store.end_turn(&mut other);
        if mover.draining().is_some() {
            finish(&store, &mut mover, &mut moving);
        }
        drop(mover);
        let old = get(&store, &mut other, "old");
        assert_eq!(old.is_some(), is_kept);
        // Evicted, if the move met it before its first hit.
        let new = get(&store, &mut other, "new");
        assert!(old.is_none_or(|old| old.0 == b"old value") && new.is_none_or(|new| new.0 == b"new value"));
        audit(&store, &mut [moving, other]);
    });
}

/// Guards: a page leaves its class only when all its chunks are home; a used item is copied under its stripe's lock.
#[test]
fn a_page_stays_until_a_chunk_that_was_set_from_a_magazine_is_home() {
    against_a_move(
        |store, local| {
            set(store, local, "new", b"new value");
            get(store, local, "new");
        },
        true,
    );
}

/// Guards: an item that is written while its page moves is copied with the new value, or written in its new place.
#[test]
fn an_overwrite_of_an_item_that_moves_is_kept() {
    against_a_move(
        |store, local| {
            set(store, local, "old", b"other value of it");
            set(store, local, "old", b"old value");
        },
        true,
    );
}

/// Guards: an item that goes while its page moves goes once.
#[test]
fn a_delete_of_an_item_that_moves_frees_it_once() {
    against_a_move(|store, local| delete(store, local, "old"), false);
}

/// Guards: a thread that has answered the move gives back what it frees afterwards, too.
#[test]
fn a_chunk_freed_after_the_move_was_answered_comes_home() {
    against_a_move(
        |store, local| {
            store.end_turn(local);
            delete(store, local, "old");
        },
        false,
    );
}

/// A sweep of a due page against `meanwhile`; the audit compares all deadlines with the page's earliest.
fn against_a_sweep(meanwhile: impl Fn(&Store, &mut Local) + Copy + Send + Sync + 'static) {
    explore(3, move || {
        let store = open();
        let (mut sweeping, mut other) = (store.local(), store.local());
        store_as(&store, &mut other, "due", Mode::Set, Expiry::At(NOW), b"value");
        store_as(&store, &mut other, "key", Mode::Set, Expiry::At(Seconds(30)), b"value");
        let doing = spawn({
            let store = Arc::clone(&store);
            move || {
                meanwhile(&store, &mut other);
                other
            }
        });
        let mut sweep = Sweep::default();
        while store.sweep_step(&mut sweep, &mut sweeping, NOW) {}
        let mut other = doing.join().expect("the other");
        assert!(get(&store, &mut other, "due").is_none());
        audit(&store, &mut [sweeping, other]);
    });
}

/// Guards: the fences of `begin_sweep` and `note_expiry`: the scan sees the item, or the commit sees the bound.
#[test]
fn a_commit_during_a_sweep_is_not_lost() {
    against_a_sweep(|store, local| {
        store_as(store, local, "new", Mode::Set, Expiry::At(Seconds(20)), b"value");
    });
}

/// Guards: the same for a deadline that is brought forward in place.
#[test]
fn a_deadline_brought_forward_during_a_sweep_is_not_lost() {
    against_a_sweep(|store, local| {
        store_as(store, local, "key", Mode::Set, Expiry::At(Seconds(20)), b"value");
    });
}
