//! One run: operations drawn from a seed go to the store and to the map, and must agree.
//!
//! A store that evicts may miss what the map has; then the map forgets it, too. It must never have what the map
//! has not, and never other bytes.

use std::fs::File;

use flagstone::store::{
    Arithmetic, ArithmeticExtras, ArithmeticOutcome, ArithmeticRequest, Create, DeleteExtras, DeleteOutcome, Details,
    Emptied, Fetch, FetchExtras, FetchOutcome, Local, Mode, Options, Progress, Room, Store, StoreExtras, StoreOutcome,
    StoreRequest, Value,
};
use flagstone::time::{Expiry, Now, Seconds};

use crate::random::{Random, seeds};
use crate::reference::{Entry, Marks, Reference};
use crate::restart;

/// What a run is made of.
#[derive(Debug)]
pub(crate) struct Mix {
    pub(crate) keys: u64,
    pub(crate) value_bytes_max: u64,
    /// One value in so many is large; 0: none.
    pub(crate) large_in: u64,
    /// Whether the store may forget.
    pub(crate) evicts: bool,
    /// Before one step in so many the store ends without a word, and another goes on over its memory; 0: never.
    pub(crate) restart_in: u64,
}

/// Runs the mix for several seeds.
pub(crate) fn run(name: &str, options: &Options, mix: &Mix, (seed_count, steps): (u64, u32)) {
    for seed in seeds(seed_count) {
        let mut session = Session::new(&Options { hash_seed: seed, ..options.clone() }, mix, seed);
        for step in 0..steps {
            if mix.restart_in > 0 && session.random.one_in(mix.restart_in) {
                session.restart();
            }
            let done = session.step();
            // A whole recount after every operation would take hours: after every one at first, then now and then.
            if step < 300 || step.is_multiple_of(97) || step + 1 == steps {
                session.audit(&format!("{name}, seed {seed}, step {step}, after {done}"));
            }
        }
        session.finish(&format!("{name}, seed {seed}"));
    }
}

struct Session<'m> {
    options: Options,
    /// The memory of its stores, if they are to restart.
    file: Option<File>,
    store: Store,
    local: Local,
    background: Local,
    map: Reference,
    random: Random,
    mix: &'m Mix,
    now: Now,
    refuses: bool,
}

impl<'m> Session<'m> {
    fn new(options: &Options, mix: &'m Mix, seed: u64) -> Self {
        let now = Now { seconds: Seconds(10), unix_epoch: 1_700_000_000 };
        let file = (mix.restart_in > 0).then(restart::memory);
        let store = match &file {
            Some(file) => restart::open(options, file, now).0,
            None => Store::open(options).expect("a small store"),
        };
        let (local, background) = (store.local(), store.local());
        Self {
            options: options.clone(),
            file,
            store,
            local,
            background,
            map: Reference::default(),
            random: Random::new(seed),
            mix,
            now,
            refuses: !options.evict,
        }
    }

    /// Ends the store with all that threads have in hand, and opens another over its memory.
    fn restart(&mut self) {
        let Some(file) = &self.file else { return };
        let before = self.store.totals().curr_items;
        let (store, found) = restart::open(&self.options, file, self.now);
        let found = found.expect("something is left");
        (self.local, self.background) = (store.local(), store.local());
        self.store = store;
        let sum = found.kept + found.expired + found.flushed;
        assert_eq!(sum, before, "all that was there is there, or its time was over: {found:?}");
        assert_eq!(self.store.totals().curr_items, found.kept);
    }

    fn step(&mut self) -> &'static str {
        match self.random.below(100) {
            0..35 => self.store(),
            35..53 => self.fetch(),
            53..65 => self.fetch_more(),
            65..72 => self.touch(),
            72..76 => self.delete(),
            76..80 => self.delete_in_part(),
            80..88 => self.arithmetic(),
            88..96 => self.background_work(),
            96..99 => self.pass_time(),
            _ => self.rarely(),
        }
    }

    fn key(&mut self) -> Vec<u8> {
        // Half of the draws from a tenth of the keys, so that some are hot.
        let range = if self.random.one_in(2) { (self.mix.keys / 10).max(1) } else { self.mix.keys };
        let mut key = format!("key-{}", self.random.below(range)).into_bytes();
        if key.len() > 6 && key[5].is_multiple_of(2) {
            key.resize(5 + usize::from(key[5]) * 4 % 246, b'x');
        }
        key
    }

    /// Client flags, about where they take more room.
    fn flags(&mut self) -> u32 {
        const FLAGS: [u32; 6] = [0, 1, 77, 0xffff, 0x1_0000, u32::MAX];
        FLAGS[usize::try_from(self.random.below(6)).expect("one of six")]
    }

    fn value(&mut self) -> Vec<u8> {
        let large = self.mix.large_in > 0 && self.random.one_in(self.mix.large_in);
        let len = if large {
            14_000 + self.random.below(180_000)
        } else if self.random.one_in(6) {
            return self.random.below(1 << 20).to_string().into_bytes();
        } else {
            self.random.below(self.mix.value_bytes_max + 1)
        };
        let first = self.random.next();
        (0..len).map(|n| (first.wrapping_add(n * n) % 251).to_le_bytes()[0]).collect()
    }

    fn expiry(&mut self) -> Expiry {
        match self.random.below(4) {
            0 => Expiry::At(Seconds(self.now.seconds.0 + 1 + u32::try_from(self.random.below(40)).expect("small"))),
            1 if self.random.one_in(10) => Expiry::PAST,
            _ => Expiry::Never,
        }
    }

    fn mode(&mut self, key: &[u8]) -> Mode {
        match self.random.below(10) {
            0 => Mode::Add,
            1 => Mode::Replace,
            2 => Mode::Append,
            3 => Mode::Prepend,
            4 => Mode::Cas(self.map.get(key, self.now.seconds).map_or(7, |entry| entry.cas)),
            5 => Mode::Cas(self.random.below(1000)),
            _ => Mode::Set,
        }
    }

    fn own_cas(&mut self) -> u64 {
        if self.random.one_in(6) { 1 + self.random.below(1 << 30) } else { 0 }
    }

    fn store_extras(&mut self, key: &[u8]) -> StoreExtras {
        if !self.random.one_in(4) {
            return StoreExtras::default();
        }
        let cas = self.map.get(key, self.now.seconds).map_or(7, |entry| entry.cas);
        StoreExtras {
            compare: self.random.one_in(3).then_some(if self.random.one_in(2) { cas } else { 5 }),
            or_stale: self.random.one_in(2),
            create: self.random.one_in(3).then(|| self.expiry()),
            own_cas: self.own_cas(),
            binary_key: self.random.one_in(2),
            is_meta: false,
        }
    }

    /// What the map says becomes of a store operation: the new value, or the refusal.
    fn expected(&self, key: &[u8], mode: Mode, new: &Entry, extras: &StoreExtras) -> Result<Entry, StoreOutcome> {
        let old = self.map.get(key, self.now.seconds);
        let joined = |first: &[u8], second: &[u8], old: &Entry| Entry {
            value: [first, second].concat(),
            client_flags: old.client_flags,
            expiry: old.expiry,
            cas: 0,
            marks: Marks { has_binary_key: old.marks.has_binary_key, ..Marks::default() },
        };
        let differs = |old: &Entry| extras.compare.is_some_and(|compare| compare != old.cas);
        match (mode, old) {
            (Mode::Append | Mode::Prepend, None) if extras.create.is_some() => {
                Ok(Entry { expiry: extras.create.expect("just seen"), ..new.clone() })
            }
            (Mode::Append | Mode::Prepend, Some(old)) if differs(old) => Err(StoreOutcome::Exists),
            (Mode::Cas(unique), Some(old)) if extras.or_stale && unique != 0 && unique < old.cas => {
                let marks = Marks { is_stale: true, is_won: old.marks.is_won, ..new.marks };
                Ok(Entry { expiry: old.expiry, marks, ..new.clone() })
            }
            (Mode::Add, Some(_)) | (Mode::Replace | Mode::Append | Mode::Prepend, None) => Err(StoreOutcome::NotStored),
            (Mode::Cas(_), None) => Err(StoreOutcome::NotFound),
            (Mode::Cas(unique), Some(old)) if old.cas != unique => Err(StoreOutcome::Exists),
            (Mode::Append, Some(old)) => Ok(joined(&old.value, &new.value, old)),
            (Mode::Prepend, Some(old)) => Ok(joined(&new.value, &old.value, old)),
            _ => Ok(new.clone()),
        }
    }

    fn store(&mut self) -> &'static str {
        let key = self.key();
        self.reconcile(&key);
        let mode = self.mode(&key);
        let client_flags = if self.random.one_in(3) { self.flags() } else { 0 };
        let extras = self.store_extras(&key);
        let marks = Marks { has_binary_key: extras.binary_key, ..Marks::default() };
        let new = Entry { value: self.value(), client_flags, expiry: self.expiry(), cas: 0, marks };
        let expected = self.expected(&key, mode, &new, &extras);
        let outcome = self.send(&key, mode, &new, &extras);
        match (outcome, expected) {
            (StoreOutcome::Stored { cas, value_len }, Ok(mut entry)) => {
                assert_eq!(value_len, entry.value.len(), "{key:?}");
                assert!(extras.own_cas == 0 || cas == extras.own_cas, "{key:?} has its own cas");
                entry.cas = self.version(&key, cas);
                self.map.set(&key, entry);
            }
            (StoreOutcome::NoMemory, _) if self.refuses || self.mix.large_in > 0 => {}
            (StoreOutcome::NotStored, Ok(entry)) if entry.value.len() > 200_000 => {}
            (got, Err(refusal)) if got == refusal => {}
            // The store may have evicted the item between our look and the operation.
            (StoreOutcome::NotStored | StoreOutcome::NotFound, Ok(_)) if self.mix.evicts => self.map.remove(&key),
            (StoreOutcome::Stored { cas, .. }, Err(_)) if self.mix.evicts && mode == Mode::Add => {
                let cas = self.version(&key, cas);
                self.map.set(&key, Entry { cas, ..new });
            }
            (got, expected) => panic!("{mode:?} of {key:?} gave {got:?}, expected {expected:?}"),
        }
        "a store"
    }

    /// The version that a write told, or, if it told none, the one that a fetch shows.
    fn version(&mut self, key: &[u8], told: u64) -> u64 {
        if told == 0 { self.read(key, None).map_or(0, |found| found.2) } else { told }
    }

    /// Stores a value whole, or, if it is long, in pieces.
    fn send(&mut self, key: &[u8], mode: Mode, new: &Entry, extras: &StoreExtras) -> StoreOutcome {
        let seconds = self.now.seconds;
        let key = self.store.key(key);
        let extras = (*extras != StoreExtras::default()).then_some(extras);
        let request = StoreRequest {
            key,
            mode,
            client_flags: new.client_flags,
            expiry: new.expiry,
            shows_cas: extras.is_some(),
            extras,
        };
        if new.value.len() <= 16 * 1024 {
            return self.store.store(&mut self.local, &request, &new.value, seconds);
        }
        let mut incoming = self.store.reserve(&request, new.value.len()).expect("values stay under -I");
        let mut rest = &new.value[..];
        while incoming.missing() > 0 {
            match self.store.room(&mut self.local, &mut incoming, seconds) {
                Room::Bytes(room) => {
                    let n = room.len().min(rest.len()).min(5000);
                    room[..n].copy_from_slice(&rest[..n]);
                    rest = &rest[n..];
                    self.store.filled(&mut incoming, n);
                }
                Room::Wait => {
                    self.store.end_turn(&mut self.local);
                    self.store.step(&mut self.background, self.now);
                }
                Room::NoMemory => {
                    self.store.abandon(&mut self.local, incoming);
                    return StoreOutcome::NoMemory;
                }
            }
        }
        self.store.commit(&mut self.local, incoming, mode, seconds)
    }

    /// Reads a key without disturbing what the test is about, and lets the map forget what was evicted.
    fn reconcile(&mut self, key: &[u8]) {
        let found = self.read(key, None);
        let expected = self.map.get(key, self.now.seconds).cloned();
        match (found, expected) {
            (None, None) => {}
            (None, Some(_)) if self.mix.evicts => self.map.remove(key),
            (Some((value, flags, cas)), Some(entry)) => {
                assert!(value == entry.value, "{key:?} has other bytes: {} of {}", value.len(), entry.value.len());
                assert_eq!((flags, cas), (entry.client_flags, entry.cas), "{key:?}");
            }
            (found, expected) => panic!("{key:?} is {:?}, expected {expected:?}", found.map(|found| found.0.len())),
        }
    }

    fn read(&mut self, key: &[u8], touch: Option<Expiry>) -> Option<(Vec<u8>, u32, u64)> {
        let store = &self.store;
        let fetch = Fetch { touch, value: true, cas: true, extras: None };
        let mut pinned = None;
        let found = store.fetch(&mut self.local, store.key(key), fetch, self.now.seconds, |item| {
            let value = match item.value {
                Value::Whole(bytes) => bytes.to_vec(),
                Value::Pinned(pin) => {
                    pinned = Some(pin);
                    Vec::new()
                }
                Value::Unwanted => panic!("it was asked for"),
            };
            (value, item.client_flags, item.cas)
        });
        let FetchOutcome::Hit((mut value, flags, cas)) = found else { return None };
        if let Some(mut pin) = pinned {
            while value.len() < pin.len() {
                let piece = store.pinned_bytes(&mut pin, value.len());
                value.extend_from_slice(piece);
            }
            store.unpin(&mut self.local, pin);
        }
        Some((value, flags, cas))
    }

    fn fetch(&mut self) -> &'static str {
        let key = self.key();
        self.reconcile(&key);
        "a fetch"
    }

    fn touch(&mut self) -> &'static str {
        let key = self.key();
        self.reconcile(&key);
        let expiry = self.expiry();
        let found = self.read(&key, Some(expiry));
        match (found, self.map.get_mut(&key, self.now.seconds)) {
            (Some(_), Some(entry)) => entry.expiry = expiry,
            (None, None) => {}
            (None, Some(_)) if self.mix.evicts => self.map.remove(&key),
            (found, entry) => panic!("touch of {key:?}: {:?} against {entry:?}", found.map(|found| found.0.len())),
        }
        "a touch"
    }

    /// A fetch that may win, make, touch or only look.
    fn fetch_more(&mut self) -> &'static str {
        let key = self.key();
        self.reconcile(&key);
        let soon = Expiry::At(Seconds(self.now.seconds.0 + u32::try_from(self.random.below(40)).expect("small")));
        let create = Create { expiry: self.expiry(), own_cas: self.own_cas(), binary_key: self.random.one_in(3) };
        let extras = FetchExtras {
            no_bump: self.random.one_in(3),
            inspects: self.random.one_in(5),
            unless_cas: None,
            recache: self.random.one_in(2).then_some(soon),
            recache_after_touch: self.random.one_in(2),
            create: self.random.one_in(3).then_some(create),
        };
        let touch = self.random.one_in(4).then(|| self.expiry());
        let fetch = Fetch { touch, value: false, cas: true, extras: Some(&extras) };
        let store_key = self.store.key(&key);
        let found = self.store.fetch(&mut self.local, store_key, fetch, self.now.seconds, |item| {
            (item.details.expect("asked for"), item.cas)
        });
        let old = self.map.get(&key, self.now.seconds).cloned();
        match (found, old) {
            (FetchOutcome::Hit((details, cas)), Some(entry)) if !details.is_created => {
                self.expect_won(&key, &details, &entry, &extras, touch);
                let marks = Marks { is_won: entry.marks.is_won || details.is_won, ..entry.marks };
                assert_eq!((details.value_len, cas), (entry.value.len(), entry.cas), "{key:?}");
                self.map.set(&key, Entry { expiry: touch.unwrap_or(entry.expiry), marks, ..entry });
            }
            (FetchOutcome::Hit((details, cas)), old) => {
                assert!(details.is_created && details.is_won && extras.create.is_some(), "{key:?}: {details:?}");
                assert!(old.is_none() || self.mix.evicts, "{key:?} was there");
                let marks = Marks { is_stale: false, is_won: true, has_binary_key: create.binary_key };
                let entry = Entry { value: Vec::new(), client_flags: 0, expiry: create.expiry, cas, marks };
                self.map.set(&key, entry);
            }
            (FetchOutcome::Miss(_), None) => assert!(extras.create.is_none() || self.refuses, "{key:?} is not made"),
            (FetchOutcome::Miss(_), Some(_)) if self.mix.evicts => self.map.remove(&key),
            (found, old) => panic!("a fetch of {key:?}: {found:?} against {old:?}"),
        }
        "a fetch with extras"
    }

    /// One wins what is out of date or about to be, if nobody has before.
    fn expect_won(&self, key: &[u8], details: &Details, entry: &Entry, extras: &FetchExtras, touch: Option<Expiry>) {
        let looked_at = if extras.recache_after_touch { touch.unwrap_or(entry.expiry) } else { entry.expiry };
        let is_early = match (looked_at, extras.recache) {
            (Expiry::At(dies), Some(Expiry::At(deadline))) => dies < deadline,
            _ => false,
        };
        let wins = !extras.inspects && !entry.marks.is_won && (entry.marks.is_stale || is_early);
        assert_eq!(details.is_won, wins, "{key:?}: {details:?} of {entry:?}");
        let marks =
            Marks { is_stale: details.is_stale, is_won: details.was_won, has_binary_key: details.has_binary_key };
        assert_eq!((marks, details.expiry), (entry.marks, entry.expiry), "{key:?}");
    }

    /// A delete that leaves something.
    fn delete_in_part(&mut self) -> &'static str {
        let key = self.key();
        self.reconcile(&key);
        let emptied = Emptied { client_flags: self.flags(), expiry: self.expiry() };
        let old = self.map.get(&key, self.now.seconds).cloned();
        let cas = old.as_ref().map_or(7, |entry| entry.cas);
        let extras = DeleteExtras {
            compare: self.random.one_in(4).then_some(if self.random.one_in(2) { cas } else { 5 }),
            invalidate: self.random.one_in(2),
            touch: self.random.one_in(3).then(|| self.expiry()),
            empty: self.random.one_in(2).then_some(emptied),
            own_cas: self.own_cas(),
            is_meta: false,
        };
        let outcome = self.store.delete(&mut self.local, self.store.key(&key), Some(&extras), self.now.seconds);
        let differs = extras.compare.is_some_and(|compare| compare != cas);
        match (outcome, old) {
            (DeleteOutcome::NotFound, None) => {}
            (DeleteOutcome::Exists, Some(_)) if differs => {}
            (DeleteOutcome::Deleted, Some(entry)) if !differs => self.leave(&key, &entry, &extras),
            (DeleteOutcome::NoMemory, Some(_)) if self.refuses => {}
            (DeleteOutcome::NotFound, Some(_)) if self.mix.evicts => self.map.remove(&key),
            (outcome, old) => panic!("{extras:?} of {key:?} gave {outcome:?}, the map has {old:?}"),
        }
        "a delete with extras"
    }

    /// What a delete has left of an item.
    fn leave(&mut self, key: &[u8], entry: &Entry, extras: &DeleteExtras) {
        let has_binary_key = entry.marks.has_binary_key;
        let mut left = Entry {
            marks: Marks { is_stale: extras.invalidate, is_won: false, has_binary_key },
            expiry: extras.touch.unwrap_or(entry.expiry),
            ..entry.clone()
        };
        if let Some(Emptied { client_flags, expiry }) = extras.empty {
            left = Entry { value: Vec::new(), client_flags, expiry, ..left };
        }
        self.map.remove(key);
        if !extras.invalidate && extras.empty.is_none() {
            return;
        }
        let Some((value, _, cas)) = self.read(key, None) else {
            let is_dead = left.expiry.has_passed(self.now.seconds);
            assert!(is_dead || self.mix.evicts || self.refuses, "{key:?} is gone");
            return;
        };
        assert!(value == left.value, "{key:?}");
        match (extras.own_cas, extras.invalidate) {
            (0, true) => assert_ne!(cas, entry.cas, "a mark gives a new version"),
            (0, false) => assert_eq!(cas, entry.cas, "an emptied item keeps its version"),
            (own, _) => assert_eq!(cas, own),
        }
        left.cas = cas;
        self.map.set(key, left);
    }

    fn delete(&mut self) -> &'static str {
        let key = self.key();
        self.reconcile(&key);
        let outcome = self.store.delete(&mut self.local, self.store.key(&key), None, self.now.seconds);
        let was_there = self.map.get(&key, self.now.seconds).is_some();
        assert_eq!(outcome == DeleteOutcome::Deleted, was_there, "delete of {key:?}");
        self.map.remove(&key);
        "a delete"
    }

    fn arithmetic(&mut self) -> &'static str {
        let key = self.key();
        self.reconcile(&key);
        let delta = self.random.below(1 << 40);
        let change = if self.random.one_in(2) { Arithmetic::Incr(delta) } else { Arithmetic::Decr(delta) };
        let extras = ArithmeticExtras {
            compare: None,
            create: self.random.one_in(4).then(|| (self.random.below(1000), self.expiry())),
            touch: self.random.one_in(4).then(|| self.expiry()),
            own_cas: self.own_cas(),
            binary_key: false,
        };
        let extras = self.random.one_in(3).then_some(extras);
        let request = ArithmeticRequest { key: self.store.key(&key), change, extras: extras.as_ref() };
        let outcome = self.store.arithmetic(&mut self.local, &request, self.now.seconds);
        let extras = extras.unwrap_or_default();
        let old = self.map.get(&key, self.now.seconds).cloned();
        // A value that lies in a chain is no number, whatever it begins with.
        let small = old.as_ref().filter(|entry| key.len() + entry.value.len() < 16_300);
        let number = small.and_then(|entry| number_in(&entry.value));
        match (outcome, old, number) {
            (ArithmeticOutcome::NotFound, None, _) | (ArithmeticOutcome::NonNumeric, Some(_), None) => {}
            (ArithmeticOutcome::Value { number, cas, is_created: true, .. }, None, _) => {
                let (initial, expiry) = extras.create.expect("nothing is made unasked");
                assert_eq!(number, initial, "{key:?}");
                let value = number.to_string().into_bytes();
                self.map.set(&key, Entry { value, client_flags: 0, expiry, cas, marks: Marks::default() });
            }
            (ArithmeticOutcome::Value { number: new, cas, .. }, Some(mut entry), Some(number)) => {
                let expected = match change {
                    Arithmetic::Incr(delta) => number.wrapping_add(delta),
                    Arithmetic::Decr(delta) => number.saturating_sub(delta),
                };
                assert_eq!(new, expected, "{key:?}");
                let len = entry.value.len();
                entry.value = new.to_string().into_bytes();
                entry.value.resize(entry.value.len().max(len), b' ');
                entry.expiry = extras.touch.unwrap_or(entry.expiry);
                let cas = self.version(&key, cas);
                assert!(cas != entry.cas || cas == extras.own_cas, "a change gives a new version");
                assert!(extras.own_cas == 0 || cas == extras.own_cas, "{key:?} has its own cas");
                entry.cas = cas;
                self.map.set(&key, entry);
                self.reconcile(&key);
            }
            (ArithmeticOutcome::NoMemory, _, _) if self.refuses => {}
            (got, old, _) => panic!("arithmetic on {key:?} gave {got:?}, the map has {old:?}"),
        }
        "arithmetic"
    }

    fn background_work(&mut self) -> &'static str {
        self.store.end_turn(&mut self.local);
        self.store.step(&mut self.background, self.now);
        "a step of background work"
    }

    fn pass_time(&mut self) -> &'static str {
        self.now.seconds.0 += 1 + u32::try_from(self.random.below(5)).expect("small");
        "time"
    }

    fn rarely(&mut self) -> &'static str {
        if self.random.one_in(8) {
            self.store.flush_all(None);
            self.map.clear();
            return "a flush";
        }
        self.idle();
        "all background work"
    }

    /// Lets background work come to rest.
    fn idle(&mut self) {
        for _ in 0..100_000 {
            self.store.end_turn(&mut self.local);
            if self.store.step(&mut self.background, self.now) != Progress::More {
                return;
            }
        }
        panic!("background work never ends");
    }

    fn audit(&mut self, when: &str) {
        self.store.surrender(&mut self.local);
        self.store.surrender(&mut self.background);
        if let Err(error) = self.store.audit() {
            panic!("{when}: {error}");
        }
    }

    /// In the end everything expires or is flushed, and the store is empty.
    fn finish(&mut self, when: &str) {
        self.store.flush_all(None);
        // Flushed memory is swept a little later.
        for _ in 0..4 {
            self.idle();
            self.now.seconds.0 += 1;
        }
        self.audit(when);
        assert_eq!(self.store.totals().curr_items, 0, "{when}: the sweep finds everything flushed");
    }
}

/// memcached's notion of a number: the first word, perhaps with a plus sign, if it is one.
fn number_in(value: &[u8]) -> Option<u64> {
    let word = value.split(|byte| matches!(byte, b' ' | 9..=13)).find(|word| !word.is_empty())?;
    let word = word.split(|&byte| byte == 0).next()?;
    let digits = std::str::from_utf8(word).ok()?;
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}
