//! Per-thread counters: who counts owns its counters and adds with plain loads and stores; who reports sums.
//!
//! What the counters mean on the wire (`stats` names and order) is `command/`'s business. What happens, one event at a
//! time, is told by [`watch`].

pub mod watch;

mod prefixes;

pub use prefixes::{PREFIXES_MAX, PrefixBook, PrefixCounters, PrefixEvent, PrefixTotals};

use crate::sync::{Arc, Mutex, Ordering, Rank, TallyU64};

/// One counter with one writer. The value wraps; gauges (items, bytes) are sums of wrapping differences.
#[derive(Debug, Default)]
pub struct Counter(TallyU64);

impl Counter {
    /// Adds one. Only the owning thread may call this.
    #[inline]
    pub fn bump(&self) {
        self.add(1);
    }

    /// Adds `n`, wrapping. Only the owning thread may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        // Relaxed: one writer, and readers want only a recent value; nothing is ordered by it.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Subtracts `n`, wrapping. Only the owning thread may call this.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.add(n.wrapping_neg());
    }

    /// A recent value.
    #[must_use]
    pub fn get(&self) -> u64 {
        // Relaxed: see `add`.
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a block of counters and its sum.
macro_rules! counters {
    ($(#[$block_doc:meta])* $block:ident, $totals:ident { $($(#[$doc:meta])* $name:ident,)* }) => {
        $(#[$block_doc])*
        #[derive(Debug, Default)]
        pub struct $block { $($(#[$doc])* pub $name: Counter,)* }

        /// The sum of such blocks over all threads.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $totals { $($(#[$doc])* pub $name: u64,)* }

        impl $totals {
            /// Adds one thread's block.
            pub fn add(&mut self, block: &$block) {
                $(self.$name = self.$name.wrapping_add(block.$name.get());)*
            }

            /// The difference to an earlier sum: what `stats reset` leaves.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(earlier.$name),)* }
            }
        }
    };
}

counters! {
    /// What one thread counts about commands and connections.
    CommandCounters, CommandTotals {
        /// Keys asked for by get and gets.
        cmd_get,
        /// Store commands whose data came, a bad data chunk included; not those refused for size or memory (probed).
        cmd_set,
        /// `flush_all` commands, refused ones too.
        cmd_flush,
        /// touch and gat keys.
        cmd_touch,
        /// `me` commands: memcached counts no other meta command here.
        cmd_meta,
        /// Keys not found by get.
        get_misses,
        /// Keys found by get.
        get_hits,
        /// delete of a missing key.
        delete_misses,
        /// delete of a key.
        delete_hits,
        /// incr of a missing key.
        incr_misses,
        /// incr of a number.
        incr_hits,
        /// decr of a missing key.
        decr_misses,
        /// decr of a number.
        decr_hits,
        /// cas of a missing key.
        cas_misses,
        /// cas with the item's own number.
        cas_hits,
        /// cas with another number.
        cas_badval,
        /// touch or gat of a key.
        touch_hits,
        /// touch or gat of a missing key.
        touch_misses,
        /// Values over the item size limit.
        store_too_large,
        /// Values no memory was found for.
        store_no_memory,
        /// Tokens that clients showed (`-Y`).
        auth_cmds,
        /// Of them, wrong ones.
        auth_errors,
        /// Connections closed for being idle.
        idle_kicks,
        /// Connections closed for reading too slowly while they held memory of values that are gone.
        slow_reader_kicks,
        /// Bytes read from clients.
        bytes_read,
        /// Bytes written to clients.
        bytes_written,
        /// Times a connection gave way after `-R` requests.
        conn_yields,
        /// Connections accepted.
        total_connections,
        /// Connections refused over `-c`.
        rejected_connections,
        /// Times accepting stopped over `-c`.
        listen_disabled_num,
    }
}

counters! {
    /// What one thread counts about items. `curr_items` and `bytes` are gauges.
    StoreCounters, StoreTotals {
        /// Live items (gauge).
        curr_items,
        /// Bytes of live items, headers included (gauge).
        bytes,
        /// Items ever stored.
        total_items,
        /// Items that a command of any kind found expired.
        found_expired,
        /// Items that a command of any kind found flushed.
        found_flushed,
        /// Items removed for room.
        evictions,
        /// Of them, items that were never fetched.
        evicted_unfetched,
        /// Of them, items that had an exptime.
        evicted_nonzero,
        /// Items whose expired memory was taken back.
        reclaimed,
        /// Of them, items that were never fetched.
        expired_unfetched,
        /// Items examined by the sweep.
        sweep_items_checked,
        /// Items the sweep removed.
        sweep_reclaimed,
        /// Passes of the sweep that found something due.
        sweep_passes,
        /// Stores no memory was found for.
        outofmemory,
        /// New items whose key the ghost remembered.
        ghost_hits,
        /// Pages moved between classes or to the pool.
        pages_moved,
        /// Items moved to another chunk to free a page.
        page_move_rescues,
        /// Items evicted to free a page.
        page_move_evictions,
        /// Items evicted because their bucket could not grow.
        index_evictions,
    }
}

counters! {
    /// What a thread counts about `watch`: one that records the first two, the one that drains the others.
    WatchCounters, WatchTotals {
        /// Events that found no room in their thread's ring.
        log_worker_dropped,
        /// Events recorded.
        log_worker_written,
        /// Lines that found no room with their watcher.
        log_watcher_skipped,
        /// Lines given to watchers.
        log_watcher_sent,
    }
}

/// All threads' blocks of one kind, for reports. Registration takes a lock; counting never does.
#[derive(Debug)]
pub struct Registry<B> {
    blocks: Mutex<Vec<Arc<crossbeam::utils::CachePadded<B>>>>,
}

impl<B: Default> Registry<B> {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { blocks: Mutex::new(Rank::Registry, Vec::new()) }
    }

    /// A new block, owned by the calling thread and summed from now on.
    #[must_use]
    pub fn register(&self) -> Arc<crossbeam::utils::CachePadded<B>> {
        self.register_with(B::default)
    }

    /// A new block that `make` makes, as `register`.
    #[must_use]
    pub fn register_with(&self, make: impl FnOnce() -> B) -> Arc<crossbeam::utils::CachePadded<B>> {
        let block = Arc::new(crossbeam::utils::CachePadded::new(make()));
        self.blocks.lock().push(Arc::clone(&block));
        block
    }

    /// Calls `visit` with every block.
    pub fn for_each(&self, mut visit: impl FnMut(&B)) {
        for block in self.blocks.lock().iter() {
            visit(block);
        }
    }
}

impl<B: Default> Default for Registry<B> {
    fn default() -> Self {
        Self::new()
    }
}
