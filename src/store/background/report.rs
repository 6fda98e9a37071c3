//! What the store tells about itself: the reports that `stats` prints.

use crate::store::bytes::item::Chunk;
use crate::store::bytes::layout::u64_of;
use crate::store::evict::PickContext;
use crate::store::memory::classes::ClassId;
use crate::store::policy::curve::CurveReport;
use crate::store::shared::Store;
use crate::store::words::outcome::{ClassReport, MemoryReport};
use crate::store::words::sizes::STEP_BYTES;
use crate::time::Seconds;

impl Store {
    /// The slab classes in use, smallest first.
    #[must_use]
    pub fn class_reports(&self, now: Seconds) -> Vec<ClassReport> {
        let mut reports: Vec<ClassReport> = self.pages.classes.all().map(|class| self.class_report(class)).collect();
        self.class_counters.for_each(|block| {
            for (report, counters) in reports.iter_mut().zip(block.iter()) {
                report.counts.add(counters);
            }
        });
        for (class, report) in self.pages.classes.all().zip(&mut reports).filter(|(_, report)| report.counts.number > 0)
        {
            report.age = self.age(class, now);
        }
        // A class without a page has counts when its items found room in another.
        reports.retain(|report| report.total_pages > 0 || report.counts.cmd_set > 0);
        reports
    }

    /// The reports of classes by the numbers that clients know: those of neighbours with the same number in one.
    #[must_use]
    pub fn numbered_reports(&self, classes: &[ClassReport]) -> Vec<ClassReport> {
        let sum = |classes: &[ClassReport]| {
            let mut sum = ClassReport::default();
            classes.iter().for_each(|report| sum.take_in(report));
            let largest = self.pages.classes.numbered(classes[0].class).last().expect("a class in use has this number");
            ClassReport {
                class: classes[0].class,
                place: place(largest),
                chunk_size: u64_of(self.pages.classes.chunk_bytes(largest)),
                chunks_per_page: u64_of(self.pages.chunks_per_page(largest)),
                ..sum
            }
        };
        classes.chunk_by(|one, next| one.class == next.class).map(sum).collect()
    }

    /// How long the item of a class that has gone unused longest has done so, as far as a few looks tell.
    fn age(&self, class: ClassId, now: Seconds) -> u64 {
        let context = PickContext { pages: &self.pages, blocks: &self.blocks, index: &self.index, now };
        let idle = |chunk: Chunk<'_>| chunk.idle_seconds(now);
        let state = self.classes[class.index()].lock();
        u64::from(state.longest_idle(&context, class, idle).unwrap_or(0))
    }

    fn class_report(&self, class: ClassId) -> ClassReport {
        let state = self.classes[class.index()].lock();
        let pages = u64::from(state.list.pages);
        let chunks_per_page = u64_of(self.pages.chunks_per_page(class));
        let free_chunks = u64::from(state.list.free_chunks);
        ClassReport {
            class: self.pages.classes.number(class),
            place: place(class),
            chunk_size: u64_of(self.pages.classes.chunk_bytes(class)),
            chunks_per_page,
            total_pages: pages,
            page_bytes: pages * u64_of(self.pages.page_bytes),
            used_chunks: (pages * chunks_per_page).saturating_sub(free_chunks),
            free_chunks,
            ..ClassReport::default()
        }
    }

    /// How many items there are of each size, rounded up to 32 bytes; `None` without `track_sizes`.
    #[must_use]
    pub fn size_report(&self) -> Option<Vec<(u64, u64)>> {
        if !self.options.track_sizes {
            return None;
        }
        let mut counts: Vec<u64> = Vec::new();
        self.sizes.for_each(|sizes| sizes.add_to(&mut counts));
        let sizes = (0..).step_by(usize::try_from(STEP_BYTES).expect("a small number"));
        Some(sizes.zip(counts).filter(|(_, count)| *count != 0).collect())
    }

    /// What is known of the hit ratio with other memory limits.
    #[must_use]
    pub fn curve_report(&self) -> CurveReport {
        self.curve.report()
    }

    /// Lets the counts behind [`Store::curve_report`] begin again.
    pub fn reset_curve(&self) {
        self.curve.reset();
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
            pool_pages: u64_of(self.pool.free_pages()),
            free_page_bytes: u64_of(self.pool.free_pages() * self.pages.page_bytes),
            page_bytes,
            used_chunk_bytes: chunk_bytes.saturating_sub(free_chunk_bytes),
            free_chunk_bytes,
            page_tail_bytes: page_bytes - chunk_bytes,
            eviction_bytes: u64_of(self.blocks.bytes() + self.ghost.bytes()),
            head_bytes: self.pool.head_bytes(&self.arena),
        }
    }
}

fn place(class: ClassId) -> u32 {
    u32::from(class.0) + 1
}
