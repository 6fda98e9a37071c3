//! Eviction: picked under the class's lock, evicted under the stripe's, against everything that may happen between.

use super::{NOW, SMALL, audit, delete, explore, get, open, set, spawn, store_as};
use crate::store::evict::{PickContext, Victim};
use crate::store::{Fetch, FetchOutcome, Local, Mode, Store};
use crate::sync::Arc;
use crate::time::{Expiry, Seconds};

/// Picks one victim.
pub(super) fn pick(store: &Store, now: Seconds) -> Option<Victim> {
    let context = PickContext { pages: &store.pages, blocks: &store.blocks, index: &store.index, now };
    let mut victims = Vec::new();
    store.classes[SMALL.index()].lock().pick(&context, SMALL, 1, &mut victims);
    victims.pop()
}

/// A store with one item, which is picked; then `meanwhile` stands against the eviction. Returns what both say.
fn against<R: 'static>(
    meanwhile: impl Fn(&Store, &mut Local) -> R + Copy + Send + Sync + 'static,
    check: impl Fn(&Store, &mut Local, R, bool) + Copy + Send + Sync + 'static,
) {
    explore(3, move || {
        let store = open();
        let (mut evicting, mut other) = (store.local(), store.local());
        set(&store, &mut other, "key", b"value");
        let victim = pick(&store, NOW).expect("one item, never hit");
        let doing = spawn({
            let store = Arc::clone(&store);
            move || (meanwhile(&store, &mut other), other)
        });
        let evicted = store.evict(&mut evicting, victim, NOW);
        let (result, mut other) = doing.join().expect("the other");
        check(&store, &mut other, result, evicted);
        audit(&store, &mut [evicting, other]);
    });
}

/// Guards: who evicts looks at the frequency again.
#[test]
fn a_hit_between_pick_and_eviction_saves_the_item() {
    against(
        |store, local| get(store, local, "key").is_some(),
        |store, local, hit, evicted| {
            assert_ne!(hit, evicted, "hit: {hit}");
            assert_eq!(get(store, local, "key").is_some(), hit);
        },
    );
}

/// Guards: the same for a write in place, and that an evicted item's chunk is not written any more.
#[test]
fn an_overwrite_between_pick_and_eviction_saves_the_item() {
    against(
        |store, local| {
            set(store, local, "key", b"newer");
        },
        |store, local, (), _| assert_eq!(get(store, local, "key").expect("it was set").0, b"newer"),
    );
}

/// Guards: an item goes once: its chunk is freed by who took it out of the index.
#[test]
fn a_deleted_item_is_not_evicted_too() {
    against(
        |store, local| delete(store, local, "key"),
        |store, local, (), _| assert!(get(store, local, "key").is_none()),
    );
}

/// Guards: who evicts makes sure that the chunk still holds the item that was picked, not another in the same
/// bucket that got the chunk meanwhile.
#[test]
fn another_item_in_the_victims_chunk_is_not_evicted() {
    against(
        |store, local| {
            delete(store, local, "key");
            set(store, local, "key2", b"value2");
        },
        |store, local, (), _| assert_eq!(get(store, local, "key2").expect("nobody picked it").0, b"value2"),
    );
}

/// Guards: an item picked because its time was over is evicted only if it still is.
#[test]
fn a_touched_item_is_not_evicted_for_its_old_exptime() {
    explore(3, || {
        let store = open();
        let (mut evicting, mut other) = (store.local(), store.local());
        store_as(&store, &mut other, "key", Mode::Set, Expiry::At(Seconds(20)), b"value");
        // The hand's clock is ahead of the other thread's.
        let victim = pick(&store, Seconds(20)).expect("it has expired");
        let touching = spawn({
            let store = Arc::clone(&store);
            move || {
                let touch = Fetch { touch: Some(Expiry::At(Seconds(30))), value: false, cas: true, extras: None };
                let touched = store.fetch(&mut other, store.key(b"key"), touch, NOW, |_| ());
                (touched == FetchOutcome::Hit(()), other)
            }
        });
        let evicted = store.evict(&mut evicting, victim, Seconds(20));
        let (touched, other) = touching.join().expect("the other");
        assert_ne!(touched, evicted, "touched: {touched}");
        audit(&store, &mut [evicting, other]);
    });
}

/// Guards: pick, eviction and reuse as a whole lose no chunk and leave every value whole.
#[test]
fn a_class_that_evicts_for_one_serves_the_other() {
    explore(2, || {
        let store = open();
        let (mut one, mut two) = (store.local(), store.local());
        let mut number = 0;
        while store.totals().evictions == 0 {
            number += 1;
            set(&store, &mut one, &format!("key{number}"), b"value");
        }
        let last = format!("key{number}");
        let setting = spawn({
            let store = Arc::clone(&store);
            move || {
                set(&store, &mut two, "other", b"other value");
                two
            }
        });
        if let Some((value, _)) = get(&store, &mut one, &last) {
            assert_eq!(value, b"value");
        }
        delete(&store, &mut one, &last);
        let mut two = setting.join().expect("the other");
        assert_eq!(get(&store, &mut two, "other").expect("it was set").0, b"other value");
        audit(&store, &mut [one, two]);
    });
}
