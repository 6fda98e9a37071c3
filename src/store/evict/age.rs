//! How long a class's items have gone unused, for reports: a few looks, no scan.

use super::class::ClassState;
use super::pick::PickContext;
use crate::store::bytes::item::Chunk;
use crate::store::bytes::layout::Ref;
use crate::store::memory::classes::ClassId;
use crate::sync::Ordering;

/// Entries of the small queue looked at.
const ENTRIES_MAX: usize = 16;
/// Pages looked into, from the hand on, chunks of the first and of each other: together some twenty microseconds of
/// them, under the class's lock.
const PAGES_MAX: usize = 16;
const CHUNKS_OF_FIRST: u32 = 64;
const CHUNKS_OF_OTHER: u32 = 8;

impl ClassState {
    /// The longest that an item has gone unused, in seconds by `idle`, of a few: those that came first into the small
    /// queue, and the first of the pages that the hand comes to. `None`: it met no item.
    pub(crate) fn longest_idle(
        &self,
        context: &PickContext<'_>,
        class: ClassId,
        idle: impl Fn(Chunk<'_>) -> u32,
    ) -> Option<u32> {
        let small = self.queues.ring.iter(context.blocks).map(|(_, reference)| reference).take(ENTRIES_MAX);
        let small = small.filter(|reference| context.pages.is_chunk_of(*reference, class));
        let chunks = small.chain(self.ahead_of_hand(context)).map(|reference| context.pages.chunk(reference));
        chunks.filter(|chunk| chunk.is_item() && !context.index.looks_dead(self, *chunk, context.now)).map(idle).max()
    }

    /// Some chunks of each page, in the order in which the hand comes to them, once round at most.
    fn ahead_of_hand<'a>(&'a self, context: &'a PickContext<'_>) -> impl Iterator<Item = Ref> + 'a {
        let hand = self.queues.hand.or_else(|| self.list.first_page());
        let pages = std::iter::successors(hand, |page| self.list.page_after(context.pages, *page));
        let first = std::iter::once((self.queues.hand_chunk, CHUNKS_OF_FIRST));
        let places = first.chain(std::iter::repeat((0, CHUNKS_OF_OTHER)));
        let pages_max = PAGES_MAX.min(usize::try_from(self.list.pages).expect("32 bits fit") + 1);
        pages.zip(places).take(pages_max).flat_map(move |(page, (start, chunks))| {
            let entry = context.pages.entry(page);
            let class = entry.class().expect("a page in a class's list is of the class");
            let end = entry.formatted.load(Ordering::Relaxed).min(start.saturating_add(chunks));
            (start..end).map(move |chunk| context.pages.reference(page, class, chunk))
        })
    }
}
