//! What `-o` says about background work and memcached's settings for it.

use super::extended::{Extended, MODERN};
use super::numbers::parse_factor;
use crate::command::Tuning;

impl Extended {
    /// Whether a switch that is on by default is on: the last word about it holds.
    pub(super) fn is_on(&self, name: &str) -> bool {
        let is_off = self.has("no_modern") && MODERN.contains(&name) || self.has(&format!("no_{name}"));
        self.has(name) || !is_off
    }

    /// The number given to a suboption.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.integer(name).and_then(|number| u32::try_from(number).ok())
    }

    /// memcached's settings as they stand at start.
    pub(super) fn tuning(&self) -> Tuning {
        let default = Tuning::default();
        let automove = if self.is_on("slab_automove") { default.automove } else { 0 };
        let has_maintainer = self.is_on("lru_maintainer");
        Tuning {
            reassign: self.is_on("slab_reassign"),
            automove: self.number("slab_automove").unwrap_or(automove),
            automove_ratio: self.millionths("slab_automove_ratio").unwrap_or(default.automove_ratio),
            automove_free_ratio: self.millionths("slab_automove_freeratio").unwrap_or(default.automove_free_ratio),
            automove_window: self.number("slab_automove_window").unwrap_or(default.automove_window),
            lru_maintainer: has_maintainer,
            segmented: has_maintainer,
            hot_percent: self.number("hot_lru_pct").unwrap_or(default.hot_percent),
            warm_percent: self.number("warm_lru_pct").unwrap_or(default.warm_percent),
            hot_factor: self.millionths("hot_max_factor").unwrap_or(default.hot_factor),
            warm_factor: self.millionths("warm_max_factor").unwrap_or(default.warm_factor),
            temp_lru: self.has("temporary_ttl"),
            temp_seconds: self
                .integer("temporary_ttl")
                .and_then(|seconds| i32::try_from(seconds).ok())
                .unwrap_or(default.temp_seconds),
        }
    }

    fn millionths(&self, name: &str) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "what is beyond 64 bits becomes the most there is")]
        let millionths = (self.text(name).and_then(parse_factor)? * 1e6) as i64;
        Some(millionths)
    }
}
