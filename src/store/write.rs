//! Writing: a value is stored in place where it fits, else in a chunk of its own that is filled and committed
//! under the stripe's lock.

use super::item::{Chunk, EXPTIME_BYTES, NewItem, Ref, SMALL_VALUE_BYTES_MAX, small_item_bytes, state};
use super::marks::{Marks, mark};
use super::outcome::{Mode, StoreExtras, StoreOutcome, StoreRequest};
use super::reserve::Local;
use super::slab::classes::ClassId;
use super::table::{Found, LockedStripe};
use super::{Key, Miss, Store};
use crate::time::Seconds;

/// What a value that turns out to be out of date needs more than was asked for: an exptime and a mark.
const STALE_BYTES_MAX: usize = EXPTIME_BYTES + 1;

/// A store operation that could not go on under the lock.
pub(super) enum Halt {
    /// A chunk of this class or a larger one is needed.
    Chunk(ClassId),
    /// The stripe has no room for another entry.
    Cell,
}

/// A write that has passed its conditions.
pub(super) struct Change<'c> {
    pub(super) key: Key<'c>,
    /// The item it takes the place of.
    pub(super) found: Option<Found>,
    pub(super) new: NewItem<'c>,
    /// The value, in pieces.
    pub(super) parts: &'c [&'c [u8]],
}

/// An item written under the lock.
pub(super) struct Written {
    pub(super) reference: Ref,
    /// The stripe would be better off with another row.
    pub(super) wants_row: bool,
}

/// How a store whose condition holds is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    AsAsked,
    /// As out of date from the start.
    Stale,
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
    pub(super) fn marks(&self, store: &Store) -> Marks {
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
    pub(super) fn count_set(&self, local: &Local, class: Option<ClassId>) {
        local.class(class.unwrap_or_else(|| self.pages.classes.extent())).cmd_set.bump();
    }

    /// Counts a cas that stored, in the class of what it replaced: not before, as a write may take several attempts.
    #[inline]
    pub(super) fn count_cas_hit(&self, local: &Local, mode: Mode, found: Option<Found>) {
        if let (Mode::Cas(_), Some(found)) = (mode, found) {
            local.class(self.class_of(found.reference)).cas_hits.bump();
        }
    }

    /// The class for a new item; `None`: it is stored in pieces.
    #[inline]
    fn class_of_new(&self, request: &StoreRequest<'_>, value_len: usize) -> Option<ClassId> {
        let mut bytes = small_item_bytes(request.key.bytes.len(), request.client_flags, request.expiry, value_len);
        if let Some(extras) = request.extras {
            // What turns out to be stored as out of date needs a mark, and perhaps the old item's exptime.
            bytes += if extras.or_stale { STALE_BYTES_MAX } else { 0 } + extras.marks(self).bytes();
        }
        self.small_class(bytes, value_len)
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

    /// The class of an item stored in one chunk, if it can be.
    #[inline]
    pub(super) fn small_class(&self, bytes: usize, value_len: usize) -> Option<ClassId> {
        if value_len > SMALL_VALUE_BYTES_MAX { None } else { self.pages.classes.class_of(bytes) }
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
        // A chunk the magazine does not have: only then is the lock taken a second time.
        let mut spare = None;
        let outcome = loop {
            let mut stripe = self.index.lock(request.key.hash);
            let found = self.lookup(&mut stripe, local, request.key, now);
            let verdict = match self.check(&stripe, local, request.mode, request.extras, &found, now) {
                Ok(verdict) => verdict,
                Err(refusal) => break refusal,
            };
            let new = NewItem {
                key: request.key.bytes,
                value_len: value.len(),
                client_flags: request.client_flags,
                expiry: request.expiry,
                access: now,
                main: false,
                marks: request.marks(self),
            };
            let written = match found {
                Ok(found) if verdict == Verdict::AsAsked && self.fits_in_place(found.reference, &new, class) => {
                    Ok(self.overwrite(&mut stripe, local, found.reference, class, &new, &[value]))
                }
                found => {
                    let change = Change { key: request.key, found: found.ok(), new, parts: &[value] };
                    self.write_as_judged(&mut stripe, local, change, verdict, &mut spare)
                }
            };
            let halt = match written {
                Ok(written) => {
                    let cas = self.wire_cas(&stripe, self.pages.chunk(written.reference));
                    self.count_cas_hit(local, request.mode, found.ok());
                    local.counters.total_items.bump();
                    drop(stripe);
                    self.after_write(written.wants_row);
                    break StoreOutcome::Stored { cas, value_len: value.len() };
                }
                Err(halt) => halt,
            };
            drop(stripe);
            match halt {
                Halt::Cell if self.make_cell(local, request.key.hash, now) => {}
                Halt::Chunk(class) if self.exchange_spare(local, &mut spare, class, now) => {}
                Halt::Cell | Halt::Chunk(_) => break self.no_memory(local, class),
            }
        };
        if let Some(unused) = spare {
            self.keep_chunk(local, unused);
        }
        outcome
    }

    #[inline(never)]
    fn write_as_judged(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        mut change: Change<'_>,
        verdict: Verdict,
        spare: &mut Option<Ref>,
    ) -> Result<Written, Halt> {
        if verdict == Verdict::Stale {
            self.make_stale(&mut change);
        }
        self.write(stripe, local, &change, spare)
    }

    /// Turns a write of an older version into one that leaves the item out of date.
    #[cold]
    fn make_stale(&self, change: &mut Change<'_>) {
        if let Some(found) = change.found {
            let old = self.pages.chunk(found.reference);
            change.new.expiry = old.expiry();
            change.new.marks.bits |= mark::STALE | old.marks().bits & mark::TOKEN_SENT;
        }
    }

    #[cold]
    pub(super) fn no_memory(&self, local: &Local, class: ClassId) -> StoreOutcome {
        local.counters.outofmemory.bump();
        local.class(class).outofmemory.bump();
        StoreOutcome::NoMemory
    }

    /// Gives the index the row a commit asked for. Refused, the stripe lives with longer chains.
    #[inline]
    pub(super) fn after_write(&self, wants_row: bool) {
        if wants_row {
            self.index.add_row(&self.pool, self.index.rows());
        }
    }

    /// Whether the mode's condition holds for what is there.
    #[inline(always)]
    pub(super) fn check(
        &self,
        stripe: &LockedStripe<'_>,
        local: &Local,
        mode: Mode,
        extras: Option<&StoreExtras>,
        found: &Result<Found, Miss>,
        now: Seconds,
    ) -> Result<Verdict, StoreOutcome> {
        if mode == Mode::Set {
            return Ok(Verdict::AsAsked);
        }
        self.check_condition(stripe, local, mode, extras, found, now)
    }

    #[inline(never)]
    fn check_condition(
        &self,
        stripe: &LockedStripe<'_>,
        local: &Local,
        mode: Mode,
        extras: Option<&StoreExtras>,
        found: &Result<Found, Miss>,
        now: Seconds,
    ) -> Result<Verdict, StoreOutcome> {
        match (mode, found) {
            (Mode::Add, Ok(found)) => {
                self.pages.chunk(found.reference).note_use(now);
                Err(StoreOutcome::NotStored)
            }
            (Mode::Replace | Mode::Append | Mode::Prepend, Err(_)) => Err(StoreOutcome::NotStored),
            (Mode::Cas(_), Err(_)) => Err(StoreOutcome::NotFound),
            (Mode::Cas(unique), Ok(found)) => {
                let class = local.class(self.class_of(found.reference));
                let cas = self.wire_cas(stripe, self.pages.chunk(found.reference));
                let is_older = unique != 0 && unique < cas && extras.is_some_and(|extras| extras.or_stale);
                if self.options.cas && (cas == unique || is_older) {
                    Ok(if is_older { Verdict::Stale } else { Verdict::AsAsked })
                } else {
                    class.cas_badval.bump();
                    Err(StoreOutcome::Exists)
                }
            }
            (Mode::Append | Mode::Prepend, Ok(found)) => {
                let compare = extras.and_then(|extras| extras.compare);
                let differs = |unique| unique != self.wire_cas(stripe, self.pages.chunk(found.reference));
                if compare.is_some_and(differs) { Err(StoreOutcome::Exists) } else { Ok(Verdict::AsAsked) }
            }
            (Mode::Set | Mode::Add | Mode::Replace, _) => Ok(Verdict::AsAsked),
        }
    }

    /// Writes an item where the key's item is, or into a chunk in hand: the spare one, or the magazine's.
    pub(super) fn write(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        change: &Change<'_>,
        spare: &mut Option<Ref>,
    ) -> Result<Written, Halt> {
        let class = self.pages.classes.class_of(change.new.bytes()).expect("callers send large items elsewhere");
        match change.found {
            Some(found) if self.fits_in_place(found.reference, &change.new, class) => {
                Ok(self.overwrite(stripe, local, found.reference, class, &change.new, change.parts))
            }
            _ => self.write_elsewhere(stripe, local, change, class, spare),
        }
    }

    #[inline(never)]
    fn write_elsewhere(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        change: &Change<'_>,
        class: ClassId,
        spare: &mut Option<Ref>,
    ) -> Result<Written, Halt> {
        let Change { key, found, new, parts } = change;
        // A chunk taken before the lock was chosen for what the key held then: it may be too small by now.
        let fitting = spare.take_if(|spare| self.class_of(*spare) >= class);
        let reference = fitting.or_else(|| self.chunk_in_hand(local, class)).ok_or(Halt::Chunk(class))?;
        let mut item = *new;
        let ghost_hit = found.is_none() && self.ghost.take(key.hash);
        item.main = match found {
            Some(found) => self.pages.chunk(found.reference).state() & state::MAIN != 0,
            None => ghost_hit,
        };
        self.pages.chunk(reference).fill(&item, parts);
        match self.link(stripe, local, *key, *found, reference, ghost_hit) {
            Ok(wants_row) => Ok(Written { reference, wants_row }),
            Err(_) => {
                self.keep_chunk(local, reference);
                Err(Halt::Cell)
            }
        }
    }

    /// Makes a filled chunk the key's item: in the old one's place, or as a new entry.
    pub(super) fn link(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        key: Key<'_>,
        found: Option<Found>,
        reference: Ref,
        ghost_hit: bool,
    ) -> Result<bool, super::table::NoCell> {
        let chunk = self.pages.chunk(reference);
        if found.is_none() {
            stripe.insert(key.hash, reference)?;
        }
        chunk.set_cas(stripe.next_cas());
        chunk.publish(u8::try_from(key.bytes.len()).expect("keys are at most 250 bytes"));
        let wants_row = match found {
            Some(found) => {
                stripe.replace(found.slot, reference);
                self.let_go(local, found.reference);
                false
            }
            None => stripe.grow(&self.pages),
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
        Ok(wants_row)
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
    fn overwrite(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &Local,
        reference: Ref,
        class: ClassId,
        new: &NewItem<'_>,
        parts: &[&[u8]],
    ) -> Written {
        let chunk = self.pages.chunk(reference);
        let growth = growth(chunk, new);
        let cas = stripe.next_cas();
        chunk.overwrite(&mut *stripe.state, parts, cas, new);
        local.counters.bytes.add(growth);
        local.class(class).mem_requested.add(growth);
        if let Some(sizes) = &local.sizes {
            let bytes = chunk.item_bytes();
            sizes.remove(bytes.wrapping_sub(growth));
            sizes.add(bytes);
        }
        self.note_expiry(reference, new.expiry);
        Written { reference, wants_row: false }
    }

    /// Makes room for an entry in a stripe whose chain is full: a new row, or one item less. False when there is
    /// no memory for a row and nothing may be evicted.
    #[cold]
    pub(super) fn make_cell(&self, local: &mut Local, hash: u64, now: Seconds) -> bool {
        if self.index.add_row(&self.pool, self.index.rows()) {
            return true;
        }
        if !self.options.evict {
            return false;
        }
        let mut stripe = self.index.lock(hash);
        let coldest = stripe
            .neighbours(hash)
            .min_by_key(|&(reference, _)| self.pages.chunk(reference).state() & (state::FREQUENCY | state::MAIN));
        let Some((reference, slot)) = coldest else { return true };
        stripe.remove(hash, slot);
        self.count_evicted(local, &stripe, reference, now);
        local.counters.index_evictions.bump();
        self.let_go(local, reference);
        true
    }

    /// append and prepend: old and new value in a chunk of their own.
    fn join(&self, local: &mut Local, request: &StoreRequest<'_>, value: &[u8], now: Seconds) -> StoreOutcome {
        let mut spare = None;
        let outcome = loop {
            let mut stripe = self.index.lock(request.key.hash);
            let found = self.lookup(&mut stripe, local, request.key, now);
            if let (Err(_), Some(extras @ StoreExtras { create: Some(_), .. })) = (&found, request.extras) {
                drop(stripe);
                match self.create_instead(local, request, extras, value, now) {
                    // Somebody else was faster: there is something to append to now.
                    StoreOutcome::NotStored => continue,
                    outcome => break outcome,
                }
            }
            if let Err(refusal) = self.check(&stripe, local, request.mode, request.extras, &found, now) {
                break refusal;
            }
            let Ok(found) = found else { break StoreOutcome::NotStored };
            let joined = self.joined(found.reference, request, value.len(), now);
            if self.is_too_large(joined.key.len(), joined.client_flags, joined.value_len) {
                break StoreOutcome::NotStored;
            }
            // An append that met a large value and then a shorter one in its place leaves a short one in a chain.
            let is_small = !self.pages.chunk(found.reference).is_large();
            let class = self.small_class(joined.bytes(), joined.value_len).filter(|_| is_small);
            let Some(class) = class else {
                drop(stripe);
                break self.join_large(local, request, super::large::Source::Slice(value), now);
            };
            let fitting = spare.filter(|&spare| self.class_of(spare) >= class);
            let Some(target) = fitting else {
                drop(stripe);
                if !self.exchange_spare(local, &mut spare, class, now) {
                    break self.no_memory(local, class);
                }
                continue;
            };
            spare = None;
            let old = self.pages.chunk(found.reference).value(&*stripe.state);
            let parts = if request.mode == Mode::Append { [old, value] } else { [value, old] };
            self.pages.chunk(target).fill(&joined, &parts);
            break self.commit_joined(&mut stripe, local, request.key, found, target);
        };
        if let Some(unused) = spare {
            self.keep_chunk(local, unused);
        }
        outcome
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
        }
    }

    /// Puts a filled chunk in the old item's place.
    fn commit_joined(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        key: Key<'_>,
        found: Found,
        target: Ref,
    ) -> StoreOutcome {
        let linked = self.link(stripe, local, key, Some(found), target, false);
        linked.expect("replacing needs no cell");
        local.counters.total_items.bump();
        let chunk = self.pages.chunk(target);
        StoreOutcome::Stored { cas: self.wire_cas(stripe, chunk), value_len: chunk.value_len() }
    }

    /// The write that gives a small item another value and keeps its flags, its expiry and its marks.
    pub(super) fn rewritten<'c>(&self, key: Key<'c>, found: Found, parts: &'c [&'c [u8]], now: Seconds) -> Change<'c> {
        let chunk = self.pages.chunk(found.reference);
        let new = NewItem {
            key: key.bytes,
            value_len: parts.iter().map(|part| part.len()).sum(),
            client_flags: chunk.client_flags(),
            expiry: chunk.expiry(),
            access: now,
            main: false,
            marks: Marks { bits: chunk.marks().bits, own_cas: 0 },
        };
        Change { key, found: Some(found), new, parts }
    }
}

/// Room of a new item in bytes less that of the old one that it is written over.
#[inline(always)]
fn growth(old: Chunk<'_>, new: &NewItem<'_>) -> u64 {
    let bytes = |value_len: usize, marks: Marks| value_len + marks.bytes();
    let growth = bytes(new.value_len, new.marks).wrapping_sub(bytes(old.value_len(), old.marks()));
    u64::try_from(growth).expect("64 bits hold a usize")
}
