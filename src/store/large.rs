//! Large items arriving, and joined by append and prepend; `chain` has their bytes.

use super::Store;
use super::chain::{Cursor, Pinned, Shape, length};
use super::item::{Chunk, NewItem, Ref};
use super::marks::{Marks, mark};
use super::outcome::{Key, Miss, Mode, StoreExtras, StoreOutcome, StoreRequest};
use super::reserve::{Effort, Local};
use super::table::{Found, LockedStripe};
use super::write::Verdict;
use crate::sync::Ordering;
use crate::time::{Expiry, Seconds};

/// Turns an arriving value waits for memory before it is refused.
const WAITS_MAX: u32 = 2000;

/// Rounds in which an append of a large value may find that the old one changed meanwhile.
const JOIN_ROUNDS_MAX: u32 = 16;

/// A large value that is arriving. Ends in [`Store::commit`] or [`Store::abandon`].
#[derive(Debug)]
pub struct Incoming {
    key: Box<[u8]>,
    hash: u64,
    client_flags: u32,
    expiry: Expiry,
    extras: StoreExtras,
    total: usize,
    filled: usize,
    head: Ref,
    /// The chunk that bytes last went into.
    place: Option<Cursor>,
    /// The last chunk taken: some are taken ahead of the bytes, to have many filled at once.
    last: Option<Cursor>,
    waits: u32,
    share: Share,
}

impl Incoming {
    /// Bytes of the value still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.total - self.filled
    }

    /// When it will die.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    fn shape(&self) -> Shape {
        Shape { key_len: self.key.len(), total: self.total }
    }

    /// The key it will be stored under.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        Key { bytes: &self.key, hash: self.hash }
    }
}

/// What an arriving value has of the memory that all such values may hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// It counts, and has to be admitted yet.
    Wanted,
    /// It is counted.
    Held,
    /// It does not count.
    None,
}

/// Where the next bytes of an arriving value go.
#[derive(Debug)]
pub enum Room<'r> {
    /// Here; never empty while bytes are missing.
    Bytes(&'r mut [u8]),
    /// Memory for them is not free yet: ask again in a later turn.
    Wait,
    /// There is none to be had: give up.
    NoMemory,
}

/// Bytes to build a large value from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'s> {
    Slice(&'s [u8]),
    /// A chain that the caller holds a pin of.
    Chain(&'s Pinned),
}

impl Store {
    // --- arriving -------------------------------------------------------------------------------------------

    /// Begins a value longer than `WHOLE_VALUE_BYTES_MAX` that is about to arrive; `None` when it is too large.
    /// While other arriving values hold all they may together, [`Store::room`] lets it wait.
    pub fn reserve(&self, request: &StoreRequest<'_>, value_len: usize) -> Option<Incoming> {
        self.begin(request, value_len, Share::Wanted)
    }

    fn begin(&self, request: &StoreRequest<'_>, value_len: usize, share: Share) -> Option<Incoming> {
        if self.is_too_large(request.key.bytes.len(), request.client_flags, value_len) {
            return None;
        }
        Some(Incoming {
            share,
            key: request.key.bytes.into(),
            hash: request.key.hash,
            client_flags: request.client_flags,
            expiry: request.expiry,
            extras: request.extras.copied().unwrap_or_default(),
            total: value_len,
            filled: 0,
            head: Ref::NONE,
            place: None,
            last: None,
            waits: 0,
        })
    }

    /// Takes the value's share of what arriving values may hold together: a quarter of `-m`, or one `-I`.
    fn takes_share(&self, incoming: &mut Incoming) -> bool {
        if incoming.share != Share::Wanted {
            return true;
        }
        let most = (self.options.limit_bytes / 4).max(length(self.options.item_bytes_max));
        // Relaxed: a sum for a limit; nothing is ordered by it.
        let before = self.incoming_bytes.fetch_add(length(incoming.total), Ordering::Relaxed);
        if before + length(incoming.total) > most {
            self.incoming_bytes.fetch_sub(length(incoming.total), Ordering::Relaxed);
            return false;
        }
        incoming.share = Share::Held;
        true
    }

    /// Gives the share of a value that arrives no longer back.
    fn give_share_back(&self, incoming: &Incoming) {
        if incoming.share == Share::Held {
            self.incoming_bytes.fetch_sub(length(incoming.total), Ordering::Relaxed);
        }
    }

    /// Where the next bytes of an arriving value go.
    pub fn room<'i>(&'i self, local: &mut Local, incoming: &'i mut Incoming, now: Seconds) -> Room<'i> {
        if self.place_of_next(local, incoming, now).is_none() {
            let may_wait = self.options.evict && incoming.waits < WAITS_MAX;
            incoming.waits += 1;
            return if may_wait { Room::Wait } else { Room::NoMemory };
        }
        let room = self.rooms(local, incoming, 1, now).and_then(|mut rooms| rooms.next());
        room.map_or(Room::NoMemory, Room::Bytes)
    }

    /// Where the next bytes of an arriving value go, piece by piece, at most `chunks` of them; the end comes early when
    /// no more memory is free at once. `None`: there is not even the first, or no byte is missing.
    pub fn rooms<'i>(
        &'i self,
        local: &mut Local,
        incoming: &'i mut Incoming,
        chunks: u32,
        now: Seconds,
    ) -> Option<impl Iterator<Item = &'i mut [u8]>> {
        let first = self.place_of_next(local, incoming, now)?;
        let mut last = incoming.last?;
        for _ in last.number - first.number + 1..chunks {
            if last.end() == incoming.total {
                break;
            }
            let Some(taken) = self.extend(local, incoming, now) else { break };
            last = taken;
        }
        let (shape, filled) = (incoming.shape(), incoming.filled);
        let behind = move |at: &Cursor| (at.number < last.number).then(|| self.next_cursor(shape, *at));
        let places = std::iter::successors(Some(first), behind).map(move |at| {
            let into = filled.saturating_sub(at.start);
            (self.pages.chunk(at.chunk), at.first + into, at.len - into)
        });
        Some(Chunk::incoming_rooms(incoming, places.take(usize::try_from(chunks).ok()?)))
    }

    /// The chunk that the next byte of an arriving value goes into; the next one is taken if it is needed.
    fn place_of_next(&self, local: &mut Local, incoming: &mut Incoming, now: Seconds) -> Option<Cursor> {
        let mut place = incoming.place;
        while let (Some(at), Some(last)) = (place, incoming.last)
            && incoming.filled >= at.end()
        {
            place = (at.number < last.number).then(|| self.next_cursor(incoming.shape(), at));
        }
        let place = match place {
            Some(at) => at,
            None if incoming.missing() > 0 && self.takes_share(incoming) => self.extend(local, incoming, now)?,
            None => return None,
        };
        incoming.place = Some(place);
        Some(place)
    }

    /// Says that the first `n` bytes of the last room are filled.
    pub fn filled(&self, incoming: &mut Incoming, n: usize) {
        incoming.filled += n;
        debug_assert!(incoming.filled <= incoming.total, "no more than was missing");
    }

    /// Takes the next chunk of an arriving value.
    fn extend(&self, local: &mut Local, incoming: &mut Incoming, now: Seconds) -> Option<Cursor> {
        let (shape, last) = (incoming.shape(), incoming.last);
        let class = last.and_then(|last| self.pages.classes.class_of(shape.bytes_behind(last)));
        let class = class.unwrap_or_else(|| self.pages.classes.extent());
        let reference = self.take_chunk(local, class, now, Effort::NoPageMove)?;
        incoming.waits = 0;
        let chunk = self.pages.chunk(reference);
        let cursor = match last {
            None => {
                chunk.fill_large_head(&NewItem {
                    key: &incoming.key,
                    value_len: incoming.total,
                    client_flags: incoming.client_flags,
                    expiry: incoming.expiry,
                    access: now,
                    main: false,
                    marks: incoming.extras.marks(self),
                });
                incoming.head = reference;
                shape.head(reference)
            }
            Some(last) => {
                let at = shape.behind(last, reference);
                chunk.fill_part_header(incoming.head, at.number, incoming.hash);
                let (directory, slot) = shape.slot_behind(last);
                self.pages.chunk(directory).set_slot(slot, reference);
                at
            }
        };
        incoming.last = Some(cursor);
        Some(cursor)
    }

    /// Stores an arrived value.
    pub fn commit(&self, local: &mut Local, incoming: Incoming, mode: Mode, now: Seconds) -> StoreOutcome {
        let (hash, bytes, expiry) = (incoming.hash, incoming.key.len() + incoming.total, incoming.expiry);
        let outcome = self.commit_arrived(local, incoming, mode, now);
        if outcome != StoreOutcome::NoMemory {
            self.count_set(local, None);
        }
        if self.curve.has(hash) && matches!(outcome, StoreOutcome::Stored { .. }) {
            self.curve.stored(hash, bytes, expiry, now);
        }
        outcome
    }

    /// Gives up on an arrived value that does not end where its line said.
    pub fn abandon_spoiled(&self, local: &mut Local, incoming: Incoming) {
        self.count_set(local, None);
        self.abandon(local, incoming);
    }

    fn commit_arrived(&self, local: &mut Local, incoming: Incoming, mode: Mode, now: Seconds) -> StoreOutcome {
        debug_assert_eq!(incoming.missing(), 0, "the whole value has arrived");
        if matches!(mode, Mode::Append | Mode::Prepend) {
            return self.join_arrived(local, incoming, mode, now);
        }
        loop {
            let mut stripe = self.index.lock(incoming.hash);
            let found = self.lookup(&mut stripe, local, incoming.key(), now);
            match self.check(&stripe, local, mode, Some(&incoming.extras), &found, now) {
                Ok(Verdict::AsAsked) => {}
                Ok(Verdict::Stale) => self.make_head_stale(&incoming, &found),
                Err(refusal) => {
                    drop(stripe);
                    self.abandon(local, incoming);
                    return refusal;
                }
            }
            let replaced = found.as_ref().ok().copied();
            match self.link_large(&mut stripe, local, &incoming, found) {
                Ok(wants_row) => {
                    let cas = self.wire_cas(&stripe, self.pages.chunk(incoming.head));
                    self.count_cas_hit(local, mode, replaced);
                    local.counters.total_items.bump();
                    drop(stripe);
                    self.after_write(wants_row);
                    self.give_share_back(&incoming);
                    return StoreOutcome::Stored { cas, value_len: incoming.total };
                }
                Err(super::table::NoCell) => {
                    drop(stripe);
                    if !self.make_cell(local, incoming.hash, now) {
                        self.abandon(local, incoming);
                        return self.no_memory(local, self.pages.classes.extent());
                    }
                }
            }
        }
    }

    /// Makes an arrived value of an older version out of date from the start.
    fn make_head_stale(&self, incoming: &Incoming, found: &Result<Found, Miss>) {
        if let Ok(found) = found {
            let (old, head) = (self.pages.chunk(found.reference), self.pages.chunk(incoming.head));
            let marks = incoming.extras.marks(self);
            head.set_expiry(old.expiry());
            head.set_marks(Marks { bits: marks.bits | mark::STALE | old.marks().bits & mark::TOKEN_SENT, ..marks });
        }
    }

    fn link_large(
        &self,
        stripe: &mut LockedStripe<'_>,
        local: &mut Local,
        incoming: &Incoming,
        found: Result<Found, Miss>,
    ) -> Result<bool, super::table::NoCell> {
        let ghost_hit = found.is_err() && self.ghost.take(incoming.hash);
        let was_main = found.as_ref().is_ok_and(|found| self.pages.chunk(found.reference).is_main());
        if ghost_hit || was_main {
            self.pages.chunk(incoming.head).set_main();
        }
        self.link(stripe, local, incoming.key(), found.ok(), incoming.head, ghost_hit)
    }

    /// Gives up on an arriving value.
    pub fn abandon(&self, local: &mut Local, incoming: Incoming) {
        self.give_share_back(&incoming);
        if let Some(last) = incoming.last {
            self.free_chain(local, incoming.head, incoming.shape(), last.end());
        }
    }

    /// Stores a whole value whose item does not fit one chunk.
    pub(super) fn put_large(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        value: &[u8],
        now: Seconds,
    ) -> StoreOutcome {
        match self.build(local, request, &[Source::Slice(value)], now) {
            Ok(incoming) => self.commit_arrived(local, incoming, request.mode, now),
            Err(refusal) => refusal,
        }
    }

    /// Makes an arrived value of what there is already.
    fn build(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        sources: &[Source<'_>],
        now: Seconds,
    ) -> Result<Incoming, StoreOutcome> {
        let total = sources.iter().map(|source| source.len()).sum();
        // All of it is here: it will not be incomplete beyond this turn.
        let Some(mut incoming) = self.begin(request, total, Share::None) else { return Err(StoreOutcome::TooLarge) };
        for source in sources {
            if !self.append_source(local, &mut incoming, *source, now) {
                self.abandon(local, incoming);
                return Err(self.no_memory(local, self.pages.classes.extent()));
            }
        }
        Ok(incoming)
    }

    /// Copies a source behind what has arrived; false when memory ended.
    fn append_source(&self, local: &mut Local, incoming: &mut Incoming, source: Source<'_>, now: Seconds) -> bool {
        let mut copied = 0;
        let mut chain = match source {
            Source::Slice(_) => None,
            Source::Chain(pinned) => Some(pinned.again()),
        };
        while copied < source.len() {
            let piece = match (source, &mut chain) {
                (Source::Chain(_), Some(reader)) => self.pinned_bytes(reader, copied),
                (Source::Slice(slice), _) => &slice[copied..],
                (Source::Chain(_), None) => return false,
            };
            let Some(n) = self.copy_in(local, incoming, piece, now) else { return false };
            copied += n;
        }
        true
    }

    /// Copies as much of a piece as the next room takes. Here nobody can wait: the page mover is driven along.
    fn copy_in(&self, local: &mut Local, incoming: &mut Incoming, piece: &[u8], now: Seconds) -> Option<usize> {
        let mut tries = 0;
        loop {
            if let Room::Bytes(room) = self.room(local, incoming, now) {
                let n = room.len().min(piece.len());
                room[..n].copy_from_slice(&piece[..n]);
                self.filled(incoming, n);
                return Some(n);
            }
            tries += 1;
            if tries > 8 || !self.options.evict || !self.move_page_to(local, self.pages.classes.extent(), now) {
                return None;
            }
        }
    }

    // --- append and prepend -----------------------------------------------------------------------------------

    fn join_arrived(&self, local: &mut Local, incoming: Incoming, mode: Mode, now: Seconds) -> StoreOutcome {
        let extras = incoming.extras;
        let request = StoreRequest {
            key: incoming.key(),
            mode,
            client_flags: incoming.client_flags,
            expiry: incoming.expiry,
            extras: Some(&extras),
        };
        let arrived = Self::pinned(incoming.head, incoming.shape());
        let outcome = self.join_large(local, &request, Source::Chain(&arrived), now);
        self.abandon(local, incoming);
        outcome
    }

    /// append and prepend whose result is large: a new item from both values, stored if the old one is still
    /// the key's when it is done.
    pub(super) fn join_large(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        added: Source<'_>,
        now: Seconds,
    ) -> StoreOutcome {
        for _ in 0..JOIN_ROUNDS_MAX {
            let (old, cas, whole) = match self.old_value(local, request, now) {
                Ok(old) => old,
                Err(StoreOutcome::NotStored) => match self.create_joined(local, request, added, now) {
                    Some(outcome) => return outcome,
                    None => continue,
                },
                Err(refusal) => return refusal,
            };
            let old_source = match &old {
                OldValue::Copied(bytes) => Source::Slice(bytes),
                OldValue::Pinned(pinned) => Source::Chain(pinned),
            };
            let too_large =
                self.is_too_large(request.key.bytes.len(), whole.client_flags, old_source.len() + added.len());
            let sources = if request.mode == Mode::Append { [old_source, added] } else { [added, old_source] };
            let built = if too_large { Err(StoreOutcome::NotStored) } else { self.build(local, &whole, &sources, now) };
            if let OldValue::Pinned(pinned) = old {
                self.unpin(local, pinned);
            }
            let incoming = match built {
                Ok(incoming) => incoming,
                Err(refusal) => return refusal,
            };
            if let Some(outcome) = self.commit_join(local, incoming, cas, now) {
                return outcome;
            }
        }
        self.no_memory(local, self.pages.classes.extent())
    }

    /// What becomes of an append to nothing: a refusal, or, if that is asked for, the value alone; `None`: there is
    /// something to append to now.
    fn create_joined(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        added: Source<'_>,
        now: Seconds,
    ) -> Option<StoreOutcome> {
        let Some(expiry) = request.extras.and_then(|extras| extras.create) else {
            return Some(StoreOutcome::NotStored);
        };
        let request = StoreRequest { mode: Mode::Add, expiry, ..*request };
        let outcome = match added {
            Source::Slice(value) => self.store(local, &request, value, now),
            Source::Chain(_) => match self.build(local, &request, &[added], now) {
                Ok(incoming) => self.commit_arrived(local, incoming, Mode::Add, now),
                Err(refusal) => refusal,
            },
        };
        (outcome != StoreOutcome::NotStored).then_some(outcome)
    }

    /// The value to be joined to, its version, and the request that stores the result.
    fn old_value<'k>(
        &self,
        local: &mut Local,
        request: &StoreRequest<'k>,
        now: Seconds,
    ) -> Result<(OldValue, u32, StoreRequest<'k>), StoreOutcome> {
        let mut stripe = self.index.lock(request.key.hash);
        let found = self.lookup(&mut stripe, local, request.key, now);
        self.check(&stripe, local, request.mode, request.extras, &found, now)?;
        let Ok(found) = found else { return Err(StoreOutcome::NotStored) };
        let chunk = self.pages.chunk(found.reference);
        let whole = StoreRequest { client_flags: chunk.client_flags(), expiry: chunk.expiry(), ..*request };
        let old = if chunk.is_large() {
            OldValue::Pinned(self.pin(&stripe, found.reference))
        } else {
            OldValue::Copied(chunk.value(&*stripe.state).to_vec())
        };
        Ok((old, chunk.cas(), whole))
    }

    /// Stores a joined value if the key's item still has this version; `None`: it has not, try again.
    fn commit_join(&self, local: &mut Local, incoming: Incoming, cas: u32, now: Seconds) -> Option<StoreOutcome> {
        let mut stripe = self.index.lock(incoming.hash);
        let found = self.lookup(&mut stripe, local, incoming.key(), now);
        let unchanged = found.as_ref().is_ok_and(|found| self.pages.chunk(found.reference).cas() == cas);
        if !unchanged {
            drop(stripe);
            self.abandon(local, incoming);
            return None;
        }
        let head = self.pages.chunk(incoming.head);
        if let Ok(found) = &found {
            let bits = self.pages.chunk(found.reference).marks().bits & mark::BINARY_KEY;
            head.set_marks(Marks { bits, ..incoming.extras.marks(self) });
        }
        let linked = self.link_large(&mut stripe, local, &incoming, found);
        linked.expect("replacing needs no cell");
        let cas = self.wire_cas(&stripe, head);
        local.counters.total_items.bump();
        self.give_share_back(&incoming);
        Some(StoreOutcome::Stored { cas, value_len: incoming.total })
    }
}

/// The old value of an append.
enum OldValue {
    Copied(Vec<u8>),
    Pinned(Pinned),
}

impl Source<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Slice(slice) => slice.len(),
            Self::Chain(pinned) => pinned.len(),
        }
    }
}
