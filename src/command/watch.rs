//! `watch`: who watches, and what commands do to items said to them, in memcached's order: every command looks the
//! key up, which is an event, before what it does to it, which is another.
//!
//! While nobody watches a command pays one branch on a flag of its turn. Watched, it looks a second time at the item
//! for what only watchers want to know; between the looks another client may have changed it.

use super::{Arriving, Commands};
use crate::operation::Mode;
use crate::protocol::{Arithmetic, Counted, Delete, Failure, Reply, Store, Stored};
use crate::store::{Key, Miss, Peeked};
use crate::sync::Arc;
use crate::telemetry::watch::{DeleteWord, Event, Kinds, Seen, StoreStatus, StoreWord, Watcher};
use crate::time::Expiry;

/// What a look has found: an item, or why there is none.
type Look = Result<Peeked, Miss>;

/// A store, for who watches it.
#[derive(Clone, Copy)]
pub(super) struct Told<'k> {
    pub(super) key: &'k [u8],
    pub(super) word: StoreWord,
    pub(super) client_flags: u32,
    pub(super) expiry: Expiry,
}

impl Commands {
    /// Begins to watch, for a client of this thread.
    ///
    /// # Errors
    /// Why not. `is_pipelined`: there are commands before it whose answers are not out yet.
    #[cold]
    pub fn watch<'w>(
        &self,
        words: impl Iterator<Item = &'w [u8]>,
        is_pipelined: bool,
    ) -> Result<Arc<Watcher>, Failure> {
        if !self.shared.options.watch {
            return Err(Failure::WatchNotAllowed);
        }
        if is_pipelined {
            return Err(Failure::WatchPipelined);
        }
        let kinds = Kinds::of_words(words).ok_or(Failure::UnknownCommand)?;
        let call = self.call.clone();
        self.shared.watch().join(kinds, call).ok_or(Failure::WatchersTooMany)
    }

    /// Ends watching.
    #[cold]
    pub fn unwatch(&self, watcher: &Arc<Watcher>) {
        self.shared.watch().leave(watcher);
    }

    /// Whether anybody watches any of these kinds, as of this turn's beginning.
    #[must_use]
    #[inline]
    pub fn is_watched(&self, kinds: Kinds) -> bool {
        self.local.recorder().is_watched(kinds)
    }

    /// Says what happened, to who watches.
    #[cold]
    pub fn tell(&self, event: &Event<'_>) {
        self.local.recorder().record(event);
    }

    /// Says that a command came, as it stands.
    pub fn tell_command(&self, line: &[u8]) {
        self.tell(&Event::Command { cfd: self.local.recorder().cfd(), line });
    }

    /// Sets whose descriptor events name from now on.
    #[cold]
    pub fn serve_for(&mut self, cfd: u32) {
        self.local.recorder_mut().set_cfd(cfd);
    }

    /// Says what a fetch is about to find.
    #[cold]
    pub(super) fn tell_fetch(&self, key: &[u8]) {
        self.tell_look(key, self.look(key));
    }

    #[cold]
    pub(super) fn store_watched(&mut self, request: &Store<'_>, hash: u64, value: &[u8]) -> Stored {
        let look = self.look(request.key);
        let stored = self.store_now(request, hash, value);
        let (word, client_flags) = (word(request.mode), request.client_flags);
        let told = Told { key: request.key, word, client_flags, expiry: self.expiry(request.exptime) };
        self.tell_stored(told, look, stored);
        stored
    }

    #[cold]
    pub(super) fn finish_watched(&mut self, arriving: Arriving) -> Stored {
        let key = arriving.incoming.key().bytes.to_vec();
        let look = self.look(&key);
        let (word, expiry) = (word(arriving.mode), arriving.incoming.expiry());
        let stored = self.finish_now(arriving);
        // A value that comes in pieces is of the last class, whatever its flags.
        self.tell_stored(Told { key: &key, word, client_flags: 0, expiry }, look, stored);
        stored
    }

    #[cold]
    pub(super) fn delete_watched(&mut self, request: &Delete<'_>) -> Reply {
        let look = self.look(request.key);
        let reply = self.delete_now(request);
        self.tell_look(request.key, look);
        let (Reply::Deleted, Ok(mut item)) = (reply, look) else { return reply };
        let extras = request.extras.copied().unwrap_or_default();
        if extras.empty.is_some() {
            // memcached stores an empty item in its place, which looks the key up again.
            self.tell_look(request.key, look);
            item = self.look(request.key).unwrap_or(item);
            item.value_len = 0;
            self.tell_store(request.key, StoreStatus::Stored, StoreWord::Set, item);
        }
        if !extras.invalidate {
            let word = if extras.is_meta { DeleteWord::MetaDelete } else { DeleteWord::Delete };
            let (class, size) = (item.class, size(item.value_len));
            self.tell(&Event::Delete { key: request.key, word, class, size });
        }
        reply
    }

    #[cold]
    pub(super) fn arithmetic_watched(&mut self, request: &Arithmetic<'_>) -> Counted {
        let look = self.look(request.key);
        let counted = self.arithmetic_now(request);
        self.tell_look(request.key, look);
        if counted.is_created {
            // memcached adds the first number, which looks the key up again.
            self.tell_look(request.key, look);
            if let Ok(item) = self.look(request.key) {
                self.tell_store(request.key, StoreStatus::Stored, StoreWord::Add, item);
            }
        }
        counted
    }

    /// What is under a key.
    pub(super) fn look(&self, key: &[u8]) -> Look {
        self.store.peek(self.store.key(key), self.now.seconds)
    }

    /// Says that a key was looked up.
    pub(super) fn tell_look(&self, key: &[u8], look: Look) {
        let (seen, class, size) = match look {
            Ok(item) => (Seen::Found, item.class, size(item.value_len)),
            Err(Miss::Absent) => (Seen::NotFound, 0, 0),
            Err(Miss::Expired) => (Seen::Expired, 0, 0),
            Err(Miss::Flushed) => (Seen::Flushed, 0, 0),
        };
        self.tell(&Event::Get { key, seen, class, cfd: self.local.recorder().cfd(), size });
    }

    /// Says what became of a value. Those that found no room have been told of where they were refused.
    pub(super) fn tell_stored(&self, told: Told<'_>, look: Look, stored: Stored) {
        let status = match stored.reply {
            Reply::Stored => StoreStatus::Stored,
            Reply::NotStored => StoreStatus::NotStored,
            Reply::Exists => StoreStatus::Exists,
            Reply::NotFound => StoreStatus::NotFound,
            _ => return,
        };
        self.tell_look(told.key, look);
        let Told { key, word, client_flags, expiry } = told;
        let value_len = stored.value_len;
        let unstored =
            || Peeked { class: self.store.class_number(key.len(), client_flags, expiry, value_len), value_len, expiry };
        let is_stored = status == StoreStatus::Stored;
        // What was stored has the exptime and the class it ended up with.
        let item = if is_stored { self.look(key).unwrap_or_else(|_| unstored()) } else { unstored() };
        self.tell_store(key, status, word, Peeked { value_len, ..item });
    }

    /// Says that a value found no room, and that the old one was looked up to be deleted.
    #[cold]
    pub(super) fn tell_refused(&self, key: Key<'_>, mode: Mode, status: StoreStatus, is_deleted: bool) {
        if !self.is_watched(Kinds::ITEMS) {
            return;
        }
        let nothing = Peeked { class: 0, value_len: 0, expiry: Expiry::Never };
        self.tell_store(key.bytes, status, word(mode), nothing);
        if is_deleted {
            self.tell_look(key.bytes, self.look(key.bytes));
        }
    }

    fn tell_store(&self, key: &[u8], status: StoreStatus, word: StoreWord, item: Peeked) {
        let ttl = match item.expiry {
            Expiry::Never => 0,
            // As memcached prints it: a value that was stored dead shows since when, modulo 2^32.
            Expiry::At(deadline) => deadline.0.wrapping_sub(self.now.seconds.0),
        };
        let (class, cfd, size) = (item.class, self.local.recorder().cfd(), size(item.value_len));
        self.tell(&Event::Store { key, status, word, ttl, class, cfd, size });
    }
}

/// The word for a store of this mode.
pub(super) fn word(mode: Mode) -> StoreWord {
    match mode {
        Mode::Set => StoreWord::Set,
        Mode::Add => StoreWord::Add,
        Mode::Replace => StoreWord::Replace,
        Mode::Append => StoreWord::Append,
        Mode::Prepend => StoreWord::Prepend,
        Mode::Cas(_) => StoreWord::Cas,
    }
}

fn size(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
