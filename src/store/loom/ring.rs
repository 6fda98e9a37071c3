//! The ring's bit: one for one entry, also when a chunk's item changes while hands look at it.

use super::{NOW, SMALL, audit, delete, explore, open, set, spawn};
use crate::store::supply::reserve::Effort;
use crate::store::{Local, Store};
use crate::sync::Arc;

/// Takes the class's lock, as whoever needs a chunk: frees and new items are handed in.
fn hand_in(store: &Store, local: &mut Local) {
    let chunk = store.take_chunk(local, SMALL, NOW, Effort::SomeSteps).expect("there is room");
    store.keep_chunk(local, chunk);
}

/// Guards: whoever pushes asks for the bit first, under the class's lock.
#[test]
fn a_chunk_whose_items_two_threads_committed_has_one_entry() {
    explore(3, || {
        let store = open();
        let (mut one, mut two) = (store.local(), store.local());
        // Not handed in yet.
        set(&store, &mut one, "key1", b"value");
        delete(&store, &mut two, "key1");
        let other = spawn({
            let store = Arc::clone(&store);
            move || {
                // Gets the chunk that its own delete frees.
                set(&store, &mut two, "key2", b"value");
                hand_in(&store, &mut two);
                two
            }
        });
        hand_in(&store, &mut one);
        let two = other.join().expect("the other");
        audit(&store, &mut [one, two]);
    });
}

/// Guards: an entry does not outlive its page's stay in the class: a page that leaves and comes back brings new
/// chunks, whose items have entries of their own.
#[test]
fn a_page_that_left_and_came_back_has_no_old_entries() {
    explore(1, || {
        let store = open();
        let mut local = store.local();
        set(&store, &mut local, "key1", b"value");
        hand_in(&store, &mut local);
        let mut mover = store.mover.lock();
        assert!(store.begin_drain_of(&mut mover, SMALL, None, &mut local));
        store.drain_step(&mut mover, &mut local, NOW);
        assert!(mover.draining().is_none(), "nothing of it is out");
        drop(mover);
        set(&store, &mut local, "key2", b"value");
        hand_in(&store, &mut local);
        audit(&store, &mut [local]);
    });
}

/// Guards: the state byte changes by exchange only: a hand that takes the entry out clears the bit while a new item is
/// being filled in. A bit without an entry would keep the item from ever being picked.
#[test]
fn a_bit_cleared_while_a_new_item_is_filled_in_stays_cleared() {
    explore(3, || {
        let store = open();
        let (mut one, mut two) = (store.local(), store.local());
        set(&store, &mut two, "key1", b"value");
        hand_in(&store, &mut two);
        store.surrender(&mut two);
        // Its chunk is the next to be taken, and its entry still in the ring.
        delete(&store, &mut two, "key1");
        store.surrender(&mut two);
        let other = spawn({
            let store = Arc::clone(&store);
            move || {
                set(&store, &mut two, "key2", b"value");
                two
            }
        });
        let evicted = crate::store::loom::eviction::pick(&store, NOW);
        if let Some(victim) = evicted {
            store.evict(&mut one, victim, NOW);
        }
        let two = other.join().expect("the other");
        audit(&store, &mut [one, two]);
    });
}
