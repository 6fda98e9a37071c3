//! The miss-ratio curve: what share of gets would hit with half, twice and four times the memory, estimated from a
//! sample of keys.
//!
//! A key is in the sample by bits of its hash, so all its requests are, as with SHARDS. For each sampled key stands
//! when it was last asked for and what its item takes. The store lets an item live the longer the smaller it is, and
//! the longer if somebody has asked for it, so items are ranked by a score: age, times the size to the power that the
//! page mover weighs it by, twice that before the first hit. With any amount of memory those items are there whose
//! scores are the lowest: one pass over the sample says up to which score each memory reaches, and a get has missed
//! in all memories that do not reach the score of its key.
//!
//! What is measured counts most: an estimate is the measured ratio, moved by what the sample says of the difference.
//! Not here: how it is shown; hits and misses of all keys, which the commands count.

use super::earnings::SIZE_EXPONENT;
use crate::sync::{Mutex, Ordering, Rank, TallyU64};
use crate::time::{Expiry, Seconds};
use crossbeam::utils::CachePadded;

/// Hash bits that are 0 in every sampled key, at first: one key in 64. One in 16 was no more exact on eight traces.
const BITS_MIN: u32 = 6;
/// Most keys of the sample; when there are more, only every other key stays.
const KEYS_MAX: usize = 36 << 10;
/// Chains that lead to the keys.
const CHAINS: usize = 32 << 10;
/// Keys looked at with each sampled request. Each look is about 35 instructions; with 3 of them, and 8 steps to an
/// octave, half the memory was 2.1 points off on a trace where it is 1.8 now.
const LOOKS: usize = 4;
/// The same while half of the keys are to go: in 2304 sampled requests all of them have been met.
const LOOKS_THINNING: usize = 16;
/// Keys that a pass looks at, spread over all: it ends before the scores it has met grow old. With 256 of them, 2 a
/// request, four times the memory was 3 points off on a trace where it is within one now.
const PASS_KEYS: usize = 1024;
/// Sampled requests from one pass to the next, at least: a pass's end costs about 6000 instructions.
const PASS_REQUESTS_MIN: u32 = 64;
/// Steps of the scores' logarithm to an octave.
const OCTAVE: u32 = 16;
/// Larger chunks than this the store does not have: what is larger is judged by its parts.
const SCORED_BYTES_MAX: u32 = 16 << 10;
/// The page mover's exponent of the size, in 256ths: scores are counted without fractions.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an exponent between 0 and 16")]
const SIZE_WEIGHT: u32 = (SIZE_EXPONENT * 256.0) as u32;
/// Scores below this are possible: 32 octaves of age, those of the largest size as it counts, one before the first hit.
const SCORES: usize = ((32 + 1) * OCTAVE + SCORED_BYTES_MAX.ilog2() * OCTAVE * SIZE_WEIGHT / 256 + 1) as usize;
/// A score that no memory reaches.
const BEYOND: u32 = u32::MAX;
/// Memories the sample is compared with, as multiples of half the limit. The last one stands for any: what misses there
/// would have missed everywhere.
const MEMORIES: [u64; 5] = [1, 2, 4, 8, 16];
/// Share of the limit that holds items and what each takes outside of its chunk; free chunks, the pool's reserve, page
/// ends and tables are the rest. At the end of eight traces it was 94 to 98 % with 32 MB and 95 to 98 % with 64 MB, but
/// 90 % with 32 MB of items that mostly expire.
const USED_PERCENT: u64 = 97;
/// What an item takes outside of its chunk, in bytes: in the index and in the eviction state.
const OUTSIDE_BYTES: usize = 10;
/// Sampled gets before which there is no estimate. Few of them are a rough guide: from 1761 estimates were up to 3.6
/// points off, from 13,000 and more up to 1.8 (`policy --curve`, thirteen traces, up to five seeds).
const SAMPLED_GETS_MIN: u64 = 1000;
/// How far the sample's misses may be corrected by the measured ones.
const CORRECTION_MAX: f64 = 2.0;

/// A bound on all of it: a part of a megabyte however many items there are.
const _: () = assert!(
    KEYS_MAX * (size_of::<Sampled>() + size_of::<u16>()) + CHAINS * size_of::<u16>() + SCORES * size_of::<u64>()
        < 1 << 20
);
/// A chain's link is a key's number plus one in 16 bits.
const _: () = assert!(KEYS_MAX < u16::MAX as usize);

/// The sample, and who is in it.
#[derive(Debug)]
pub(crate) struct Curve {
    /// Hash bits that are 0 in every sampled key. Relaxed: a key more or less for a moment changes nothing.
    /// Every request reads it: not in a line with what sampled ones write.
    mask: CachePadded<TallyU64>,
    sample: CachePadded<Mutex<Sample>>,
}

/// A sampled key.
#[derive(Clone, Copy, Debug)]
struct Sampled {
    hash_low: u32,
    hash_high: u32,
    /// The moment of its last use, in units of 64 requests; wraps.
    used: u32,
    /// What its item takes, in bytes, and what that and a bit below add to its score.
    bytes: u32,
    weight: u32,
    /// The second it dies in; the top bit: nobody has asked for it since it was stored.
    deadline: u32,
}

/// Set in a deadline while nobody has asked for the item. Seconds do not reach it in 68 years.
const NEW: u32 = 1 << 31;
/// The deadline of what does not expire.
const NEVER: u32 = NEW - 1;

/// The keys and what their gets have come to.
#[derive(Debug)]
struct Sample {
    limit_bytes: u64,
    bits: u32,
    /// The moment in units of 64 requests; wraps.
    moment: u32,
    keys: Vec<Sampled>,
    /// The next key of the same chain and the first one of each, plus one; 0: none.
    next: Vec<u16>,
    chains: Vec<u16>,
    pass: Pass,
    /// Scores from which on a get misses with each of the memories.
    reach: [u32; MEMORIES.len()],
    gets: u64,
    /// Gets and misses as if every key were sampled.
    misses: [u64; MEMORIES.len()],
}

/// A pass over the keys, some with each request.
#[derive(Debug)]
struct Pass {
    /// The key it looks at next, and how many further on the one after it is.
    at: usize,
    stride: usize,
    looks: usize,
    /// Where among as many keys as a stride the next pass begins, so that every key is met some time.
    offset: usize,
    requests: u32,
    /// Bytes of the keys met so far, all and by score.
    sum: u64,
    bytes: Vec<u64>,
}

/// What the sample says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurveReport {
    /// One key in so many is sampled.
    pub sampled_one_in: u64,
    /// Keys in the sample.
    pub sampled_keys: u64,
    /// Gets of sampled keys since the last reset.
    pub sampled_gets: u64,
    /// Misses with each of the memories, as if every key were sampled.
    misses: [u64; MEMORIES.len()],
}

/// Hit ratios: of gets, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HitRatios {
    /// As measured.
    pub present: f64,
    /// With half the memory.
    pub half: f64,
    /// With twice the memory.
    pub double: f64,
    /// With four times the memory.
    pub quadruple: f64,
}

impl HitRatios {
    /// The share of the present misses that would be hits with this ratio of hits, from 0 to 1; 0 where nothing misses.
    #[must_use]
    pub fn misses_saved(&self, ratio: f64) -> f64 {
        let misses = 1.0 - self.present;
        if misses > 0.0 { ((ratio - self.present) / misses).clamp(0.0, 1.0) } else { 0.0 }
    }
}

impl Curve {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let sample = Sample {
            limit_bytes,
            bits: BITS_MIN,
            moment: 0,
            // Reserved and not touched: what is used of it is what the keys need.
            keys: Vec::with_capacity(KEYS_MAX),
            next: Vec::with_capacity(KEYS_MAX),
            chains: vec![0; CHAINS],
            pass: Pass { at: 0, stride: 1, looks: LOOKS, offset: 0, requests: 0, sum: 0, bytes: vec![0; SCORES] },
            reach: [BEYOND; MEMORIES.len()],
            gets: 0,
            misses: [0; MEMORIES.len()],
        };
        Self {
            mask: CachePadded::new(TallyU64::new(mask(BITS_MIN))),
            sample: CachePadded::new(Mutex::new(Rank::Curve, sample)),
        }
    }

    /// Whether the key of this hash is sampled.
    #[inline(always)]
    pub(crate) fn has(&self, hash: u64) -> bool {
        hash & self.mask.load(Ordering::Relaxed) == 0
    }

    /// A sampled key is asked for.
    #[cold]
    #[inline(never)]
    pub(crate) fn asked(&self, hash: u64, now: Seconds) {
        let mut sample = self.sample.lock();
        sample.asked(hash, now);
        sample.scan(now);
    }

    /// A sampled key has an item of so many bytes.
    #[cold]
    pub(crate) fn stored(&self, hash: u64, item_bytes: usize, expiry: Expiry, now: Seconds) {
        let mut sample = self.sample.lock();
        sample.stored(hash, item_bytes, expiry, now);
        sample.scan(now);
        // Relaxed: see `mask`.
        self.mask.store(mask(sample.bits), Ordering::Relaxed);
    }

    /// A sampled key was deleted.
    #[cold]
    pub(crate) fn deleted(&self, hash: u64) {
        let mut sample = self.sample.lock();
        if let Some(key) = sample.find(hash) {
            sample.remove(key);
        }
    }

    /// Everything was flushed.
    pub(crate) fn clear(&self) {
        let mut sample = self.sample.lock();
        sample.keys.clear();
        sample.next.clear();
        sample.chains.fill(0);
        sample.begin_pass();
        sample.pass.bytes.fill(0);
    }

    /// Counts begin again at 0; the keys stay, with their ages.
    pub(crate) fn reset(&self) {
        let mut sample = self.sample.lock();
        sample.gets = 0;
        sample.misses = [0; MEMORIES.len()];
    }

    pub(crate) fn set_limit(&self, limit_bytes: u64) {
        self.sample.lock().limit_bytes = limit_bytes;
    }

    pub(crate) fn report(&self) -> CurveReport {
        let sample = self.sample.lock();
        CurveReport {
            sampled_one_in: 1 << sample.bits,
            sampled_keys: u64::try_from(sample.keys.len()).expect("64 bits hold a usize"),
            sampled_gets: sample.gets,
            misses: sample.misses,
        }
    }
}

impl Sample {
    fn asked(&mut self, hash: u64, now: Seconds) {
        self.pass_time();
        let score = self.find(hash).and_then(|key| {
            if self.keys[key].is_dead(now) {
                self.remove(key);
                return None;
            }
            let moment = self.moment;
            let key = &mut self.keys[key];
            let score = key.score(moment);
            key.used = moment;
            if key.deadline & NEW != 0 {
                key.deadline &= !NEW;
                key.weight -= OCTAVE;
            }
            Some(score)
        });
        let score = score.unwrap_or(BEYOND);
        self.gets += 1;
        for (misses, &reach) in self.misses.iter_mut().zip(&self.reach) {
            *misses += if score >= reach { 1 << self.bits } else { 0 };
        }
    }

    fn stored(&mut self, hash: u64, item_bytes: usize, expiry: Expiry, now: Seconds) {
        self.pass_time();
        let deadline = match expiry {
            Expiry::Never => NEVER,
            Expiry::At(Seconds(second)) => second.min(NEVER),
        };
        let bytes = u32::try_from(item_bytes + OUTSIDE_BYTES).unwrap_or(u32::MAX);
        let used = self.moment;
        if let Some(key) = self.find(hash) {
            let sampled = &mut self.keys[key];
            let new = if sampled.is_dead(now) { NEW } else { sampled.deadline & NEW };
            sampled.deadline = deadline | new;
            let before_a_hit = if new == NEW { OCTAVE } else { 0 };
            (sampled.used, sampled.bytes, sampled.weight) = (used, bytes, weight(bytes) + before_a_hit);
            return;
        }
        if self.keys.len() == KEYS_MAX && hash & mask(self.bits + 1) == 0 {
            self.thin(now);
        }
        if self.keys.len() < KEYS_MAX && hash & mask(self.bits) == 0 {
            let [hash_low, hash_high] = halves(hash);
            let chain = chain_of(hash_high);
            self.next.push(self.chains[chain]);
            let deadline = deadline | NEW;
            self.keys.push(Sampled { hash_low, hash_high, used, bytes, weight: weight(bytes) + OCTAVE, deadline });
            self.chains[chain] = link(self.keys.len());
        }
    }

    /// Time is counted in requests: a sampled one stands for as many as there are keys to a sampled one.
    fn pass_time(&mut self) {
        self.moment = self.moment.wrapping_add(1 << (self.bits - BITS_MIN));
    }

    /// Samples only every other key from now on. The pass that begins here takes the others out as it meets them.
    fn thin(&mut self, now: Seconds) {
        self.bits += 1;
        self.begin_pass();
        self.pass.bytes.fill(0);
        (self.pass.at, self.pass.stride, self.pass.looks) = (0, 1, LOOKS_THINNING);
        // Room for the request at hand.
        self.scan_keys(now);
    }

    fn begin_pass(&mut self) {
        let stride = (self.keys.len() / PASS_KEYS).max(1);
        let offset = (self.pass.offset + 1) % stride;
        (self.pass.at, self.pass.stride, self.pass.looks) = (offset, stride, LOOKS);
        (self.pass.offset, self.pass.requests, self.pass.sum) = (offset, 0, 0);
    }

    /// Goes on with the pass.
    #[inline(always)]
    fn scan(&mut self, now: Seconds) {
        self.pass.requests += 1;
        self.scan_keys(now);
        if self.pass.at >= self.keys.len() && self.pass.requests >= PASS_REQUESTS_MIN {
            self.end_pass();
        }
    }

    /// Now it is known up to which score each memory reaches.
    #[inline(never)]
    fn end_pass(&mut self) {
        let stride = u64::try_from(self.pass.stride).expect("64 bits hold a usize");
        let per_half = self.limit_bytes / 2 / 100 * USED_PERCENT / stride;
        let rooms = MEMORIES.map(|memory| (per_half * memory) >> self.bits);
        self.reach = [BEYOND; MEMORIES.len()];
        let (mut memory, mut room, mut sum) = (0, rooms[0], 0);
        for (score, bytes) in (0..).zip(&mut self.pass.bytes) {
            sum += std::mem::take(bytes);
            while sum > room {
                self.reach[memory] = score;
                memory += 1;
                room = rooms.get(memory).copied().unwrap_or(u64::MAX);
            }
            if sum == self.pass.sum {
                break;
            }
        }
        self.begin_pass();
    }

    /// Looks at the next keys: what is dead, out of reach or no longer sampled goes.
    #[inline(always)]
    fn scan_keys(&mut self, now: Seconds) {
        let (moment, mask) = (self.moment, mask(self.bits));
        let beyond = self.reach[MEMORIES.len() - 1];
        let (mut at, stride) = (self.pass.at, self.pass.stride);
        for _ in 0..self.pass.looks {
            let Some(key) = self.keys.get(at) else { break };
            let score = key.score(moment);
            if u64::from(key.hash_low) & mask != 0 || score >= beyond || key.is_dead(now) {
                self.remove(at);
                continue;
            }
            let bytes = u64::from(key.bytes);
            self.pass.bytes[usize::try_from(score).expect("a small number")] += bytes;
            self.pass.sum += bytes;
            at += stride;
        }
        self.pass.at = at;
    }

    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        let [low, high] = halves(hash);
        let first = usize::from(self.chains[chain_of(high)]);
        std::iter::successors(first.checked_sub(1), |&key| usize::from(self.next[key]).checked_sub(1))
            .find(|&key| self.keys[key].hash_low == low && self.keys[key].hash_high == high)
    }

    /// Takes a key out; the last one gets its number.
    #[inline(never)]
    fn remove(&mut self, key: usize) {
        let after = self.next[key];
        *self.link_to(key) = after;
        let last = self.keys.len() - 1;
        if key != last {
            *self.link_to(last) = link(key + 1);
        }
        self.keys.swap_remove(key);
        self.next.swap_remove(key);
    }

    /// What leads to a key.
    fn link_to(&mut self, key: usize) -> &mut u16 {
        let chain = chain_of(self.keys[key].hash_high);
        let mut before = None;
        let mut at = usize::from(self.chains[chain]);
        while at != key + 1 {
            before = Some(at - 1);
            at = usize::from(self.next[at - 1]);
        }
        match before {
            Some(before) => &mut self.next[before],
            None => &mut self.chains[chain],
        }
    }
}

impl Sampled {
    fn is_dead(&self, now: Seconds) -> bool {
        self.deadline & !NEW <= now.0
    }

    /// Its rank among all, as a logarithm: the higher, the sooner it has to go.
    fn score(&self, moment: u32) -> u32 {
        logarithm(u64::from(moment.wrapping_sub(self.used)) + 1) + self.weight
    }
}

impl CurveReport {
    /// Estimated hit ratios, given the hits and misses of all gets since the last reset; `None` while there are too few
    /// in the sample.
    #[must_use]
    pub fn hit_ratios(&self, hits: u64, misses: u64) -> Option<HitRatios> {
        if self.sampled_gets < SAMPLED_GETS_MIN || hits + misses == 0 {
            return None;
        }
        let gets = float(hits + misses);
        let measured = float(misses) / gets;
        let sampled = self.misses.map(|misses| float(misses) / gets);
        let [half, present, double, quadruple, always] = sampled;
        // More memory does not help against what misses in any: of the rest, measured misses are to those with more
        // memory as the sample's are.
        let correction = (measured - always) / (present - always);
        let correction =
            if correction.is_finite() { correction.clamp(1.0 / CORRECTION_MAX, CORRECTION_MAX) } else { 1.0 };
        let with_more = |misses: f64| (always + (misses - always) * correction).min(measured);
        let with_less = measured + half - present;
        Some(HitRatios {
            present: 1.0 - measured,
            half: 1.0 - with_less.clamp(measured, 1.0),
            double: 1.0 - with_more(double),
            quadruple: 1.0 - with_more(quadruple),
        })
    }
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
fn halves(hash: u64) -> [u32; 2] {
    [hash as u32, (hash >> 32) as u32]
}

fn chain_of(hash_high: u32) -> usize {
    usize::try_from(hash_high).expect("32 bits fit") % CHAINS
}

fn link(number: usize) -> u16 {
    u16::try_from(number).expect("no more keys than links have numbers")
}

/// What an item's size adds to its score.
fn weight(bytes: u32) -> u32 {
    logarithm(u64::from(bytes.clamp(1, SCORED_BYTES_MAX))) * SIZE_WEIGHT / 256
}

/// The binary logarithm of a number that is not 0, in sixteenths, straight between powers of two: a float's exponent
/// and the first four bits behind it.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "four bits are wanted")]
fn logarithm(n: u64) -> u32 {
    const FRACTION_BITS: u32 = f32::MANTISSA_DIGITS - 1 - OCTAVE.ilog2();
    const ONE: u32 = 1f32.to_bits() >> FRACTION_BITS;
    ((n as f32).to_bits() >> FRACTION_BITS) - ONE
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::{Curve, CurveReport, HitRatios, KEYS_MAX, MEMORIES, Sample, mask};
    use crate::time::{Expiry, Seconds};

    const NOW: Seconds = Seconds(10);
    const LIMIT_BYTES: u64 = 64 << 20;
    const ITEM_BYTES: usize = 90;

    #[test]
    fn misses_saved_are_a_share_of_the_present_ones() {
        let ratios = |present| HitRatios { present, half: 0.0, double: 0.0, quadruple: 0.0 };
        for (present, other, saved) in [(0.5, 0.75, 0.5), (0.75, 1.0, 1.0), (1.0, 1.0, 0.0), (0.5, 0.25, 0.0)] {
            assert!((ratios(present).misses_saved(other) - saved).abs() < 1e-9, "{present} {other}");
        }
    }

    /// The hash of a key that is sampled as long as one in 64 is; its upper half is spread over the chains.
    fn hash(number: usize) -> u64 {
        let number = u64::try_from(number).expect("64 bits hold a usize");
        number.wrapping_mul(0x9e37_79b9) << 32 | number << 6
    }

    fn store_all(curve: &Curve, numbers: std::ops::Range<usize>) {
        for number in numbers {
            curve.stored(hash(number), ITEM_BYTES, Expiry::Never, NOW);
        }
    }

    /// Each key is found under its own number, and the chains lead to every key once.
    #[track_caller]
    fn expect_linked(sample: &Sample) {
        assert_eq!(sample.keys.len(), sample.next.len());
        for (number, key) in sample.keys.iter().enumerate() {
            let hash = u64::from(key.hash_high) << 32 | u64::from(key.hash_low);
            assert_eq!(sample.find(hash), Some(number));
        }
        let firsts = sample.chains.iter().filter(|&&first| first != 0).count();
        let seconds = sample.next.iter().filter(|&&next| next != 0).count();
        assert_eq!(firsts + seconds, sample.keys.len());
    }

    #[test]
    fn only_keys_with_the_mask_s_bits_clear_are_sampled() {
        let curve = Curve::new(LIMIT_BYTES);
        let sampled = (0..6400).filter(|&hash| curve.has(hash)).count();
        assert_eq!(sampled, 100);
    }

    #[test]
    fn removed_keys_are_gone_and_the_others_stay_linked() {
        let curve = Curve::new(LIMIT_BYTES);
        store_all(&curve, 0..3000);
        let gone = || (0..3000).step_by(3);
        gone().for_each(|number| curve.deleted(hash(number)));
        let sample = curve.sample.lock();
        expect_linked(&sample);
        assert_eq!(sample.keys.len(), 2000);
        assert!(gone().all(|number| sample.find(hash(number)).is_none()));
    }

    #[test]
    fn with_too_many_keys_every_other_one_stays() {
        let curve = Curve::new(LIMIT_BYTES);
        store_all(&curve, 0..KEYS_MAX + 1);
        assert!(!curve.has(hash(1)) && curve.has(hash(2)), "one in 128 is sampled");
        // A pass meets all keys, and takes out those that are not.
        for _ in 0..KEYS_MAX {
            curve.asked(hash(2), NOW);
        }
        let report = curve.report();
        assert_eq!((report.sampled_one_in, report.sampled_keys), (128, KEYS_MAX as u64 / 2 + 1));
        let sample = curve.sample.lock();
        expect_linked(&sample);
        assert!(sample.keys.iter().all(|key| u64::from(key.hash_low) & mask(7) == 0));
    }

    #[test]
    fn however_many_keys_come_no_more_stay_than_there_is_room_for() {
        let all_in_reach = u64::MAX / 1024;
        let curve = Curve::new(all_in_reach);
        for number in (0..40 * KEYS_MAX).filter(|&number| curve.has(hash(number))) {
            curve.stored(hash(number), ITEM_BYTES, Expiry::Never, NOW);
        }
        let report = curve.report();
        assert!(report.sampled_keys <= KEYS_MAX as u64 && report.sampled_one_in >= 64 * 32, "{report:?}");
    }

    #[test]
    fn a_get_of_an_unknown_a_deleted_or_a_dead_key_misses_with_any_memory() {
        let curve = Curve::new(LIMIT_BYTES);
        curve.stored(hash(1), ITEM_BYTES, Expiry::Never, NOW);
        curve.asked(hash(1), NOW);
        assert_eq!(curve.report().misses, [0; MEMORIES.len()], "all memories have it");
        curve.asked(hash(2), NOW);
        curve.deleted(hash(1));
        curve.asked(hash(1), NOW);
        curve.stored(hash(3), ITEM_BYTES, Expiry::At(Seconds(NOW.0 + 1)), NOW);
        curve.asked(hash(3), Seconds(NOW.0 + 1));
        let report = curve.report();
        assert_eq!((report.sampled_gets, report.misses), (4, [3 * 64; MEMORIES.len()]));
    }

    #[test]
    fn a_round_that_fits_in_twice_the_memory_hits_there_and_not_with_less() {
        // 1000 sampled keys stand for 64,000 of 100 bytes.
        let curve = Curve::new(64 * 1000 * 100 * 2 / 3);
        store_all(&curve, 0..1000);
        for round in 0..6 {
            if round == 3 {
                curve.reset();
            }
            (0..1000).for_each(|number| curve.asked(hash(number), NOW));
        }
        let report = curve.report();
        let [half, present, double, quadruple, always] = report.misses.map(|misses| misses / 64);
        assert!(half > 2900 && present > 2800, "{report:?}");
        assert_eq!((double, quadruple, always), (0, 0, 0));
    }

    #[test]
    fn a_reset_clears_counts_and_keeps_keys_and_a_flush_does_the_reverse() {
        let curve = Curve::new(LIMIT_BYTES);
        store_all(&curve, 0..100);
        curve.asked(hash(1000), NOW);
        curve.clear();
        let report = curve.report();
        assert_eq!((report.sampled_keys, report.sampled_gets), (0, 1));
        store_all(&curve, 0..100);
        curve.reset();
        let report = curve.report();
        assert_eq!((report.sampled_keys, report.sampled_gets, report.misses), (100, 0, [0; MEMORIES.len()]));
        expect_linked(&curve.sample.lock());
    }

    #[test]
    fn estimates_start_from_what_was_measured() {
        let report = |misses| CurveReport { sampled_one_in: 64, sampled_keys: 1000, sampled_gets: 2000, misses };
        // The sample sees 20 of 100 misses too many with this memory, all of which more memory might end.
        let ratios = report([400, 320, 200, 100, 100]).hit_ratios(700, 300).expect("enough gets");
        let near = |ratio: f64, expected: f64| (ratio - expected).abs() < 1e-9;
        let HitRatios { present, half, double, quadruple } = ratios;
        assert!(near(present, 0.7) && near(half, 0.62), "{ratios:?}");
        assert!(near(double, 0.9 - 0.1 * 200.0 / 220.0) && near(quadruple, 0.9), "{ratios:?}");
        let nothing = CurveReport { sampled_gets: 999, ..report([0; MEMORIES.len()]) };
        assert_eq!(nothing.hit_ratios(700, 300), None);
        let same = report([300; MEMORIES.len()]).hit_ratios(700, 300).expect("enough gets");
        assert!([same.half, same.double, same.quadruple].iter().all(|&ratio| near(ratio, 0.7)), "{same:?}");
    }

    #[test]
    fn estimates_never_fall_with_more_memory() {
        for present in (0..=1000).step_by(50) {
            for measured in (0..=1000).step_by(50) {
                let misses = [1000, present, present * 3 / 4, present / 2, present / 4];
                let report = CurveReport { sampled_one_in: 64, sampled_keys: 1000, sampled_gets: 1000, misses };
                let HitRatios { present, half, double, quadruple } =
                    report.hit_ratios(1000 - measured, measured).expect("enough gets");
                let rising = [0.0, half, present, double, quadruple, 1.0];
                assert!(rising.is_sorted(), "{rising:?}");
            }
        }
    }
}
