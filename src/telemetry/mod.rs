//! Per-thread counters: who counts owns its counters and adds with plain loads and stores; who reports sums.
//!
//! What is told of them, in which order, is `command/`'s business: it makes [`Figure`]s, which a dialect writes. What
//! happens, one event at a time, is told by [`watch`]; the operator's log has its lines from [`LogFormat`].

pub mod watch;

mod figure;
mod histogram;
mod hot_keys;
mod latency;
mod log_line;
mod prefixes;
mod sampler;

pub use figure::{Figure, Kind, Label, Value, Visit};
pub use histogram::{Histogram, Spread};
pub use hot_keys::{AskedKey, HOT_KEYS_MAX, HotKey, HotKeys, Ranking};
pub use latency::{CommandKind, KindCounts, Latencies, LatencyCounters};
pub use log_line::LogFormat;
pub use prefixes::{PREFIXES_MAX, PrefixBook, PrefixCounters, PrefixEvent, PrefixTotals};
pub use sampler::{SAMPLED_ONE_IN, Sampler};

use crossbeam::utils::CachePadded;

use crate::sync::{Arc, Mutex, Ordering, Rank, TallyU64};

/// Verbosity of `-vv` and above: commands and replies are logged.
pub const VERBOSITY_COMMANDS: u8 = 2;

/// Sets the filter of the `log` crate to what is said at a verbosity: 0 warnings, 1 news, 2 commands and replies, above
/// everything.
pub fn set_log_level(verbosity: u8) {
    log::set_max_level(match verbosity {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        VERBOSITY_COMMANDS => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    });
}

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

/// A value with one writer that is replaced, not counted.
#[derive(Debug, Default)]
pub struct Latest(TallyU64);

impl Latest {
    /// Replaces it. Only the owning thread may call this.
    pub fn set(&self, value: u64) {
        // Relaxed: a figure for reports; nothing is ordered by it.
        self.0.store(value, Ordering::Relaxed);
    }

    /// A recent value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a block of counters and its sum. `gauges` are counters that also fall, so that nothing of them is taken
/// off for `stats reset`; of `latest` values the greatest stands for all.
macro_rules! counters {
    ($(#[$block_doc:meta])* $block:ident, $totals:ident {
        $($(#[$doc:meta])* $name:ident,)*
    } $(gauges {
        $($(#[$gauge_doc:meta])* $gauge:ident,)*
    })? $(latest {
        $($(#[$latest_doc:meta])* $latest:ident,)*
    })?) => {
        $(#[$block_doc])*
        #[derive(Debug, Default)]
        pub struct $block {
            $($(#[$doc])* pub $name: Counter,)*
            $($($(#[$gauge_doc])* pub $gauge: Counter,)*)?
            $($($(#[$latest_doc])* pub $latest: Latest,)*)?
        }

        /// The sum of such blocks over all threads.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $totals {
            $($(#[$doc])* pub $name: u64,)*
            $($($(#[$gauge_doc])* pub $gauge: u64,)*)?
            $($($(#[$latest_doc])* pub $latest: u64,)*)?
        }

        impl $block {
            fn totals(&self) -> $totals {
                $totals {
                    $($name: self.$name.get(),)*
                    $($($gauge: self.$gauge.get(),)*)?
                    $($($latest: self.$latest.get(),)*)?
                }
            }
        }

        impl $totals {
            /// Adds one thread's block.
            pub fn add(&mut self, block: &$block) {
                self.merge(&block.totals());
            }

            /// Adds another sum.
            pub fn merge(&mut self, other: &Self) {
                $(self.$name = self.$name.wrapping_add(other.$name);)*
                $($(self.$gauge = self.$gauge.wrapping_add(other.$gauge);)*)?
                $($(self.$latest = self.$latest.max(other.$latest);)*)?
            }

            /// The difference to an earlier sum, what `stats reset` leaves: gauges stay.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                let mut since = *self;
                $(since.$name = since.$name.wrapping_sub(earlier.$name);)*
                since
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
        /// Connections closed for sending nothing of a value while others waited for the memory it held.
        silent_upload_kicks,
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
        /// Sessions of TLS that began anew, where they may be resumed.
        ssl_new_sessions,
        /// Handshakes of TLS that failed or took too long.
        ssl_handshake_errors,
        /// Sessions of TLS that broke behind their handshake.
        ssl_proto_errors,
    }
}

counters! {
    /// What one thread counts about items.
    StoreCounters, StoreTotals {
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
        /// Expired or flushed items that a store found or took the memory of.
        reclaimed,
        /// Of them and of those that the sweep removed, items that were never fetched.
        expired_unfetched,
        /// Items examined by the sweep.
        sweep_items_checked,
        /// Expired or flushed items that the sweep removed.
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
    } gauges {
        /// Live items.
        curr_items,
        /// Bytes of live items, headers included.
        bytes,
        /// Bytes of large items that somebody is reading.
        read_bytes,
    }
}

counters! {
    /// What one thread counts about the items of one slab class.
    ClassCounters, ClassTotals {
        /// Fetches that hit.
        get_hits,
        /// Items stored.
        cmd_set,
        /// Deletes that hit.
        delete_hits,
        /// incr that hit.
        incr_hits,
        /// decr that hit.
        decr_hits,
        /// cas that stored.
        cas_hits,
        /// cas with another number.
        cas_badval,
        /// Touches that hit.
        touch_hits,
        /// Items removed for room.
        evicted,
        /// Of them, with an exptime.
        evicted_nonzero,
        /// Of them, never fetched.
        evicted_unfetched,
        /// Stores no memory was found for.
        outofmemory,
        /// Expired or flushed items that a store found or took the memory of.
        reclaimed,
        /// Of them and of those that the sweep removed, never fetched.
        expired_unfetched,
        /// Expired or flushed items that the sweep removed.
        crawler_reclaimed,
        /// Items the sweep looked at.
        crawler_items_checked,
    } gauges {
        /// Live items.
        number,
        /// Bytes that live items asked for, in memcached's count.
        mem_requested,
    } latest {
        /// How long the item evicted last had not been asked for, in seconds.
        evicted_time,
    }
}

impl ClassCounters {
    /// Fetches, touches and arithmetic that hit, by this thread.
    #[must_use]
    pub fn hits(&self) -> u64 {
        let counters = [&self.get_hits, &self.touch_hits, &self.incr_hits, &self.decr_hits];
        counters.iter().fold(0, |hits, counter| hits.wrapping_add(counter.get()))
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
    blocks: Mutex<Vec<Arc<CachePadded<B>>>>,
}

impl<B: Default> Registry<B> {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { blocks: Mutex::new(Rank::Registry, Vec::new()) }
    }

    /// A new block, owned by the calling thread and summed from now on.
    #[must_use]
    pub fn register(&self) -> Arc<CachePadded<B>> {
        self.register_with(B::default)
    }

    /// A new block that `make` makes, as `register`.
    #[must_use]
    pub fn register_with(&self, make: impl FnOnce() -> B) -> Arc<CachePadded<B>> {
        let block = Arc::new(CachePadded::new(make()));
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
