//! A store of another geometry takes the items of one on a file over: page by page in the order of memory, and what is
//! empty then gives its memory back, so that both together hold hardly more than the larger of them.
//!
//! An item leaves the old file when it is whole in the new one. So a move may be ended anywhere and gone on with: what
//! is found in both is the same item.

use crate::store::bytes::item::{Chunk, Guard, StripeGuard};
use crate::store::bytes::layout::Ref;
use crate::store::index::{Found, TakenIn};
use crate::store::local::Local;
use crate::store::memory::page::PageId;
use crate::store::shared::Store;
use crate::store::supply::reserve::Effort;
use crate::store::words::outcome::{Key, Mode, StoreOutcome, StoreRequest};
use crate::sync::{AtomicBool, Ordering};
use crate::time::Seconds;

#[cfg(all(test, not(loom)))]
mod tests;

/// A witness that nobody else is at work in either store.
#[derive(Debug)]
struct Alone;

impl Guard for Alone {}
impl StripeGuard for Alone {}

impl Store {
    /// Takes the items of another store over, which has the same seed and stripes. Nobody else uses either. Where there
    /// is too little room the hand decides what goes. False: `stop` said so, and there is more to move.
    pub fn take_over(&self, old: &Self, now: Seconds, stop: &AtomicBool) -> bool {
        let (mut local, mut theirs) = (self.local(), old.local());
        // Whatever becomes free there is too much.
        old.pool.set_limit(&old.arena, 0);
        for page in (0..old.pool.pages_used()).map_while(|page| u32::try_from(page).ok()).map(PageId) {
            if stop.load(Ordering::Relaxed) {
                self.surrender(&mut local);
                return false;
            }
            self.take_page_over(&mut local, old, &mut theirs, page, now);
        }
        true
    }

    /// Takes the items of one page over.
    fn take_page_over(&self, local: &mut Local, old: &Self, theirs: &mut Local, page: PageId, now: Seconds) {
        let entry = old.pages.entry(page);
        let Some(class) = entry.class() else { return };
        for number in 0..entry.formatted.load(Ordering::Acquire) {
            let reference = old.pages.reference(page, class, number);
            if old.pages.chunk(reference).is_item() {
                self.take_item_over(local, old, theirs, reference, now);
            }
        }
        old.surrender(theirs);
        while old.pool.trim(&old.arena) {}
        self.surrender(local);
    }

    /// Takes one item over, if it is alive and there is room, and ends it in the old store.
    fn take_item_over(&self, local: &mut Local, old: &Self, theirs: &mut Local, reference: Ref, now: Seconds) {
        let chunk = old.pages.chunk(reference);
        let hash = old.index.hash(chunk.key(&Alone));
        let is_dead = old.why_dead(&old.index.lock(hash), chunk, now).is_some();
        if !is_dead {
            // What there is no room for goes.
            let _ = if chunk.is_large() {
                self.take_large_over(local, old, theirs, (hash, reference), now)
            } else {
                self.take_small_over(local, chunk, hash, now)
            };
        }
        let mut stripe = old.index.lock(hash);
        let Some(slot) = stripe.find_reference(hash, reference) else { return };
        let gone = old.unlink(&mut stripe, theirs, hash, Found { slot, reference });
        drop(stripe);
        old.give_back(theirs, gone);
    }

    fn take_small_over(&self, local: &mut Local, from: Chunk<'_>, hash: u64, now: Seconds) -> Option<()> {
        let class = self.pages.classes.class_of(usize::try_from(from.item_bytes()).ok()?)?;
        let reference = self.take_chunk(local, class, now, Effort::Everything)?;
        let chunk = self.pages.chunk(reference);
        from.copy_to(&Alone, chunk);
        chunk.publish(from.key_len());
        let key = Key { bytes: from.key(&Alone), hash };
        let mut taken = self.index.take_in(&self.pages, &self.pool, key, reference);
        if taken == TakenIn::NoRoom {
            self.evict_of_home(local, hash, now);
            taken = self.index.take_in(&self.pages, &self.pool, key, reference);
        }
        match taken {
            TakenIn::New => {}
            TakenIn::Instead(other) => {
                let gone = self.let_go(local, other);
                self.give_back(local, gone);
            }
            TakenIn::Superseded | TakenIn::NoRoom => {
                chunk.retire();
                self.keep_chunk(local, reference);
                return None;
            }
        }
        self.count_stored(local, reference);
        self.note_expiry(reference, chunk.expiry());
        if !chunk.is_main() {
            local.committed(self.class_of(reference), reference, false);
        }
        Some(())
    }

    fn take_large_over(
        &self,
        local: &mut Local,
        old: &Self,
        theirs: &mut Local,
        (hash, reference): (u64, Ref),
        now: Seconds,
    ) -> Option<()> {
        let from = old.pages.chunk(reference);
        let key = Key { bytes: from.key(&Alone), hash };
        let (client_flags, expiry) = (from.client_flags(), from.expiry());
        let request = StoreRequest { key, mode: Mode::Set, client_flags, expiry, shows_cas: false, extras: None };
        let mut incoming = self.begin_moved(&request, from.value_len());
        let mut pinned = old.pin(&old.index.lock(hash), theirs, reference);
        let mut is_whole = true;
        'pieces: for mut piece in old.pinned_pieces(&mut pinned, 0) {
            while !piece.is_empty() {
                let room = self.rooms(local, &mut incoming, 1, now).and_then(|mut rooms| rooms.next());
                let Some(room) = room else {
                    is_whole = false;
                    break 'pieces;
                };
                let n = room.len().min(piece.len());
                room[..n].copy_from_slice(&piece[..n]);
                piece = &piece[n..];
                self.filled(&mut incoming, n);
            }
        }
        old.unpin(theirs, pinned);
        if !is_whole {
            self.abandon(local, incoming);
            return None;
        }
        let head = incoming.head;
        let StoreOutcome::Stored { .. } = self.commit_arrived(local, incoming, Mode::Set, now) else { return None };
        // It was stored long ago.
        local.counters.total_items.sub(1);
        let chunk = self.pages.chunk(head);
        chunk.set_cas(from.cas());
        chunk.set_access(from.access());
        chunk.take_use_from(from);
        if from.is_main() {
            chunk.set_main();
        }
        chunk.renew_marks(from.marks());
        Some(())
    }
}

/// The first page with an item.
#[cfg(all(test, not(loom)))]
fn first_page_with_items(store: &Store) -> PageId {
    let has_item = |page: &PageId| {
        let entry = store.pages.entry(*page);
        entry.class().is_some_and(|class| {
            let chunks = 0..entry.formatted.load(Ordering::Acquire);
            chunks.map(|number| store.pages.reference(*page, class, number)).any(|at| store.pages.chunk(at).is_item())
        })
    };
    let pages = (0..store.pool.pages_used()).map_while(|page| u32::try_from(page).ok()).map(PageId);
    pages.into_iter().find(has_item).expect("there are items")
}
