//! Large values: pins held over turns while others overwrite and delete, and arrivals given up half way.

use flagstone::store::{Incoming, Mode, Pinned, StoreRequest};
use flagstone::time::Expiry;

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
