//! The line of arriving values that wait for memory: one for all threads.
//!
//! Nothing can evict what has arrived of a value. So all arriving values together may hold five eighths of `-m`: what
//! they hold counts, not what they announced. Past that the one that began first goes on, and the others wait until it
//! is there.
//!
//! Who waits stands in the line in the order in which the values began. Whoever frees memory calls the thread of the
//! first that can use it; that looks once, and goes on or waits for the next call. The line is locked only where
//! somebody stands in it: who frees asks one word before.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::store::memory::classes::ClassId;
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicU64, Mutex, Ordering, Rank};
use crate::time::Seconds;

/// What arriving values may hold, in eighths of `-m`. The rest is enough for items that come and go.
const HELD_EIGHTHS: u64 = 5;

/// A value may hold so much while the others have all of that, up to another eighth: short ones are not kept waiting by
/// long ones that come slowly.
const SHORT_BYTES_MAX: u64 = 64 * 1024;

/// Seconds a value waits before it is refused: longer than it takes until a silent one is closed.
const WAIT_SECONDS_MAX: u32 = 10;

/// Seconds for which the line must not have been empty before somebody is closed for it.
const LASTING_SECONDS: u32 = 1;

/// No class is waited for.
const NO_CLASS: u32 = u32::MAX;

/// No value's ticket.
const NOBODY: u64 = 0;

/// Nobody waits.
const NEVER: u32 = u32::MAX;

/// Who waits for memory, and what arriving values hold of it.
#[derive(Debug)]
pub(crate) struct Line {
    /// `-m` in bytes.
    limit_bytes: AtomicU64,
    /// Bytes of chunks that arriving values hold.
    held_bytes: AtomicU64,
    next_ticket: AtomicU64,
    /// The ticket of the one that may hold more than the others leave: given under the lock.
    beyond: AtomicU64,
    /// The smallest class that somebody waits for a chunk of: who frees a smaller one helps nobody.
    least: AtomicU32,
    /// The second since which somebody has stood in the line without a break.
    since: AtomicU32,
    /// Somebody found no memory.
    is_short: AtomicBool,
    state: Mutex<LineState>,
}

/// Guarded by the line's lock.
#[derive(Debug, Default)]
struct LineState {
    /// Those that hold as much as they may, by ticket.
    for_share: BTreeMap<u64, Arc<Caller>>,
    /// Those that found no chunk, by class and ticket.
    for_chunk: BTreeMap<ClassId, BTreeMap<u64, Arc<Caller>>>,
}

/// Something the server does for the store.
pub(crate) type Callback = Box<dyn Fn() + Send + Sync>;

/// How a thread is called to look for memory.
#[derive(Default)]
pub(crate) struct Caller {
    is_called: AtomicBool,
    call: OnceLock<Callback>,
}

/// What a value waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// A share of what arriving values may hold.
    Share,
    /// A chunk.
    Chunk(ClassId),
}

/// A place in the line. Ordered by what is waited for, then by when the value began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    pub(crate) want: Want,
    pub(crate) ticket: u64,
    pub(crate) since: Seconds,
}

impl Claim {
    /// What comes behind all that want the same.
    #[must_use]
    pub fn end(&self) -> Self {
        Self { ticket: u64::MAX, ..*self }
    }

    /// Whether this one need not look where the other found nothing.
    #[must_use]
    pub fn wants_the_same(&self, other: &Self) -> bool {
        self.want == other.want
    }

    /// Whether it has waited for so long that the next look is its last.
    #[must_use]
    pub fn is_overdue(&self, now: Seconds) -> bool {
        now.0.saturating_sub(self.since.0) >= WAIT_SECONDS_MAX
    }
}

impl Caller {
    /// Sets what calls its thread. Once.
    pub(crate) fn set(&self, call: Callback) {
        // A second one would be a second thread's.
        let _ = self.call.set(call);
    }

    /// Whether it was called since it was last asked.
    pub(crate) fn take(&self) -> bool {
        // Acquire: pairs with `call`, so that what was freed before is found.
        self.is_called.load(Ordering::Relaxed) && self.is_called.swap(false, Ordering::Acquire)
    }

    fn call(&self) {
        if self.is_called.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(call) = self.call.get() {
            call();
        }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Caller")
    }
}

impl Line {
    /// An empty line.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes: AtomicU64::new(limit_bytes),
            held_bytes: AtomicU64::new(0),
            next_ticket: AtomicU64::new(NOBODY + 1),
            beyond: AtomicU64::new(NOBODY),
            least: AtomicU32::new(NO_CLASS),
            since: AtomicU32::new(NEVER),
            is_short: AtomicBool::new(false),
            state: Mutex::new(Rank::Line, LineState::default()),
        }
    }

    /// Another `-m`.
    pub(crate) fn set_limit(&self, limit_bytes: u64) {
        // Relaxed, here and for all words but those of `Caller`: limits and hints; the locks order the rest.
        self.limit_bytes.store(limit_bytes, Ordering::Relaxed);
    }

    /// The number of a value that begins to arrive.
    pub(crate) fn ticket(&self) -> u64 {
        self.next_ticket.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a chunk that a value wants to hold beside others; false when it has to wait.
    pub(crate) fn hold(&self, ticket: u64, held_bytes: u64, bytes: u64) -> bool {
        let eighths = if held_bytes + bytes <= SHORT_BYTES_MAX { HELD_EIGHTHS + 1 } else { HELD_EIGHTHS };
        let most = self.eighths(eighths);
        let before = self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= most || self.goes_beyond(ticket) {
            return true;
        }
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    /// Whether a value is the one that may hold more than the others leave.
    #[cold]
    fn goes_beyond(&self, ticket: u64) -> bool {
        let state = self.state.lock();
        let is_first = state.for_share.first_key_value().is_none_or(|(&first, _)| first >= ticket);
        let beyond = self.beyond.load(Ordering::Relaxed);
        // Given to the first, it can be taken away by one that began earlier alone: so at last the first of all ends.
        if is_first && (beyond == NOBODY || ticket < beyond) {
            self.beyond.store(ticket, Ordering::Relaxed);
        }
        self.beyond.load(Ordering::Relaxed) == ticket
    }

    /// Says that a chunk was counted in vain.
    pub(crate) fn unhold(&self, bytes: u64) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether arriving values hold so much that none should take chunks ahead of its bytes.
    pub(crate) fn is_crowded(&self) -> bool {
        self.held_bytes.load(Ordering::Relaxed) > self.eighths(1)
    }

    fn eighths(&self, count: u64) -> u64 {
        self.limit_bytes.load(Ordering::Relaxed) / 8 * count
    }

    /// Whether one that began earlier waits for a chunk of this class.
    pub(crate) fn is_behind(&self, ticket: u64, class: ClassId) -> bool {
        if self.least.load(Ordering::Relaxed) == NO_CLASS {
            return false;
        }
        let state = self.state.lock();
        let first = state.for_chunk.get(&class).and_then(|places| places.first_key_value());
        first.is_some_and(|(&first, _)| first < ticket)
    }

    /// Takes a place in the line.
    pub(crate) fn join(&self, claim: Claim, caller: &Arc<Caller>) {
        let mut state = self.state.lock();
        if state.is_empty() {
            self.since.store(claim.since.0, Ordering::Relaxed);
        }
        let places = match claim.want {
            Want::Share => &mut state.for_share,
            Want::Chunk(class) => state.for_chunk.entry(class).or_default(),
        };
        places.insert(claim.ticket, Arc::clone(caller));
        self.note_least(&state);
    }

    /// Gives a place up: the next is called, as there may be more of what was waited for.
    pub(crate) fn leave(&self, claim: Claim) {
        {
            let mut state = self.state.lock();
            match claim.want {
                Want::Share => drop(state.for_share.remove(&claim.ticket)),
                Want::Chunk(class) => {
                    if let Some(places) = state.for_chunk.get_mut(&class) {
                        places.remove(&claim.ticket);
                        if places.is_empty() {
                            state.for_chunk.remove(&class);
                        }
                    }
                }
            }
            self.note_least(&state);
            if state.is_empty() {
                self.since.store(NEVER, Ordering::Relaxed);
            }
        }
        match claim.want {
            Want::Share => self.call_for_share(),
            Want::Chunk(class) => self.call_for(class),
        }
    }

    fn note_least(&self, state: &LineState) {
        let least = state.for_chunk.first_key_value().map_or(NO_CLASS, |(class, _)| u32::from(class.0));
        self.least.store(least, Ordering::Relaxed);
    }

    /// Says that a value arrives no longer, which held so much.
    pub(crate) fn release(&self, ticket: u64, bytes: u64) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if self.beyond.load(Ordering::Relaxed) == ticket {
            self.beyond.store(NOBODY, Ordering::Relaxed);
        }
        if self.since.load(Ordering::Relaxed) != NEVER {
            self.call_for_share();
        }
    }

    /// Whether somebody waits for a chunk of this class or a smaller one.
    #[inline]
    pub(crate) fn wants(&self, class: ClassId) -> bool {
        self.least.load(Ordering::Relaxed) <= u32::from(class.0)
    }

    /// Whether anybody waits for a chunk.
    #[inline]
    pub(crate) fn wants_any(&self) -> bool {
        self.least.load(Ordering::Relaxed) != NO_CLASS
    }

    /// Calls the first that can use a chunk of this class: one came free, or can be evicted now.
    #[cold]
    pub(crate) fn call_for(&self, class: ClassId) {
        let first = {
            let state = self.state.lock();
            let firsts = state.for_chunk.range(..=class).filter_map(|(_, places)| places.first_key_value());
            firsts.min_by_key(|(ticket, _)| **ticket).map(|(_, caller)| Arc::clone(caller))
        };
        if let Some(caller) = first {
            caller.call();
        }
    }

    #[cold]
    fn call_for_share(&self) {
        let first = self.state.lock().for_share.first_key_value().map(|(_, caller)| Arc::clone(caller));
        if let Some(caller) = first {
            caller.call();
        }
    }

    /// Whether somebody waits, or found no memory.
    #[inline]
    pub(crate) fn is_tense(&self) -> bool {
        (self.since.load(Ordering::Relaxed) != NEVER) | self.is_short()
    }

    /// Whether somebody has waited for some time.
    #[inline]
    pub(crate) fn is_lasting(&self, now: Seconds) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        since != NEVER && now.0.saturating_sub(since) > LASTING_SECONDS
    }

    /// Remembers that somebody found no memory.
    pub(crate) fn note_short(&self) {
        self.is_short.store(true, Ordering::Relaxed);
    }

    /// Whether somebody found none since it was last settled.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Says that nothing is in the way of memory coming free.
    pub(crate) fn settle(&self) {
        self.is_short.store(false, Ordering::Relaxed);
    }
}

impl LineState {
    fn is_empty(&self) -> bool {
        self.for_share.is_empty() && self.for_chunk.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Caller, Claim, Line, SHORT_BYTES_MAX, Want};
    use crate::store::memory::classes::ClassId;
    use crate::sync::Arc;
    use crate::time::Seconds;

    const LIMIT: u64 = 8 << 20;
    const MOST: u64 = 5 << 20;

    fn claim(ticket: u64, want: Want) -> Claim {
        Claim { want, ticket, since: Seconds(10) }
    }

    #[test]
    fn the_first_that_can_use_it_is_called_and_the_next_when_it_leaves() {
        let line = Line::new(LIMIT);
        let callers: Vec<Arc<Caller>> = (0..3).map(|_| Arc::default()).collect();
        let called = || callers.iter().map(|caller| caller.take()).collect::<Vec<_>>();
        let claims = [(7, 5), (3, 9), (4, 5)].map(|(ticket, class)| claim(ticket, Want::Chunk(ClassId(class))));
        for (claim, caller) in claims.iter().zip(&callers) {
            line.join(*claim, caller);
        }
        assert!(!line.wants(ClassId(4)) && line.wants(ClassId(5)), "a smaller chunk helps nobody");
        line.call_for(ClassId(4));
        assert_eq!(called(), [false, false, false]);
        line.call_for(ClassId(8));
        assert_eq!(called(), [false, false, true], "the first that a chunk of this class is large enough for");
        line.call_for(ClassId(9));
        assert_eq!(called(), [false, true, false], "the first of all");
        assert!(line.is_behind(5, ClassId(5)) && !line.is_behind(4, ClassId(5)) && !line.is_behind(5, ClassId(6)));
        line.leave(claims[2]);
        assert_eq!(called(), [true, false, false], "there may be more of it");
        line.leave(claims[0]);
        line.leave(claims[1]);
        assert!(!line.wants_any() && !line.is_lasting(Seconds(1000)), "nobody waits");
    }

    #[test]
    fn one_value_may_hold_more_than_the_others_leave_and_short_ones_pass() {
        let line = Line::new(LIMIT);
        let (first, second, third) = (line.ticket(), line.ticket(), line.ticket());
        assert!(line.hold(second, 0, MOST));
        assert!(line.hold(second, MOST, 1 << 16), "the only one that wants more");
        assert!(line.hold(third, 0, SHORT_BYTES_MAX), "a short one");
        assert!(!line.hold(third, SHORT_BYTES_MAX, 1 << 16), "no short one any more");
        line.join(claim(third, Want::Share), &Arc::default());
        assert!(line.hold(first, 0, 1 << 17), "one that began earlier goes before");
        assert!(!line.hold(second, MOST, 1 << 16));
        line.release(first, 1 << 17);
        assert!(line.hold(second, MOST, 1 << 16), "the first that is left");
        line.release(second, MOST + (2 << 16));
        assert!(line.hold(third, SHORT_BYTES_MAX, 1 << 20), "there is room again");
        assert!(line.is_lasting(Seconds(12)) && !line.is_lasting(Seconds(11)), "in the line since 10");
    }
}
