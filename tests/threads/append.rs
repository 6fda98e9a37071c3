//! Values that all workers append to: records of eight bytes, worker and sequence.

use std::collections::HashMap;

use flagstone::store::{Mode, StoreOutcome};

use crate::crew::{Job, WORKERS, Worker, run};
use crate::small;

const KEYS: u64 = 3;
/// Then the list begins anew: past the largest value that is stored in one chunk.
const LIST_BYTES_MAX: usize = 24_000;

/// Appends to and prepends to shared lists, and reads them.
#[derive(Default)]
struct Lists {
    next: u64,
}

impl Lists {
    fn write(&mut self, worker: &mut Worker<'_>, key: &[u8]) {
        self.next += 1;
        let record = (u64::try_from(worker.number).expect("a few") << 48 | self.next).to_le_bytes();
        let expiry = worker.expiry();
        if worker.set(key, Mode::Append, expiry, &record) == StoreOutcome::NotStored {
            worker.set(key, Mode::Add, expiry, &record);
        }
    }

    fn read(&mut self, worker: &mut Worker<'_>, key: &[u8]) {
        let Some(hit) = worker.read(key, None) else { return };
        assert!(hit.value.len().is_multiple_of(8), "half a record");
        let mut last: HashMap<u64, u64> = HashMap::new();
        for record in hit.value.chunks_exact(8) {
            let record = u64::from_le_bytes(record.try_into().expect("eight bytes"));
            let (number, sequence) = (record >> 48, record & 0xffff_ffff_ffff);
            assert!(usize::try_from(number).is_ok_and(|number| number < WORKERS), "{record:#x} was never appended");
            let before = last.insert(number, sequence).unwrap_or(0);
            assert!(sequence > before, "worker {number}: record {sequence} after {before}");
        }
        if hit.value.len() > LIST_BYTES_MAX {
            worker.delete(key);
        }
    }
}

impl Job for Lists {
    fn turn(&mut self, worker: &mut Worker<'_>) {
        let key = format!("list-{}", worker.random.below(KEYS)).into_bytes();
        match worker.random.below(20) {
            0 => self.read(worker, &key),
            1 => {
                // Grows the list by many records at once: to chains soon.
                for _ in 0..40 {
                    self.write(worker, &key);
                }
            }
            _ => self.write(worker, &key),
        }
    }
}

/// Guards: an append that unlocked for a chunk looks again: nothing is appended twice, out of order, or to an
/// older value.
#[test]
fn appended_records_are_whole_and_in_order() {
    run(&small(4 << 10), 3, 4000, |_| Lists::default(), |_, _| {});
}
