//! Writing: a value is stored in place where it fits, else in a chunk of its own that is filled and committed
//! under the stripe's lock.

use super::attempt::{Attempt, Halt};
use super::condition::Verdict;
use super::large::Source;
use crate::limits::{CLIENT_FLAGS_BYTES, KEY_BYTES_MAX, MEMCACHED_ITEM_OVERHEAD_BYTES};
use crate::store::bytes::item::{Chunk, NewItem, SMALL_VALUE_BYTES_MAX, later_bytes, least_item_bytes};
use crate::store::bytes::layout::{EXTENT_BYTES, Ref};
use crate::store::bytes::marks::{LATER_BYTES_MAX, Marks, mark};
use crate::store::bytes::state;
use crate::store::index::{Found, LockedStripe};
use crate::store::local::Local;
use crate::store::memory::classes::ClassId;
use crate::store::shared::Store;
use crate::store::under_lock::Dead;
use crate::store::words::outcome::{Mode, StoreExtras, StoreOutcome, StoreRequest};
use crate::time::{Expiry, Seconds};

const _: () = assert!(EXTENT_BYTES - LATER_BYTES_MAX < SMALL_VALUE_BYTES_MAX, "what one chunk holds is no large value");
const _: () = assert!(LATER_BYTES_MAX + 2 * KEY_BYTES_MAX < EXTENT_BYTES, "an item without a value fits one chunk");

/// A write to an attempt's key that has passed its conditions. Made by [`Store::change`].
pub(crate) struct Change<'c> {
    /// The item it takes the place of.
    found: Option<Found>,
    new: NewItem<'c>,
    /// The new item's class.
    class: ClassId,
    /// The value, in pieces.
    parts: &'c [&'c [u8]],
}

impl StoreRequest<'_> {
    /// The marks a stored item begins with.
    #[inline]
    fn marks(&self, store: &Store) -> Marks {
        match self.extras {
            None => Marks::NONE,
            Some(extras) => extras.marks(store),
        }
    }
}

impl StoreExtras {
    #[cold]
    pub(crate) fn marks(&self, store: &Store) -> Marks {
        let bits = if self.binary_key { mark::BINARY_KEY } else { 0 };
        Marks { bits, own_cas: store.own_cas(self.own_cas) }
    }
}

impl Store {
    /// Stores a value that is whole in the input.
    pub fn store(&self, local: &mut Local, request: &StoreRequest<'_>, value: &[u8], now: Seconds) -> StoreOutcome {
        if self.is_too_large(request.key.bytes.len(), request.client_flags, value.len()) {
            return StoreOutcome::TooLarge;
        }
        let class = self.class_of_new(request, value.len());
        let outcome = if matches!(request.mode, Mode::Append | Mode::Prepend) {
            self.join(local, request, value, now)
        } else {
            self.put_any(local, request, value, class, now)
        };
        if !matches!(outcome, StoreOutcome::NoMemory) {
            self.count_set(local, class);
        }
        if self.curve.has(request.key.hash) {
            self.sample_set(request, class, outcome, now);
        }
        outcome
    }

    /// Counts a store command whose value came and does not end where its line said.
    pub fn count_spoiled(&self, local: &Local, request: &StoreRequest<'_>, value_len: usize) {
        self.count_set(local, self.class_of_new(request, value_len));
    }

    /// Counts a store command in the class of what it sent, whatever became of it: memcached has allocated the item
    /// before it looks for the key. `None`: it came in pieces.
    pub(crate) fn count_set(&self, local: &Local, class: Option<ClassId>) {
        local.class(class.unwrap_or_else(|| self.pages.classes.extent())).cmd_set.bump();
    }

    /// Counts a cas that stored, in the class of what it replaced: not before, as a write may take several attempts.
    #[inline]
    pub(crate) fn count_cas_hit(&self, local: &Local, mode: Mode, found: Option<Found>) {
        if let (Mode::Cas(_), Some(found)) = (mode, found) {
            local.class(self.class_of(found.reference)).cas_hits.bump();
        }
    }

    /// The class for a new item; `None`: it is stored in pieces.
    #[inline]
    fn class_of_new(&self, request: &StoreRequest<'_>, value_len: usize) -> Option<ClassId> {
        let marks = request.marks(self);
        self.small_class(request.key.bytes.len(), request.client_flags, request.expiry, marks, value_len)
    }

    #[inline(always)]
    fn put_any(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        value: &[u8],
        class: Option<ClassId>,
        now: Seconds,
    ) -> StoreOutcome {
        match class {
            Some(class) => self.put(local, request, value, class, now),
            None => self.put_large(local, request, value, now),
        }
    }

    /// Whether memcached would refuse such an item at the same `-I`.
    #[must_use]
    #[inline]
    pub fn is_too_large(&self, key_len: usize, client_flags: u32, value_len: usize) -> bool {
        let flags = if client_flags == 0 { 0 } else { CLIENT_FLAGS_BYTES };
        let cas = if self.options.cas { 0 } else { 8 };
        key_len + value_len + flags + MEMCACHED_ITEM_OVERHEAD_BYTES - cas > self.options.item_bytes_max
    }

    /// The number of the class that an item of such a value would be of: that of its first part, if it takes several.
    #[must_use]
    pub fn class_number(&self, key_len: usize, client_flags: u32, expiry: Expiry, value_len: usize) -> u32 {
        let class = self.small_class(key_len, client_flags, expiry, Marks::NONE, value_len);
        self.pages.classes.number(class.unwrap_or_else(|| self.pages.classes.extent()))
    }

    /// The class of an item stored in one chunk, if it can be: with every field that commands can give it later it must
    /// fit one, or they would have to make pieces of it.
    #[inline(always)]
    pub(crate) fn small_class(
        &self,
        key_len: usize,
        client_flags: u32,
        expiry: Expiry,
        marks: Marks,
        value_len: usize,
    ) -> Option<ClassId> {
        let bytes = least_item_bytes(key_len, client_flags, value_len);
        if bytes > EXTENT_BYTES - LATER_BYTES_MAX {
            return None;
        }
        self.pages.classes.class_of(bytes + later_bytes(expiry, marks, self.kept))
    }

    /// The same for an item about to be made.
    #[inline(always)]
    fn class_for(&self, new: &NewItem<'_>) -> Option<ClassId> {
        self.small_class(new.key.len(), new.client_flags, new.expiry, new.marks, new.value_len)
    }

    #[inline(always)]
    fn put(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        value: &[u8],
        class: ClassId,
        now: Seconds,
    ) -> StoreOutcome {
        let mut stripe = self.index.lock(request.key.hash);
        let looked_up = self.look_up(&stripe, request.key, now);
        let new = self.new_item(request, value.len(), now);
        // Nearly all sets end here: what every attempt may need is made ready for the others alone.
        if let (Ok(found), Mode::Set) = (looked_up, request.mode)
            && self.fits_in_place(found.reference, &new, class)
        {
            let change = Change { found: Some(found), new, class, parts: &[value] };
            self.overwrite(&mut stripe, local, found.reference, &change);
            return self.stored(&stripe, local, request, found.reference, value.len());
        }
        let change = Change { found: None, new, class, parts: &[value] };
        self.put_by_attempts(Attempt::new(local, request.key, now), stripe, looked_up, request, change)
    }

    /// A store that is no set in place, from its first attempt on.
    #[inline(never)]
    fn put_by_attempts(
        &self,
        mut attempt: Attempt<'_, '_>,
        stripe: LockedStripe<'_>,
        looked_up: Result<Found, Option<Dead>>,
        request: &StoreRequest<'_>,
        mut change: Change<'_>,
    ) -> StoreOutcome {
        let mut looked_up = Some(looked_up);
        let attempted = self.retry_from(&mut attempt, stripe, |attempt, stripe| {
            let looked_up = looked_up.take().unwrap_or_else(|| self.look_up(stripe, attempt.key, attempt.now));
            let found = self.take_place_of_dead(attempt, stripe, looked_up);
            let verdict = match self.check(attempt, stripe, request.mode, request.extras, &found) {
                Ok(verdict) => verdict,
                Err(refusal) => return Ok(refusal),
            };
            change.found = found.ok();
            let reference = match verdict {
                Verdict::AsAsked => self.write(attempt, stripe, &change)?,
                Verdict::Stale => self.write(attempt, stripe, &self.stale(&change))?,
            };
            self.count_cas_hit(attempt.local, request.mode, change.found);
            Ok(self.stored(stripe, attempt.local, request, reference, change.new.value_len))
        });
        let local = self.end(attempt);
        attempted.unwrap_or_else(|_| self.no_memory(local, change.class))
    }

    /// The item that a request makes of its value.
    #[inline(always)]
    fn new_item<'k>(&self, request: &StoreRequest<'k>, value_len: usize, now: Seconds) -> NewItem<'k> {
        NewItem {
            key: request.key.bytes,
            value_len,
            client_flags: request.client_flags,
            expiry: request.expiry,
            access: now,
            main: false,
            marks: request.marks(self),
            kept: self.kept,
        }
    }

    /// Counts a value that was stored, and answers.
    #[inline(always)]
    fn stored(
        &self,
        stripe: &LockedStripe<'_>,
        local: &Local,
        request: &StoreRequest<'_>,
        reference: Ref,
        value_len: usize,
    ) -> StoreOutcome {
        local.counters.total_items.bump();
        let cas = self.wire_cas_if(request.shows_cas, stripe, reference);
        StoreOutcome::Stored { cas, value_len }
    }

    /// A write of an older version, as one that leaves the item out of date.
    #[cold]
    fn stale<'c>(&self, change: &Change<'c>) -> Change<'c> {
        let Change { found, mut new, parts, .. } = *change;
        if let Some(found) = found {
            let old = self.pages.chunk(found.reference);
            new.expiry = old.expiry();
            new.marks.bits |= mark::STALE | old.marks().bits & mark::TOKEN_SENT;
        }
        self.change(found, new, parts)
    }

    /// A write of an item that fits one chunk.
    pub(crate) fn change<'c>(&self, found: Option<Found>, new: NewItem<'c>, parts: &'c [&'c [u8]]) -> Change<'c> {
        let class = self.class_for(&new).expect("callers send large items elsewhere");
        Change { found, new, class, parts }
    }

    #[cold]
    pub(crate) fn no_memory(&self, local: &Local, class: ClassId) -> StoreOutcome {
        local.counters.outofmemory.bump();
        self.line.note_short();
        local.class(class).outofmemory.bump();
        StoreOutcome::NoMemory
    }

    /// Writes an item where the key's item is, or into a chunk in hand: the spare one, or the magazine's.
    pub(crate) fn write(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        change: &Change<'_>,
    ) -> Result<Ref, Halt> {
        match change.found {
            Some(found) if self.fits_in_place(found.reference, &change.new, change.class) => {
                self.overwrite(stripe, attempt.local, found.reference, change);
                Ok(found.reference)
            }
            _ => self.write_elsewhere(attempt, stripe, change),
        }
    }

    #[inline(never)]
    fn write_elsewhere(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        change: &Change<'_>,
    ) -> Result<Ref, Halt> {
        let Change { found, new, class, parts } = change;
        let in_hand = self.take_spare(attempt, *class).or_else(|| self.chunk_in_hand(attempt.local, *class));
        let reference = in_hand.ok_or(Halt::Chunk(*class))?;
        let mut item = *new;
        let ghost_hit = found.is_none() && self.ghost.take(attempt.key.hash);
        item.main = match found {
            Some(found) => self.pages.chunk(found.reference).state() & state::MAIN != 0,
            None => ghost_hit,
        };
        self.pages.chunk(reference).fill(&item, parts);
        match self.put_in_index(attempt, stripe, *found, reference, ghost_hit) {
            Ok(()) => Ok(reference),
            Err(no_cell) => {
                self.keep_chunk(attempt.local, reference);
                Err(no_cell.into())
            }
        }
    }

    /// Whether a new value of a class can be written over an item where it lies: same optional fields, same class.
    #[inline(always)]
    fn fits_in_place(&self, reference: Ref, new: &NewItem<'_>, class: ClassId) -> bool {
        const OPTIONAL: u8 = state::HAS_EXPTIME | state::HAS_FLAGS | state::EXTENDED;
        let old = self.pages.chunk(reference);
        !old.is_large()
            && old.state() & OPTIONAL == new.state()
            && (new.client_flags == 0 || old.width() == new.width())
            && class == self.class_of(reference)
    }

    #[inline(always)]
    fn overwrite(&self, stripe: &mut LockedStripe<'_>, local: &Local, reference: Ref, change: &Change<'_>) {
        let Change { new, class, parts, .. } = change;
        let chunk = self.pages.chunk(reference);
        let growth = growth(chunk, new);
        let cas = stripe.next_cas();
        chunk.overwrite(&mut *stripe.state, parts, cas, new);
        local.counters.bytes.add(growth);
        local.class(*class).mem_requested.add(growth);
        if let Some(sizes) = &local.sizes {
            let bytes = chunk.item_bytes();
            sizes.remove(bytes.wrapping_sub(growth));
            sizes.add(bytes);
        }
        self.note_expiry(reference, new.expiry);
    }

    /// append and prepend: old and new value in a chunk of their own.
    fn join(&self, local: &mut Local, request: &StoreRequest<'_>, value: &[u8], now: Seconds) -> StoreOutcome {
        loop {
            let mut attempt = Attempt::new(local, request.key, now);
            let attempted =
                self.retry(&mut attempt, |attempt, stripe| self.join_found(attempt, stripe, request, value));
            self.end(attempt);
            match (attempted, request.extras) {
                (Ok(Joined::Stored(outcome)), _) => return outcome,
                (Ok(Joined::Large), _) => {
                    return self.join_large(local, request, Source::Slice(value), now);
                }
                (Ok(Joined::Absent), Some(extras)) => match self.create_instead(local, request, extras, value, now) {
                    // Somebody else was faster: there is something to append to now.
                    StoreOutcome::NotStored => {}
                    outcome => return outcome,
                },
                (Ok(Joined::Absent), None) => return StoreOutcome::NotStored,
                (Err(Halt::Chunk(class)), _) => return self.no_memory(local, class),
                (Err(Halt::Cell | Halt::Hopeless), _) => return self.no_memory(local, self.pages.classes.extent()),
            }
        }
    }

    /// An attempt at an append or prepend to what the key has.
    fn join_found(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        request: &StoreRequest<'_>,
        value: &[u8],
    ) -> Result<Joined, Halt> {
        let found = self.find_to_store(attempt, stripe);
        if found.is_err() && request.extras.is_some_and(|extras| extras.create.is_some()) {
            return Ok(Joined::Absent);
        }
        if let Err(refusal) = self.check(attempt, stripe, request.mode, request.extras, &found) {
            return Ok(Joined::Stored(refusal));
        }
        let Ok(found) = found else { return Ok(Joined::Stored(StoreOutcome::NotStored)) };
        let joined = self.joined(found.reference, request, value.len(), attempt.now);
        if self.is_too_large(joined.key.len(), joined.client_flags, joined.value_len) {
            return Ok(Joined::Stored(StoreOutcome::NotStored));
        }
        // An append that met a large value and then a shorter one in its place leaves a short one in a chain.
        let is_small = !self.pages.chunk(found.reference).is_large();
        let Some(class) = self.class_for(&joined).filter(|_| is_small) else { return Ok(Joined::Large) };
        let target = self.take_spare(attempt, class).ok_or(Halt::Chunk(class))?;
        let old = self.pages.chunk(found.reference).value(&*stripe.state);
        let parts = if request.mode == Mode::Append { [old, value] } else { [value, old] };
        self.pages.chunk(target).fill(&joined, &parts);
        self.put_in_index(attempt, stripe, Some(found), target, false).expect("replacing needs no cell");
        Ok(Joined::Stored(self.stored(stripe, attempt.local, request, target, joined.value_len)))
    }

    /// An append or prepend to a key that is missing, which stores the value if nobody does so first.
    #[cold]
    fn create_instead(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        extras: &StoreExtras,
        value: &[u8],
        now: Seconds,
    ) -> StoreOutcome {
        let expiry = extras.create.unwrap_or(request.expiry);
        let request = StoreRequest { mode: Mode::Add, expiry, ..*request };
        self.put_any(local, &request, value, self.class_of_new(&request, value.len()), now)
    }

    /// The item that an append or prepend of so many bytes makes of an old one.
    fn joined<'k>(&self, old: Ref, request: &StoreRequest<'k>, added: usize, now: Seconds) -> NewItem<'k> {
        let chunk = self.pages.chunk(old);
        let bits = chunk.marks().bits & mark::BINARY_KEY;
        NewItem {
            marks: Marks { bits, own_cas: request.marks(self).own_cas },
            key: request.key.bytes,
            value_len: chunk.value_len() + added,
            client_flags: chunk.client_flags(),
            expiry: chunk.expiry(),
            access: now,
            main: chunk.state() & state::MAIN != 0,
            kept: self.kept,
        }
    }

    /// A small item with another value of so many bytes, and the flags, the expiry and the marks of the old one.
    pub(crate) fn rewritten<'k>(&self, key: &'k [u8], old: Ref, value_len: usize, now: Seconds) -> NewItem<'k> {
        let chunk = self.pages.chunk(old);
        NewItem {
            key,
            value_len,
            client_flags: chunk.client_flags(),
            expiry: chunk.expiry(),
            access: now,
            main: false,
            marks: Marks { bits: chunk.marks().bits, own_cas: 0 },
            kept: self.kept,
        }
    }
}

/// What an attempt at a small append or prepend has come to.
enum Joined {
    /// Stored, or refused.
    Stored(StoreOutcome),
    /// The result is a large item.
    Large,
    /// There is nothing to join to, and it is to be made.
    Absent,
}

/// Room of a new item in bytes less that of the old one that it is written over.
#[inline(always)]
fn growth(old: Chunk<'_>, new: &NewItem<'_>) -> u64 {
    let bytes = |value_len: usize, marks: Marks| value_len + marks.bytes();
    let growth = bytes(new.value_len, new.marks).wrapping_sub(bytes(old.value_len(), old.marks()));
    u64::try_from(growth).expect("64 bits hold a usize")
}
