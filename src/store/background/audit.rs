//! The audit: recounts everything the store believes about itself. For tests: nobody else may be at work.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::store::bytes::item::PART;
use crate::store::bytes::layout::{Ref, u64_of};
use crate::store::bytes::state;
use crate::store::evict::is_entry_for;
use crate::store::memory::classes::ClassId;
use crate::store::memory::page::PageId;
use crate::store::shared::Store;
use crate::sync::Ordering;
use crate::time::{Expiry, Seconds};

/// What a recount found, for tests that look closer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Live items, dead ones not yet removed included.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pages, index and eviction state together.
    pub committed_bytes: u64,
    /// The limit.
    pub limit_bytes: u64,
}

/// What the audit says when something is wrong.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+));
        }
    };
}

impl Store {
    /// Recounts index, pages, chains, rings, counters and budget. Threads have given back what they held
    /// (`surrender`), no value is arriving, nothing is pinned, and nobody else works on the store meanwhile.
    ///
    /// # Errors
    /// The first thing that does not hold, in words.
    pub fn audit(&self) -> Result<Audit, String> {
        let linked = self.audit_index()?;
        let bytes = self.audit_items(&linked)?;
        let parts = self.audit_chains(&linked)?;
        self.audit_pages(&linked, &parts)?;
        self.audit_rings()?;
        self.audit_budget()?;
        let totals = self.totals();
        let items = u64_of(linked.len());
        ensure!(totals.curr_items == items, "curr_items is {}, the index has {items}", totals.curr_items);
        ensure!(totals.bytes == bytes, "bytes is {}, the items have {bytes}", totals.bytes);
        self.audit_sizes(&linked)?;
        let (committed_bytes, limit_bytes) = self.pool.budget();
        Ok(Audit { items, bytes, committed_bytes, limit_bytes })
    }

    /// Every entry leads to a live item whose key belongs in this stripe and chain, once.
    fn audit_index(&self) -> Result<HashSet<Ref>, String> {
        let mut linked = HashSet::new();
        for number in 0..self.index.stripe_count() {
            let stripe = self.index.lock_number(number);
            let mut count = 0;
            for (reference, slot) in stripe.all() {
                count += 1;
                ensure!(linked.insert(reference), "{reference:?} is in the index twice");
                let chunk = self.pages.chunk(reference);
                ensure!(self.pages.class_of(reference).is_some(), "{reference:?} lies in a page of no class");
                ensure!(chunk.is_item(), "{reference:?} is in the index and not live");
                let key = self.key(chunk.key(&*stripe.state));
                let found = stripe.find(&self.pages, key);
                let found = found.map(|found| (found.reference, found.slot));
                ensure!(found == Some((reference, slot)), "{reference:?} at {slot:?} is found as {found:?}");
            }
            ensure!(count == stripe.items(), "stripe {number} counts {} items and has {count}", stripe.items());
            stripe.audit_places().map_err(|error| format!("stripe {number}: {error}"))?;
        }
        Ok(linked)
    }

    /// The items' bytes, and that each fits its chunk.
    fn audit_items(&self, linked: &HashSet<Ref>) -> Result<u64, String> {
        let mut bytes = 0;
        let mover = self.mover.lock();
        for &reference in linked {
            let chunk = self.pages.chunk(reference);
            let class = self.class_of(reference);
            let room = u64_of(self.pages.classes.chunk_bytes(class));
            ensure!(chunk.is_large() || chunk.item_bytes() <= room, "{reference:?} is larger than its chunk");
            bytes += chunk.item_bytes();
            if let Expiry::At(Seconds(deadline)) = chunk.expiry() {
                let earliest = mover.sweep().earliest_expiry(&self.pages, class, reference);
                ensure!(earliest <= deadline, "{reference:?} expires at {deadline}, its page says {earliest}");
            }
        }
        Ok(bytes)
    }

    /// The histogram of sizes, where it is kept.
    fn audit_sizes(&self, linked: &HashSet<Ref>) -> Result<(), String> {
        let Some(report) = self.size_report() else { return Ok(()) };
        let mut sizes = BTreeMap::new();
        for &reference in linked {
            *sizes.entry(self.pages.chunk(reference).item_bytes().next_multiple_of(32)).or_default() += 1;
        }
        let found: Vec<(u64, u64)> = sizes.into_iter().collect();
        ensure!(found == report, "the sizes are {found:?}, the histogram says {report:?}");
        Ok(())
    }

    /// The parts of all large items, and that they hold their values.
    fn audit_chains(&self, linked: &HashSet<Ref>) -> Result<HashSet<Ref>, String> {
        let mut parts = HashSet::new();
        for &head in linked.iter().filter(|&&head| self.pages.chunk(head).is_large()) {
            let chunk = self.pages.chunk(head);
            ensure!(chunk.pins() == 1, "{head:?} has {} pins", chunk.pins());
            let mut room = chunk.shape().head(head).len;
            for (part, number) in self.pages.parts(head).into_iter().zip(1..) {
                let (reference, chunk) = (part.chunk, self.pages.chunk(part.chunk));
                ensure!(chunk.key_len() == PART, "{reference:?} is in a chain and not a part");
                ensure!(
                    chunk.part_owner().0 == head,
                    "{reference:?} belongs to {:?}, not {head:?}",
                    chunk.part_owner().0
                );
                ensure!(
                    chunk.part_number() == number,
                    "{reference:?} says it is part {}, not {number}",
                    chunk.part_number()
                );
                ensure!(parts.insert(reference), "{reference:?} is in two chains");
                room += self.pages.classes.chunk_bytes(self.class_of(reference)) - part.first;
            }
            ensure!(room >= chunk.value_len(), "{head:?}: its chain is too short for its value");
        }
        Ok(parts)
    }

    /// Every formatted chunk is linked, a part, or free; the free lists and counts agree.
    fn audit_pages(&self, linked: &HashSet<Ref>, parts: &HashSet<Ref>) -> Result<(), String> {
        let mut pages: HashMap<ClassId, (u32, u32)> = HashMap::new();
        let draining = self.mover.lock().draining();
        for page in (0..self.pages.count()).map(|page| PageId(u32::try_from(page).expect("fewer than 2^32 pages"))) {
            let entry = self.pages.entry(page);
            let Some(class) = entry.class() else { continue };
            let free: HashSet<Ref> = self.pages.free_list(page).collect();
            let formatted = entry.formatted.load(Ordering::Acquire);
            for chunk in 0..formatted {
                let reference = self.pages.reference(page, class, chunk);
                let places = [linked, parts, &free].into_iter().filter(|places| places.contains(&reference)).count();
                let key_len = self.pages.chunk(reference).key_len();
                ensure!(places == 1, "{reference:?} of {class:?} (key length {key_len}) is in {places} places");
            }
            let per_page = u32::try_from(self.pages.chunks_per_page(class)).expect("fewer than 2^32 chunks");
            let free = u32::try_from(free.len()).expect("fewer than 2^32 chunks");
            let count = pages.entry(class).or_default();
            count.0 += 1;
            count.1 += if draining == Some(page) { 0 } else { per_page - formatted + free };
        }
        for class in self.pages.classes.all() {
            let state = self.classes[class.index()].lock();
            let (pages, free) = pages.get(&class).copied().unwrap_or_default();
            ensure!(state.list.pages == pages, "{class:?} counts {} pages and has {pages}", state.list.pages);
            ensure!(
                state.list.free_chunks == free,
                "{class:?} counts {} free chunks and has {free}",
                state.list.free_chunks
            );
        }
        Ok(())
    }

    /// No chunk whose bit is set has two entries, and none has none.
    fn audit_rings(&self) -> Result<(), String> {
        for class in self.pages.classes.all() {
            let guard = self.classes[class.index()].lock();
            let mut seen = HashSet::new();
            let entries = guard.queues.ring().iter(&self.blocks);
            let valid = entries.filter(|&(number, reference)| is_entry_for(&self.pages, class, number, reference));
            for (_, reference) in valid {
                let has_bit = self.pages.chunk(reference).state() & state::IN_RING != 0;
                ensure!(!has_bit || seen.insert(reference), "{reference:?} is in the ring of {class:?} twice");
            }
            for reference in self.formatted_chunks(class) {
                let has_bit = self.pages.chunk(reference).state() & state::IN_RING != 0;
                ensure!(!has_bit || seen.contains(&reference), "{reference:?} is not in the ring of {class:?}");
            }
        }
        Ok(())
    }

    fn formatted_chunks(&self, class: ClassId) -> impl Iterator<Item = Ref> {
        (0..self.pages.count())
            .map(|page| PageId(u32::try_from(page).expect("fewer than 2^32 pages")))
            .filter(move |&page| self.pages.entry(page).class() == Some(class))
            .flat_map(move |page| {
                let formatted = self.pages.entry(page).formatted.load(Ordering::Acquire);
                (0..formatted).map(move |chunk| self.pages.reference(page, class, chunk))
            })
    }

    /// Pages, index and eviction state are what the budget says, and within the limit.
    fn audit_budget(&self) -> Result<(), String> {
        let report = self.memory_report();
        let (committed, limit) = self.pool.budget();
        let pages = report.page_bytes + report.pool_pages * u64_of(self.pages.page_bytes);
        let sum = pages + report.index_bytes + report.eviction_bytes + report.head_bytes;
        ensure!(sum == committed, "the budget says {committed} bytes, the parts sum to {sum}: {report:?}");
        ensure!(committed <= limit || self.pool.is_shrinking(), "{committed} bytes are over the limit of {limit}");
        Ok(())
    }
}
