//! A slab class: its pages and chunks, who of its items goes next, and the lock over both.

use super::queues::ClassQueues;
use crate::store::bytes::item::Guard;
use crate::store::bytes::layout::Ref;
use crate::store::memory::classes::ClassId;
use crate::store::memory::page::{PageId, Pages};
use crate::store::memory::page_list::PageList;
use crate::store::policy::pace::Pace;
use crate::sync::{Mutex, MutexGuard, Rank};

/// One slab class. A cache line of its own: workers of different classes do not meet.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Class {
    state: Mutex<ClassState>,
}

/// Guarded by the class's lock.
#[derive(Debug, Default)]
pub(crate) struct ClassState {
    /// Its pages, and the chunks they have to give.
    pub(crate) list: PageList,
    /// How fast chunks are taken.
    pub(crate) pace: Pace,
    /// Items that had been picked to be evicted when the class got its first page.
    pub(crate) picked_before: u64,
    /// The small queue's ring and the main queue's hand.
    pub(crate) queues: ClassQueues,
}

impl Guard for ClassState {}

impl Class {
    /// A class without pages.
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(Rank::Class, ClassState::default()) }
    }

    /// Takes the class's lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ClassState> {
        self.state.lock()
    }
}

impl ClassState {
    /// Takes a chunk back whose key length is 0. A page that has no other chunk out leaves the class: it is the
    /// caller's, for the pool.
    #[must_use]
    pub(crate) fn give(&mut self, pages: &Pages, class: ClassId, reference: Ref) -> Option<PageId> {
        let page = self.list.give(pages, class, reference)?;
        self.forget_page(pages, page);
        Some(page)
    }

    /// Whether the class has not turned over once since it got its first page: what its memory earns is not known yet.
    pub(crate) fn is_growing(&self, chunks: u64) -> bool {
        self.queues.picked - self.picked_before < chunks
    }

    /// Adds a page of no class to this one.
    pub(crate) fn add_page(&mut self, pages: &Pages, class: ClassId, page: PageId) {
        self.list.add_page(pages, class, page, self.queues.ring().pushed());
    }

    /// Takes a page in that another run left with the class.
    pub(crate) fn adopt(&mut self, pages: &Pages, class: ClassId, page: PageId) {
        self.list.adopt(pages, class, page);
    }

    /// Pages to empty, the one that costs least first.
    pub(crate) fn pages_to_give(&self, pages: &Pages, class: ClassId) -> Vec<PageId> {
        self.list.pages_to_give(pages, class, self.queues.hand())
    }

    /// Takes an emptied page out of the class; false while a chunk of it is still out.
    pub(crate) fn finish_drain(&mut self, pages: &Pages, page: PageId) -> bool {
        let is_empty = self.list.finish_drain(pages, page);
        if is_empty {
            self.forget_page(pages, page);
        }
        is_empty
    }

    /// The hand never stands on a page that has left the class: it goes on with the one that stood behind it.
    fn forget_page(&mut self, pages: &Pages, page: PageId) {
        self.queues.forget_page(page, self.list.page_after(pages, page));
    }
}
