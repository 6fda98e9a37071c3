//! [`Histogram`]: durations of one thread in log-linear buckets, and [`Spread`]: the sum of several, read as quantiles.
//!
//! An octave is cut in 32 buckets of one width, so a bucket is at most a 32nd of what lies in it wide; a quantile is
//! told as the middle of its bucket, which is at most half of that, 1.6 %, off. One writer, no lock: see [`Counter`].

use super::{Counter, Latest};

/// Binary logarithm of the buckets of an octave.
const STEP_BITS: u32 = 5;
/// Buckets of an octave; shorter durations than this have one each.
const STEPS: u64 = 1 << STEP_BITS;
/// Binary logarithm of the first duration that is counted as the longest: 2^36 ns are 68 s.
const TOP_BITS: u32 = 36;
/// Buckets in all: 8 KiB.
const BUCKETS: usize = ((TOP_BITS - STEP_BITS + 1) as usize) << STEP_BITS;

/// Durations that one thread has measured.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[Counter]>,
    /// Their sum, in nanoseconds.
    nanos: Counter,
    max_nanos: Latest,
}

/// Durations of several threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    buckets: Box<[u64]>,
    /// How many there are.
    pub count: u64,
    nanos: u64,
    /// The longest, in nanoseconds.
    pub max_nanos: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Counter::default()).collect(),
            nanos: Counter::default(),
            max_nanos: Latest::default(),
        }
    }
}

impl Histogram {
    /// Counts `count` durations of so many nanoseconds. Only the owning thread may call this.
    pub fn record(&self, nanos: u64, count: u64) {
        self.buckets[bucket(nanos)].add(count);
        self.nanos.add(nanos.saturating_mul(count));
        self.max_nanos.set(self.max_nanos.get().max(nanos));
    }

    /// Forgets all of them. Only the owning thread may call this.
    pub fn clear(&self) {
        for counter in self.buckets.iter().chain([&self.nanos]) {
            counter.sub(counter.get());
        }
        self.max_nanos.set(0);
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0, nanos: 0, max_nanos: 0 }
    }
}

impl Spread {
    /// Adds what one thread has measured.
    pub fn add(&mut self, histogram: &Histogram) {
        for (sum, counter) in self.buckets.iter_mut().zip(&histogram.buckets) {
            let count = counter.get();
            *sum += count;
            self.count += count;
        }
        self.nanos = self.nanos.saturating_add(histogram.nanos.get());
        self.max_nanos = self.max_nanos.max(histogram.max_nanos.get());
    }

    /// The mean, in nanoseconds; 0: there is none.
    #[must_use]
    pub fn mean_nanos(&self) -> u64 {
        self.nanos.checked_div(self.count).unwrap_or(0)
    }

    /// The duration that so many of 1000 do not exceed, in nanoseconds, at most 1.6 % off; 0: there is none.
    #[must_use]
    pub fn quantile_nanos(&self, per_mille: u64) -> u64 {
        let rank = (self.count.saturating_mul(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                // No quantile is longer than the longest, though the middle of its bucket may be.
                return middle(bucket).min(self.max_nanos);
            }
        }
        self.max_nanos
    }
}

/// The bucket of a duration.
fn bucket(nanos: u64) -> usize {
    let nanos = nanos.min((1 << TOP_BITS) - 1);
    let octave = (nanos | STEPS).ilog2() - STEP_BITS;
    let step = (nanos >> octave) + u64::from(octave) * STEPS;
    usize::try_from(step).expect("fewer than the buckets")
}

/// The middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).expect("64 bits hold it");
    // Its first octave and the durations below share a width of 1.
    let octave = (bucket / STEPS).saturating_sub(1);
    let low = (bucket - octave * STEPS) << octave;
    low + ((1 << octave) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, Spread, TOP_BITS, bucket, middle};

    #[test]
    fn a_bucket_tells_each_of_its_durations_within_3_percent() {
        let mut durations: Vec<u64> = (0..100_000).collect();
        durations.extend((0..TOP_BITS).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + (1 << bits) / 3]));
        for nanos in durations {
            let told = middle(bucket(nanos));
            assert!(told.abs_diff(nanos) * 100 <= nanos * 3, "{nanos} is told as {told}");
        }
    }

    #[test]
    fn buckets_follow_one_another() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket((1 << TOP_BITS) - 1), BUCKETS - 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for place in 0..BUCKETS {
            assert_eq!(bucket(middle(place)), place);
        }
    }

    #[test]
    fn quantiles_of_two_threads_are_those_of_all_they_measured() {
        let threads = [Histogram::default(), Histogram::default()];
        for nanos in 1..=100_000 {
            threads[usize::from(nanos % 3 == 0)].record(nanos, 1);
        }
        let mut spread = Spread::default();
        threads.iter().for_each(|thread| spread.add(thread));
        assert_eq!((spread.count, spread.max_nanos, spread.mean_nanos()), (100_000, 100_000, 50_000));
        for per_mille in [1, 500, 900, 990, 999, 1000] {
            let (told, exact) = (spread.quantile_nanos(per_mille), per_mille * 100);
            assert!(told.abs_diff(exact) * 100 <= exact * 3, "{per_mille}: {told} for {exact}");
        }
    }

    #[test]
    fn what_is_empty_or_cleared_tells_0() {
        let histogram = Histogram::default();
        histogram.record(u64::MAX, 3);
        histogram.record(7, 2);
        histogram.clear();
        let mut spread = Spread::default();
        spread.add(&histogram);
        assert_eq!(spread, Spread::default());
        assert_eq!((spread.mean_nanos(), spread.quantile_nanos(500)), (0, 0));
    }

    #[test]
    fn one_duration_is_all_its_quantiles() {
        let (histogram, mut spread) = (Histogram::default(), Spread::default());
        histogram.record(1_000_001, 1);
        spread.add(&histogram);
        for per_mille in [0, 500, 999] {
            assert!(spread.quantile_nanos(per_mille).abs_diff(1_000_001) < 30_000);
        }
    }
}
