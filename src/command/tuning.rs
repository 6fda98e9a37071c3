//! What `slabs automove` and `lru` set: memcached's settings, kept and shown. But for `automove` no part of this store
//! has a use for them.

use super::Shared;

/// A millionth is the finest that fractions are told apart.
const MILLIONTHS: i64 = 1_000_000;

/// The settings, as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// `slab_reassign`: pages may be moved.
    pub reassign: bool,
    /// `slab_automove`: 0, 1, 2; above 0 pages move by themselves.
    pub automove: u32,
    /// `slab_automove_ratio` in millionths.
    pub automove_ratio: i64,
    /// `slab_automove_freeratio` in millionths.
    pub automove_free_ratio: i64,
    /// `slab_automove_window` in seconds.
    pub automove_window: u32,
    /// `lru_maintainer`.
    pub lru_maintainer: bool,
    /// `lru mode segmented`, not `flat`.
    pub segmented: bool,
    /// `hot_lru_pct`.
    pub hot_percent: u32,
    /// `warm_lru_pct`.
    pub warm_percent: u32,
    /// `hot_max_factor` in millionths.
    pub hot_factor: i64,
    /// `warm_max_factor` in millionths.
    pub warm_factor: i64,
    /// Whether `temporary_ttl` is on.
    pub temp_lru: bool,
    /// `temporary_ttl` in seconds.
    pub temp_seconds: i32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            reassign: true,
            automove: 1,
            automove_ratio: MILLIONTHS * 8 / 10,
            automove_free_ratio: MILLIONTHS / 100,
            automove_window: 10,
            lru_maintainer: true,
            segmented: true,
            hot_percent: 20,
            warm_percent: 40,
            hot_factor: MILLIONTHS * 2 / 10,
            warm_factor: MILLIONTHS * 2,
            temp_lru: false,
            temp_seconds: 61,
        }
    }
}

impl Tuning {
    /// Whether pages move between classes by themselves.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.reassign && self.automove > 0
    }
}

impl Shared {
    /// The value that a line of `stats settings` has now, if it is one that may change.
    pub(super) fn live_setting(&self, name: &str) -> Option<String> {
        let (store, tuning) = (self.store(), *self.tuning.lock());
        let value = match name {
            "maxbytes" => store.memory_report().limit_bytes.to_string(),
            "detail_enabled" => yes(self.prefixes().is_on()),
            "verbosity" => self.verbosity().to_string(),
            "lru_crawler" => yes(store.is_sweeping()),
            "lru_crawler_sleep" => store.sweep_pause_micros().to_string(),
            "lru_crawler_tocrawl" => store.sweep_items_max().to_string(),
            "slab_reassign" => yes(tuning.reassign),
            "slab_automove" => tuning.automove.to_string(),
            "slab_automove_ratio" => hundredths(tuning.automove_ratio),
            "slab_automove_freeratio" => thousandths(tuning.automove_free_ratio),
            "slab_automove_window" => tuning.automove_window.to_string(),
            "lru_maintainer_thread" => yes(tuning.lru_maintainer),
            "lru_segmented" => yes(tuning.segmented),
            "hot_lru_pct" => tuning.hot_percent.to_string(),
            "warm_lru_pct" => tuning.warm_percent.to_string(),
            "hot_max_factor" => hundredths(tuning.hot_factor),
            "warm_max_factor" => hundredths(tuning.warm_factor),
            "temp_lru" => yes(tuning.temp_lru),
            "temporary_ttl" => tuning.temp_seconds.to_string(),
            _ => return None,
        };
        Some(value)
    }
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// With two digits after the point.
fn hundredths(millionths: i64) -> String {
    fraction(millionths, 2)
}

/// With three.
fn thousandths(millionths: i64) -> String {
    fraction(millionths, 3)
}

fn fraction(millionths: i64, digits: u32) -> String {
    let (ones, width) = (10_u64.pow(digits), usize::try_from(digits).expect("32 bits fit"));
    let least = MILLIONTHS.unsigned_abs() / ones;
    let rounded = (millionths.unsigned_abs() + least / 2) / least;
    let sign = if millionths < 0 { "-" } else { "" };
    format!("{sign}{}.{:0width$}", rounded / ones, rounded % ones)
}

#[cfg(test)]
mod tests {
    use super::{hundredths, thousandths};

    #[test]
    fn fractions_have_two_digits_or_three() {
        for (millionths, text) in [(0, "0.00"), (800_000, "0.80"), (2_005_000, "2.01"), (-1_500_000, "-1.50")] {
            assert_eq!(hundredths(millionths), text);
        }
        for (millionths, text) in [(10_000, "0.010"), (50_500, "0.051"), (-2_000_000, "-2.000")] {
            assert_eq!(thousandths(millionths), text);
        }
    }
}
