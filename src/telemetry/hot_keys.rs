//! [`HotKeys`]: the keys asked for most over the last minute, from a sample of all that were.
//!
//! The minute is six windows of ten seconds, each with a Space-Saving sketch (Metwally et al., 2005) of its own: a
//! key that is new where there is no place left takes that of the key with the lowest count, and begins with that count
//! as its possible error. With so many places no key is off by more than a 2048th of what a window has seen: 5 % of a
//! key that is one in 100. Of a window that is over those keys stay that make up a 4096th of it.
//!
//! All threads fill one sketch, behind a lock that none of them waits for: a sample that finds it taken is dropped,
//! whatever it holds. Who reports merges the windows at most once a second.

mod sketch;

use std::collections::{HashMap, VecDeque};

use crate::sync::{Arc, Mutex, Rank};
use sketch::Sketch;

/// Length of a window.
const WINDOW_SECONDS: u32 = 10;
/// Windows told of, the one that is being filled included: what is told is 50 to 60 seconds long.
const WINDOWS: u32 = 6;
/// Most keys that a ranking has.
pub const HOT_KEYS_MAX: usize = 100;
/// Keys of a window that is over stay from this part of it on.
const KEPT_ONE_IN: u64 = 4096;

/// A key that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct AskedKey<'k> {
    /// Its bytes.
    pub key: &'k [u8],
    /// Their hash.
    pub hash: u64,
    /// How many requests it stands for.
    pub weight: u64,
    /// Bytes of its value that each of them was sent.
    pub value_bytes: u64,
}

/// Keys, the one asked for most first.
#[derive(Debug, Default, PartialEq)]
pub struct Ranking {
    /// Keys sampled.
    pub sampled: u64,
    /// At most [`HOT_KEYS_MAX`].
    pub keys: Vec<HotKey>,
}

/// A key asked for often.
#[derive(Clone, Debug, PartialEq)]
pub struct HotKey {
    /// Its bytes.
    pub key: Box<[u8]>,
    /// Its share of all keys asked for: 0 to 1.
    pub requests_share: f64,
    /// Its share of all bytes of values sent: 0 to 1.
    pub bytes_share: f64,
}

/// The last minute's keys.
#[derive(Debug)]
pub struct HotKeys {
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    /// The window that is being filled, by its number since the clock's epoch.
    window: u32,
    sums: Sums,
    sketch: Sketch,
    /// Windows that are over, the youngest last.
    past: VecDeque<Past>,
    /// What was told last, and in which second.
    told: Option<(u32, Arc<Ranking>)>,
}

/// What a window has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    sampled: u64,
    weight: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Past {
    window: u32,
    sums: Sums,
    keys: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    key: Box<[u8]>,
    weight: u64,
    bytes: u64,
}

impl HotKeys {
    /// Nothing was asked for yet.
    #[must_use]
    pub fn new() -> Self {
        let book =
            Book { window: 0, sums: Sums::default(), sketch: Sketch::default(), past: VecDeque::new(), told: None };
        Self { book: Mutex::new(Rank::Registry, book) }
    }

    /// Notes sampled keys, in a second of the server's clock.
    #[cold]
    pub fn note(&self, second: u32, asked: &[AskedKey<'_>]) {
        let Some(mut book) = self.book.try_lock() else { return };
        book.turn_to(second);
        asked.iter().for_each(|asked| book.note(asked));
    }

    /// The keys of the last minute. Made anew at most once a second.
    #[must_use]
    pub fn ranking(&self, second: u32) -> Arc<Ranking> {
        let mut book = self.book.lock();
        if let Some((told_in, told)) = &book.told
            && *told_in == second
        {
            return Arc::clone(told);
        }
        book.turn_to(second);
        let ranking = Arc::new(book.rank());
        book.told = Some((second, Arc::clone(&ranking)));
        ranking
    }

    /// Forgets everything.
    pub fn reset(&self) {
        let mut book = self.book.lock();
        book.past.clear();
        book.begin_window();
        book.told = None;
    }
}

impl Default for HotKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl Book {
    /// Goes on to the window of a second, and forgets those that lie too far back. Threads read the clock each for
    /// themselves: who comes late counts in the window that has begun.
    fn turn_to(&mut self, second: u32) {
        let window = second / WINDOW_SECONDS;
        if window > self.window {
            let past = self.end_window();
            self.past.push_back(past);
            self.window = window;
            self.begin_window();
        }
        let oldest = self.window.saturating_sub(WINDOWS - 1);
        self.past.retain(|past| past.window >= oldest);
    }

    fn begin_window(&mut self) {
        self.sums = Sums::default();
        self.sketch.clear();
    }

    fn end_window(&self) -> Past {
        let least = self.sums.weight / KEPT_ONE_IN;
        let kept = self.sketch.counts().filter(|count| count.sure() > least);
        let keys = kept.map(|count| Kept { key: count.key().into(), weight: count.sure(), bytes: count.bytes });
        Past { window: self.window, sums: self.sums, keys: keys.collect() }
    }

    fn note(&mut self, asked: &AskedKey<'_>) {
        let bytes = asked.value_bytes.saturating_mul(asked.weight);
        self.sums.sampled += 1;
        self.sums.weight += asked.weight;
        self.sums.bytes = self.sums.bytes.saturating_add(bytes);
        self.sketch.add(asked.key, asked.hash, asked.weight, bytes);
    }

    /// All windows together. A key counts with what is sure of it.
    fn rank(&self) -> Ranking {
        let mut sums = self.sums;
        let mut keys: HashMap<&[u8], (u64, u64)> = HashMap::new();
        let present = self.sketch.counts().map(|count| (count.key(), count.sure(), count.bytes));
        let kept = self.past.iter().flat_map(|past| &past.keys).map(|kept| (&*kept.key, kept.weight, kept.bytes));
        for (key, weight, bytes) in present.chain(kept) {
            let sum = keys.entry(key).or_default();
            sum.0 += weight;
            sum.1 = sum.1.saturating_add(bytes);
        }
        for past in &self.past {
            sums.sampled += past.sums.sampled;
            sums.weight += past.sums.weight;
            sums.bytes = sums.bytes.saturating_add(past.sums.bytes);
        }
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable_by(|(key, sum), (other_key, other)| other.0.cmp(&sum.0).then(key.cmp(other_key)));
        keys.truncate(HOT_KEYS_MAX);
        let hot = |(key, (weight, bytes)): (&[u8], _)| HotKey {
            key: key.into(),
            requests_share: share(weight, sums.weight),
            bytes_share: share(bytes, sums.bytes),
        };
        Ranking { sampled: sums.sampled, keys: keys.into_iter().map(hot).collect() }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, shown with four digits")]
fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

#[cfg(test)]
mod tests;
