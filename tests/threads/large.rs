//! Large values: pins held over turns while others overwrite and delete, and arrivals given up half way.

use std::thread;

use flagstone::store::{
    Fetch, FetchOutcome, Incoming, Local, Mode, Options, Pinned, Store, StoreOutcome, StoreRequest, Value,
};
use flagstone::time::{Expiry, Seconds};

use crate::crew::{Job, Worker, run};
use crate::random::Random;
use crate::small;
use crate::values::{value, version_of};

const KEYS: u64 = 12;

/// Reads and writes large values piece by piece, several at once.
#[derive(Default)]
struct Large {
    next: u64,
    reading: Vec<(Vec<u8>, Pinned, Vec<u8>)>,
    arriving: Vec<(Incoming, Vec<u8>)>,
}

impl Large {
    fn begin_reading(&mut self, worker: &mut Worker<'_>) {
        let key = key(&mut worker.random);
        let Some(hit) = worker.fetch(&key, None) else { return };
        match hit.pin {
            Some(pin) if self.reading.len() < 4 => self.reading.push((key, pin, Vec::new())),
            Some(pin) => worker.store.unpin(&mut worker.local, pin),
            None => {
                version_of(&key, &hit.value);
            }
        }
    }

    fn read_on(&mut self, worker: &mut Worker<'_>) {
        let Some(mut reading) = take_any(&mut self.reading, &mut worker.random) else { return };
        if worker.read_on(&mut reading.1, &mut reading.2) {
            self.reading.push(reading);
            return;
        }
        let (key, pin, value) = reading;
        version_of(&key, &value);
        worker.store.unpin(&mut worker.local, pin);
    }

    fn begin_arriving(&mut self, worker: &mut Worker<'_>) {
        let key = key(&mut worker.random);
        let len = 17_000 + usize::try_from(worker.random.below(90_000)).expect("small");
        let client_flags = 7;
        let request = StoreRequest {
            key: worker.store.key(&key),
            mode: Mode::Set,
            client_flags,
            expiry: Expiry::Never,
            shows_cas: false,
            extras: None,
        };
        let incoming = worker.store.reserve(&request, len).expect("values stay under -I");
        self.next += 1;
        let version = self.next << 8 | u64::try_from(worker.number).expect("a few");
        self.arriving.push((incoming, value(&key, version, len)));
    }

    fn fill_on(&mut self, worker: &mut Worker<'_>) {
        let Some((mut incoming, value)) = take_any(&mut self.arriving, &mut worker.random) else { return };
        if !worker.fill_on(&mut incoming, &value) && worker.random.one_in(8) || worker.random.one_in(40) {
            worker.store.abandon(&mut worker.local, incoming);
        } else if incoming.missing() == 0 {
            worker.store.commit(&mut worker.local, incoming, Mode::Set, worker.now);
        } else {
            self.arriving.push((incoming, value));
        }
    }

    fn write_small(&mut self, worker: &mut Worker<'_>) {
        self.next += 1;
        let key = key(&mut worker.random);
        let len = 16 + usize::try_from(worker.random.below(12_000)).expect("small");
        worker.set(&key, Mode::Set, Expiry::Never, &value(&key, self.next, len));
    }
}

impl Job for Large {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        match worker.random.below(20) {
            0..3 => self.begin_reading(worker),
            3..9 => self.read_on(worker),
            9 if self.arriving.len() < 3 => self.begin_arriving(worker),
            9..17 => self.fill_on(worker),
            17 => {
                let key = key(&mut worker.random);
                worker.delete(&key);
            }
            _ => self.write_small(worker),
        }
    }

    fn finish(&mut self, worker: &mut Worker<'_>) {
        for (incoming, _) in self.arriving.drain(..) {
            worker.store.abandon(&mut worker.local, incoming);
        }
        for (key, mut pin, mut value) in self.reading.drain(..) {
            while worker.read_on(&mut pin, &mut value) {}
            version_of(&key, &value);
            worker.store.unpin(&mut worker.local, pin);
        }
    }
}

fn key(random: &mut Random) -> Vec<u8> {
    format!("large-{}", random.below(KEYS)).into_bytes()
}

fn take_any<T>(all: &mut Vec<T>, random: &mut Random) -> Option<T> {
    let count = u64::try_from(all.len()).expect("a few");
    if count == 0 {
        return None;
    }
    Some(all.swap_remove(usize::try_from(random.below(count)).expect("a few")))
}

/// Guards: pinned bytes stay until the last pin goes, who unpins last frees the chain, once; an abandoned arrival
/// gives all its chunks back.
#[test]
fn pinned_values_stay_whole_while_others_overwrite_and_delete_them() {
    run(&small(4 << 10), 4, 8000, |_| Large::default(), |_, _| {});
}

/// Guards: the same with so much room that nothing is evicted and the pins alone decide.
#[test]
fn pins_and_arrivals_leave_nothing_behind_in_a_roomy_store() {
    run(&small(32 << 10), 2, 8000, |_| Large::default(), |_, _| {});
}

/// A large value under a key of its own.
fn set_long(store: &Store, local: &mut Local, key: &[u8], value: &[u8]) -> bool {
    let request = StoreRequest {
        key: store.key(key),
        mode: Mode::Set,
        client_flags: 0,
        expiry: Expiry::Never,
        shows_cas: false,
        extras: None,
    };
    matches!(store.store(local, &request, value, Seconds(10)), StoreOutcome::Stored { .. })
}

/// Guards: who ends a long value does not free all of it at once, nor wait for a lock as long; no chunk is lost.
#[test]
fn a_long_value_is_freed_a_few_parts_a_turn() {
    const PARTS: u64 = 2000;
    const PARTS_A_TURN: u64 = 64;
    let options = Options { limit_bytes: 80 << 20, item_bytes_max: 36 << 20, ..Options::default() };
    let store = Store::open(&options).expect("a store");
    let mut local = store.local();
    let len = usize::try_from(PARTS).expect("a few") * 16_360;
    assert!(set_long(&store, &mut local, b"long", &value(b"long", 1, len)));
    store.surrender(&mut local);
    let used = || store.memory_report().used_chunk_bytes;
    let before = used();
    store.delete(&mut local, store.key(b"long"), None, Seconds(10));
    let mut turns = 0;
    while local.is_freeing() {
        let held = used();
        store.end_turn(&mut local);
        turns += 1;
        assert!(held - used() <= (2 * PARTS_A_TURN) << 14, "turn {turns} freed {} bytes", held - used());
    }
    assert!(turns >= PARTS / PARTS_A_TURN, "all was freed in {turns} turns");
    assert!(before - used() >= u64::try_from(len).expect("a few") - (PARTS_A_TURN << 14));
    store.surrender(&mut local);
    store.audit().expect("all adds up");
}

/// Guards: the directories of a value that is being freed are read until all that they name is passed, whoever takes
/// its first chunks meanwhile.
#[test]
fn long_values_are_freed_while_others_take_their_first_parts() {
    let options = Options { item_bytes_max: 8 << 20, ..small(24 << 10) };
    let store = Store::open(&options).expect("a store");
    let write = |number: u64| {
        let mut local = store.local();
        for version in 0..40_u64 {
            let key = format!("long-{}", (number + version) % 3).into_bytes();
            let len = 1_200_000 + usize::try_from(version * 77_777 % 1_500_000).expect("a few");
            set_long(&store, &mut local, &key, &value(&key, number << 32 | version, len));
            store.end_turn(&mut local);
            if version % 7 == 0 {
                store.delete(&mut local, store.key(&key), None, Seconds(10));
            }
            let fetch = Fetch { touch: None, value: true, cas: false, extras: None };
            let found = store.fetch(&mut local, store.key(&key), fetch, Seconds(10), |item| match item.value {
                Value::Pinned(pin) => Some(pin),
                _ => None,
            });
            let FetchOutcome::Hit(Some(mut pin)) = found else { continue };
            let mut read = Vec::new();
            while read.len() < pin.len() {
                read.extend_from_slice(store.pinned_bytes(&mut pin, read.len()));
            }
            store.unpin(&mut local, pin);
            version_of(&key, &read);
        }
        store.surrender(&mut local);
    };
    thread::scope(|scope| {
        for number in 0..3 {
            let write = &write;
            scope.spawn(move || write(number));
        }
    });
    store.audit().expect("all adds up");
}
