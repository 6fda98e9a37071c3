//! What the store tells about itself: counters per class, and the reports that `stats` prints.

use super::Store;
use super::outcome::{ClassReport, MemoryReport};
use super::slab::classes::ClassId;
use crate::sync::{Ordering, TallyU64};
use crate::telemetry::{Counter, StoreTotals};

/// A value with one writer that is replaced, not summed.
#[derive(Debug, Default)]
pub(super) struct Gauge(TallyU64);

impl Gauge {
    pub(super) fn set(&self, value: u64) {
        // Relaxed: a figure for reports; nothing is ordered by it.
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares the per-class counters and their way into a report.
macro_rules! class_counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one thread counts about one class.
        #[derive(Debug, Default)]
        pub(super) struct ClassCounters {
            $($(#[$doc])* pub(super) $name: Counter,)*
            /// How long the item evicted last had not been asked for, in seconds.
            pub(super) last_evicted_age: Gauge,
        }

        impl ClassCounters {
            /// Fetches, touches and arithmetic that hit, by this thread.
            pub(super) fn hits(&self) -> u64 {
                let counters = [&self.get_hits, &self.touch_hits, &self.incr_hits, &self.decr_hits];
                counters.iter().fold(0, |hits, counter| hits.wrapping_add(counter.get()))
            }

            fn add_to(&self, report: &mut ClassReport) {
                $(report.$name = report.$name.wrapping_add(self.$name.get());)*
                report.evicted_time = report.evicted_time.max(self.last_evicted_age.get());
                report.age = report.evicted_time;
            }
        }
    };
}

class_counters! {
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
    /// Live items (wrapping differences).
    number,
    /// Bytes that live items asked for (wrapping differences).
    mem_requested,
    /// Items removed for room.
    evicted,
    /// Of them, with an exptime.
    evicted_nonzero,
    /// Of them, never fetched.
    evicted_unfetched,
    /// Stores no memory was found for.
    outofmemory,
    /// Items whose expired memory was taken back.
    reclaimed,
    /// Of them, never fetched.
    expired_unfetched,
    /// Of them, found by the sweep.
    crawler_reclaimed,
    /// Items the sweep looked at.
    crawler_items_checked,
}

impl Store {
    /// All threads' counters.
    #[must_use]
    pub fn totals(&self) -> StoreTotals {
        let mut totals = StoreTotals::default();
        self.counters.for_each(|block| totals.add(block));
        totals
    }

    /// The slab classes in use, smallest first.
    #[must_use]
    pub fn class_reports(&self) -> Vec<ClassReport> {
        let mut reports: Vec<ClassReport> = self.pages.classes.all().map(|class| self.class_report(class)).collect();
        self.class_counters.for_each(|block| {
            for (report, counters) in reports.iter_mut().zip(block.iter()) {
                counters.add_to(report);
            }
        });
        // A class without a page has counts when its items found room in another.
        reports.retain(|report| report.total_pages > 0 || report.cmd_set > 0);
        reports
    }

    fn class_report(&self, class: ClassId) -> ClassReport {
        let state = self.classes[class.index()].lock();
        let pages = u64::from(state.pages);
        let chunks_per_page = number(self.pages.chunks_per_page(class));
        let free_chunks = u64::from(state.free_chunks);
        ClassReport {
            class: class.number(),
            chunk_size: number(self.pages.classes.chunk_bytes(class)),
            chunks_per_page,
            total_pages: pages,
            page_bytes: pages * number(self.pages.page_bytes),
            used_chunks: (pages * chunks_per_page).saturating_sub(free_chunks),
            free_chunks,
            ..ClassReport::default()
        }
    }

    /// Where `-m` went.
    #[must_use]
    pub fn memory_report(&self) -> MemoryReport {
        let (committed_bytes, limit_bytes) = self.pool.budget();
        let (mut page_bytes, mut chunk_bytes, mut free_chunk_bytes) = (0, 0, 0);
        for class in self.pages.classes.all() {
            let report = self.class_report(class);
            page_bytes += report.page_bytes;
            chunk_bytes += report.chunk_size * report.chunks_per_page * report.total_pages;
            free_chunk_bytes += report.chunk_size * report.free_chunks;
        }
        MemoryReport {
            limit_bytes,
            committed_bytes,
            index_bytes: self.index.bytes(),
            index_buckets: self.index.bucket_count(),
            pool_pages: number(self.pool.free_pages()),
            free_page_bytes: number(self.pool.free_pages() * self.pages.page_bytes),
            page_bytes,
            used_chunk_bytes: chunk_bytes.saturating_sub(free_chunk_bytes),
            free_chunk_bytes,
            page_tail_bytes: page_bytes - chunk_bytes,
            eviction_bytes: number(self.blocks.bytes() + self.ghost.bytes()),
            head_bytes: self.arena.head_bytes(self.options.limit_bytes),
        }
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).expect("64 bits hold a usize")
}
