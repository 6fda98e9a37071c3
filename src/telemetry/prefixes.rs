//! Counts by the prefix of a key, for `stats detail`.
//!
//! Each thread has a table of its own, which it alone writes; who reports reads all of them. No lock is taken to
//! count, but for the first prefix after a start or a reset.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::Counter;
use crate::hash::KeyHasher;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, Rank};

/// Prefixes a thread counts; further ones are not counted. memcached has 65,536 in all, behind a lock; a table
/// must stay within a few megabytes, whatever keys a client makes up.
pub const PREFIXES_MAX: usize = 8192;

/// Places of a table: half of them stay free, so that a search is short.
const PLACES: usize = PREFIXES_MAX * 2;

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixEvent {
    /// A get found it.
    Hit,
    /// A get did not find it.
    Miss,
    /// A store command named it.
    Set,
    /// A delete named it.
    Delete,
}

/// What was counted for one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixTotals {
    /// Gets.
    pub gets: u64,
    /// Of them, those that found something.
    pub hits: u64,
    /// Store commands.
    pub sets: u64,
    /// Deletes.
    pub deletes: u64,
}

/// All threads' tables, and whether they are filled.
#[derive(Debug)]
pub struct PrefixBook {
    delimiter: u8,
    hasher: KeyHasher,
    is_on: AtomicBool,
    /// Rises with every reset: tables of an earlier generation count no more.
    generation: AtomicU64,
    /// The tables of this generation.
    tables: Mutex<Vec<Arc<Table>>>,
}

/// One thread's way to count.
#[derive(Debug)]
pub struct PrefixCounters {
    book: Arc<PrefixBook>,
    table: Option<Arc<Table>>,
    /// Places taken in the table.
    used: usize,
}

#[derive(Debug)]
struct Table {
    generation: u64,
    places: Box<[OnceLock<Box<Counts>>]>,
}

#[derive(Debug)]
struct Counts {
    prefix: Box<[u8]>,
    gets: Counter,
    hits: Counter,
    sets: Counter,
    deletes: Counter,
}

impl PrefixBook {
    /// No counts yet. A prefix goes up to the first `delimiter`; the seed is that of the hash that finds it.
    #[must_use]
    pub fn new(delimiter: u8, is_on: bool, seed: u64) -> Self {
        Self {
            delimiter,
            hasher: KeyHasher::with_seed(seed),
            is_on: AtomicBool::new(is_on),
            generation: AtomicU64::new(0),
            tables: Mutex::new(Rank::Registry, Vec::new()),
        }
    }

    /// Whether keys are counted.
    #[must_use]
    #[inline]
    pub fn is_on(&self) -> bool {
        // Relaxed: a switch by itself.
        self.is_on.load(Ordering::Relaxed)
    }

    /// Begins or stops to count; what was counted stays.
    pub fn switch(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut tables = self.tables.lock();
        // Relaxed: read again under the lock before it decides anything.
        self.generation.fetch_add(1, Ordering::Relaxed);
        tables.clear();
    }

    /// The sums over all threads, by prefix.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<Vec<u8>, PrefixTotals> {
        let tables = self.tables.lock().clone();
        let mut totals: BTreeMap<Vec<u8>, PrefixTotals> = BTreeMap::new();
        for counts in tables.iter().flat_map(|table| table.places.iter()).filter_map(OnceLock::get) {
            let sum = totals.entry(counts.prefix.to_vec()).or_default();
            sum.gets += counts.gets.get();
            sum.hits += counts.hits.get();
            sum.sets += counts.sets.get();
            sum.deletes += counts.deletes.get();
        }
        totals
    }
}

impl PrefixCounters {
    /// A thread's own.
    #[must_use]
    pub fn new(book: Arc<PrefixBook>) -> Self {
        Self { book, table: None, used: 0 }
    }

    /// Counts what happened to a key; one without a delimiter has no prefix.
    #[cold]
    pub fn count(&mut self, key: &[u8], event: PrefixEvent) {
        let Some(end) = key.iter().position(|byte| *byte == self.book.delimiter) else { return };
        let Some(counts) = self.counts(&key[..end]) else { return };
        match event {
            PrefixEvent::Hit => {
                counts.gets.bump();
                counts.hits.bump();
            }
            PrefixEvent::Miss => counts.gets.bump(),
            PrefixEvent::Set => counts.sets.bump(),
            PrefixEvent::Delete => counts.deletes.bump(),
        }
    }

    /// The counts of a prefix; `None`: it is new and there are too many.
    fn counts(&mut self, prefix: &[u8]) -> Option<&Counts> {
        self.renew_table();
        let table = self.table.as_ref()?;
        let start = usize::try_from(self.book.hasher.hash(prefix) % PLACES_U64).ok()?;
        for place in (start..PLACES).chain(0..start) {
            let place = &table.places[place];
            match place.get() {
                Some(counts) if *counts.prefix == *prefix => return Some(counts),
                Some(_) => {}
                None if self.used == PREFIXES_MAX => return None,
                None => {
                    self.used += 1;
                    return Some(place.get_or_init(|| Box::new(Counts::new(prefix))));
                }
            }
        }
        None
    }

    /// Takes an empty table when there is none, or when a reset has made the old one worthless.
    fn renew_table(&mut self) {
        // Relaxed: a count that a reset overtakes may be lost or not.
        let generation = self.book.generation.load(Ordering::Relaxed);
        if self.table.as_ref().is_some_and(|table| table.generation == generation) {
            return;
        }
        let mut tables = self.book.tables.lock();
        let generation = self.book.generation.load(Ordering::Relaxed);
        let table = Arc::new(Table { generation, places: (0..PLACES).map(|_| OnceLock::new()).collect() });
        tables.push(Arc::clone(&table));
        (self.table, self.used) = (Some(table), 0);
    }
}

impl Counts {
    fn new(prefix: &[u8]) -> Self {
        let [gets, hits, sets, deletes] = std::array::from_fn(|_| Counter::default());
        Self { prefix: prefix.into(), gets, hits, sets, deletes }
    }
}

const PLACES_U64: u64 = PLACES as u64;

#[cfg(test)]
mod tests {
    use super::{PREFIXES_MAX, PrefixBook, PrefixCounters, PrefixEvent, PrefixTotals};
    use crate::sync::Arc;

    fn book() -> Arc<PrefixBook> {
        Arc::new(PrefixBook::new(b':', true, 1))
    }

    #[test]
    fn threads_count_by_themselves_and_are_summed() {
        let book = book();
        let mut threads = [PrefixCounters::new(Arc::clone(&book)), PrefixCounters::new(Arc::clone(&book))];
        for thread in &mut threads {
            thread.count(b"a:1", PrefixEvent::Hit);
            thread.count(b"a:2:3", PrefixEvent::Miss);
            thread.count(b":x", PrefixEvent::Set);
            thread.count(b"none", PrefixEvent::Set);
        }
        threads[1].count(b"a:", PrefixEvent::Delete);
        let totals: Vec<_> = book.totals().into_iter().collect();
        let expected = [
            (b"".to_vec(), PrefixTotals { sets: 2, ..PrefixTotals::default() }),
            (b"a".to_vec(), PrefixTotals { gets: 4, hits: 2, sets: 0, deletes: 1 }),
        ];
        assert_eq!(totals, expected);
    }

    #[test]
    fn a_reset_forgets_and_counting_goes_on() {
        let book = book();
        let mut thread = PrefixCounters::new(Arc::clone(&book));
        thread.count(b"a:1", PrefixEvent::Hit);
        book.clear();
        assert!(book.totals().is_empty());
        thread.count(b"b:1", PrefixEvent::Hit);
        assert_eq!(book.totals().into_keys().collect::<Vec<_>>(), [b"b".to_vec()]);
    }

    #[test]
    fn prefixes_beyond_the_bound_are_not_counted_and_those_within_still_are() {
        let book = book();
        let mut thread = PrefixCounters::new(Arc::clone(&book));
        for number in 0..PREFIXES_MAX + 10 {
            thread.count(format!("{number}:").as_bytes(), PrefixEvent::Set);
        }
        thread.count(b"0:", PrefixEvent::Set);
        let totals = book.totals();
        assert_eq!(totals.len(), PREFIXES_MAX);
        assert_eq!(totals[&b"0"[..]].sets, 2);
    }
}
