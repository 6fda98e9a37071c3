//! TEMPORARY: the store's API over a HashMap, so that the layers above have something to stand on while the
//! real one is written. Goes before anything is released.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason, clippy::unused_self)]

use std::collections::HashMap;

use super::{
    Arithmetic, ArithmeticOutcome, ClassReport, DeleteOutcome, Fetch, FetchOutcome, ItemView, Key, MemoryReport, Miss,
    Mode, OpenError, Options, Progress, RefusedReserve, StoreOutcome, StoreRequest, Value,
};
use crate::bytes;
use crate::hash::KeyHasher;
use crate::limits::{CLIENT_FLAGS_BYTES, MEMCACHED_ITEM_OVERHEAD_BYTES, WHOLE_VALUE_BYTES_MAX};
use crate::sync::{Arc, Mutex, Rank};
use crate::telemetry::{Registry, StoreCounters, StoreTotals};
use crate::time::{Expiry, Seconds};

#[derive(Debug, Clone)]
struct Item {
    value: Arc<Vec<u8>>,
    flags: u32,
    expiry: Expiry,
    cas: u64,
    flushed: bool,
}

#[derive(Debug)]
struct Map {
    items: HashMap<Vec<u8>, Item>,
    cas: u64,
}

#[derive(Debug)]
pub struct Store {
    map: Mutex<Map>,
    hasher: KeyHasher,
    options: Options,
    counters: Registry<StoreCounters>,
}

/// A thread's own part of the store.
#[derive(Debug)]
pub struct Local {
    counters: Arc<crossbeam::utils::CachePadded<StoreCounters>>,
}

/// A large value that is being written to a client. Holds its memory until `Store::unpin`.
#[derive(Debug)]
pub struct Pinned {
    value: Arc<Vec<u8>>,
}

impl Pinned {
    /// Length of the whole value in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.len()
    }
}

/// A large value that is arriving.
#[derive(Debug)]
pub struct Incoming {
    key: Vec<u8>,
    flags: u32,
    expiry: Expiry,
    value: Vec<u8>,
    filled: usize,
}

impl Incoming {
    /// Bytes of the value still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.value.len() - self.filled
    }
}

impl Store {
    /// Opens a store.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Ok(Self {
            map: Mutex::new(Rank::Stripe, Map { items: HashMap::new(), cas: 0 }),
            hasher: KeyHasher::with_seed(options.hash_seed),
            options: options.clone(),
            counters: Registry::new(),
        })
    }

    /// A thread's own part. One per worker and one for maintenance.
    #[must_use]
    pub fn local(&self) -> Local {
        Local { counters: self.counters.register() }
    }

    /// The options it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Hashes a key, once a request.
    #[must_use]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, hash: self.hasher.hash(bytes) }
    }

    /// Whether memcached would refuse such an item at the same `-I`.
    #[must_use]
    pub fn is_too_large(&self, key_len: usize, client_flags: u32, value_len: usize) -> bool {
        let flags = if client_flags == 0 { 0 } else { CLIENT_FLAGS_BYTES };
        key_len + value_len + flags + MEMCACHED_ITEM_OVERHEAD_BYTES > self.options.item_bytes_max
    }

    /// Looks a key up and lends the item to `visit`.
    pub fn fetch<R>(
        &self,
        _local: &mut Local,
        key: Key<'_>,
        fetch: Fetch,
        now: Seconds,
        visit: impl FnOnce(ItemView<'_>) -> R,
    ) -> FetchOutcome<R> {
        let mut map = self.map.lock();
        let Some(item) = map.items.get_mut(key.bytes) else { return FetchOutcome::Miss(Miss::Absent) };
        if item.flushed {
            map.items.remove(key.bytes);
            return FetchOutcome::Miss(Miss::Flushed);
        }
        if item.expiry.has_passed(now) {
            map.items.remove(key.bytes);
            return FetchOutcome::Miss(Miss::Expired);
        }
        if let Some(expiry) = fetch.touch {
            item.expiry = expiry;
        }
        let value = if !fetch.value {
            Value::Unwanted
        } else if item.value.len() <= WHOLE_VALUE_BYTES_MAX {
            Value::Whole(&item.value)
        } else {
            Value::Pinned(Pinned { value: Arc::clone(&item.value) })
        };
        FetchOutcome::Hit(visit(ItemView { client_flags: item.flags, cas: item.cas, value }))
    }

    /// The bytes of a pinned value from `offset` on, as far as they lie in one piece; empty at the end.
    #[must_use]
    pub fn pinned_bytes<'p>(&'p self, pinned: &'p mut Pinned, offset: usize) -> &'p [u8] {
        let end = (offset + 16 * 1024).min(pinned.value.len());
        &pinned.value[offset..end]
    }

    /// Gives a pin back.
    pub fn unpin(&self, _local: &mut Local, pinned: Pinned) {
        drop(pinned);
    }

    /// Stores a value that is whole in the input.
    pub fn store(&self, local: &mut Local, request: &StoreRequest<'_>, value: &[u8], now: Seconds) -> StoreOutcome {
        if self.is_too_large(request.key.bytes.len(), request.client_flags, value.len()) {
            return StoreOutcome::TooLarge;
        }
        let mut map = self.map.lock();
        let live =
            map.items.get(request.key.bytes).filter(|item| !item.flushed && !item.expiry.has_passed(now)).cloned();
        let mut joined = value.to_vec();
        let (mut flags, mut expiry) = (request.client_flags, request.expiry);
        match (request.mode, live) {
            (Mode::Add, Some(_)) | (Mode::Replace | Mode::Append | Mode::Prepend, None) => {
                return StoreOutcome::NotStored;
            }
            (Mode::Cas(_), None) => return StoreOutcome::NotFound,
            (Mode::Cas(unique), Some(item)) if item.cas != unique => return StoreOutcome::Exists,
            (Mode::Append, Some(item)) => {
                joined = [&item.value[..], value].concat();
                (flags, expiry) = (item.flags, item.expiry);
            }
            (Mode::Prepend, Some(item)) => {
                joined = [value, &item.value[..]].concat();
                (flags, expiry) = (item.flags, item.expiry);
            }
            _ => {}
        }
        if self.is_too_large(request.key.bytes.len(), flags, joined.len()) {
            return StoreOutcome::NotStored;
        }
        map.cas += 1;
        let cas = map.cas;
        let item = Item { value: Arc::new(joined), flags, expiry, cas, flushed: false };
        if map.items.insert(request.key.bytes.to_vec(), item).is_none() {
            local.counters.curr_items.bump();
        }
        local.counters.total_items.bump();
        StoreOutcome::Stored { cas }
    }

    /// Reserves room for a value longer than `WHOLE_VALUE_BYTES_MAX` that is about to arrive.
    ///
    /// # Errors
    /// When it is too large or there is no memory for it.
    pub fn reserve(
        &self,
        _local: &mut Local,
        request: &StoreRequest<'_>,
        value_len: usize,
        _now: Seconds,
    ) -> Result<Incoming, RefusedReserve> {
        if self.is_too_large(request.key.bytes.len(), request.client_flags, value_len) {
            return Err(RefusedReserve::TooLarge);
        }
        Ok(Incoming {
            key: request.key.bytes.to_vec(),
            flags: request.client_flags,
            expiry: request.expiry,
            value: vec![0; value_len],
            filled: 0,
        })
    }

    /// The next piece of room for an arriving value, never empty while bytes are missing; `None` when memory for it is
    /// not free yet: wait, and ask again in a later turn.
    pub fn room<'i>(&'i self, _local: &mut Local, incoming: &'i mut Incoming, _now: Seconds) -> Option<&'i mut [u8]> {
        let end = (incoming.filled + 16 * 1024).min(incoming.value.len());
        Some(&mut incoming.value[incoming.filled..end])
    }

    /// Says that the first `n` bytes of the last `room` are filled.
    pub fn filled(&self, incoming: &mut Incoming, n: usize) {
        incoming.filled += n;
    }

    /// Stores an arrived value.
    pub fn commit(&self, local: &mut Local, incoming: Incoming, mode: Mode, now: Seconds) -> StoreOutcome {
        let key = self.key(&incoming.key);
        let request = StoreRequest { key, mode, client_flags: incoming.flags, expiry: incoming.expiry };
        self.store(local, &request, &incoming.value, now)
    }

    /// Gives up on an arriving value.
    pub fn abandon(&self, _local: &mut Local, incoming: Incoming) {
        drop(incoming);
    }

    /// Deletes a key.
    pub fn delete(&self, local: &mut Local, key: Key<'_>, now: Seconds) -> DeleteOutcome {
        match self.map.lock().items.remove(key.bytes) {
            Some(item) if !item.flushed && !item.expiry.has_passed(now) => {
                local.counters.curr_items.sub(1);
                DeleteOutcome::Deleted
            }
            _ => DeleteOutcome::NotFound,
        }
    }

    /// Adds to or subtracts from a decimal value.
    pub fn arithmetic(&self, local: &mut Local, key: Key<'_>, change: Arithmetic, now: Seconds) -> ArithmeticOutcome {
        let found = {
            let map = self.map.lock();
            map.items.get(key.bytes).filter(|item| !item.flushed && !item.expiry.has_passed(now)).cloned()
        };
        let Some(item) = found else { return ArithmeticOutcome::NotFound };
        let Some(old) = bytes::parse_u64(item.value.trim_ascii()) else { return ArithmeticOutcome::NonNumeric };
        let new = match change {
            Arithmetic::Incr(delta) => old.wrapping_add(delta),
            Arithmetic::Decr(delta) => old.saturating_sub(delta),
        };
        let mut text = new.to_string().into_bytes();
        text.resize(text.len().max(item.value.len()), b' ');
        let request = StoreRequest { key, mode: Mode::Set, client_flags: item.flags, expiry: item.expiry };
        self.store(local, &request, &text, now);
        ArithmeticOutcome::Value(new)
    }

    /// Makes everything stored so far invisible; what is stored right after stays.
    pub fn flush_all(&self) {
        for item in self.map.lock().items.values_mut() {
            item.flushed = true;
        }
    }

    /// Ends a worker's turn: frees are handed in, chunks of a draining page returned.
    pub fn end_turn(&self, _local: &mut Local) {}

    /// Background work: expiry, page moves, flush sweeps. At most 50 us a step.
    pub fn step(&self, _local: &mut Local, now: Seconds) -> Progress {
        Progress::IdleUntil(Seconds(now.0.saturating_add(1)))
    }

    /// Sets a new limit of memory, in bytes; false when it cannot be had.
    pub fn set_limit_bytes(&self, limit_bytes: u64) -> bool {
        limit_bytes <= self.options.limit_bytes * 2
    }

    /// Where the memory is.
    #[must_use]
    pub fn memory_report(&self) -> MemoryReport {
        MemoryReport { limit_bytes: self.options.limit_bytes, ..MemoryReport::default() }
    }

    /// The classes that hold pages, in rising order.
    #[must_use]
    pub fn class_reports(&self) -> Vec<ClassReport> {
        Vec::new()
    }

    /// All threads' counters.
    #[must_use]
    pub fn totals(&self) -> StoreTotals {
        let mut totals = StoreTotals::default();
        self.counters.for_each(|block| totals.add(block));
        totals
    }
}
