//! The end of a recovery: free chunks, pages and memory go to who has them, and the store is as any other.

use super::pages::{Recovery, Share, page_id};
use crate::store::local::Local;
use crate::store::shared::Store;
use crate::store::words::restart::Recovered;
use crate::sync::Ordering;

impl Store {
    /// Ends a recovery whose pages have all been gone over. From then on the store may be used.
    pub fn finish_recovery(&self, recovery: &Recovery, local: &Local, shares: Vec<Share>) -> Recovered {
        let mut all = Share::default();
        for share in shares {
            all.heads.extend(share.heads);
            all.with_parts.extend(share.with_parts);
            all.lost.extend(share.lost);
            all.found.add(&share.found);
        }
        self.recover_chains(local, &mut all);
        for page in all.with_parts {
            self.free_unreached(page);
        }
        for reference in all.lost {
            self.pages.entry(self.pages.page_of(reference)).link_free(self.pages.chunk(reference), reference);
        }
        self.index.end_flush_left();
        self.adopt_pages(recovery.end);
        let is_set = self.set_limit_bytes(self.options.limit_bytes);
        debug_assert!(is_set, "the table was open as far before");
        all.found
    }

    /// Gives each page to its class; one with nothing in it, and the memory between pages, is nobody's.
    fn adopt_pages(&self, mut end: usize) {
        let (mut count, mut released) = (0, Vec::new());
        for page in (0..end).map(page_id) {
            let entry = self.pages.entry(page);
            let is_empty = entry.free_count.load(Ordering::Relaxed) == entry.formatted.load(Ordering::Relaxed);
            match entry.class() {
                Some(class) if !is_empty => {
                    self.classes[class.index()].lock().adopt(&self.pages, class, page);
                    count += 1;
                }
                _ => {
                    entry.forget();
                    released.push(page);
                }
            }
        }
        while released.pop_if(|page| page.index() + 1 == end).is_some() {
            end -= 1;
        }
        for page in &released {
            self.arena.memory.release(self.pages.offset_of(*page), self.pages.page_bytes);
        }
        let unused_at = self.pages.offset_of(page_id(end));
        self.arena.memory.release(unused_at, self.arena.geometry.index_at - unused_at);
        let limit_bytes = self.options.limit_bytes;
        self.pool.end_recovery(limit_bytes, count, page_id(end), released);
    }
}
