//! What a class's memory earns: how many hits one more byte of it would bring. Which pages move for it is `rebalance`'s
//! business.
//!
//! Three signs say it, none alone. Hits a chunk bring are what its memory earns on average, and the edge earns a part
//! of that. An item that is evicted after it has lived for a time T would have been asked for about once in another T.
//! And of the items the small queue drops, a share is asked for again while the ghost remembers them: one ghost for all
//! classes, so that the share compares how soon. Per byte all count less the larger the chunks are: small items outlive
//! large ones.
//!
//! Misses over 25 runs of thirteen traces are .817 of memcached's by the square root of their product, .827 by turnover
//! alone. With hits in full sizes that drift cost less (.220 of gets instead of .226), but all runs are .821.

/// How much of a class's rates is renewed by each look: the eviction of half of all items is remembered. Less lets
/// pages follow chance to and fro, and each move costs a page of items.
const WEIGHT: f64 = 1.0 / 512.0;
/// Looks that the quick rate of hits remembers. When a working set goes elsewhere its hits stop at once, long before
/// its class has evicted anything that tells of it.
const QUICK_LOOKS: f64 = 32.0;
/// The quick rate counts as far as it rests on more hits than this: chance alone moves few hits by more. With 128 of
/// them classes that take turns being hot cost 1.09 of plain LRU's misses, with 32 1.06 (`tests/hits`).
const QUICK_HITS_MIN: f64 = 32.0;
/// Items that a class is taken to have dropped with the luck of all classes, before its own count. Enough that the
/// first return is no sign yet; not tuned.
const DROPPED_BEFORE: f64 = 2.0;
/// How much a chunk's size counts: 1 says that what is asked for once is worth the same whatever its size. A little
/// more is better for most traces, since items that come back late are more often small: .817 of memcached's misses,
/// .818 with 1.1, .820 with 1; only where sizes drift less is better (.226, .224, .223 of gets).
pub(crate) const SIZE_EXPONENT: f64 = 1.25;
/// Where a sign says nothing at all, the others still compare classes.
const RATE_MIN: f64 = 1e-9;
const RETURNED_MIN: f64 = 1e-6;

/// What a class has counted, ever, and the chunks it has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) chunks: u64,
    pub(crate) hits: u64,
    /// Items picked to be evicted.
    pub(crate) evicted: u64,
    /// Of them, those that the small queue dropped.
    pub(crate) dropped: u64,
    /// New items that the ghost knew.
    pub(crate) returned: u64,
}

/// What a class's memory earns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Earnings {
    seen: Counts,
    /// All of them are per look and smoothed. Share of the class evicted: 1 / T.
    turnover: f64,
    /// Hits a chunk, over a long time and a short one.
    hits: f64,
    quick_hits: f64,
    dropped: f64,
    returned: f64,
    /// What they say about a byte: less the larger the chunks are.
    weight: f64,
    /// What one more byte would earn, in no unit: only fit to be compared.
    pub(crate) value: f64,
}

impl Earnings {
    #[expect(clippy::cast_precision_loss, reason = "chunks are shorter than 2^52 bytes")]
    pub(crate) fn new(chunk_bytes: usize) -> Self {
        Self {
            seen: Counts::default(),
            turnover: 0.0,
            hits: 0.0,
            quick_hits: 0.0,
            dropped: 0.0,
            returned: 0.0,
            weight: (chunk_bytes as f64).powf(-SIZE_EXPONENT),
            value: 0.0,
        }
    }

    /// Takes in what every class has counted since the last look.
    pub(crate) fn renew_all<'a>(all: &mut [Self], counts: impl Iterator<Item = &'a Counts>) {
        for (earnings, counts) in all.iter_mut().zip(counts) {
            earnings.take_in(counts);
        }
        let dropped: f64 = all.iter().map(|earnings| earnings.dropped).sum();
        let returned: f64 = all.iter().map(|earnings| earnings.returned).sum();
        let returned_share = if dropped > 0.0 { returned / dropped } else { 0.0 };
        for earnings in all {
            earnings.value = earnings.per_byte(returned_share);
        }
    }

    fn take_in(&mut self, counts: &Counts) {
        let chunks = counts.chunks.max(1);
        let since = |now: u64, before: u64| now.saturating_sub(before);
        let hits = ratio(since(counts.hits, self.seen.hits), chunks);
        smooth(&mut self.hits, hits, WEIGHT);
        smooth(&mut self.quick_hits, hits, 1.0 / QUICK_LOOKS);
        smooth(&mut self.turnover, ratio(since(counts.evicted, self.seen.evicted), chunks), WEIGHT);
        smooth(&mut self.dropped, ratio(since(counts.dropped, self.seen.dropped), 1), WEIGHT);
        smooth(&mut self.returned, ratio(since(counts.returned, self.seen.returned), 1), WEIGHT);
        self.seen = *counts;
    }

    /// Has the share of a class that are parts of large items earn what their heads do: nothing is counted there.
    pub(crate) fn share_with(&mut self, heads: &Self, share: f64) {
        self.value += (heads.value - self.value) * share;
    }

    fn per_byte(&self, returned_share: f64) -> f64 {
        let returned = (self.returned + DROPPED_BEFORE * returned_share) / (self.dropped + DROPPED_BEFORE);
        let hits = self.hits_lately().max(RATE_MIN);
        (hits * self.turnover.max(RATE_MIN) * returned.max(RETURNED_MIN)).sqrt() * self.weight
    }

    /// Hits a chunk: the long rate, and the more of the quick one the more hits that rests on.
    fn hits_lately(&self) -> f64 {
        let window = ratio(self.seen.chunks, 1) * QUICK_LOOKS;
        self.hits * (self.quick_hits * window + QUICK_HITS_MIN) / (self.hits * window + QUICK_HITS_MIN)
    }
}

fn smooth(rate: &mut f64, now: f64, weight: f64) {
    *rate += (now - *rate) * weight;
}

/// A count over another, to be compared.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rates are compared, not counted")]
    let ratio = part as f64 / whole as f64;
    ratio
}

#[cfg(test)]
mod tests {
    use super::{Counts, Earnings};

    /// Two classes with the same chunks look `looks` times; each look adds so much to what they have counted.
    fn after(looks: u64, steps: [Counts; 2], all: &mut [Earnings; 2]) {
        for _ in 0..looks {
            let counts: Vec<Counts> = all
                .iter()
                .zip(steps)
                .map(|(earnings, step)| Counts {
                    chunks: step.chunks,
                    hits: earnings.seen.hits + step.hits,
                    evicted: earnings.seen.evicted + step.evicted,
                    dropped: earnings.seen.dropped + step.dropped,
                    returned: earnings.seen.returned + step.returned,
                })
                .collect();
            Earnings::renew_all(all, counts.iter());
        }
    }

    const STEADY: Counts = Counts { chunks: 1000, hits: 100, evicted: 10, dropped: 5, returned: 1 };

    #[test]
    fn a_class_whose_hits_stop_earns_little_at_once() {
        let mut all = [Earnings::new(100); 2];
        after(1000, [STEADY; 2], &mut all);
        after(64, [STEADY, Counts { hits: 0, ..STEADY }], &mut all);
        assert!(all[0].value > 2.0 * all[1].value, "{all:?}");
    }

    #[test]
    fn few_hits_are_no_reason_for_haste() {
        let mut all = [Earnings::new(100); 2];
        let rare = Counts { chunks: 10, hits: 1, evicted: 1, dropped: 1, returned: 0 };
        after(1000, [rare; 2], &mut all);
        after(16, [rare, Counts { hits: 0, ..rare }], &mut all);
        assert!(all[0].value < 1.5 * all[1].value, "{all:?}");
    }

    #[test]
    fn small_chunks_and_items_that_come_back_earn_more() {
        let mut all = [Earnings::new(100), Earnings::new(200)];
        after(1000, [STEADY; 2], &mut all);
        assert!(all[0].value > 2.0 * all[1].value, "{all:?}");
        let mut all = [Earnings::new(100); 2];
        after(1000, [Counts { returned: 4, ..STEADY }, STEADY], &mut all);
        assert!(all[0].value > 1.5 * all[1].value, "{all:?}");
    }
}
