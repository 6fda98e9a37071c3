//! Reading: a key is looked up, the item lent to a visitor under its stripe's lock, its expiry renewed if asked.

use super::attempt::{Attempt, Halt};
use crate::store::bytes::item::NewItem;
use crate::store::bytes::layout::Ref;
use crate::store::bytes::marks::{EXPTIME_BYTES, Marks, mark};
use crate::store::bytes::state;
use crate::store::index::{Found, LockedStripe};
use crate::store::local::Local;
use crate::store::memory::classes::ClassId;
use crate::store::shared::Store;
use crate::store::under_lock::{Dead, Loan};
use crate::store::words::outcome::{Create, Details, Fetch, FetchExtras, FetchOutcome, ItemView, Key, Miss, Peeked};
use crate::time::{Expiry, Seconds};

/// What an item is to have from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renewal {
    pub(crate) expiry: Expiry,
    pub(crate) marks: Marks,
}

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
        let stripe = self.index.lock(key.hash);
        match self.look_up(&stripe, key, now) {
            Ok(found) => {
                let loan = Loan { reference: found.reference, fetch, details: None, now };
                FetchOutcome::Hit(self.lend(&stripe, local, loan, visit))
            }
            Err(None) => FetchOutcome::Miss(Miss::Absent),
            Err(Some(dead)) => FetchOutcome::Miss(self.miss_dead(stripe, local, key.hash, dead)),
        }
    }

    /// Removes a dead item, and unlocks.
    #[cold]
    fn miss_dead(&self, mut stripe: LockedStripe<'_>, local: &mut Local, hash: u64, dead: Dead) -> Miss {
        let gone = self.remove_dead(&mut stripe, local, hash, dead);
        drop(stripe);
        self.give_back(local, gone);
        dead.why
    }

    /// What is under a key, for who only watches: nothing changes by it, and nothing is counted.
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn peek(&self, key: Key<'_>, now: Seconds) -> Result<Peeked, Miss> {
        let (class, value_len, expiry) = self.peek_in_class(key, now)?;
        Ok(Peeked { class: self.pages.classes.number(class), value_len, expiry })
    }

    /// The same, with the class itself.
    #[inline(never)]
    pub(crate) fn peek_in_class(&self, key: Key<'_>, now: Seconds) -> Result<(ClassId, usize, Expiry), Miss> {
        let stripe = self.index.lock(key.hash);
        let found = stripe.find(&self.pages, key).ok_or(Miss::Absent)?;
        let chunk = self.pages.chunk(found.reference);
        if let Some(miss) = self.why_dead(&stripe, chunk, now) {
            return Err(miss);
        }
        Ok((self.class_of(found.reference), chunk.value_len(), chunk.expiry()))
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
        let mut attempt = Attempt::new(local, key, now);
        let mut visit = Some(visit);
        let outcome = loop {
            let mut missed = None;
            let attempted = self.retry(&mut attempt, |attempt, stripe| {
                let found = self.find(attempt, stripe);
                missed = found.err();
                let (reference, details) = match (found, extras.and_then(|extras| extras.create)) {
                    (Ok(found), _) => self.renew_for(attempt, stripe, found, fetch.touch, extras)?,
                    (Err(_), Some(create)) => self.create(attempt, stripe, create)?,
                    (Err(_), None) => return Ok(None),
                };
                let loan = Loan { reference, fetch, details, now };
                Ok(visit.take().map(|visit| self.lend(stripe, attempt.local, loan, visit)))
            });
            match (attempted, missed) {
                (Ok(Some(shown)), _) => break FetchOutcome::Hit(shown),
                // Without memory for the mark nobody wins, but the item can be read.
                (Err(_), _) if fetch.touch.is_none() && extras.as_mut().is_some_and(|e| e.recache.take().is_some()) => {
                }
                (_, Some(miss)) => break FetchOutcome::Miss(miss),
                (_, None) => break FetchOutcome::NoMemory,
            }
        };
        self.end(attempt);
        let may_store = fetch.touch.is_some() || extras.is_some_and(|extras| extras.create.is_some());
        if may_store && self.curve.has(key.hash) {
            self.sample_stored(key, now);
        }
        outcome
    }

    /// Gives a found item the expiry and the mark a fetch leaves behind.
    ///
    /// # Errors
    /// As [`Self::renew`].
    fn renew_for(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        found: Found,
        touch: Option<Expiry>,
        extras: Option<FetchExtras>,
    ) -> Result<(Ref, Option<Details>), Halt> {
        let chunk = self.pages.chunk(found.reference);
        let (expiry, mut marks) = (chunk.expiry(), chunk.marks());
        let renewed = touch.unwrap_or(expiry);
        let mut details = None;
        if let Some(extras) = extras {
            let recached = if extras.recache_after_touch { renewed } else { expiry };
            let is_free = !extras.inspects && marks.bits & mark::TOKEN_SENT == 0;
            let is_won = is_free && (marks.bits & mark::STALE != 0 || is_before(recached, extras.recache));
            details = Some(Details { is_won, ..self.details(found.reference, attempt.now) });
            if is_won {
                marks.bits |= mark::TOKEN_SENT;
            }
        }
        let reference = self.renew(attempt, stripe, found, Renewal { expiry: renewed, marks })?;
        Ok((reference, details))
    }

    /// Makes an empty item, which the caller wins, for a key that is missing.
    fn create(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        create: Create,
    ) -> Result<(Ref, Option<Details>), Halt> {
        let binary_key = if create.binary_key { mark::BINARY_KEY } else { 0 };
        let marks = Marks { bits: mark::TOKEN_SENT | binary_key, own_cas: self.own_cas(create.own_cas) };
        let new = NewItem {
            key: attempt.key.bytes,
            value_len: 0,
            client_flags: 0,
            expiry: create.expiry,
            access: attempt.now,
            main: false,
            marks,
            kept: self.kept,
        };
        let reference = self.write(attempt, stripe, &self.change(None, new, &[]))?;
        attempt.local.counters.total_items.bump();
        let made = self.details(reference, attempt.now);
        let details = Details { expiry: Expiry::Never, was_won: false, is_won: true, is_created: true, ..made };
        Ok((reference, Some(details)))
    }

    /// Renews an item's expiry and marks; the item's reference afterwards.
    ///
    /// # Errors
    /// When the item needs more room and there is no spare chunk.
    pub(crate) fn renew(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        found: Found,
        renewal: Renewal,
    ) -> Result<Ref, Halt> {
        let Renewal { expiry, marks } = renewal;
        let chunk = self.pages.chunk(found.reference);
        let has_field = chunk.state() & state::HAS_EXPTIME != 0;
        let field_bytes = if has_field || expiry == Expiry::Never { 0 } else { EXPTIME_BYTES };
        let had = chunk.marks();
        if field_bytes == 0 && (marks == had || self.has_room(found.reference, had, marks)) {
            if has_field {
                chunk.renew_expiry(expiry);
                self.note_expiry(found.reference, expiry);
            }
            if marks != had {
                self.count_gone(attempt.local, found.reference, chunk);
                chunk.renew_marks(marks);
                self.count_stored(attempt.local, found.reference);
            }
            return Ok(found.reference);
        }
        let bytes = usize::try_from(chunk.item_bytes()).expect("a small item") - had.bytes();
        let class = self.pages.classes.class_of(bytes + field_bytes + marks.bytes());
        let Some(target) = class.and_then(|class| self.take_spare(attempt, class)) else {
            chunk.note_wanted();
            return Err(class.map_or(Halt::Hopeless, Halt::Chunk));
        };
        self.move_renewed(attempt, stripe, found, target, renewal);
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
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        found: Found,
        target: Ref,
        renewal: Renewal,
    ) {
        let Renewal { expiry, marks } = renewal;
        let chunk = self.pages.chunk(found.reference);
        let new = NewItem {
            key: chunk.key(&*stripe.state),
            value_len: chunk.value_len(),
            client_flags: chunk.client_flags(),
            expiry,
            access: Seconds(u32::from(chunk.access())),
            main: chunk.state() & state::MAIN != 0,
            marks,
            kept: self.kept,
        };
        let copy = self.pages.chunk(target);
        copy.fill(&new, &[chunk.value(&*stripe.state)]);
        copy.take_use_from(chunk);
        copy.set_cas(chunk.cas());
        let is_main = new.main;
        copy.publish(new.key_len());
        stripe.replace(found.slot, target);
        self.count_stored(attempt.local, target);
        self.let_go_of(attempt, found);
        self.note_expiry(target, expiry);
        if !is_main {
            attempt.local.committed(self.class_of(target), target, false);
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
