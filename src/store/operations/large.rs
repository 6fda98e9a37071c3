//! Large items arriving; `bytes::shape` says where their bytes lie, `join` what append and prepend make of them.

use super::attempt::Attempt;
use super::condition::Verdict;
use crate::store::bytes::item::{Arriving, Chunk, NewItem};
use crate::store::bytes::layout::{Ref, u64_of};
use crate::store::bytes::marks::{Marks, mark};
use crate::store::bytes::shape::{Cursor, Pinned, Shape};
use crate::store::index::{Found, LockedStripe, NoCell};
use crate::store::local::Local;
use crate::store::memory::classes::ClassId;
use crate::store::policy::line::{Claim, Want};
use crate::store::shared::Store;
use crate::store::supply::reserve::{Effort, STEPS_WITHOUT_CHOICE_MAX};
use crate::store::words::outcome::{Key, Miss, Mode, StoreExtras, StoreOutcome, StoreRequest};
use crate::time::{Expiry, Seconds};

/// A large value that is arriving. Ends in [`Store::commit`] or [`Store::abandon`].
#[derive(Debug)]
pub struct Incoming {
    key: Box<[u8]>,
    pub(crate) hash: u64,
    pub(crate) client_flags: u32,
    pub(crate) expiry: Expiry,
    pub(crate) extras: StoreExtras,
    pub(crate) total: usize,
    filled: usize,
    pub(crate) head: Ref,
    /// The chunk that bytes last went into.
    place: Option<Cursor>,
    /// The last chunk taken: some are taken ahead of the bytes, to have many filled at once.
    last: Option<Cursor>,
    /// Where its chunks are taken from, if they were taken before.
    chunks: Option<Vec<Ref>>,
    share: Share,
    /// Its place in the line of those that wait for memory.
    waits: Option<Claim>,
}

impl Arriving for Incoming {}

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

    pub(crate) fn shape(&self) -> Shape {
        Shape { key_len: self.key.len(), total: self.total }
    }

    /// Its place in the line of those that wait for memory, if it does.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        self.waits
    }

    /// Whether it holds memory.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.last.is_some()
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
    /// Its chunks count, and it may have to wait for others.
    Held {
        /// Its number among those that arrive.
        ticket: u64,
        /// Bytes of its chunks.
        bytes: u64,
    },
    /// It does not count: all of it is here.
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
pub(crate) enum Source<'s> {
    Slice(&'s [u8]),
    /// A chain that the caller holds a pin of.
    Chain(&'s Pinned),
}

impl Store {
    // --- arriving -------------------------------------------------------------------------------------------

    /// Begins a value longer than `WHOLE_VALUE_BYTES_MAX` that is about to arrive; `None` when it is too large.
    /// While other arriving values hold all they may together, [`Store::room`] lets it wait.
    pub fn reserve(&self, request: &StoreRequest<'_>, value_len: usize) -> Option<Incoming> {
        self.begin(request, value_len, Share::Held { ticket: self.line.ticket(), bytes: 0 })
    }

    fn begin(&self, request: &StoreRequest<'_>, value_len: usize, share: Share) -> Option<Incoming> {
        let is_too_large = self.is_too_large(request.key.bytes.len(), request.client_flags, value_len);
        (!is_too_large).then(|| Self::incoming(request, value_len, share))
    }

    /// The same for a value that lies in another store: it was not too large there.
    pub(crate) fn begin_moved(&self, request: &StoreRequest<'_>, value_len: usize) -> Incoming {
        Self::incoming(request, value_len, Share::None)
    }

    fn incoming(request: &StoreRequest<'_>, value_len: usize, share: Share) -> Incoming {
        Incoming {
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
            chunks: None,
            waits: None,
        }
    }

    /// Where the next bytes of an arriving value go.
    pub fn room<'i>(&'i self, local: &mut Local, incoming: &'i mut Incoming, now: Seconds) -> Room<'i> {
        if let Err(want) = self.place_of_next(local, incoming, now) {
            let may_wait = self.options.evict || want == Want::Share;
            if !may_wait || !self.waits(local, incoming, want, now) {
                return Room::NoMemory;
            }
            // What came free before it stood in the line called nobody.
            if let Err(want) = self.place_of_next(local, incoming, now) {
                if want != Want::Share {
                    self.line.note_short();
                }
                return Room::Wait;
            }
        }
        let room = self.rooms(local, incoming, 1, now).and_then(|mut rooms| rooms.next());
        room.map_or(Room::NoMemory, Room::Bytes)
    }

    /// Has a value stand in the line; false when it has waited long enough.
    #[cold]
    fn waits(&self, local: &Local, incoming: &mut Incoming, want: Want, now: Seconds) -> bool {
        let Share::Held { ticket, .. } = incoming.share else { return false };
        let since = match incoming.waits {
            Some(claim) if claim.is_overdue(now) => return false,
            Some(claim) => claim.since,
            None => now,
        };
        let claim = Claim { ticket, want, since };
        match incoming.waits.replace(claim) {
            Some(before) if before.want == want => {}
            before => {
                if let Some(before) = before {
                    self.line.leave(before);
                }
                self.line.join(claim, local.caller());
            }
        }
        true
    }

    /// Whether values that wait for memory have waited for some time: nobody should keep it who does nothing with it.
    #[must_use]
    #[inline]
    pub fn memory_is_waited_for(&self, now: Seconds) -> bool {
        self.line.is_lasting(now)
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
        let first = self.place_of_next(local, incoming, now).ok().flatten()?;
        let mut last = incoming.last?;
        let chunks = if self.line.is_crowded() { 1 } else { chunks };
        for _ in last.number - first.number + 1..chunks {
            if last.end() == incoming.total {
                break;
            }
            let Ok(taken) = self.extend(local, incoming, now) else { break };
            last = taken;
        }
        let (shape, filled) = (incoming.shape(), incoming.filled);
        let behind = move |at: &Cursor| (at.number < last.number).then(|| self.pages.next_cursor(shape, *at));
        let places = std::iter::successors(Some(first), behind).map(move |at| {
            let into = filled.saturating_sub(at.start);
            (self.pages.chunk(at.chunk), at.first + into, at.len - into)
        });
        Some(Chunk::arriving_rooms(incoming, places.take(usize::try_from(chunks).ok()?)))
    }

    /// The chunk that the next byte of an arriving value goes into; the next one is taken if it is needed. `None`: no
    /// byte is missing.
    ///
    /// # Errors
    /// What it has to wait for.
    fn place_of_next(&self, local: &mut Local, incoming: &mut Incoming, now: Seconds) -> Result<Option<Cursor>, Want> {
        let mut place = incoming.place;
        while let (Some(at), Some(last)) = (place, incoming.last)
            && incoming.filled >= at.end()
        {
            place = (at.number < last.number).then(|| self.pages.next_cursor(incoming.shape(), at));
        }
        let place = match place {
            Some(at) => at,
            None if incoming.missing() > 0 => self.extend(local, incoming, now)?,
            None => return Ok(None),
        };
        incoming.place = Some(place);
        Ok(incoming.place)
    }

    /// Says that the first `n` bytes of the last room are filled.
    pub fn filled(&self, incoming: &mut Incoming, n: usize) {
        incoming.filled += n;
        debug_assert!(incoming.filled <= incoming.total, "no more than was missing");
    }

    /// Takes the next chunk of an arriving value.
    fn extend(&self, local: &mut Local, incoming: &mut Incoming, now: Seconds) -> Result<Cursor, Want> {
        let (shape, last) = (incoming.shape(), incoming.last);
        let class = last.and_then(|last| self.pages.classes.class_of(shape.bytes_behind(last)));
        let class = class.unwrap_or_else(|| self.pages.classes.extent());
        let reference = self.chunk_for(local, incoming, class, now)?;
        if let Some(claim) = incoming.waits.take() {
            self.line.leave(claim);
        }
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
                    kept: self.kept,
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
        Ok(cursor)
    }

    /// A chunk for an arriving value. While one that began earlier waits for such a chunk there is none.
    fn chunk_for(&self, local: &mut Local, incoming: &mut Incoming, class: ClassId, now: Seconds) -> Result<Ref, Want> {
        if let Some(chunks) = &mut incoming.chunks {
            return self.chunk_in_hand(local, class).or_else(|| chunks.pop()).ok_or(Want::Chunk(class));
        }
        let Share::Held { ticket, bytes: held } = incoming.share else {
            return self.take_chunk(local, class, now, Effort::SomeSteps).ok_or(Want::Chunk(class));
        };
        let bytes = u64_of(self.pages.classes.chunk_bytes(class));
        if !self.line.hold(ticket, held, bytes) {
            return Err(Want::Share);
        }
        let is_behind = self.line.is_behind(ticket, class);
        let taken = if is_behind { None } else { self.take_chunk(local, class, now, Effort::SomeSteps) };
        let Some(reference) = taken else {
            self.line.unhold(bytes);
            return Err(Want::Chunk(class));
        };
        incoming.share = Share::Held { ticket, bytes: held + bytes };
        Ok(reference)
    }

    /// Ends a value's arrival: others may have what it held.
    fn end_arrival(&self, incoming: &Incoming) {
        if let Some(claim) = incoming.waits {
            self.line.leave(claim);
        }
        if let Share::Held { ticket, bytes } = incoming.share {
            self.line.release(ticket, bytes);
        }
        // What has arrived can be evicted now, and what has not is free.
        if self.line.wants_any() {
            self.line.call_for(self.pages.classes.extent());
        }
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

    pub(crate) fn commit_arrived(
        &self,
        local: &mut Local,
        incoming: Incoming,
        mode: Mode,
        now: Seconds,
    ) -> StoreOutcome {
        debug_assert_eq!(incoming.missing(), 0, "the whole value has arrived");
        if matches!(mode, Mode::Append | Mode::Prepend) {
            return self.join_arrived(local, incoming, mode, now);
        }
        let mut attempt = Attempt::new(local, incoming.key(), now);
        let attempted = self.retry(&mut attempt, |attempt, stripe| {
            let found = self.find_to_store(attempt, stripe);
            match self.check(attempt, stripe, mode, Some(&incoming.extras), &found) {
                Ok(Verdict::AsAsked) => {}
                Ok(Verdict::Stale) => self.make_head_stale(&incoming, &found),
                Err(refusal) => return Ok(refusal),
            }
            self.link_large(attempt, stripe, &incoming, found)?;
            self.count_cas_hit(attempt.local, mode, found.ok());
            attempt.local.counters.total_items.bump();
            let cas = self.wire_cas(stripe, self.pages.chunk(incoming.head));
            Ok(StoreOutcome::Stored { cas, value_len: incoming.total })
        });
        self.end(attempt);
        match attempted {
            Ok(outcome @ StoreOutcome::Stored { .. }) => {
                self.end_arrival(&incoming);
                outcome
            }
            Ok(refusal) => {
                self.abandon(local, incoming);
                refusal
            }
            Err(_) => {
                self.abandon(local, incoming);
                self.no_memory(local, self.pages.classes.extent())
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

    pub(crate) fn link_large(
        &self,
        attempt: &mut Attempt<'_, '_>,
        stripe: &mut LockedStripe<'_>,
        incoming: &Incoming,
        found: Result<Found, Miss>,
    ) -> Result<(), NoCell> {
        let ghost_hit = found.is_err() && self.ghost.take(incoming.hash);
        let was_main = found.as_ref().is_ok_and(|found| self.pages.chunk(found.reference).is_main());
        if ghost_hit || was_main {
            self.pages.chunk(incoming.head).set_main();
        }
        self.put_in_index(attempt, stripe, found.ok(), incoming.head, ghost_hit)
    }

    /// Gives up on an arriving value.
    pub fn abandon(&self, local: &mut Local, incoming: Incoming) {
        self.end_arrival(&incoming);
        if let Some(last) = incoming.last {
            local.free_chain(incoming.head, incoming.shape(), last.end());
        }
    }

    /// Stores a whole value whose item does not fit one chunk.
    pub(crate) fn put_large(
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
    pub(crate) fn build(
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

    /// The same in these chunks, which are enough of extents: no lock is taken. What is not needed of them is left.
    pub(crate) fn build_in(
        &self,
        local: &mut Local,
        request: &StoreRequest<'_>,
        sources: &[Source<'_>],
        chunks: &mut Vec<Ref>,
        now: Seconds,
    ) -> Incoming {
        let total = sources.iter().map(|source| source.len()).sum();
        let mut incoming = self.begin(request, total, Share::None).expect("the caller has looked at its size");
        incoming.chunks = Some(std::mem::take(chunks));
        for source in sources {
            let is_there = self.append_source(local, &mut incoming, *source, now);
            assert!(is_there, "the caller has counted the chunks");
        }
        *chunks = incoming.chunks.take().unwrap_or_default();
        incoming
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
            let room = self.rooms(local, incoming, 1, now).and_then(|mut rooms| rooms.next());
            let copied = room.map(|room| {
                let n = room.len().min(piece.len());
                room[..n].copy_from_slice(&piece[..n]);
                n
            });
            if let Some(n) = copied {
                self.filled(incoming, n);
                return Some(n);
            }
            tries += 1;
            if tries > 8
                || incoming.chunks.is_some()
                || !self.options.evict
                || !self.drive_mover(local, STEPS_WITHOUT_CHOICE_MAX, true, now)
            {
                return None;
            }
        }
    }
}

impl Source<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Slice(slice) => slice.len(),
            Self::Chain(pinned) => pinned.len(),
        }
    }
}
