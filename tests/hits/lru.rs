//! Plain LRU, exact: one list over all items, whatever their sizes, with all of the memory for them.

use std::collections::{BTreeMap, HashMap};

use crate::simulator::{Action, Request};

/// What an item takes in its chunk beside key and value, in bytes: header and client flags.
const ITEM_HEAD_BYTES: usize = 10 + 4;
/// What an item takes outside of its chunk: its place in the index and in the eviction state.
const ITEM_OUTSIDE_BYTES: usize = 8 + 2;

/// A cache that evicts whatever has not been asked for longest.
pub(crate) struct Lru {
    limit_bytes: usize,
    /// The store's chunk sizes, rising: an item costs here what it costs there.
    chunks: Vec<usize>,
    used_bytes: usize,
    clock: u64,
    items: HashMap<u32, Item>,
    /// Ids by the moment of their last use.
    by_use: BTreeMap<u64, u32>,
    pub(crate) gets: u64,
    pub(crate) misses: u64,
}

struct Item {
    used: u64,
    bytes: usize,
    /// Second it expires in; `None`: never.
    deadline: Option<u64>,
}

impl Lru {
    pub(crate) fn new(limit_bytes: u64, chunks: Vec<usize>) -> Self {
        Self {
            chunks,
            limit_bytes: usize::try_from(limit_bytes).expect("small"),
            used_bytes: 0,
            clock: 0,
            items: HashMap::new(),
            by_use: BTreeMap::new(),
            gets: 0,
            misses: 0,
        }
    }

    pub(crate) fn play(&mut self, requests: impl Iterator<Item = Request>) {
        for request in requests {
            self.clock += 1;
            let hit = request.action == Action::Get && self.touch(&request);
            self.gets += u64::from(request.action == Action::Get);
            self.misses += u64::from(request.action == Action::Get && !hit);
            if !hit {
                self.remove(request.id);
            }
            if !hit && request.action != Action::Delete {
                self.insert(&request);
            }
        }
    }

    fn touch(&mut self, request: &Request) -> bool {
        let Some(item) = self.items.get_mut(&request.id) else { return false };
        if item.deadline.is_some_and(|deadline| deadline <= request.micros / 1_000_000) {
            return false;
        }
        self.by_use.remove(&item.used);
        item.used = self.clock;
        self.by_use.insert(self.clock, request.id);
        true
    }

    fn insert(&mut self, request: &Request) {
        let expiry = if request.ttl_seconds > 0 { 4 } else { 0 };
        let item = request.key_bytes + request.value_bytes + ITEM_HEAD_BYTES + expiry;
        let class = self.chunks.partition_point(|&chunk| chunk < item);
        let bytes = self.chunks.get(class).copied().unwrap_or(item) + ITEM_OUTSIDE_BYTES;
        let deadline = (request.ttl_seconds > 0).then(|| request.micros / 1_000_000 + u64::from(request.ttl_seconds));
        self.items.insert(request.id, Item { used: self.clock, bytes, deadline });
        self.by_use.insert(self.clock, request.id);
        self.used_bytes += bytes;
        while self.used_bytes > self.limit_bytes {
            let (_, oldest) = self.by_use.pop_first().expect("what is used belongs to an item");
            self.remove(oldest);
        }
    }

    fn remove(&mut self, id: u32) {
        if let Some(item) = self.items.remove(&id) {
            self.by_use.remove(&item.used);
            self.used_bytes -= item.bytes;
        }
    }
}
