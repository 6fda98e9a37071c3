//! Request sequences made from a seed: what caches are said to stumble over.

use crate::random::Random;
use crate::simulator::{Action, Request};

/// Microseconds between two requests.
const PACE_MICROS: u64 = 10;
const KEY_BYTES: usize = 20;
/// Ids of keys asked for once begin here.
const ONCE_FROM: u32 = 1 << 30;

/// Ranks drawn with a probability of 1 / rank^alpha.
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(ranks: u32, alpha: f64) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=ranks)
                .map(|rank| {
                    sum += f64::from(rank).powf(-alpha);
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let whole = *self.0.last().expect("there are ranks");
        let at = random.below(1 << 40) as f64 / (1u64 << 40) as f64 * whole;
        u32::try_from(self.0.partition_point(|&sum| sum < at)).expect("as many as ranks")
    }
}

/// A sequence being written down.
pub(crate) struct Workload {
    pub(crate) requests: Vec<Request>,
    random: Random,
    once: u32,
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self { requests: Vec::new(), random: Random::new(seed), once: ONCE_FROM }
    }

    /// Asks for a key whose value has this length.
    pub(crate) fn get(&mut self, id: u32, value_bytes: usize) {
        let micros = self.requests.len() as u64 * PACE_MICROS;
        self.requests.push(Request {
            id,
            action: Action::Get,
            key_bytes: KEY_BYTES,
            value_bytes,
            ttl_seconds: 0,
            micros,
        });
    }

    /// As many gets of keys drawn by popularity, numbered from `first` on; each key has a length of its own.
    pub(crate) fn popular(&mut self, count: usize, zipf: &Zipf, first: u32, mean: usize) {
        for _ in 0..count {
            let id = first + zipf.draw(&mut self.random);
            self.get(id, length_of(id, mean));
        }
    }

    /// Gets of keys nobody has asked for and nobody will.
    pub(crate) fn once(&mut self, count: usize, mean: usize) {
        for _ in 0..count {
            self.once += 1;
            self.get(self.once, length_of(self.once, mean));
        }
    }

    /// Gets of all keys in order, round after round.
    pub(crate) fn rounds(&mut self, count: usize, keys: u32, mean: usize) {
        for id in (0..keys).cycle().take(count) {
            self.get(id, length_of(id, mean));
        }
    }

    /// Lets all that was asked for so far, when it is set, expire in the same second.
    pub(crate) fn expire_at(&mut self, second: u64) {
        for request in &mut self.requests {
            let left = second.saturating_sub(request.micros / 1_000_000);
            request.ttl_seconds = u32::try_from(left).expect("small").max(1);
        }
    }

    /// Draws each value's length anew, up to a fifth shorter or longer: every set stores another size.
    pub(crate) fn redraw_lengths(&mut self) {
        for request in &mut self.requests {
            let fifth = request.value_bytes / 5;
            let change = self.random.below(2 * fifth as u64 + 1);
            request.value_bytes += usize::try_from(change).expect("shorter than a value");
            request.value_bytes -= fifth;
        }
    }
}

/// A length of a key's own: half to twice the mean, the mean exactly when it is a round number of KiB.
fn length_of(id: u32, mean: usize) -> usize {
    if mean.is_multiple_of(1024) {
        return mean;
    }
    let spread = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    mean / 2 + usize::try_from(spread).expect("24 bits fit") % mean
}
