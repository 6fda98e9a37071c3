//! Reading: a key is looked up, the item lent to a visitor under its stripe's lock, its expiry renewed if asked.

use super::item::{Chunk, EXPTIME_BYTES, NewItem, Ref, state};
use super::outcome::{Fetch, FetchOutcome, ItemView, Key, Miss, Value};
use super::reserve::Local;
use super::slab::classes::ClassId;
use super::table::{Found, LockedStripe};
use super::{DeleteOutcome, Store};
use crate::time::{Expiry, Seconds};

impl Store {
    /// Looks a key up and lends the item to `visit`, under the lock of its stripe.
    #[inline]
    pub fn fetch<R>(
        &self,
        local: &mut Local,
        key: Key<'_>,
        fetch: Fetch,
        now: Seconds,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> FetchOutcome<R> {
        let mut spare = None;
        let outcome = loop {
            let mut stripe = self.index.lock(key.hash);
            let found = match self.lookup(&mut stripe, local, key, now) {
                Ok(found) => found,
                Err(miss) => break FetchOutcome::Miss(miss),
            };
            let Some(expiry) = fetch.touch else {
                break FetchOutcome::Hit(self.lend(&stripe, local, found.reference, fetch, now, visit));
            };
            let renewed = self.renew(&mut stripe, local, found, expiry, &mut spare);
            let class = match renewed {
                Ok(reference) => break FetchOutcome::Hit(self.lend(&stripe, local, reference, fetch, now, visit)),
                Err(class) => class,
            };
            drop(stripe);
            if !class.is_some_and(|class| self.exchange_spare(local, &mut spare, class, now)) {
                break FetchOutcome::NoMemory;
            }
        };
        if let Some(unused) = spare {
            self.keep_chunk(local, unused);
        }
        outcome
    }

    /// Shows a found item to the visitor.
    #[inline]
    fn lend<R>(
        &self,
        stripe: &LockedStripe<'_>,
        local: &Local,
        reference: Ref,
        fetch: Fetch,
        now: Seconds,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> R {
        let chunk = self.pages.chunk(reference);
        let counters = local.class(self.class_of(reference));
        match fetch.touch {
            Some(_) => counters.touch_hits.bump(),
            None => counters.get_hits.bump(),
        }
        chunk.note_hit(now);
        let cas = if self.options.cas { stripe.wire_cas(chunk.cas()) } else { 0 };
        let value = if !fetch.value {
            Value::Unwanted
        } else if chunk.is_large() {
            Value::Pinned(self.pin(stripe, reference))
        } else {
            Value::Whole(chunk.value(&*stripe.state))
        };
        visit(ItemView { client_flags: chunk.client_flags(), cas, value })
    }

    /// The live item with this key. A dead one is removed on the way.
    #[inline]
    pub(super) fn lookup(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        key: Key<'_>,
        now: Seconds,
    ) -> Result<Found, Miss> {
        let found = stripe.find(&self.pages, key).ok_or(Miss::Absent)?;
        let chunk = self.pages.chunk(found.reference);
        let Some(miss) = self.why_dead(stripe, chunk, now) else { return Ok(found) };
        self.count_reclaimed(local, chunk);
        stripe.remove(key.hash, found.slot);
        self.let_go(local, found.reference);
        Err(miss)
    }

    /// Ends an item that the caller took out of the index, under its stripe's lock.
    pub(super) fn let_go(&self, local: &mut Local, reference: Ref) {
        let chunk = self.pages.chunk(reference);
        let class = self.class_of(reference);
        self.count_gone(local, reference, chunk);
        if chunk.is_large() {
            self.let_go_large(local, reference);
        } else {
            chunk.retire();
            local.free(class, reference);
        }
    }

    /// Counts an item that is now in the index.
    pub(super) fn count_stored(&self, local: &Local, reference: Ref) {
        let bytes = self.pages.chunk(reference).item_bytes();
        local.counters.curr_items.bump();
        local.counters.bytes.add(bytes);
        let class = local.class(self.class_of(reference));
        class.number.bump();
        class.mem_requested.add(bytes);
    }

    /// Counts an item that is no longer in the index, or about to change its size.
    pub(super) fn count_gone(&self, local: &Local, reference: Ref, chunk: Chunk<'_>) {
        let bytes = chunk.item_bytes();
        local.counters.curr_items.sub(1);
        local.counters.bytes.sub(bytes);
        let class = local.class(self.class_of(reference));
        class.number.sub(1);
        class.mem_requested.sub(bytes);
    }

    /// Renews an item's expiry; the item's reference afterwards.
    ///
    /// # Errors
    /// When an exptime has to be added and there is no spare chunk: the class it should be of, if there is one.
    fn renew(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        found: Found,
        expiry: Expiry,
        spare: &mut Option<Ref>,
    ) -> Result<Ref, Option<ClassId>> {
        let chunk = self.pages.chunk(found.reference);
        if chunk.state() & state::HAS_EXPTIME != 0 {
            chunk.set_expiry(expiry);
            self.note_expiry(found.reference, expiry);
            return Ok(found.reference);
        }
        if expiry == Expiry::Never {
            return Ok(found.reference);
        }
        let bytes = usize::try_from(chunk.item_bytes()).expect("a small item") + EXPTIME_BYTES;
        let class = self.pages.classes.class_of(bytes);
        let Some(target) = spare.filter(|&spare| class.is_some_and(|class| self.class_of(spare) >= class)) else {
            return Err(class);
        };
        *spare = None;
        self.add_exptime(stripe, local, found, target, expiry);
        Ok(target)
    }

    /// Moves an item to a chunk with room for an exptime.
    fn add_exptime(&self, stripe: &mut LockedStripe<'_>, local: &mut Local, found: Found, target: Ref, expiry: Expiry) {
        let chunk = self.pages.chunk(found.reference);
        let new = NewItem {
            key: chunk.key(&*stripe.state),
            value_len: chunk.value_len(),
            client_flags: chunk.client_flags(),
            expiry,
            access: Seconds(u32::from(chunk.access())),
            main: chunk.state() & state::MAIN != 0,
        };
        let copy = self.pages.chunk(target);
        copy.fill(&new, &[chunk.value(&*stripe.state)]);
        copy.set_cas(chunk.cas());
        let is_main = new.main;
        copy.publish(new.key_len());
        stripe.replace(found.slot, target);
        self.count_stored(local, target);
        self.let_go(local, found.reference);
        self.note_expiry(target, expiry);
        if !is_main {
            local.committed(self.class_of(target), target, false);
        }
    }

    /// Tells an item's page when it expires.
    #[inline]
    pub(super) fn note_expiry(&self, reference: Ref, expiry: Expiry) {
        if let Expiry::At(deadline) = expiry {
            self.pages.entry(self.pages.page_of(reference)).note_expiry(deadline);
        }
    }

    /// Deletes a key.
    pub fn delete(&self, local: &mut Local, key: Key<'_>, now: Seconds) -> DeleteOutcome {
        let mut stripe = self.index.lock(key.hash);
        let Ok(found) = self.lookup(&mut stripe, local, key, now) else { return DeleteOutcome::NotFound };
        local.class(self.class_of(found.reference)).delete_hits.bump();
        stripe.remove(key.hash, found.slot);
        self.let_go(local, found.reference);
        DeleteOutcome::Deleted
    }
}
