//! The map the store is compared with.

use std::collections::HashMap;

use flagstone::time::{Expiry, Seconds};

/// What the map knows of an item.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) value: Vec<u8>,
    pub(crate) client_flags: u32,
    pub(crate) expiry: Expiry,
    pub(crate) cas: u64,
    pub(crate) marks: Marks,
}

/// What few items have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) is_stale: bool,
    pub(crate) is_won: bool,
    pub(crate) has_binary_key: bool,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.value[..self.value.len().min(24)];
        write!(f, "{} bytes {start:?}.., flags {}, {:?}", self.value.len(), self.client_flags, self.expiry)
    }
}

/// A store without limits.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    items: HashMap<Vec<u8>, Entry>,
}

impl Reference {
    pub(crate) fn get(&self, key: &[u8], now: Seconds) -> Option<&Entry> {
        self.items.get(key).filter(|entry| !entry.expiry.has_passed(now))
    }

    pub(crate) fn get_mut(&mut self, key: &[u8], now: Seconds) -> Option<&mut Entry> {
        self.items.get_mut(key).filter(|entry| !entry.expiry.has_passed(now))
    }

    pub(crate) fn set(&mut self, key: &[u8], entry: Entry) {
        self.items.insert(key.to_vec(), entry);
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.items.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
    }
}
