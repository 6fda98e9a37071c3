//! The sketch against exact counts, over streams that are kind to it and streams that are not.

use std::collections::HashMap;

use super::sketch::{PLACES, Sketch};
use super::{AskedKey, HOT_KEYS_MAX, HotKeys, Ranking, WINDOW_SECONDS, WINDOWS};
use crate::hash::KeyHasher;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

/// Exact counts beside the sketch.
struct Both {
    hot: HotKeys,
    hasher: KeyHasher,
    exact: HashMap<String, (u64, u64)>,
}

impl Both {
    fn new() -> Self {
        Self { hot: HotKeys::new(), hasher: KeyHasher::with_seed(1), exact: HashMap::new() }
    }

    fn ask(&mut self, second: u32, key: &str, weight: u64, value_bytes: u64) {
        let asked = AskedKey { key: key.as_bytes(), hash: self.hasher.hash(key.as_bytes()), weight, value_bytes };
        self.hot.note(second, &[asked]);
        let exact = self.exact.entry(key.to_owned()).or_default();
        exact.0 += weight;
        exact.1 += weight * value_bytes;
    }

    /// Each key of more than one in 100 is told, within 10 % of its shares.
    #[track_caller]
    #[expect(clippy::cast_precision_loss, reason = "shares")]
    fn expect_told(&self, second: u32) -> usize {
        let ranking = self.hot.ranking(second);
        let all: u64 = self.exact.values().map(|exact| exact.0).sum();
        let all_bytes: u64 = self.exact.values().map(|exact| exact.1).sum();
        let mut hot = 0;
        for (key, exact) in self.exact.iter().filter(|(_, exact)| exact.0 * 100 > all) {
            hot += 1;
            let told = ranking.keys.iter().find(|told| *told.key == *key.as_bytes());
            let told = told.unwrap_or_else(|| panic!("{key} is missing"));
            let share = exact.0 as f64 / all as f64;
            assert!((told.requests_share - share).abs() <= share / 10.0, "{key}: {told:?} for {share}");
            let share = exact.1 as f64 / all_bytes.max(1) as f64;
            assert!((told.bytes_share - share).abs() <= share / 10.0 + 1e-9, "{key}: {told:?} for {share}");
        }
        hot
    }
}

#[test]
fn hot_keys_of_a_zipf_stream_are_within_a_tenth() {
    // Ranks with a density of 1/rank: a hundred thousand keys, the first of them 8 % of all.
    let weights: Vec<f64> = (1..=100_000_u32).map(|rank| 1.0 / f64::from(rank)).collect();
    let mut sums: Vec<f64> = Vec::new();
    for weight in weights {
        sums.push(sums.last().unwrap_or(&0.0) + weight);
    }
    let all = *sums.last().expect("not empty");
    let (mut both, mut random) = (Both::new(), Random(88));
    for ask in 0..200_000 {
        let at = f64::from(u32::try_from(random.below(1 << 32)).expect("32 bits")) / 4_294_967_296.0 * all;
        let rank = sums.partition_point(|&sum| sum < at);
        both.ask(100 + ask / 4000, &format!("key{rank}"), 1, 10 + u64::try_from(rank).expect("small"));
    }
    assert!(both.expect_told(149) >= 8);
}

#[test]
fn hot_keys_between_distinct_ones_are_within_a_tenth() {
    // 20 hot keys of 1.1 to 3 % each come only when all places have been taken anew, and in one window of two.
    let (mut both, mut random) = (Both::new(), Random(7));
    let mut cold = 0;
    for window in 0..5 {
        for ask in 0..60_000_u64 {
            if ask > 3000 && window % 2 == 0 && random.below(100) < 80 {
                both.ask(window * WINDOW_SECONDS, &format!("hot{}", random.below(20)), 1, 100);
            } else {
                cold += 1;
                both.ask(window * WINDOW_SECONDS, &format!("cold{cold}"), 1, 50);
            }
        }
    }
    assert_eq!(both.expect_told(45), 20);
}

#[test]
fn keys_that_come_in_turn_are_within_a_tenth() {
    // The worst for the sketch: just more keys than places, in a cycle, and one key of 1 % in between, in runs.
    let mut both = Both::new();
    for ask in 0..300_000_usize {
        let key = if ask % 5000 < 60 { "hot".to_owned() } else { format!("k{}", ask % (PLACES + 1)) };
        both.ask(0, &key, 1, 1);
    }
    assert_eq!(both.expect_told(0), 1);
}

#[test]
fn weights_count_as_so_many_requests() {
    let (mut both, mut random) = (Both::new(), Random(3));
    for ask in 0..100_000_u64 {
        let key = if ask % 50 == 0 { "hot".to_owned() } else { format!("k{}", random.below(1_000_000)) };
        both.ask(5, &key, 4 + random.below(60), 1000);
    }
    assert_eq!(both.expect_told(5), 1);
}

#[test]
fn what_nobody_asks_for_any_more_is_forgotten_after_a_minute() {
    let mut both = Both::new();
    (0..1000).for_each(|_| both.ask(100, "old", 1, 1));
    both.ask(159, "new", 1, 1);
    let names = |ranking: &Ranking| ranking.keys.iter().map(|hot| hot.key.to_vec()).collect::<Vec<_>>();
    assert_eq!(names(&both.hot.ranking(159)), [b"old".to_vec(), b"new".to_vec()]);
    let after = both.hot.ranking(100 + WINDOWS * WINDOW_SECONDS);
    assert_eq!((names(&after), after.sampled), (vec![b"new".to_vec()], 1));
    assert_eq!(*both.hot.ranking(1000), Ranking::default());
}

#[test]
fn a_clock_may_stand_still_jump_or_run_back() {
    let mut both = Both::new();
    for second in [50, 50, u32::MAX, 3, u32::MAX - 1, 0] {
        both.ask(second, "k", 1, 0);
        assert!(both.hot.ranking(second).keys.len() <= 1);
    }
    assert_eq!(both.hot.ranking(u32::MAX).sampled, 4, "all but those of before the jump");
}

#[test]
fn a_ranking_stands_for_its_second_and_ends_at_its_bound() {
    let mut both = Both::new();
    (0..300).for_each(|key| both.ask(9, &format!("k{key}"), 1 + key, 0));
    let first = both.hot.ranking(9);
    assert_eq!((first.keys.len(), &*first.keys[0].key), (HOT_KEYS_MAX, &b"k299"[..]));
    both.ask(9, "late", 1_000_000, 0);
    assert_eq!(*both.hot.ranking(9), *first);
    assert_eq!(&*both.hot.ranking(10).keys[0].key, b"late");
    both.hot.reset();
    assert_eq!(*both.hot.ranking(10), Ranking::default());
}

/// The sketch's promises after every step: what it says of a key is a bound, and its places are in order.
#[test]
fn the_sketch_bounds_every_count() {
    for seed in 1..6 {
        let (mut sketch, mut random, mut exact) = (Sketch::default(), Random(seed), HashMap::new());
        let mut all = 0;
        for step in 0..20_000_u64 {
            let bound = 1 + random.below(6000);
            let key = random.below(bound).to_be_bytes().to_vec();
            let weight = 1 + random.below(5);
            // Few hashes, so that chains are long and keys of one hash are told apart.
            sketch.add(&key, u64::from(key[7]) << 32, weight, 2 * weight);
            *exact.entry(key).or_insert(0) += weight;
            all += weight;
            if step % 1000 == 999 {
                sketch.check();
            }
        }
        let places = u64::try_from(PLACES).expect("small");
        for count in sketch.counts() {
            let exact = exact[count.key()];
            assert!(count.sure() <= exact && exact - count.sure() <= all / places, "seed {seed}");
            assert!(count.bytes == 2 * count.sure());
        }
        for (key, exact) in exact {
            assert!(exact <= all / places || sketch.counts().any(|count| *count.key() == *key), "seed {seed}");
        }
    }
}
