//! Ranked locks and atomics: the only door to `std::sync`, so that loom can stand in for it.
//!
//! A thread takes locks in rising rank only; debug builds assert it. The ranks are the lock order of the
//! whole server.

#[cfg(not(loom))]
pub use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(loom)]
pub use loom::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(loom)]
use loom::sync::{Mutex as Inner, MutexGuard as InnerGuard};
#[cfg(not(loom))]
use parking_lot::MutexGuard as InnerGuard;

/// For counters that have one writer and order nothing: loom does not look at them.
pub use std::sync::atomic::AtomicU64 as TallyU64;

use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Where a unit test may look at what another run would find if the process ended there.
#[cfg(all(test, not(loom)))]
pub(crate) mod crash {
    use std::cell::RefCell;

    type Look = Box<dyn FnMut()>;

    thread_local! {
        static LOOK: RefCell<Option<Look>> = const { RefCell::new(None) };
    }

    /// Has `look` called at every point that this thread comes to from now on.
    pub(crate) fn look_by(look: impl FnMut() + 'static) {
        LOOK.set(Some(Box::new(look)));
    }

    /// Ends that.
    pub(crate) fn look_no_more() {
        LOOK.set(None);
    }

    /// A point between two stores.
    pub(crate) fn point() {
        LOOK.with(|look| {
            if let Ok(mut look) = look.try_borrow_mut()
                && let Some(look) = look.as_mut()
            {
                look();
            }
        });
    }
}

/// Outside of tests nobody looks.
#[cfg(not(all(test, not(loom))))]
pub(crate) mod crash {
    /// Nothing.
    #[inline(always)]
    pub(crate) fn point() {}
}

/// Keeps all stores before it before all behind it in the order of the calling thread's instructions: that is what
/// another run finds in memory that outlives the process. For other threads it orders nothing, and costs nothing.
#[inline(always)]
pub fn keep_program_order() {
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

#[cfg(loom)]
pub use loom::thread::yield_now;
#[cfg(not(loom))]
pub use std::thread::yield_now;

/// The lock order: a lock is taken only while all held ones are of lower rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A connection hand-over queue or another server structure; nothing of the store is held.
    Server,
    /// The page mover's state: held for a whole bounded step.
    Mover,
    /// A slab class: its pages, free chunks, ring and hand.
    Class,
    /// The index's rows and the rings' blocks: who opens more of them.
    Tables,
    /// The page pool and the budget of `-m`.
    Pool,
    /// A stripe of the index: taken with no other lock of the store held, and nothing is locked under it.
    Stripe,
    /// The list of counter blocks.
    Registry,
    /// The sample of keys.
    Curve,
    /// Who waits for memory; nothing is locked under it.
    Line,
    /// Who watches, and the rings of those who record.
    Watch,
    /// Lines on their way to one watcher.
    Lines,
}

/// A mutual exclusion lock that knows its rank.
pub struct Mutex<T> {
    rank: Rank,
    inner: Inner<T>,
}

/// The lock below: it does not ask with each use whether a thread has panicked, as that of std does.
#[cfg(not(loom))]
type Inner<T> = parking_lot::Mutex<T>;

#[cfg(not(loom))]
#[inline(always)]
fn locked<T>(inner: &Inner<T>) -> InnerGuard<'_, T> {
    inner.lock()
}

#[cfg(not(loom))]
#[inline(always)]
fn locked_at_once<T>(inner: &Inner<T>) -> Option<InnerGuard<'_, T>> {
    inner.try_lock()
}

#[cfg(not(loom))]
fn locked_within<T>(inner: &Inner<T>, wait: Duration) -> Option<InnerGuard<'_, T>> {
    inner.try_lock_for(wait)
}

#[cfg(loom)]
fn locked_within<T>(inner: &Inner<T>, _wait: Duration) -> Option<InnerGuard<'_, T>> {
    inner.try_lock().ok()
}

#[cfg(loom)]
fn locked<T>(inner: &Inner<T>) -> InnerGuard<'_, T> {
    inner.lock().expect("a model ends with its first panic")
}

#[cfg(loom)]
fn locked_at_once<T>(inner: &Inner<T>) -> Option<InnerGuard<'_, T>> {
    inner.try_lock().ok()
}

impl<T> Mutex<T> {
    /// An unlocked lock.
    pub fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: Inner::new(value) }
    }

    /// Takes the lock, waiting for it.
    #[inline(always)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        held::enter(self.rank);
        MutexGuard { rank: self.rank, inner: locked(&self.inner) }
    }

    /// Takes the lock if nobody holds it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = locked_at_once(&self.inner)?;
        held::enter(self.rank);
        Some(MutexGuard { rank: self.rank, inner })
    }

    /// Takes the lock, waiting for it for at most so long: a thread that holds it may have lost its core.
    #[cold]
    pub fn lock_within(&self, wait: Duration) -> Option<MutexGuard<'_, T>> {
        let inner = locked_within(&self.inner, wait)?;
        held::enter(self.rank);
        Some(MutexGuard { rank: self.rank, inner })
    }
}

impl<T> std::fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mutex").field("rank", &self.rank).finish_non_exhaustive()
    }
}

/// Holds a [`Mutex`]; dropping it unlocks.
#[must_use = "dropping the guard unlocks"]
pub struct MutexGuard<'a, T> {
    rank: Rank,
    inner: InnerGuard<'a, T>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        held::leave(self.rank);
    }
}

impl<T> std::fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MutexGuard").field("rank", &self.rank).finish_non_exhaustive()
    }
}

#[cfg(all(debug_assertions, not(loom)))]
mod held {
    //! The ranks this thread holds, one bit each.

    use super::Rank;
    use std::cell::Cell;

    thread_local! {
        static HELD: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn enter(rank: Rank) {
        let bit = 1 << rank as u32;
        HELD.with(|held| {
            let now = held.get();
            assert!(now < bit, "lock order: {rank:?} taken while ranks {now:#b} are held");
            let stripe = 1 << Rank::Stripe as u32;
            let store = (1 << Rank::Class as u32) | (1 << Rank::Pool as u32) | stripe;
            assert!(bit != stripe || now & store == 0, "a stripe is taken with no class or pool lock held");
            assert!(now & stripe == 0, "nothing is locked under a stripe");
            held.set(now | bit);
        });
    }

    pub(super) fn leave(rank: Rank) {
        HELD.with(|held| held.set(held.get() & !(1 << rank as u32)));
    }
}

#[cfg(not(all(debug_assertions, not(loom))))]
mod held {
    //! Release builds do not pay for the check.

    use super::Rank;

    #[inline(always)]
    pub(super) fn enter(_rank: Rank) {}

    #[inline(always)]
    pub(super) fn leave(_rank: Rank) {}
}

#[cfg(test)]
mod tests {
    use super::{Duration, Mutex, Rank};

    #[test]
    fn locks_taken_in_rising_rank_pass() {
        let class = Mutex::new(Rank::Class, 1);
        let pool = Mutex::new(Rank::Pool, 2);
        let class = class.lock();
        assert_eq!(*class + *pool.lock(), 3);
    }

    #[test]
    fn who_waits_gets_a_lock_that_is_let_go_and_leaves_one_that_is_not() {
        let mover = Mutex::new(Rank::Mover, 0);
        std::thread::scope(|scope| {
            let mut held = mover.lock();
            assert!(scope.spawn(|| mover.lock_within(Duration::ZERO).is_none()).join().expect("no panic"));
            let waits = scope.spawn(|| mover.lock_within(Duration::MAX).map(|value| *value));
            *held = 1;
            drop(held);
            assert_eq!(waits.join().expect("no panic"), Some(1));
        });
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "lock order")]
    fn a_lower_rank_under_a_higher_one_is_caught() {
        let class = Mutex::new(Rank::Class, ());
        let pool = Mutex::new(Rank::Pool, ());
        let _pool = pool.lock();
        let _class = class.lock();
    }
}
