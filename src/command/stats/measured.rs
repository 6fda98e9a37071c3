//! The reports of what is sampled: `stats latency` and `stats hotkeys`.

use crate::bytes::{Buffer, number};
use crate::command::Shared;
use crate::protocol::push_uri;
use crate::telemetry::{CommandKind, Figure, HOT_KEYS_MAX, HotKey, Kind, Label, SAMPLED_ONE_IN, Spread, Value, Visit};
use crate::time::Seconds;

/// How long requests took from read to written, by the kind of command; of kinds that nobody has asked for nothing is
/// told. The figures are of a sample.
pub(super) fn latency(shared: &Shared, visit: &mut Visit<'_>) {
    visit(&Figure::gauge("sampled_one_in", u64::from(SAMPLED_ONE_IN)));
    for (kind, spread) in CommandKind::ALL.iter().zip(&shared.latencies().spreads()) {
        if spread.count > 0 {
            tell_spread(*kind, spread, visit);
        }
    }
}

fn tell_spread(kind: CommandKind, spread: &Spread, visit: &mut Visit<'_>) {
    let labels = [Label { name: "command", value: Value::Text(kind.name()) }];
    let figures = [
        Figure::counter("count", spread.count),
        Figure::gauge("mean_ns", spread.mean_nanos()),
        Figure::gauge("p50_ns", spread.quantile_nanos(500)),
        Figure::gauge("p90_ns", spread.quantile_nanos(900)),
        Figure::gauge("p99_ns", spread.quantile_nanos(990)),
        Figure::gauge("p999_ns", spread.quantile_nanos(999)),
        Figure::gauge("max_ns", spread.max_nanos),
    ];
    figures.iter().for_each(|figure| visit(&figure.of("", &labels)));
}

/// The keys asked for most over the last minute, by their place. Where no key may be listed there is nothing to tell.
pub(super) fn hot_keys(shared: &Shared, keys_max: u32, now: Seconds, visit: &mut Visit<'_>) {
    if !shared.options.dumping {
        return;
    }
    let ranking = shared.hot_keys().ranking(now.0);
    visit(&Figure::gauge("sampled_one_in", u64::from(SAMPLED_ONE_IN)));
    visit(&Figure::gauge("sampled_keys", ranking.sampled));
    let keys_max = usize::try_from(keys_max).unwrap_or(HOT_KEYS_MAX);
    for (place, hot) in ranking.keys.iter().take(keys_max).enumerate() {
        tell_hot_key(place + 1, hot, visit);
    }
}

fn tell_hot_key(place: usize, hot: &HotKey, visit: &mut Visit<'_>) {
    let mut key = Buffer::default();
    push_uri(&mut key, &hot.key);
    // Percent signs, letters and digits.
    let key = String::from_utf8_lossy(&key);
    let labels = [Label::number("place", number(place))];
    let figures = [
        Figure::new("key", Kind::Info, Value::Text(&key)),
        Figure::new("requests_share", Kind::Gauge, Value::Ratio(hot.requests_share)),
        Figure::new("bytes_share", Kind::Gauge, Value::Ratio(hot.bytes_share)),
    ];
    figures.iter().for_each(|figure| visit(&figure.of("", &labels)));
}
