//! Reading: a key is looked up, the item lent to a visitor under its stripe's lock, its expiry renewed if asked.

use super::Store;
use super::item::{Chunk, EXPTIME_BYTES, NewItem, Ref, access_of, state};
use super::marks::{Marks, mark};
use super::outcome::{Create, Details, Fetch, FetchExtras, FetchOutcome, ItemView, Key, Miss, Peeked, Value};
use super::reserve::Local;
use super::slab::classes::ClassId;
use super::table::{Found, LockedStripe};
use super::write::{Change, Halt, Written};
use crate::time::{Expiry, Seconds};

impl Store {
    /// Looks a key up and lends the item to `visit`, under the lock of its stripe.
    #[inline(always)]
    pub fn fetch<R>(
        &self,
        local: &mut Local,
        key: Key<'_>,
        fetch: Fetch<'_>,
        now: Seconds,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> FetchOutcome<R> {
        if fetch.touch.is_some() || fetch.extras.is_some() {
            return self.fetch_and_change(local, key, fetch, now, visit);
        }
        if self.curve.has(key.hash) {
            self.curve.asked(key.hash, now);
        }
        let mut stripe = self.index.lock(key.hash);
        match self.lookup(&mut stripe, local, key, now) {
            Ok(found) => FetchOutcome::Hit(self.lend(&stripe, local, found.reference, fetch, None, now, visit)),
            Err(miss) => FetchOutcome::Miss(miss),
        }
    }

    /// What is under a key, for who only watches: nothing changes by it, and nothing is counted.
    ///
    /// # Errors
    /// Why there is nothing.
    #[inline(never)]
    pub fn peek(&self, key: Key<'_>, now: Seconds) -> Result<Peeked, Miss> {
        let stripe = self.index.lock(key.hash);
        let found = stripe.find(&self.pages, key).ok_or(Miss::Absent)?;
        let chunk = self.pages.chunk(found.reference);
        if let Some(miss) = self.why_dead(&stripe, chunk, now) {
            return Err(miss);
        }
        let class = self.class_of(found.reference).number();
        Ok(Peeked { class, value_len: chunk.value_len(), expiry: chunk.expiry() })
    }

    /// A fetch that may leave something behind: another expiry, a mark, an item that was not there.
    #[inline(never)]
    fn fetch_and_change<R>(
        &self,
        local: &mut Local,
        key: Key<'_>,
        fetch: Fetch<'_>,
        now: Seconds,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> FetchOutcome<R> {
        let mut extras = fetch.extras.copied();
        // Commands count neither a touch nor an inspection as a get.
        if self.curve.has(key.hash) && fetch.touch.is_none() && !extras.is_some_and(|extras| extras.inspects) {
            self.curve.asked(key.hash, now);
        }
        let mut spare = None;
        let outcome = loop {
            let mut stripe = self.index.lock(key.hash);
            let (halt, refused) = match (self.lookup(&mut stripe, local, key, now), extras.and_then(|e| e.create)) {
                (Ok(found), _) => match self.renew_for(&mut stripe, local, found, fetch.touch, extras, &mut spare, now)
                {
                    Ok((reference, details)) => {
                        break FetchOutcome::Hit(self.lend(&stripe, local, reference, fetch, details, now, visit));
                    }
                    Err(class) => (class.map(Halt::Chunk), FetchOutcome::NoMemory),
                },
                (Err(miss), None) => break FetchOutcome::Miss(miss),
                (Err(miss), Some(create)) => match self.create(&mut stripe, local, key, create, &mut spare, now) {
                    Ok((written, details)) => {
                        let hit = self.lend(&stripe, local, written.reference, fetch, Some(details), now, visit);
                        drop(stripe);
                        self.after_write(written.wants_row);
                        break FetchOutcome::Hit(hit);
                    }
                    Err(halt) => (Some(halt), FetchOutcome::Miss(miss)),
                },
            };
            drop(stripe);
            if self.help(local, key, halt, &mut spare, now) {
                continue;
            }
            // Without memory for the mark nobody wins, but the item can be read.
            if fetch.touch.is_none() && extras.as_mut().is_some_and(|extras| extras.recache.take().is_some()) {
                continue;
            }
            break refused;
        };
        if let Some(unused) = spare {
            self.keep_chunk(local, unused);
        }
        let may_store = fetch.touch.is_some() || extras.is_some_and(|extras| extras.create.is_some());
        if may_store && self.curve.has(key.hash) {
            self.sample_stored(key, now);
        }
        outcome
    }

    /// Gets what a halted operation lacks, with no lock held; false when it is not to be had.
    pub(super) fn help(
        &self,
        local: &mut Local,
        key: Key<'_>,
        halt: Option<Halt>,
        spare: &mut Option<Ref>,
        now: Seconds,
    ) -> bool {
        match halt {
            Some(Halt::Cell) => self.make_cell(local, key.hash, now),
            Some(Halt::Chunk(class)) => self.exchange_spare(local, spare, class, now),
            None => false,
        }
    }

    /// Gives a found item the expiry and the mark a fetch leaves behind.
    ///
    /// # Errors
    /// As [`Self::renew`].
    #[expect(clippy::too_many_arguments, reason = "the pieces of a fetch, all borrowed from one caller's frame")]
    fn renew_for(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        found: Found,
        touch: Option<Expiry>,
        extras: Option<FetchExtras>,
        spare: &mut Option<Ref>,
        now: Seconds,
    ) -> Result<(Ref, Option<Details>), Option<ClassId>> {
        let chunk = self.pages.chunk(found.reference);
        let (expiry, mut marks) = (chunk.expiry(), chunk.marks());
        let renewed = touch.unwrap_or(expiry);
        let mut details = None;
        if let Some(extras) = extras {
            let recached = if extras.recache_after_touch { renewed } else { expiry };
            let is_free = !extras.inspects && marks.bits & mark::TOKEN_SENT == 0;
            let is_won = is_free && (marks.bits & mark::STALE != 0 || is_before(recached, extras.recache));
            details = Some(Details { is_won, ..self.details(found.reference, now) });
            if is_won {
                marks.bits |= mark::TOKEN_SENT;
            }
        }
        let reference = self.renew(stripe, local, found, renewed, marks, spare)?;
        Ok((reference, details))
    }

    pub(super) fn details(&self, reference: Ref, now: Seconds) -> Details {
        let chunk = self.pages.chunk(reference);
        let marks = chunk.marks();
        Details {
            value_len: chunk.value_len(),
            item_bytes: chunk.item_bytes(),
            class: self.class_of(reference).number(),
            expiry: chunk.expiry(),
            idle_seconds: u32::from(access_of(now).wrapping_sub(chunk.access())),
            was_fetched: chunk.state() & state::FETCHED != 0,
            is_stale: marks.bits & mark::STALE != 0,
            was_won: marks.bits & mark::TOKEN_SENT != 0,
            is_won: false,
            is_created: false,
            has_binary_key: marks.bits & mark::BINARY_KEY != 0,
        }
    }

    /// Makes an empty item, which the caller wins, for a key that is missing.
    fn create(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        key: Key<'_>,
        create: Create,
        spare: &mut Option<Ref>,
        now: Seconds,
    ) -> Result<(Written, Details), Halt> {
        let binary_key = if create.binary_key { mark::BINARY_KEY } else { 0 };
        let marks = Marks { bits: mark::TOKEN_SENT | binary_key, own_cas: self.own_cas(create.own_cas) };
        let new = NewItem {
            key: key.bytes,
            value_len: 0,
            client_flags: 0,
            expiry: create.expiry,
            access: now,
            main: false,
            marks,
        };
        let written = self.write(stripe, local, &Change { key, found: None, new, parts: &[] }, spare)?;
        local.counters.total_items.bump();
        let made = self.details(written.reference, now);
        Ok((written, Details { expiry: Expiry::Never, was_won: false, is_won: true, is_created: true, ..made }))
    }

    /// Shows a found item to the visitor.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the pieces of a fetch, all borrowed from one caller's frame")]
    fn lend<R>(
        &self,
        stripe: &LockedStripe<'_>,
        local: &Local,
        reference: Ref,
        fetch: Fetch<'_>,
        details: Option<Details>,
        now: Seconds,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> R {
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
            None => show(Value::Pinned(self.pin(stripe, reference))),
        }
    }

    /// The live item with this key. A dead one is removed on the way.
    #[inline(always)]
    pub(super) fn lookup(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        key: Key<'_>,
        now: Seconds,
    ) -> Result<Found, Miss> {
        let Some(found) = stripe.find(&self.pages, key) else { return Err(Miss::Absent) };
        match self.why_dead(stripe, self.pages.chunk(found.reference), now) {
            None => Ok(found),
            Some(miss) => {
                self.remove_dead(stripe, local, key, found, miss);
                Err(miss)
            }
        }
    }

    #[cold]
    fn remove_dead(&self, stripe: &mut LockedStripe<'_>, local: &mut Local, key: Key<'_>, found: Found, miss: Miss) {
        let chunk = self.pages.chunk(found.reference);
        match miss {
            Miss::Flushed if self.vanished_at_flush(chunk) => {}
            Miss::Flushed => local.counters.found_flushed.bump(),
            Miss::Expired | Miss::Absent => local.counters.found_expired.bump(),
        }
        stripe.remove(key.hash, found.slot);
        self.let_go(local, found.reference);
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
        if let Some(sizes) = &local.sizes {
            sizes.add(bytes);
        }
    }

    /// Counts an item that is no longer in the index, or about to change its size.
    pub(super) fn count_gone(&self, local: &Local, reference: Ref, chunk: Chunk<'_>) {
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

    /// Renews an item's expiry and marks; the item's reference afterwards.
    ///
    /// # Errors
    /// When the item needs more room and there is no spare chunk: the class it should be of, if there is one.
    pub(super) fn renew(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        found: Found,
        expiry: Expiry,
        marks: Marks,
        spare: &mut Option<Ref>,
    ) -> Result<Ref, Option<ClassId>> {
        let chunk = self.pages.chunk(found.reference);
        let has_field = chunk.state() & state::HAS_EXPTIME != 0;
        let field_bytes = if has_field || expiry == Expiry::Never { 0 } else { EXPTIME_BYTES };
        let had = chunk.marks();
        if field_bytes == 0 && (marks == had || self.has_room(found.reference, had, marks)) {
            if has_field {
                chunk.set_expiry(expiry);
                self.note_expiry(found.reference, expiry);
            }
            if marks != had {
                self.count_gone(local, found.reference, chunk);
                chunk.set_marks(marks);
                self.count_stored(local, found.reference);
            }
            return Ok(found.reference);
        }
        let bytes = usize::try_from(chunk.item_bytes()).expect("a small item") - had.bytes();
        let class = self.pages.classes.class_of(bytes + field_bytes + marks.bytes());
        let Some(target) = spare.filter(|&spare| class.is_some_and(|class| self.class_of(spare) >= class)) else {
            return Err(class);
        };
        *spare = None;
        self.move_renewed(stripe, local, found, target, expiry, marks);
        Ok(target)
    }

    /// Whether an item's chunk has room for other marks than it has.
    fn has_room(&self, reference: Ref, had: Marks, marks: Marks) -> bool {
        let chunk = self.pages.chunk(reference);
        let room = u64::try_from(self.pages.classes.chunk_bytes(self.class_of(reference))).expect("64 bits fit");
        let [had, needed] = [had, marks].map(|marks| u64::try_from(marks.bytes()).expect("a few bytes"));
        chunk.is_large() || chunk.item_bytes() - had + needed <= room
    }

    /// Moves an item to a chunk with room for its exptime and marks.
    fn move_renewed(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        found: Found,
        target: Ref,
        expiry: Expiry,
        marks: Marks,
    ) {
        let chunk = self.pages.chunk(found.reference);
        let new = NewItem {
            key: chunk.key(&*stripe.state),
            value_len: chunk.value_len(),
            client_flags: chunk.client_flags(),
            expiry,
            access: Seconds(u32::from(chunk.access())),
            main: chunk.state() & state::MAIN != 0,
            marks,
        };
        let copy = self.pages.chunk(target);
        copy.fill(&new, &[chunk.value(&*stripe.state)]);
        copy.take_use_from(chunk);
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
}

/// Whether an item with this expiry dies before a deadline.
fn is_before(expiry: Expiry, deadline: Option<Expiry>) -> bool {
    match (expiry, deadline) {
        (Expiry::At(dies), Some(Expiry::At(deadline))) => dies < deadline,
        (Expiry::Never, _) | (_, Some(Expiry::Never) | None) => false,
    }
}
