//! What is done to an item under its stripe's lock: it is looked up, lent, linked into the index and taken out of it,
//! and counted. Here alone items enter and leave.
//!
//! Whoever takes an item out gets what it lay in, and gives that back after unlocking ([`Store::give_back`]).

use super::bytes::item::Chunk;
use super::bytes::layout::{Ref, u64_of};
use super::bytes::marks::mark;
use super::bytes::shape::{Pinned, Shape};
use super::bytes::state;
use super::evict::Reason;
use super::index::{Found, LockedStripe, NoCell, RowWish};
use super::local::Local;
use super::shared::Store;
use super::words::outcome::{Details, Fetch, ItemView, Key, Miss, Value};
use crate::sync::Ordering;
use crate::time::{Expiry, Seconds};

/// An item that is as good as gone and still in the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dead {
    pub(crate) found: Found,
    pub(crate) why: Miss,
}

/// What an item lay in that is no longer in the index.
#[derive(Clone, Copy, Debug)]
#[must_use = "its memory is to be given back"]
pub(crate) enum Gone {
    /// One chunk.
    Chunk(Ref),
    /// The chain of this head.
    Chain(Ref, Shape),
    /// A chain that is still being read: the last reader gives it back.
    Lent,
}

/// An item about to be linked into the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'k> {
    pub(crate) key: Key<'k>,
    /// The item it takes the place of.
    pub(crate) found: Option<Found>,
    /// The filled chunk.
    pub(crate) reference: Ref,
    /// The ghost knew the key.
    pub(crate) ghost_hit: bool,
}

/// What an item that was linked leaves to be done after unlocking.
#[derive(Debug)]
pub(crate) struct Linked {
    /// The stripe would be better off with another row.
    pub(crate) wants_row: RowWish,
    /// The item whose place it took.
    pub(crate) gone: Option<Gone>,
}

/// What a fetch lends of a found item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loan<'f> {
    pub(crate) reference: Ref,
    pub(crate) fetch: Fetch<'f>,
    pub(crate) details: Option<Details>,
    pub(crate) now: Seconds,
}

impl Store {
    // --- looking an item up ---------------------------------------------------------------------------------

    /// The live item with this key, or the dead one that is to be removed.
    #[inline(always)]
    pub(crate) fn look_up(&self, stripe: &LockedStripe<'_>, key: Key<'_>, now: Seconds) -> Result<Found, Option<Dead>> {
        let Some(found) = stripe.find(&self.pages, key) else { return Err(None) };
        match self.why_dead(stripe, self.pages.chunk(found.reference), now) {
            None => Ok(found),
            Some(why) => Err(Some(Dead { found, why })),
        }
    }

    /// Why an item is as good as gone, if it is.
    #[inline(always)]
    pub(crate) fn why_dead(&self, stripe: &LockedStripe<'_>, chunk: Chunk<'_>, now: Seconds) -> Option<Miss> {
        if stripe.is_flushed(chunk.cas()) {
            return Some(Miss::Flushed);
        }
        chunk.expiry().has_passed(now).then_some(Miss::Expired)
    }

    /// Removes a dead item that a fetch, a delete or arithmetic met.
    #[cold]
    pub(crate) fn remove_dead(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &Local,
        hash: u64,
        Dead { found, why }: Dead,
    ) -> Gone {
        match why {
            Miss::Flushed if self.vanished_at_flush(self.pages.chunk(found.reference)) => {}
            Miss::Flushed => local.counters.found_flushed.bump(),
            Miss::Expired | Miss::Absent => local.counters.found_expired.bump(),
        }
        self.unlink(stripe, local, hash, found)
    }

    /// The same for a store, which takes the place of what is dead: memcached counts that apart.
    #[cold]
    pub(crate) fn reclaim_dead(&self, stripe: &mut LockedStripe<'_>, local: &Local, hash: u64, dead: Dead) -> Gone {
        let reference = dead.found.reference;
        if dead.why != Miss::Flushed || !self.vanished_at_flush(self.pages.chunk(reference)) {
            self.count_reclaimed(local, Reason::Dead, reference);
        }
        self.remove_dead(stripe, local, hash, dead)
    }

    /// Whether a flushed item is one that memcached would have looked for and removed during its `flush_all`.
    #[cold]
    fn vanished_at_flush(&self, chunk: Chunk<'_>) -> bool {
        let unseen_from = self.unseen_from.load(Ordering::Relaxed);
        // Access times wrap: half of their range lies in the past.
        let since = chunk.access().wrapping_sub(super::bytes::idle::access_of(Seconds(unseen_from)));
        unseen_from != u32::MAX && since <= u16::MAX / 2
    }

    // --- showing it -----------------------------------------------------------------------------------------

    /// Shows a found item to the visitor.
    #[inline(always)]
    pub(crate) fn lend<R>(
        &self,
        stripe: &LockedStripe<'_>,
        local: &Local,
        loan: Loan<'_>,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> R {
        let Loan { reference, fetch, details, now } = loan;
        let chunk = self.pages.chunk(reference);
        let counters = local.class(self.class_of(reference));
        match (fetch.touch, fetch.extras) {
            (_, Some(extras)) if extras.inspects => {}
            (Some(_), _) => counters.touch_hits.bump(),
            (None, _) => counters.get_hits.bump(),
        }
        if !fetch.extras.is_some_and(|extras| extras.no_bump) {
            chunk.note_hit(now);
        }
        let cas = if fetch.cas { self.wire_cas(stripe, chunk) } else { 0 };
        let is_unwanted = !fetch.value || fetch.extras.is_some_and(|extras| extras.unless_cas == Some(cas));
        let client_flags = chunk.client_flags();
        let show = |value| visit(ItemView { client_flags, cas, value, details });
        // Shown in three places, so that what one kind of value needs is all that happens to it.
        if is_unwanted {
            return show(Value::Unwanted);
        }
        match chunk.whole_value(&*stripe.state) {
            Some(value) => show(Value::Whole(value)),
            None => show(Value::Pinned(self.pin(stripe, local, reference))),
        }
    }

    /// Takes a reader's pin of a large item, under its stripe's lock.
    pub(crate) fn pin(&self, _stripe: &LockedStripe<'_>, local: &Local, head: Ref) -> Pinned {
        let chunk = self.pages.chunk(head);
        let shape = chunk.shape();
        if chunk.pin() {
            local.counters.read_bytes.add(u64_of(shape.total));
        }
        Pinned::new(head, shape)
    }

    /// What few fetches want to know of an item.
    pub(crate) fn details(&self, reference: Ref, now: Seconds) -> Details {
        let chunk = self.pages.chunk(reference);
        let marks = chunk.marks();
        Details {
            value_len: chunk.value_len(),
            item_bytes: chunk.item_bytes(),
            class: self.pages.classes.number(self.class_of(reference)),
            expiry: chunk.expiry(),
            idle_seconds: chunk.idle_seconds(now),
            was_fetched: chunk.state() & state::FETCHED != 0,
            is_stale: marks.bits & mark::STALE != 0,
            was_won: marks.bits & mark::TOKEN_SENT != 0,
            is_won: false,
            is_created: false,
            has_binary_key: marks.bits & mark::BINARY_KEY != 0,
        }
    }

    /// The number on the wire for an item's version: a client's own, or ours; 0 with `-C`.
    #[inline]
    pub(crate) fn wire_cas(&self, stripe: &LockedStripe<'_>, chunk: Chunk<'_>) -> u64 {
        if !self.options.cas {
            return 0;
        }
        match chunk.marks().own_cas {
            0 => stripe.wire_cas(chunk.cas()),
            own => own,
        }
    }

    /// The same for an item just stored, or 0 where nobody asks.
    #[inline]
    pub(crate) fn wire_cas_if(&self, is_asked: bool, stripe: &LockedStripe<'_>, reference: Ref) -> u64 {
        if is_asked { self.wire_cas(stripe, self.pages.chunk(reference)) } else { 0 }
    }

    /// Whether a client's number is of before an item's version. One that is not ours, or an item with a client's own,
    /// is compared as a number.
    pub(crate) fn is_older(&self, stripe: &LockedStripe<'_>, chunk: Chunk<'_>, unique: u64) -> bool {
        let ours = if chunk.marks().own_cas == 0 { stripe.is_older(unique, chunk.cas()) } else { None };
        unique != 0 && ours.unwrap_or_else(|| unique < self.wire_cas(stripe, chunk))
    }

    /// A client's own cas as far as items have one at all.
    pub(crate) fn own_cas(&self, asked: u64) -> u64 {
        if self.options.cas { asked } else { 0 }
    }

    // --- linking and unlinking ------------------------------------------------------------------------------

    /// Makes a filled chunk the key's item: in the old one's place, or as a new entry.
    ///
    /// # Errors
    /// When the stripe has no room for another entry.
    pub(crate) fn link(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        link: &Link<'_>,
    ) -> Result<Linked, NoCell> {
        let Link { key, found, reference, ghost_hit } = *link;
        let chunk = self.pages.chunk(reference);
        if found.is_none() {
            stripe.insert(key.hash, reference)?;
        }
        chunk.set_cas(stripe.next_cas());
        chunk.publish(u8::try_from(key.bytes.len()).expect("keys are at most 250 bytes"));
        let linked = match found {
            Some(found) => {
                stripe.replace(found.slot, reference);
                Linked { wants_row: RowWish::NONE, gone: Some(self.let_go(local, found.reference)) }
            }
            None => Linked { wants_row: stripe.grow(&self.pages), gone: None },
        };
        self.count_stored(local, reference);
        let class = self.class_of(reference);
        self.note_expiry(reference, chunk.expiry());
        if ghost_hit {
            local.counters.ghost_hits.bump();
        }
        if ghost_hit || chunk.state() & state::MAIN == 0 {
            local.committed(class, reference, ghost_hit);
        }
        Ok(linked)
    }

    /// Takes an item out of the index and ends it.
    #[inline]
    pub(crate) fn unlink(&self, stripe: &mut LockedStripe<'_>, local: &Local, hash: u64, found: Found) -> Gone {
        stripe.remove(hash, found.slot);
        self.let_go(local, found.reference)
    }

    /// Ends an item that the caller took out of the index, or whose place another has there.
    #[inline]
    pub(crate) fn let_go(&self, local: &Local, reference: Ref) -> Gone {
        let chunk = self.pages.chunk(reference);
        self.count_gone(local, reference, chunk);
        if chunk.is_large() { self.let_go_large(reference) } else { Self::leave(chunk, reference) }
    }

    /// Ends what lies in one chunk.
    pub(crate) fn leave(chunk: Chunk<'_>, reference: Ref) -> Gone {
        chunk.retire();
        Gone::Chunk(reference)
    }

    /// Ends the index's hold on a large item.
    #[inline(never)]
    fn let_go_large(&self, head: Ref) -> Gone {
        let chunk = self.pages.chunk(head);
        let shape = chunk.shape();
        // The readers' sum first: whoever unpins last takes it off again.
        self.orphaned_bytes.fetch_add(u64_of(shape.total), Ordering::Relaxed);
        chunk.retire();
        if !chunk.let_go() {
            return Gone::Lent;
        }
        self.orphaned_bytes.fetch_sub(u64_of(shape.total), Ordering::Relaxed);
        Gone::Chain(head, shape)
    }

    /// Gives back what an item lay in, after unlocking. A chain is freed bit by bit, in the thread's turns.
    #[inline]
    pub(crate) fn give_back(&self, local: &mut Local, gone: Gone) {
        match gone {
            Gone::Chunk(reference) => local.free(self.class_of(reference), reference),
            Gone::Chain(head, shape) => local.free_chain(head, shape, shape.total),
            Gone::Lent => {}
        }
    }

    // --- counting -------------------------------------------------------------------------------------------

    /// Counts an item that is now in the index.
    pub(crate) fn count_stored(&self, local: &Local, reference: Ref) {
        let bytes = self.pages.chunk(reference).item_bytes();
        local.counters.curr_items.bump();
        local.counters.bytes.add(bytes);
        let class = local.class(self.class_of(reference));
        class.number.bump();
        class.mem_requested.add(bytes);
        if let Some(sizes) = &local.sizes {
            sizes.add(bytes);
        }
    }

    /// Counts an item that is no longer in the index, or about to change its size.
    pub(crate) fn count_gone(&self, local: &Local, reference: Ref, chunk: Chunk<'_>) {
        let bytes = chunk.item_bytes();
        local.counters.curr_items.sub(1);
        local.counters.bytes.sub(bytes);
        let class = local.class(self.class_of(reference));
        class.number.sub(1);
        class.mem_requested.sub(bytes);
        if let Some(sizes) = &local.sizes {
            sizes.remove(bytes);
        }
    }

    /// Counts a dead item whose memory a store, an eviction or the sweep takes.
    pub(crate) fn count_reclaimed(&self, local: &Local, reason: Reason, reference: Ref) {
        let class = local.class(self.class_of(reference));
        if reason == Reason::Swept {
            local.counters.sweep_reclaimed.bump();
            class.crawler_reclaimed.bump();
        } else {
            local.counters.reclaimed.bump();
            class.reclaimed.bump();
        }
        if self.pages.chunk(reference).state() & state::FETCHED == 0 {
            local.counters.expired_unfetched.bump();
            class.expired_unfetched.bump();
        }
    }

    /// Tells an item's page when it expires.
    #[inline]
    pub(crate) fn note_expiry(&self, reference: Ref, expiry: Expiry) {
        if let Expiry::At(deadline) = expiry {
            self.pages.entry(self.pages.page_of(reference)).note_expiry(deadline);
        }
    }
}
