//! Runs that end anywhere: between any two stores to the arena a copy of it is taken, as another run would find it,
//! and recovered from.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Whence, lseek};

use crate::store::words::outcome::{
    Arithmetic, ArithmeticOutcome, ArithmeticRequest, DeleteOutcome, Fetch, FetchOutcome, Mode, StoreOutcome,
    StoreRequest, Value,
};
use crate::store::{Local, Opened, Options, Recovered, Refusal, Restart, Room, Store};
use crate::sync::{AtomicBool, crash};
use crate::time::{Expiry, Moment, Now, Seconds};

const SECOND_NANOS: u64 = 1_000_000_000;
/// Operations of each run; where everything is asserted, fewer.
const RUNS: [u32; 4] = if cfg!(debug_assertions) { [150; 4] } else { [700; 4] };
const BOOT: [u64; 2] = [1, 2];
const UNIX: i64 = 1_700_000_000;

/// A moment of one boot in which the stores of these tests, which all begin at its second 8, are in a second.
fn moment(seconds: u32) -> Moment {
    let boot_nanos = (u64::from(seconds) + 8) * SECOND_NANOS;
    let unix_nanos = (UNIX.cast_unsigned() + u64::from(seconds)) * SECOND_NANOS;
    Moment { boot: BOOT, boot_nanos, unix_nanos }
}

fn memory() -> File {
    memfd_create(c"arena", MFdFlags::empty()).expect("Linux has it").into()
}

/// A copy of what a file holds, without its holes.
fn copy_of(mut file: &File) -> File {
    let mut copy = memory();
    copy.set_len(file.metadata().expect("it is open").len()).expect("memory");
    let mut at = 0;
    loop {
        match lseek(file, at, Whence::SeekData) {
            Err(Errno::ENXIO) => return copy,
            data => at = data.expect("a file of memory"),
        }
        let end = lseek(file, at, Whence::SeekHole).expect("it ends");
        let mut bytes = vec![0; usize::try_from(end - at).expect("64 bits")];
        file.seek(SeekFrom::Start(at.cast_unsigned())).expect("it is there");
        file.read_exact(&mut bytes).expect("it is there");
        copy.seek(SeekFrom::Start(at.cast_unsigned())).expect("it is there");
        copy.write_all(&bytes).expect("memory");
        at = end;
    }
}

fn open(options: &Options, file: &File, seconds: u32) -> Opened {
    Store::open_on(options, file, Restart::default(), &moment(seconds)).expect("memory")
}

/// Recovers by as many threads as are asked for.
fn recover(opened: Opened, threads: usize) -> (Store, Recovered) {
    let Opened { store, left, .. } = opened;
    let left = left.expect("what was left is believed");
    let go_over = || {
        let mut local = store.local();
        store.recover_pages(&left, &mut local, &AtomicBool::new(false))
    };
    let shares = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(go_over)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    let local = store.local();
    let found = store.finish_recovery(&left, &local, shares);
    (store, found)
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % n
    }
}

/// What a key has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    value: Vec<u8>,
    flags: u32,
    cas: u64,
    expiry: Expiry,
}

/// A store and a map of what it holds.
struct Run {
    options: Options,
    file: File,
    store: Store,
    local: Local,
    background: Local,
    now: u32,
    random: Random,
    items: HashMap<Vec<u8>, Item>,
    /// Every number that a key's items had.
    numbers: HashMap<Vec<u8>, HashSet<u64>>,
    evicts: bool,
}

impl Run {
    fn new(limit_bytes: u64, seed: u64) -> Self {
        let options = Options { limit_bytes, workers: 2, hash_seed: seed, track_sizes: true, ..Options::default() };
        let file = memory();
        let opened = open(&options, &file, 2);
        assert_eq!(opened.left.err(), Some(Refusal::Empty));
        let store = opened.store;
        Self {
            local: store.local(),
            background: store.local(),
            options,
            file,
            store,
            now: 10,
            random: Random(seed * 0x9e37_79b9 + 1),
            items: HashMap::new(),
            numbers: HashMap::new(),
            evicts: limit_bytes < 16 << 20,
        }
    }

    fn now(&self) -> Now {
        Now { seconds: Seconds(self.now), unix_epoch: UNIX }
    }

    /// Lets the map forget what the store has evicted.
    fn reconcile(&mut self) {
        let (store, now) = (&self.store, Seconds(self.now));
        self.items.retain(|key, _| store.peek(store.key(key), now).is_ok());
    }

    fn work(&mut self) {
        let now = self.now();
        self.store.step(&mut self.background, now);
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.random.below(if self.evicts { 3000 } else { 60 });
        let mut key = format!("key {number}").into_bytes();
        key.resize(key.len() + usize::try_from(number % 7 * 30).expect("small"), b'.');
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.random.below(20) {
            0 => 16_000 + self.random.below(150_000),
            1..4 => self.random.below(16_000),
            4..8 => return self.random.below(1 << 40).to_string().into_bytes(),
            _ => self.random.below(300),
        };
        let first = self.random.below(256);
        (0..len).map(|at| u8::try_from((first + at * at) % 251).expect("small")).collect()
    }

    fn expiry(&mut self) -> Expiry {
        let far = if self.random.below(2) == 0 { 70_000 } else { 0 };
        match self.random.below(3) {
            0 => Expiry::At(Seconds(self.now + far + 1 + u32::try_from(self.random.below(60)).expect("small"))),
            _ => Expiry::Never,
        }
    }

    /// One operation; the key it was about.
    fn step(&mut self) -> Option<Vec<u8>> {
        let key = self.key();
        match self.random.below(100) {
            0..40 => self.set(&key, Mode::Set),
            40..50 => self.set(&key, Mode::Append),
            50..60 => self.incr(&key),
            60..72 => self.touch(&key),
            72..80 => self.delete(&key),
            80..94 => {
                self.store.end_turn(&mut self.local);
                self.work();
                return None;
            }
            94..97 => {
                self.now += u32::try_from(self.random.below(9)).expect("small");
                self.work();
                return None;
            }
            97 if self.random.below(10) == 0 => {
                self.store.flush_all(None);
                self.items.clear();
                return None;
            }
            98 => {
                let quarters = 2 + self.random.below(3);
                assert!(self.store.set_limit_bytes(self.options.limit_bytes / 4 * quarters));
                return None;
            }
            _ => self.move_page(),
        }
        Some(key)
    }

    fn move_page(&mut self) {
        let mut classes: Vec<u32> = (1..64).collect();
        let at = usize::try_from(self.random.below(63)).expect("small");
        classes.rotate_left(at);
        for class in classes {
            let from = Some(crate::store::PagePlace::Class(class));
            if self.store.move_page(&mut self.local, from, crate::store::PagePlace::Pool)
                == crate::store::PageMove::Begun
            {
                break;
            }
        }
        for _ in 0..20 {
            self.store.end_turn(&mut self.local);
            self.work();
        }
    }

    fn set(&mut self, key: &[u8], mode: Mode) {
        let (value, expiry) = (self.value(), self.expiry());
        let flags = u32::try_from(self.random.below(3) * 40_000).expect("small");
        let request = StoreRequest {
            key: self.store.key(key),
            mode,
            client_flags: flags,
            expiry,
            shows_cas: false,
            extras: None,
        };
        let outcome = if value.len() <= 16 << 10 {
            self.store.store(&mut self.local, &request, &value, Seconds(self.now))
        } else {
            self.arrive(&request, &value)
        };
        if !matches!(outcome, StoreOutcome::Stored { .. }) {
            return;
        }
        let (value, flags, expiry) = match (mode, self.items.get(key)) {
            (Mode::Append, Some(old)) => ([&old.value[..], &value].concat(), old.flags, old.expiry),
            _ => (value, flags, expiry),
        };
        let cas = self.store.read(&mut self.local, key, self.now).map_or(0, |found| found.2);
        self.note(key, Item { value, flags, cas, expiry });
    }

    fn arrive(&mut self, request: &StoreRequest<'_>, value: &[u8]) -> StoreOutcome {
        let now = Seconds(self.now);
        let mut incoming = self.store.reserve(request, value.len()).expect("not too large");
        while incoming.missing() > 0 {
            let at = value.len() - incoming.missing();
            let filled = match self.store.room(&mut self.local, &mut incoming, now) {
                Room::Bytes(room) => {
                    let n = room.len().min(value.len() - at);
                    room[..n].copy_from_slice(&value[at..at + n]);
                    n
                }
                Room::Wait => {
                    self.store.end_turn(&mut self.local);
                    self.store.step(&mut self.background, Now { seconds: now, unix_epoch: UNIX });
                    0
                }
                Room::NoMemory => {
                    self.store.abandon(&mut self.local, incoming);
                    return StoreOutcome::NoMemory;
                }
            };
            self.store.filled(&mut incoming, filled);
        }
        self.store.commit(&mut self.local, incoming, request.mode, now)
    }

    fn note(&mut self, key: &[u8], item: Item) {
        self.numbers.entry(key.to_vec()).or_default().insert(item.cas);
        self.items.insert(key.to_vec(), item);
    }

    fn incr(&mut self, key: &[u8]) {
        let change = Arithmetic::Incr(self.random.below(1000));
        let request = ArithmeticRequest { key: self.store.key(key), change, extras: None };
        let outcome = self.store.arithmetic(&mut self.local, &request, Seconds(self.now));
        if let ArithmeticOutcome::Value { number, .. } = outcome {
            let (value, _, cas) = self.store.read(&mut self.local, key, self.now).expect("it is there");
            assert!(value.starts_with(number.to_string().as_bytes()));
            let old = self.items[key].clone();
            self.note(key, Item { value, cas, ..old });
        }
    }

    fn touch(&mut self, key: &[u8]) {
        let expiry = self.expiry();
        let fetch = Fetch { touch: Some(expiry), value: false, cas: false, extras: None };
        let found = self.store.fetch(&mut self.local, self.store.key(key), fetch, Seconds(self.now), |_| ());
        if let (FetchOutcome::Hit(()), Some(item)) = (found, self.items.get_mut(key)) {
            item.expiry = expiry;
        }
    }

    fn delete(&mut self, key: &[u8]) {
        let outcome = self.store.delete(&mut self.local, self.store.key(key), None, Seconds(self.now));
        assert!(matches!(outcome, DeleteOutcome::Deleted | DeleteOutcome::NotFound));
        self.items.remove(key);
    }

    /// Recovers from a copy of the arena that was taken while `key` was in work: all else must be there as it was
    /// before, which is as it is now.
    fn check(&mut self, copy: &File, before: Option<&Item>, key: Option<&[u8]>) -> Recovered {
        let (store, found) = recover(open(&self.options, copy, self.now), 1);
        let mut local = store.local();
        store.audit().expect("all agrees");
        for (other, item) in &self.items {
            if Some(other.as_slice()) == key {
                continue;
            }
            match store.read(&mut local, other, self.now) {
                Some(read) => {
                    assert!(read == (item.value.clone(), item.flags, item.cas), "{other:?} is another");
                    assert!(!item.expiry.has_passed(Seconds(self.now)), "{other:?} has expired");
                }
                None => {
                    let key = self.store.key(other);
                    assert!(
                        self.store.peek(key, Seconds(self.now)).is_err(),
                        "{:?} is lost: {found:?}",
                        String::from_utf8_lossy(other)
                    );
                }
            }
        }
        if let Some(key) = key {
            let after = self.items.get(key);
            let read = store.read(&mut local, key, self.now);
            let is = |item: Option<&Item>| match (&read, item) {
                (Some(read), Some(item)) => *read == (item.value.clone(), item.flags, item.cas),
                (None, Some(item)) => self.evicts || item.expiry.has_passed(Seconds(self.now)),
                (None, None) => true,
                (Some(_), None) => false,
            };
            let half_written = read.is_none() && found.half_written == 1;
            assert!(
                is(before) || is(after) || half_written,
                "{:?} is neither as before nor as after: {}",
                String::from_utf8_lossy(key),
                read.is_some()
            );
        }
        self.check_numbers(&store, &mut local, key);
        store.surrender(&mut local);
        store.audit().expect("all agrees after use");
        found
    }

    /// No number that was given out fits what is stored from now on.
    fn check_numbers(&self, store: &Store, local: &mut Local, key: Option<&[u8]>) {
        let first: Vec<_> = self.numbers.keys().take(20).map(Vec::as_slice).chain(key).collect();
        for &key in &first {
            let mode = Mode::Set;
            let request = StoreRequest {
                key: store.key(key),
                mode,
                client_flags: 0,
                expiry: Expiry::Never,
                shows_cas: false,
                extras: None,
            };
            let outcome = store.store(local, &request, b"new", Seconds(self.now));
            if let StoreOutcome::Stored { .. } = outcome {
                let (_, _, cas) = store.read(local, key, self.now).expect("it is there");
                // What the operation in work would have told was not told.
                let is_told = self.items.get(key).is_none_or(|item| item.cas != cas) || key != first[first.len() - 1];
                let was_told = self.numbers.get(key).is_some_and(|numbers| numbers.contains(&cas));
                assert!(!(was_told && is_told), "{:?} has {cas} again", String::from_utf8_lossy(key));
            }
        }
    }
}

impl Store {
    /// A key's value, flags and number.
    fn read(&self, local: &mut Local, key: &[u8], now: u32) -> Option<(Vec<u8>, u32, u64)> {
        let fetch = Fetch { touch: None, value: true, cas: true, extras: None };
        let mut pinned = None;
        let found = self.fetch(local, self.key(key), fetch, Seconds(now), |item| {
            let value = match item.value {
                Value::Whole(bytes) => bytes.to_vec(),
                Value::Pinned(pin) => {
                    pinned = Some(pin);
                    Vec::new()
                }
                Value::Unwanted => Vec::new(),
            };
            (value, item.client_flags, item.cas)
        });
        let FetchOutcome::Hit((mut value, flags, cas)) = found else { return None };
        if let Some(mut pin) = pinned {
            value = self.pinned_pieces(&mut pin, 0).flatten().copied().collect();
            self.unpin(local, pin);
        }
        Some((value, flags, cas))
    }
}

/// Runs operations, and in each of them takes a copy between two stores that are drawn; what the copies held.
fn crash_everywhere(limit_bytes: u64, seed: u64, steps: u32) -> Recovered {
    let mut run = Run::new(limit_bytes, seed);
    let mut sum = Recovered::default();
    for step in 0..steps {
        let copy: Rc<RefCell<Option<File>>> = Rc::default();
        let is_long = run.random.below(4) == 0;
        let mut points = run.random.below(if is_long { 2000 } else { 40 });
        run.reconcile();
        let (taken, file) = (Rc::clone(&copy), run.file.try_clone().expect("descriptors"));
        let before = run.items.clone();
        crash::look_by(move || {
            if points == 0 {
                *taken.borrow_mut() = Some(copy_of(&file));
            }
            points = points.wrapping_sub(1);
        });
        let key = run.step();
        crash::look_no_more();
        let copy = copy.take().unwrap_or_else(|| copy_of(&run.file));
        let flushed = run.items.is_empty() && !before.is_empty();
        if flushed {
            continue;
        }
        let context = format!("seed {seed}, step {step}");
        let old = key.as_ref().and_then(|key| before.get(key));
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.check(&copy, old, key.as_deref())));
        sum.add(&checked.expect(&context));
    }
    sum
}

#[test]
fn whatever_store_is_the_last_nothing_acknowledged_is_lost() {
    let mut all = Recovered::default();
    for (seed, steps) in (1..).zip(RUNS) {
        let found = crash_everywhere(24 << 20, seed, steps);
        assert_eq!((found.broken, found.no_room), (0, 0), "{found:?}");
        all.add(&found);
    }
    assert!(all.superseded > 0 && (all.half_written > 0 || cfg!(debug_assertions)), "{all:?}");
}

#[test]
fn whatever_store_is_the_last_a_full_store_goes_on() {
    for (seed, steps) in (1..).zip(RUNS) {
        let found = crash_everywhere(6 << 20, seed, steps);
        assert_eq!((found.broken, found.no_room), (0, 0), "{found:?}");
    }
}

/// How often a run that ends in a planned flush, at any of its points, is found with one that is made and planned, or
/// neither; and how many points there were.
fn flushes_twice(flush: impl Fn(&Store) + Copy) -> (u32, u32) {
    const PLANNED: u64 = 60 << 32 | 60;
    let (mut wrong, mut point) = (0, 0_u32);
    loop {
        let mut run = Run::new(24 << 20, 9);
        run.set(b"before", Mode::Set);
        run.store.note_planned_flush(PLANNED);
        let copy: Rc<RefCell<Option<File>>> = Rc::default();
        let (taken, file, mut points) = (Rc::clone(&copy), run.file.try_clone().expect("descriptors"), point);
        crash::look_by(move || {
            if points == 0 {
                *taken.borrow_mut() = Some(copy_of(&file));
            }
            points = points.wrapping_sub(1);
        });
        flush(&run.store);
        crash::look_no_more();
        let Some(copy) = copy.take() else { return (wrong, point) };
        let store = recover(open(&run.options, &copy, 11), 1).0;
        let is_made = store.read(&mut store.local(), b"before", 11).is_none();
        wrong += u32::from((store.planned_flush() == 0) != is_made);
        point += 1;
    }
}

#[test]
fn a_planned_flush_comes_once_wherever_the_process_ends() {
    let (wrong, points) = flushes_twice(|store| {
        store.make_planned_flush(60 << 32 | 60);
        store.note_planned_flush(0);
    });
    assert!(wrong == 0 && points > 3, "{wrong} of {points}");
    let (wrong, _) = flushes_twice(|store| {
        store.flush_all(None);
        store.note_planned_flush(0);
    });
    assert!(wrong > 0, "a flush that was not announced is what this finds");
}

// --- files that are not what they were ------------------------------------------------------------------------

/// A store that was ended in order, or not, in second 100, and the file it lay in.
fn left_behind(is_clean: bool) -> (Options, File) {
    let mut run = Run::new(24 << 20, 3);
    run.now = 100;
    for (key, expiry) in [("for ever", Expiry::Never), ("till 200", Expiry::At(Seconds(200)))] {
        let key = run.store.key(key.as_bytes());
        let request = StoreRequest { key, mode: Mode::Set, client_flags: 5, expiry, shows_cas: false, extras: None };
        let outcome = run.store.store(&mut run.local, &request, b"value", Seconds(100));
        assert!(matches!(outcome, StoreOutcome::Stored { .. }));
    }
    run.store.note_planned_flush(77);
    run.work();
    if is_clean {
        run.store.end_run(&run.now());
    }
    (run.options, run.file)
}

fn refusal(options: &Options, file: &File, restart: Restart, moment: &Moment) -> Option<Refusal> {
    let opened = Store::open_on(options, file, restart, moment).expect("memory");
    assert!(opened.left.is_ok() || opened.store.totals().curr_items == 0);
    opened.left.err()
}

#[test]
fn times_to_live_run_on_while_nobody_serves() {
    for (second, kept) in [(100, 2), (199, 2), (200, 1), (70_000, 1)] {
        let (options, file) = left_behind(false);
        let opened = open(&options, &file, second);
        assert_eq!(opened.nanos / SECOND_NANOS, u64::from(second));
        let (store, found) = recover(opened, 2);
        assert_eq!((found.kept, found.expired), (kept, 2 - kept), "in second {second}");
        assert_eq!(store.planned_flush(), 77);
        let (value, flags, _) = store.read(&mut store.local(), b"for ever", second).expect("it stays");
        assert_eq!((value, flags), (b"value".to_vec(), 5));
        assert!(store.audit().is_ok());
    }
}

#[test]
fn the_walls_clock_counts_after_another_boot_alone() {
    let other = |seconds: u64| Moment {
        boot: [9, 9],
        boot_nanos: 5 * SECOND_NANOS,
        unix_nanos: (UNIX.cast_unsigned() + seconds) * SECOND_NANOS,
    };
    let (options, file) = left_behind(false);
    assert_eq!(refusal(&options, &file, Restart::default(), &other(150)), Some(Refusal::OtherBoot));
    for (wall, second) in [(150, 150), (100, 100), (0, 100)] {
        let (options, file) = left_behind(true);
        let opened = Store::open_on(&options, &file, Restart::default(), &other(wall)).expect("memory");
        assert_eq!(opened.nanos / SECOND_NANOS, second, "an hour back is no time");
        assert_eq!(recover(opened, 1).1.kept, 2);
    }
    // Within a boot the wall's clock says nothing, an hour back or forward.
    for wall in [-3600, 3600] {
        let (options, file) = left_behind(false);
        let unix_nanos = (UNIX + wall).cast_unsigned() * SECOND_NANOS;
        let opened = Store::open_on(&options, &file, Restart::default(), &Moment { unix_nanos, ..moment(150) });
        assert_eq!(recover(opened.expect("memory"), 1).1.kept, 2);
    }
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    let restart = Restart { outage_seconds_max: Some(50), ..Restart::default() };
    for (second, refused) in [(150, None), (152, Some(Refusal::Away(52)))] {
        let (options, file) = left_behind(false);
        assert_eq!(refusal(&options, &file, restart, &moment(second)), refused);
    }
    let (options, file) = left_behind(true);
    let without_cas = Options { cas: false, ..options };
    assert_eq!(refusal(&without_cas, &file, Restart::default(), &moment(100)), Some(Refusal::Cas));
    let reset = Restart { reset: true, ..Restart::default() };
    assert_eq!(refusal(&without_cas, &file, reset, &moment(100)), Some(Refusal::Asked));
    let early = Moment { boot_nanos: 3 * SECOND_NANOS, ..moment(100) };
    let (options, file) = left_behind(false);
    assert_eq!(refusal(&options, &file, Restart::default(), &early), Some(Refusal::Clock));
    let (options, file) = left_behind(false);
    let len = file.metadata().expect("open").len();
    file.set_len(len - 4096).expect("ours");
    assert_eq!(refusal(&options, &file, Restart::default(), &moment(100)), Some(Refusal::Truncated));
    (&file).seek(SeekFrom::Start(0)).expect("ours");
    (&file).write_all(&[b'x'; 4096]).expect("ours");
    assert_eq!(refusal(&options, &file, Restart::default(), &moment(100)), Some(Refusal::Foreign));
}

#[test]
fn a_lower_limit_keeps_what_fits_and_a_higher_one_all() {
    let (options, file) = left_behind(false);
    for (second, megabytes) in [(101, 48), (102, 4), (103, 8), (104, 1000)] {
        let (store, found) =
            recover(open(&Options { limit_bytes: megabytes << 20, ..options.clone() }, &file, second), 2);
        assert_eq!(found.kept, 2);
        let most = store.arena.geometry.limit_bytes_max;
        assert_eq!(store.memory_report().limit_bytes, (megabytes << 20).min(most), "as far as its pages are named");
        assert!(store.audit().is_ok());
    }
}

/// Regions of the arena of a small store, and where in them a byte is chosen.
fn byte_at(random: &mut Random, store: &Store) -> u64 {
    let offset = |page: usize| store.pages.offset_of(super::pages::page_id(page)) as u64;
    let used = store.pool.pages_used();
    match random.below(8) {
        0 => random.below(4096),
        1 => 4096 + random.below(16 * 16),
        2 | 3 => store.arena.geometry.page_table_at() as u64 + random.below(used as u64 * 48),
        4 | 5 => offset(0) + random.below(offset(used) - offset(0)),
        _ => {
            // A header of some chunk.
            let page = usize::try_from(random.below(used as u64)).expect("small");
            let entry = store.pages.entry(super::pages::page_id(page));
            let bytes = entry.class().map_or(64, |class| store.pages.classes.chunk_bytes(class) as u64);
            let chunks = u64::from(entry.formatted.load(crate::sync::Ordering::Relaxed)).max(1);
            offset(page) + random.below(chunks) * bytes + random.below(40.min(bytes))
        }
    }
}

/// Guards: nothing that a file says is believed unseen. `FLAGSTONE_FLIPS` says how many are tried.
#[test]
fn no_file_that_lies_does_harm() {
    let flips = std::env::var("FLAGSTONE_FLIPS").map_or(400, |text| text.parse().expect("a number"));
    let mut run = Run::new(3 << 20, 5);
    for _ in 0..1500 {
        run.step();
    }
    let mut random = Random(11);
    for flip in 0..flips {
        let copy = copy_of(&run.file);
        for _ in 0..=random.below(3) {
            let at = byte_at(&mut random, &run.store);
            let byte = u8::try_from(random.below(256)).expect("a byte");
            std::os::unix::fs::FileExt::write_all_at(&copy, &[byte], at).expect("ours");
        }
        let opened = open(&run.options, &copy, run.now);
        if opened.left.is_err() {
            continue;
        }
        let (store, found) = recover(opened, 1);
        let mut local = store.local();
        store.audit().unwrap_or_else(|error| panic!("flip {flip}: {error}, {found:?}"));
        for number in 0..200 {
            let key = format!("key {number}");
            store.read(&mut local, key.as_bytes(), run.now);
            let key = store.key(key.as_bytes());
            let request = StoreRequest {
                key,
                mode: Mode::Set,
                client_flags: 0,
                expiry: Expiry::Never,
                shows_cas: false,
                extras: None,
            };
            store.store(&mut local, &request, &[7; 700], Seconds(run.now));
            store.end_turn(&mut local);
            store.step(&mut local, run.now());
        }
        store.surrender(&mut local);
        store.audit().unwrap_or_else(|error| panic!("flip {flip}, later: {error}, {found:?}"));
    }
}
