//! What each thread has of the store for itself: chunks in hand, frees to hand in, counters.

use crossbeam::utils::CachePadded;

use super::bytes::layout::Ref;
use super::bytes::shape::{Cursor, Shape};
use super::evict::Victim;
use super::memory::classes::ClassId;
use super::policy::line::Caller;
use super::policy::sweep::Sweep;
use super::shared::Store;
use super::words::sizes::Sizes;
use crate::sync::Arc;
use crate::telemetry::watch::Recorder;
use crate::telemetry::{ClassCounters, StoreCounters};
use crate::time::Seconds;

/// Most chunks a magazine holds.
pub(crate) const MAGAZINE_CHUNKS_MAX: usize = 32;

/// A thread's own part of the store: chunks in hand, frees to hand in, counters.
#[derive(Debug)]
pub struct Local {
    pub(crate) counters: Arc<CachePadded<StoreCounters>>,
    pub(crate) class_counters: Arc<CachePadded<Vec<ClassCounters>>>,
    /// Items by their size, with `track_sizes`.
    pub(crate) sizes: Option<Arc<CachePadded<Sizes>>>,
    pub(crate) magazines: Vec<Magazine>,
    /// Bytes of the chunks in all magazines.
    pub(crate) held_bytes: usize,
    /// Chunks to hand in, over all classes, and their bytes.
    pub(crate) frees: usize,
    pub(crate) freed_bytes: usize,
    /// The last drain this thread has answered.
    pub(crate) drain_epoch: u32,
    /// This turn evicted something, in this second: it makes a step of the page mover's.
    pub(crate) evicted_in: Option<Seconds>,
    /// Items picked to be evicted since this thread looked for a page to move.
    pub(crate) evicted: usize,
    pub(crate) victims: Vec<Victim>,
    /// A pass of its own over what has expired, where it needs memory that the background thread has not come to.
    pub(crate) sweep: Sweep,
    /// Large values that are gone, and whose chunks are being freed.
    pub(crate) ending: Vec<Ending>,
    /// How this thread is called when there is memory for a value of its that waits.
    caller: Arc<Caller>,
    /// Memory came free that somebody waits for: up to chunks of this class.
    pub(crate) news: Option<ClassId>,
    /// Where it says what happens, for who watches.
    pub(crate) recorder: Recorder,
}

/// What is left to be freed of a value that is gone.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The next chunk.
    pub(crate) at: Cursor,
    pub(crate) shape: Shape,
    /// How far its chunks go, in bytes of the value.
    pub(crate) end: usize,
}

/// What a thread has of one class.
#[derive(Debug)]
pub(crate) struct Magazine {
    pub(crate) chunk_bytes: usize,
    /// Free chunks, ready for new items.
    pub(crate) chunks: Vec<Ref>,
    /// Chunks whose items are gone.
    pub(crate) frees: Vec<Ref>,
    /// How many of them had no item.
    pub(crate) unused: u64,
    /// New items for the small queue's ring.
    pub(crate) committed: Vec<Ref>,
    /// New items that the ghost knew.
    pub(crate) ghost_hits: u32,
}

impl Magazine {
    fn new(store: &Store, class: ClassId) -> Self {
        Self {
            chunk_bytes: store.pages.classes.chunk_bytes(class),
            chunks: Vec::new(),
            frees: Vec::new(),
            unused: 0,
            committed: Vec::new(),
            ghost_hits: 0,
        }
    }
}

impl Local {
    fn new(store: &Store) -> Self {
        Self {
            counters: store.counters.register(),
            class_counters: store
                .class_counters
                .register_with(|| store.pages.classes.all().map(|_| ClassCounters::default()).collect()),
            sizes: (store.options.track_sizes)
                .then(|| store.sizes.register_with(|| Sizes::new(store.options.item_bytes_max))),
            magazines: store.pages.classes.all().map(|class| Magazine::new(store, class)).collect(),
            held_bytes: 0,
            frees: 0,
            freed_bytes: 0,
            drain_epoch: 0,
            evicted_in: None,
            evicted: 0,
            victims: Vec::with_capacity(MAGAZINE_CHUNKS_MAX),
            sweep: Sweep::default(),
            ending: Vec::new(),
            caller: Arc::default(),
            news: None,
            recorder: Recorder::off(),
        }
    }

    /// Gives it a way to say what happens.
    pub fn set_recorder(&mut self, recorder: Recorder) {
        self.recorder = recorder;
    }

    /// Sets what calls this thread when there may be memory for a value that waits for it. Once.
    pub fn on_memory(&mut self, call: impl Fn() + Send + Sync + 'static) {
        self.caller.set(Box::new(call));
    }

    /// Whether it was called since it was last asked: a value of its that waits for memory is to look again.
    #[must_use]
    pub fn take_memory_call(&self) -> bool {
        self.caller.take()
    }

    /// Whether its next turn has parts of large values to free: it should come soon.
    #[must_use]
    #[inline]
    pub fn is_freeing(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Whether a turn has left anything to do at its end: chunks and parts to hand in, threads to call, victims.
    #[inline]
    pub(crate) fn has_left_something(&self) -> bool {
        self.frees > 0 || self.is_freeing() || self.news.is_some() || self.evicted_in.is_some()
    }

    /// How it is called.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Where it says what happens.
    #[must_use]
    #[inline]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The same, to tell it of a turn or a client.
    #[inline]
    pub fn recorder_mut(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// The counters of a class.
    #[inline]
    pub(crate) fn class(&self, class: ClassId) -> &ClassCounters {
        &self.class_counters[class.index()]
    }

    /// Collects a chunk whose item is gone.
    pub(crate) fn free(&mut self, class: ClassId, reference: Ref) {
        let magazine = &mut self.magazines[class.index()];
        magazine.frees.push(reference);
        self.frees += 1;
        self.freed_bytes += magazine.chunk_bytes;
    }

    /// Has the chunks of the first `end` bytes of a value freed that nobody has a pin of, a few at a time: in the
    /// thread's next turns, as a gigabyte has 65,000 of them.
    pub(crate) fn free_chain(&mut self, head: Ref, shape: Shape, end: usize) {
        self.ending.push(Ending { at: shape.head(head), shape, end });
    }

    /// Notes a committed new item: its class's ring will hear of it.
    #[inline]
    pub(crate) fn committed(&mut self, class: ClassId, reference: Ref, ghost_hit: bool) {
        let magazine = &mut self.magazines[class.index()];
        if ghost_hit {
            magazine.ghost_hits += 1;
        } else {
            magazine.committed.push(reference);
        }
    }
}

impl Store {
    /// A thread's own part of the store: one per worker and one for background work.
    #[must_use]
    pub fn local(&self) -> Local {
        Local::new(self)
    }
}
