//! Calls of the background thread: one that is asleep is called, one that is at work already is not called for nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{explore, open, spawn};
use crate::store::{ClassSet, Progress};
use crate::sync::Arc;
use crate::time::{Now, Seconds};

const NOW: Now = Now { seconds: Seconds(10), unix_epoch: 1_700_000_000 };

/// Guards: the fences of `nudge` and `step`. The background thread takes the last call back and looks at what there is
/// to do, while another adds to it and looks whether there was a call: one of them sees the other.
#[test]
fn no_wish_is_left_to_a_background_thread_that_sleeps() {
    explore(3, || {
        let store = open();
        let calls = std::sync::Arc::new(AtomicU32::new(0));
        let counted = std::sync::Arc::clone(&calls);
        // Only the model's threads look at it, one after the other: it orders nothing.
        store.on_work(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let mut local = store.local();
        // It has been called and is on its way.
        store.sweep_soon(ClassSet::ALL);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        let wishing = spawn({
            let store = Arc::clone(&store);
            move || store.sweep_soon(ClassSet::ALL)
        });
        while store.step(&mut local, NOW) == Progress::More {}
        wishing.join().expect("the other");
        // It sleeps now, unless it was called again, or sees the wish.
        assert!(calls.load(Ordering::Relaxed) > 1 || !store.is_sweep_asked(), "a wish that nobody was called for");
    });
}
