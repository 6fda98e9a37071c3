//! What the bytes of a chunk mean: header, optional fields, key, value; large heads and their parts.
//!
//! The picture is `LAYOUT.md` beside this file. Which chunk is free, and who may look at which, is decided
//! elsewhere: the methods here ask for a witness of the right to look ([`Guard`], [`StripeGuard`]).

#![expect(unsafe_code, reason = "items are bytes in mapped memory; every access to them stands in this file")]

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::idle::{IDLE_SECONDS_MAX, access_of, idle_since};
use super::layout::{Ref, u64_of};
use super::marks::{EXPTIME_BYTES, Kept, MARKS_BYTES, Marks, OWN_CAS_BYTES, mark};
use super::shape::{LARGE_HEAD_BYTES, PART_HEADER_BYTES, Pinned, Shape};
use super::state;
use crate::sync::{AtomicU8, AtomicU16, AtomicU32, Ordering, crash};
#[cfg(loom)]
use crate::sys::beside::Beside;
use crate::time::{Expiry, Seconds};

/// Bytes of the header every chunk begins with.
pub(crate) const HEADER_BYTES: usize = 10;
/// Bytes of the client flags, when present: below 2^16, as nearly all are, and above.
const SHORT_FLAGS_BYTES: usize = 2;
const LONG_FLAGS_BYTES: usize = 4;

const KEY_LEN_AT: usize = 0;
const STATE_AT: usize = 1;
pub(super) const VALUE_LEN_AT: usize = 2;
const CAS_AT: usize = 4;
const ACCESS_AT: usize = 8;
const LARGE_MARKS_AT: usize = 18;
const LARGE_TOTAL_AT: usize = 20;
pub(crate) const LARGE_PINS_AT: usize = 24;
/// The index's pin among those of readers, which are counted below it.
pub(crate) const INDEX_PIN: u32 = 1 << 31;
const LARGE_CAS_AT: usize = 28;
pub(crate) const PART_NUMBER_AT: usize = 4;
pub(crate) const PART_HEAD_AT: usize = 8;
pub(crate) const PART_HASH_AT: usize = 16;

const _: () = assert!(ACCESS_AT + 2 == HEADER_BYTES, "the header is exactly ten bytes");
const _: () = assert!(LARGE_CAS_AT + OWN_CAS_BYTES == LARGE_HEAD_BYTES);
const _: () = assert!(PART_HASH_AT + 8 == PART_HEADER_BYTES);
const _: () = assert!(HEADER_BYTES + EXPTIME_BYTES + LONG_FLAGS_BYTES <= LARGE_MARKS_AT);
const _: () = assert!(LARGE_MARKS_AT + MARKS_BYTES <= LARGE_TOTAL_AT);

/// Key length of a chunk that holds a part of a large item.
pub(crate) const PART: u8 = 254;

/// Value length that says: large, the length stands in the head.
pub(super) const LARGE: u16 = 0x3fff;
pub(super) const VALUE_LEN_BITS: u16 = 0x3fff;
/// The client flags, if there are any, take four bytes.
const LONG_FLAGS: u16 = 1 << 14;
/// Set while a value is written over in place: a restart drops such an item.
pub(super) const REWRITING: u16 = 1 << 15;

/// Longest value that is not large.
pub(crate) const SMALL_VALUE_BYTES_MAX: usize = LARGE as usize - 1;

/// A witness that the chunk's key may be read: the lock of the item's stripe or of the chunk's class is held.
pub(crate) trait Guard {}

/// A witness that the item's value may be read and written: the lock of its stripe is held.
pub(crate) trait StripeGuard: Guard {}

/// A witness that the chunks of a value that is arriving are the holder's alone.
pub(crate) trait Arriving {}

/// One chunk of an opened page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    start: NonNull<u8>,
    #[cfg(debug_assertions)]
    bytes: usize,
    _arena: PhantomData<&'a AtomicU8>,
}

/// What a new item's header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewItem<'k> {
    pub(crate) key: &'k [u8],
    pub(crate) value_len: usize,
    pub(crate) client_flags: u32,
    pub(crate) expiry: Expiry,
    pub(crate) access: Seconds,
    /// Starts in the main queue: the ghost knew it.
    pub(crate) main: bool,
    pub(crate) marks: Marks,
    pub(crate) kept: Kept,
}

impl NewItem<'_> {
    /// The key's length as the header has it.
    pub(crate) fn key_len(&self) -> u8 {
        u8::try_from(self.key.len()).expect("keys are at most 250 bytes")
    }

    /// The state bits that tell what the item has besides key and value.
    pub(crate) fn state(&self) -> u8 {
        state_of(self.client_flags, self.expiry) | self.kept.state | self.marks.state()
    }

    /// The bit beside the value's length.
    pub(crate) fn width(&self) -> u16 {
        width_of(self.client_flags)
    }
}

/// Bytes of an item in one chunk without those fields.
#[inline(always)]
pub(crate) fn least_item_bytes(key_len: usize, client_flags: u32, value_len: usize) -> usize {
    let flags = optional_bytes(state_of(client_flags, Expiry::Never), width_of(client_flags));
    HEADER_BYTES + flags + key_len + value_len
}

/// Room that an item needs for those fields now, in bytes.
#[inline(always)]
pub(crate) fn later_bytes(expiry: Expiry, marks: Marks, kept: Kept) -> usize {
    let has_exptime = (state_of(0, expiry) | kept.state) & state::HAS_EXPTIME != 0;
    let exptime = if has_exptime { EXPTIME_BYTES } else { 0 };
    exptime + marks.bytes().max(kept.marks_bytes)
}

/// Bytes of the fields between header and key, by the state's bits and the one beside the value's length.
#[inline(always)]
fn optional_bytes(bits: u8, width: u16) -> usize {
    // Most items have none: a jump that is foreseen is less than the sum.
    if bits & (state::HAS_EXPTIME | state::HAS_FLAGS) == 0 {
        return 0;
    }
    let exptime = if bits & state::HAS_EXPTIME == 0 { 0 } else { EXPTIME_BYTES };
    let flags = if width == 0 { SHORT_FLAGS_BYTES } else { LONG_FLAGS_BYTES };
    exptime + if bits & state::HAS_FLAGS == 0 { 0 } else { flags }
}

fn width_of(client_flags: u32) -> u16 {
    if u16::try_from(client_flags).is_ok() { 0 } else { LONG_FLAGS }
}

/// The optional fields' bits for these values: a flag of 0 and an expiry of never cost nothing.
fn state_of(client_flags: u32, expiry: Expiry) -> u8 {
    let exptime = if expiry == Expiry::Never { 0 } else { state::HAS_EXPTIME };
    exptime | if client_flags == 0 { 0 } else { state::HAS_FLAGS }
}

impl<'a> Chunk<'a> {
    /// The chunk of `bytes` at `start`.
    ///
    /// # Safety
    /// `[start, start + bytes)` lies in an opened page for `'a`, `start` is aligned to 4, and `bytes` is at
    /// least 16.
    pub(crate) unsafe fn new(start: NonNull<u8>, bytes: usize) -> Self {
        debug_assert!(start.as_ptr().addr().is_multiple_of(align_of::<u32>()) && bytes >= 16);
        #[cfg(not(debug_assertions))]
        let _ = bytes;
        Self {
            start,
            #[cfg(debug_assertions)]
            bytes,
            _arena: PhantomData,
        }
    }

    #[inline]
    fn at(self, offset: usize) -> *mut u8 {
        crash::point();
        #[cfg(debug_assertions)]
        assert!(offset <= self.bytes, "the offset lies in the chunk");
        // SAFETY: callers pass offsets within the chunk, which is in one opened page (`new`).
        unsafe { self.start.as_ptr().add(offset) }
    }

    #[cfg(not(loom))]
    #[inline]
    pub(super) fn u8_at(self, offset: usize) -> &'a AtomicU8 {
        // SAFETY: in the opened page; this byte is only ever accessed as this atomic while it is a header.
        unsafe { AtomicU8::from_ptr(self.at(offset)) }
    }

    #[cfg(not(loom))]
    #[inline]
    pub(super) fn u16_at(self, offset: usize) -> &'a AtomicU16 {
        // SAFETY: as `u8_at`; chunks are aligned to 4 and callers' offsets are even.
        unsafe { AtomicU16::from_ptr(self.at(offset).cast()) }
    }

    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn u32_at(self, offset: usize) -> &'a AtomicU32 {
        // SAFETY: as `u8_at`; chunks are aligned to 4 and callers' offsets are multiples of 4.
        unsafe { AtomicU32::from_ptr(self.at(offset).cast()) }
    }

    /// Where bytes of key or value begin that are about to be read.
    #[inline]
    fn read_at(self, what: Bytes, offset: usize) -> *const u8 {
        #[cfg(loom)]
        self.beside().read(what as usize);
        #[cfg(not(loom))]
        let _ = what;
        self.at(offset)
    }

    /// Where bytes of key or value begin that are about to be written.
    #[inline]
    fn write_at(self, what: Bytes, offset: usize) -> *mut u8 {
        #[cfg(loom)]
        self.beside().written(what as usize);
        #[cfg(not(loom))]
        let _ = what;
        self.at(offset)
    }

    /// A 32-bit field at an even offset, as two halves: not torn for the stripe's holder, a hint for others.
    pub(super) fn load_halves(self, offset: usize) -> u32 {
        let low = u32::from(self.u16_at(offset).load(Ordering::Relaxed));
        low | u32::from(self.u16_at(offset + 2).load(Ordering::Relaxed)) << 16
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves")]
    fn store_halves(self, offset: usize, value: u32) {
        self.u16_at(offset).store(value as u16, Ordering::Relaxed);
        self.u16_at(offset + 2).store((value >> 16) as u16, Ordering::Relaxed);
    }

    // --- the header -----------------------------------------------------------------------------------------

    /// Zeroes the header of a chunk that nobody has seen yet.
    pub(crate) fn format(self) {
        self.u8_at(KEY_LEN_AT).store(0, Ordering::Relaxed);
        self.u8_at(STATE_AT).store(0, Ordering::Relaxed);
        self.u16_at(VALUE_LEN_AT).store(0, Ordering::Relaxed);
        self.u32_at(CAS_AT).store(0, Ordering::Relaxed);
        self.u16_at(ACCESS_AT).store(0, Ordering::Relaxed);
    }

    /// 0: not live; [`PART`]; else the key's length. Acquire: pairs with `publish`, so that the key is there.
    #[inline]
    pub(crate) fn key_len(self) -> u8 {
        self.u8_at(KEY_LEN_AT).load(Ordering::Acquire)
    }

    /// Whether the chunk holds a committed item (a small one or a large head).
    #[inline]
    pub(crate) fn is_item(self) -> bool {
        !matches!(self.key_len(), 0 | PART)
    }

    /// Makes the item visible to whoever finds the chunk. Release: pairs with `key_len`.
    pub(crate) fn publish(self, key_len: u8) {
        self.u8_at(KEY_LEN_AT).store(key_len, Ordering::Release);
    }

    /// Ends the item: from now on the chunk is nobody's but the caller's, who hands it in.
    pub(crate) fn retire(self) {
        self.u8_at(KEY_LEN_AT).store(0, Ordering::Release);
    }

    /// The state byte.
    #[inline]
    pub(crate) fn state(self) -> u8 {
        // Relaxed: the bits are policy hints, or guarded by the stripe's lock; nothing is ordered by them.
        self.u8_at(STATE_AT).load(Ordering::Relaxed)
    }

    /// Replaces the state by `change` of it, atomically: the hand and commands both write it. Returns the old one.
    #[inline]
    pub(crate) fn update_state(self, change: impl Fn(u8) -> u8) -> u8 {
        let byte = self.u8_at(STATE_AT);
        let mut old = byte.load(Ordering::Relaxed);
        loop {
            let new = change(old);
            if new == old {
                return old;
            }
            // Relaxed: see `state`.
            match byte.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return old,
                Err(now) => old = now,
            }
        }
    }

    /// Whether the item stands in the main queue.
    pub(crate) fn is_main(self) -> bool {
        self.state() & state::MAIN != 0
    }

    /// Puts the item into the main queue.
    pub(crate) fn set_main(self) {
        self.update_state(|bits| bits | state::MAIN);
    }

    /// The stripe's counter when the item was last written.
    #[inline]
    pub(crate) fn cas(self) -> u32 {
        self.u32_at(CAS_AT).load(Ordering::Relaxed)
    }

    /// Sets the item's version.
    #[inline]
    pub(crate) fn set_cas(self, cas: u32) {
        self.u32_at(CAS_AT).store(cas, Ordering::Relaxed);
    }

    /// Low bits of the second of the last access.
    #[inline]
    pub(crate) fn access(self) -> u16 {
        self.u16_at(ACCESS_AT).load(Ordering::Relaxed)
    }

    /// Sets those bits.
    #[inline]
    pub(crate) fn set_access(self, access: u16) {
        self.u16_at(ACCESS_AT).store(access, Ordering::Relaxed);
    }

    /// Seconds since the last access; all that are longer than can be told are the longest.
    pub(crate) fn idle_seconds(self, now: Seconds) -> u32 {
        u32::from(idle_since(self.access(), now).min(IDLE_SECONDS_MAX))
    }

    /// Holds an access that is longer ago than can be told at what can. Whoever holds the class's lock may do so.
    pub(crate) fn hold_access(self, now: Seconds) {
        let access = self.access();
        if idle_since(access, now) > IDLE_SECONDS_MAX {
            let held = access_of(now).wrapping_sub(IDLE_SECONDS_MAX);
            // Relaxed: a hint. A failed exchange is an access meanwhile, which is younger.
            let _ = self.u16_at(ACCESS_AT).compare_exchange(access, held, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Notes a hit: frequency up to 3, fetched, the access second. Writes nothing when nothing changes.
    #[inline(always)]
    pub(crate) fn note_hit(self, now: Seconds) {
        let old = self.state();
        if old & state::FREQUENCY != state::FREQUENCY || old & state::FETCHED == 0 {
            self.update_state(|bits| raised(bits) | state::FETCHED);
        }
        let access = access_of(now);
        if self.access() != access {
            self.u16_at(ACCESS_AT).store(access, Ordering::Relaxed);
        }
    }

    /// Notes that somebody makes room for it: it must not be evicted for that.
    pub(crate) fn note_wanted(self) {
        self.update_state(raised);
    }

    /// Notes a use that is no hit: nobody got the value.
    pub(crate) fn note_use(self, now: Seconds) {
        self.update_state(raised);
        self.u16_at(ACCESS_AT).store(access_of(now), Ordering::Relaxed);
    }

    /// Whether the value lies in a chain of parts.
    #[inline]
    pub(crate) fn is_large(self) -> bool {
        self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed) & VALUE_LEN_BITS == LARGE
    }

    /// Length of the whole value in bytes.
    #[inline]
    pub(crate) fn value_len(self) -> usize {
        let len = self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed) & VALUE_LEN_BITS;
        if len == LARGE { self.large_total() } else { usize::from(len) }
    }

    /// The expiry. Exact for the stripe's holder, a hint for others.
    #[inline(always)]
    pub(crate) fn expiry(self) -> Expiry {
        if self.state() & state::HAS_EXPTIME == 0 {
            return Expiry::Never;
        }
        match self.load_halves(HEADER_BYTES) {
            0 => Expiry::Never,
            seconds => Expiry::At(Seconds(seconds)),
        }
    }

    /// Changes the expiry of an item that has the field, and which nobody would find.
    pub(crate) fn set_expiry(self, expiry: Expiry) {
        debug_assert!(self.state() & state::HAS_EXPTIME != 0, "there is a field to write");
        self.store_halves(HEADER_BYTES, expiry_word(expiry));
    }

    /// The client's opaque number.
    #[inline]
    pub(crate) fn client_flags(self) -> u32 {
        let bits = self.state();
        if bits & state::HAS_FLAGS == 0 {
            return 0;
        }
        let at = HEADER_BYTES + usize::from(bits & state::HAS_EXPTIME != 0) * EXPTIME_BYTES;
        if self.width() == 0 { self.u16_at(at).load(Ordering::Relaxed).into() } else { self.load_halves(at) }
    }

    /// Writes the flags of an item that has the field, as wide as its header says.
    fn set_client_flags(self, bits: u8, client_flags: u32) {
        let at = HEADER_BYTES + usize::from(bits & state::HAS_EXPTIME != 0) * EXPTIME_BYTES;
        match u16::try_from(client_flags) {
            Ok(short) if self.width() == 0 => self.u16_at(at).store(short, Ordering::Relaxed),
            _ => self.store_halves(at, client_flags),
        }
    }

    /// The bit beside the value's length.
    #[inline]
    pub(crate) fn width(self) -> u16 {
        self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed) & LONG_FLAGS
    }

    #[inline(always)]
    pub(super) fn key_at(self) -> usize {
        let len = self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed);
        if len & VALUE_LEN_BITS == LARGE {
            LARGE_HEAD_BYTES
        } else {
            HEADER_BYTES + optional_bytes(self.state(), len & LONG_FLAGS)
        }
    }

    /// Bytes of the item: header, optional fields, key, value and marks; of a large one without its parts' headers.
    pub(crate) fn item_bytes(self) -> u64 {
        let bytes = self.key_at() + usize::from(self.key_len()) + self.value_len();
        let marks = if self.state() & state::EXTENDED == 0 || self.is_large() { 0 } else { self.marks().bytes() };
        u64_of(bytes + marks)
    }

    // --- marks ----------------------------------------------------------------------------------------------

    /// The item's marks; for the stripe's holder.
    #[inline]
    pub(crate) fn marks(self) -> Marks {
        if self.state() & state::EXTENDED == 0 { Marks::NONE } else { self.load_marks() }
    }

    #[cold]
    fn load_marks(self) -> Marks {
        let (marks_at, cas_at) = self.marks_at();
        let bits = self.u8_at(marks_at).load(Ordering::Relaxed);
        let mut own_cas = [0; OWN_CAS_BYTES];
        if bits & mark::OWN_CAS != 0 {
            for (at, byte) in own_cas.iter_mut().enumerate() {
                *byte = self.u8_at(cas_at + at).load(Ordering::Relaxed);
            }
        }
        Marks { bits: bits & !mark::OWN_CAS, own_cas: u64::from_le_bytes(own_cas) }
    }

    /// Gives an item that nobody would find these marks, for which there is room.
    pub(crate) fn set_marks(self, marks: Marks) {
        if marks != Marks::NONE {
            self.store_marks(self.marks_at(), marks);
        }
        self.update_state(|bits| bits & !state::EXTENDED | marks.state());
    }

    fn store_marks(self, (marks_at, cas_at): (usize, usize), marks: Marks) {
        let has_cas = if marks.own_cas == 0 { 0 } else { mark::OWN_CAS };
        self.u8_at(marks_at).store(marks.bits | has_cas, Ordering::Relaxed);
        if has_cas != 0 {
            for (at, byte) in marks.own_cas.to_le_bytes().into_iter().enumerate() {
                self.u8_at(cas_at + at).store(byte, Ordering::Relaxed);
            }
        }
    }

    /// Where marks and a client's own cas lie.
    fn marks_at(self) -> (usize, usize) {
        if self.is_large() {
            return (LARGE_MARKS_AT, LARGE_CAS_AT);
        }
        let at = self.key_at() + usize::from(self.u8_at(KEY_LEN_AT).load(Ordering::Relaxed)) + self.value_len();
        (at, at + MARKS_BYTES)
    }

    // --- key and value --------------------------------------------------------------------------------------

    /// The key of a live item.
    #[inline(always)]
    pub(crate) fn key<G: Guard>(self, _guard: &G) -> &[u8] {
        let len = usize::from(self.u8_at(KEY_LEN_AT).load(Ordering::Acquire));
        // SAFETY: a live item's key bytes do not change or move while the stripe's or the class's lock is
        // held (LAYOUT.md, "Who may look"): the guard's borrow ends before the lock is released.
        unsafe { std::slice::from_raw_parts(self.read_at(Bytes::Key, self.key_at()), len) }
    }

    /// The value of a live item; `None` if it is large.
    #[inline(always)]
    pub(crate) fn whole_value<G: StripeGuard>(self, _guard: &G) -> Option<&[u8]> {
        let len = self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed);
        if len & VALUE_LEN_BITS == LARGE {
            return None;
        }
        let key_len = usize::from(self.u8_at(KEY_LEN_AT).load(Ordering::Relaxed));
        let value = self.read_at(Bytes::Value, HEADER_BYTES + optional_bytes(self.state(), len & LONG_FLAGS) + key_len);
        // SAFETY: only the stripe's holder writes a live value, through a mutable borrow of the same guard.
        Some(unsafe { std::slice::from_raw_parts(value, usize::from(len & VALUE_LEN_BITS)) })
    }

    /// The value of a live item that is not large, or lies whole in its head all the same.
    #[inline(always)]
    pub(crate) fn value<G: StripeGuard>(self, _guard: &G) -> &[u8] {
        let key_end = self.key_at() + usize::from(self.u8_at(KEY_LEN_AT).load(Ordering::Relaxed));
        let offset = if self.is_large() { self.shape().value_at() } else { key_end };
        // SAFETY: only the stripe's holder writes a live value, through a mutable borrow of the same guard.
        unsafe { std::slice::from_raw_parts(self.read_at(Bytes::Value, offset), self.value_len()) }
    }

    /// Writes a value of any length that fits over a live, small item's; header fields included.
    #[inline(always)]
    pub(crate) fn overwrite<G: StripeGuard>(self, _guard: &mut G, parts: &[&[u8]], cas: u32, new: &NewItem<'_>) {
        let bits = new.state();
        let key_len = usize::from(self.u8_at(KEY_LEN_AT).load(Ordering::Relaxed));
        let offset = HEADER_BYTES + optional_bytes(bits, new.width()) + key_len;
        let len = small_len(new.value_len) | new.width();
        // A write is an access like another, but the new value has not been fetched. First of all: an exchange waits
        // for every store before it.
        self.update_state(|old| raised(old) & !state::FETCHED);
        self.begin_rewriting(len);
        self.write_parts(Bytes::Value, offset, parts);
        self.write_marks(offset + new.value_len, new.marks);
        if bits & state::HAS_EXPTIME != 0 {
            self.set_expiry(new.expiry);
        }
        if bits & state::HAS_FLAGS != 0 {
            self.set_client_flags(bits, new.client_flags);
        }
        self.set_cas(cas);
        self.set_access(access_of(new.access));
        self.end_rewriting(len);
    }

    /// Fills a chunk that is the caller's alone: header, key and value. `publish` makes it an item.
    pub(crate) fn fill(self, new: &NewItem<'_>, parts: &[&[u8]]) {
        let bits = new.state();
        self.fill_header(new, bits, small_len(new.value_len) | new.width());
        let key_at = HEADER_BYTES + optional_bytes(bits, new.width());
        self.write_parts(Bytes::Key, key_at, &[new.key]);
        self.write_parts(Bytes::Value, key_at + new.key.len(), parts);
        self.write_marks(key_at + new.key.len() + new.value_len, new.marks);
    }

    /// Puts marks, if there are any, behind a value.
    #[inline]
    fn write_marks(self, at: usize, marks: Marks) {
        if marks != Marks::NONE {
            self.store_marks((at, at + MARKS_BYTES), marks);
        }
    }

    fn fill_header(self, new: &NewItem<'_>, optional: u8, value_len: u16) {
        let main = if new.main { state::MAIN } else { 0 };
        // The ring's bit belongs to the chunk, and the hand may clear it at any time: hence the exchange.
        self.update_state(|old| (old & state::IN_RING) | optional | main);
        self.u16_at(VALUE_LEN_AT).store(value_len, Ordering::Relaxed);
        self.u16_at(ACCESS_AT).store(access_of(new.access), Ordering::Relaxed);
        if optional & state::HAS_EXPTIME != 0 {
            self.set_expiry(new.expiry);
        }
        if optional & state::HAS_FLAGS != 0 {
            self.set_client_flags(optional, new.client_flags);
        }
    }

    fn write_parts(self, what: Bytes, offset: usize, parts: &[&[u8]]) {
        let mut at = offset;
        for part in parts {
            let target = self.write_at(what, at);
            at += part.len();
            #[cfg(debug_assertions)]
            assert!(at <= self.bytes, "the item fits its chunk");
            // SAFETY: the chunk's class was chosen for this length; the bytes are the caller's alone (its own
            // chunk, or a live value under the stripe's lock), and the source lies outside the arena or in
            // another chunk.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), target, part.len()) };
            crash::point();
        }
    }

    /// Says that somebody got the value.
    pub(crate) fn note_fetched(self) {
        self.update_state(|bits| bits | state::FETCHED);
    }

    /// Takes over another item's frequency and whether it was fetched.
    pub(crate) fn take_use_from(self, other: Chunk<'_>) {
        let used = other.state() & (state::FREQUENCY | state::FETCHED);
        self.update_state(|bits| bits & !(state::FREQUENCY | state::FETCHED) | used);
    }

    /// Copies all of the header but the key's length into a chunk that is the caller's alone; the state's bits.
    fn copy_header_to(self, target: Chunk<'_>) -> u8 {
        let bits = self.state();
        target.update_state(|old| (old & state::IN_RING) | (bits & !state::IN_RING));
        target.u16_at(VALUE_LEN_AT).store(self.u16_at(VALUE_LEN_AT).load(Ordering::Relaxed), Ordering::Relaxed);
        target.set_cas(self.cas());
        target.u16_at(ACCESS_AT).store(self.access(), Ordering::Relaxed);
        bits
    }

    /// Copies a live small item whole into a chunk that is the caller's alone; not published.
    pub(crate) fn copy_to<G: StripeGuard>(self, guard: &G, target: Chunk<'_>) {
        let bits = self.copy_header_to(target);
        if bits & state::HAS_EXPTIME != 0 {
            target.set_expiry(self.expiry());
        }
        if bits & state::HAS_FLAGS != 0 {
            target.set_client_flags(bits, self.client_flags());
        }
        let key = self.key(guard);
        target.write_parts(Bytes::Key, self.key_at(), &[key]);
        target.write_parts(Bytes::Value, self.key_at() + key.len(), &[self.value(guard)]);
        let end = self.key_at() + key.len() + self.value_len();
        target.write_marks(end, self.marks());
    }

    // --- free chunks ----------------------------------------------------------------------------------------

    /// The next chunk of the page's free list; only while free, under the class's lock.
    pub(crate) fn free_next(self) -> Ref {
        Ref(self.u32_at(CAS_AT).load(Ordering::Relaxed))
    }

    /// Links a free chunk into its page's list.
    pub(crate) fn set_free_next(self, next: Ref) {
        self.u32_at(CAS_AT).store(next.0, Ordering::Relaxed);
    }
}

/// What lies behind the header; loom keeps watch over both.
#[derive(Clone, Copy, Debug)]
enum Bytes {
    Key,
    Value,
}

/// Under loom the header's fields are loom's atomics, which cannot lie in mapped memory: they stand beside it.
#[cfg(loom)]
impl Chunk<'_> {
    fn beside(self) -> &'static Beside {
        Beside::of(self.start)
    }

    pub(super) fn u8_at(self, offset: usize) -> &'static AtomicU8 {
        self.beside().u8_at(offset)
    }

    pub(super) fn u16_at(self, offset: usize) -> &'static AtomicU16 {
        self.beside().u16_at(offset)
    }

    pub(crate) fn u32_at(self, offset: usize) -> &'static AtomicU32 {
        self.beside().u32_at(offset)
    }
}

/// The state with its frequency one higher, at most 3.
fn raised(bits: u8) -> u8 {
    if bits & state::FREQUENCY == state::FREQUENCY { bits } else { bits + state::FREQUENCY_ONE }
}

fn small_len(len: usize) -> u16 {
    debug_assert!(len <= SMALL_VALUE_BYTES_MAX);
    #[expect(clippy::cast_possible_truncation, reason = "callers send longer values to chains")]
    let len = len as u16;
    len
}

pub(super) fn expiry_word(expiry: Expiry) -> u32 {
    match expiry {
        Expiry::Never => 0,
        Expiry::At(seconds) => seconds.0,
    }
}

// --- large items ----------------------------------------------------------------------------------------------

impl<'a> Chunk<'a> {
    /// Fills the head of a large item, whose chunk is the caller's alone: the index's pin, no parts, no value yet.
    pub(crate) fn fill_large_head(self, new: &NewItem<'_>) {
        let total = u32::try_from(new.value_len).expect("-I is at most a gigabyte");
        self.fill_header(new, state::HAS_EXPTIME | state::HAS_FLAGS | new.marks.state(), LARGE | LONG_FLAGS);
        self.store_marks((LARGE_MARKS_AT, LARGE_CAS_AT), new.marks);
        self.u32_at(LARGE_TOTAL_AT).store(total, Ordering::Relaxed);
        self.u32_at(LARGE_PINS_AT).store(INDEX_PIN, Ordering::Relaxed);
        self.write_parts(Bytes::Key, LARGE_HEAD_BYTES, &[new.key]);
    }

    /// The shape of a live large item, of which this is the head.
    pub(crate) fn shape(self) -> Shape {
        Shape { key_len: usize::from(self.key_len()), total: self.value_len() }
    }

    fn large_total(self) -> usize {
        usize::try_from(self.u32_at(LARGE_TOTAL_AT).load(Ordering::Relaxed)).expect("32 bits fit")
    }

    /// Turns a chunk that is the caller's alone into an empty part of the item at `head`: the one with this number.
    pub(crate) fn fill_part_header(self, head: Ref, number: u32, hash: u64) {
        self.update_state(|old| old & state::IN_RING);
        self.u32_at(PART_NUMBER_AT).store(number, Ordering::Relaxed);
        self.u16_at(VALUE_LEN_AT).store(0, Ordering::Relaxed);
        self.u32_at(PART_HEAD_AT).store(head.0, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "the halves")]
        self.u32_at(PART_HASH_AT).store(hash as u32, Ordering::Relaxed);
        self.u32_at(PART_HASH_AT + 4).store((hash >> 32) as u32, Ordering::Relaxed);
        self.u8_at(KEY_LEN_AT).store(PART, Ordering::Release);
    }

    /// Value bytes of a large item's chunk: `len` of them from byte `from` of the chunk on. The pin is the
    /// witness: pinned bytes do not change.
    pub(crate) fn pinned_bytes(self, _pin: &Pinned, from: usize, len: usize) -> &[u8] {
        #[cfg(debug_assertions)]
        assert!(from + len <= self.bytes, "the value bytes lie in the chunk");
        // SAFETY: the range lies in the chunk and was filled before the commit; while the pin is held nobody
        // frees or writes it.
        unsafe { std::slice::from_raw_parts(self.read_at(Bytes::Value, from), len) }
    }

    /// Room for value bytes of an arriving item: in each of these chunks, which lie in its chain one behind the other,
    /// `len` bytes from byte `from` on.
    pub(crate) fn arriving_rooms<'i, A: Arriving>(
        _owner: &'i mut A,
        places: impl Iterator<Item = (Chunk<'i>, usize, usize)>,
    ) -> impl Iterator<Item = &'i mut [u8]> {
        places.map(|(chunk, from, len)| {
            #[cfg(debug_assertions)]
            assert!(from + len <= chunk.bytes, "the room lies in the chunk");
            // SAFETY: the range lies in the chunk, and until the commit the chunk belongs to the one arriving value,
            // whose witness is borrowed mutably for as long as the rooms are. A chain has each chunk once, so no two
            // overlap.
            unsafe { std::slice::from_raw_parts_mut(chunk.write_at(Bytes::Value, from), len) }
        })
    }

    /// Copies a part whole, its header fields included, into a chunk that is the caller's alone.
    pub(crate) fn copy_part_to(self, target: Chunk<'_>, bytes: usize) {
        let (head, hash) = self.part_owner();
        target.fill_part_header(head, self.part_number(), hash);
        let source = self.read_at(Bytes::Value, PART_HEADER_BYTES);
        // SAFETY: both chunks are of `bytes` or more; the source is kept by its item's pin, which the caller
        // holds under the stripe's lock, and the target is the caller's alone.
        let source = unsafe { std::slice::from_raw_parts(source, bytes - PART_HEADER_BYTES) };
        target.write_parts(Bytes::Value, PART_HEADER_BYTES, &[source]);
    }

    /// Copies the head of a large item that has no reader whole into a chunk that is the caller's alone; not published.
    pub(crate) fn copy_head_to(self, target: Chunk<'_>, bytes: usize) {
        self.copy_header_to(target);
        let source = self.read_at(Bytes::Value, HEADER_BYTES);
        // SAFETY: both chunks are of `bytes`; the caller holds the stripe's lock and saw no pin but the index's, so
        // that nobody writes behind the header; the target is the caller's alone.
        let source = unsafe { std::slice::from_raw_parts(source, bytes - HEADER_BYTES) };
        target.write_parts(Bytes::Value, HEADER_BYTES, &[source]);
    }
}
