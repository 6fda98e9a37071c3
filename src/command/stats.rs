//! The reports of `stats`: memcached's names in memcached's order, then ours, as figures that a dialect writes.
//!
//! What memcached counts and has no counterpart here is 0: monitors look for the line, and a missing one breaks
//! them.

mod measured;

use std::time::Duration;

use super::shared::{Baseline, RestartReport};
use super::{Answer, Commands, Shared};
use crate::bytes::number;
use crate::protocol::{Failure, OWN_VERSION, Reply, VERSION};
use crate::store::{ClassReport, MemoryReport};
use crate::sync::Ordering;
use crate::sys::process;
use crate::telemetry::{CommandTotals, Figure, Kind, Label, StoreTotals, Value, Visit, WatchTotals};
use crate::time::Seconds;
use crate::tls::Certificates;

/// What can be told at once. `stats conns` cannot: see [`ConnectionListing`](super::ConnectionListing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// `stats` without a name.
    General,
    /// The options as they stand.
    Settings,
    /// Items by the classes that clients know.
    Items,
    /// Memory and requests by the classes that clients know.
    Slabs,
    /// The classes that share a number in the two above, one by one.
    SlabsFine,
    /// How many items are of which size.
    Sizes,
    /// The miss-ratio curve.
    Mrc,
    /// How long requests take.
    Latency,
    /// The keys asked for most over the last minute.
    HotKeys {
        /// How many of them.
        keys_max: u32,
    },
}

/// What the general report is made from, the counters since the last reset.
struct Sums {
    commands: CommandTotals,
    store: StoreTotals,
    memory: MemoryReport,
    watch: WatchTotals,
}

impl Commands {
    /// Does what `stats` with this name asks for; a name nobody knows is an error.
    pub(super) fn stats(&self, name: &[u8]) -> Answer {
        Answer::Report(match name {
            b"" => Report::General,
            b"settings" => Report::Settings,
            b"items" => Report::Items,
            b"slabs" => Report::Slabs,
            b"slabs_fine" => Report::SlabsFine,
            b"sizes" => Report::Sizes,
            b"mrc" => Report::Mrc,
            b"latency" => Report::Latency,
            b"conns" => return Answer::Listing,
            b"reset" => {
                self.shared.reset_counters(self.now.seconds);
                return Answer::Reply(Reply::Reset);
            }
            _ => return Answer::Reply(Reply::Error(Failure::UnknownReport)),
        })
    }

    /// Does what `stats hotkeys` asks for: keys are data, and not shown where lists of them are refused.
    pub(super) fn stats_hot_keys(&self, keys_max: Option<u32>) -> Answer {
        if !self.shared.options.dumping {
            return Answer::Reply(Reply::Error(Failure::HotKeysNotAllowed));
        }
        match keys_max {
            Some(keys_max) => Answer::Report(Report::HotKeys { keys_max }),
            None => Answer::Reply(Reply::Error(Failure::BadFormat)),
        }
    }

    /// Tells the figures of a report.
    pub fn report(&self, report: Report, visit: &mut Visit<'_>) {
        self.shared.report(report, self.now.seconds, visit);
    }
}

impl Shared {
    /// Tells the figures of a report.
    pub fn report(&self, report: Report, now: Seconds, visit: &mut Visit<'_>) {
        match report {
            Report::General => general(self, now, visit),
            Report::Settings => settings(self, visit),
            Report::Items => items(self, now, visit),
            Report::Slabs => slabs(self, now, visit),
            Report::SlabsFine => slabs_fine(self, now, visit),
            Report::Sizes => sizes(self, visit),
            Report::Mrc => mrc(self, visit),
            Report::Latency => measured::latency(self, visit),
            Report::HotKeys { keys_max } => measured::hot_keys(self, keys_max, now, visit),
        }
    }

    fn command_totals(&self) -> CommandTotals {
        let mut totals = CommandTotals::default();
        self.counters().for_each(|block| totals.add(block));
        totals
    }

    /// Counters begin again at 0, gauges stay: the counts so far are remembered and taken off.
    fn reset_counters(&self, now: Seconds) {
        let baseline = Baseline {
            commands: self.command_totals(),
            store: self.store().totals(),
            classes: self.store().class_reports(now),
            watch: self.watch().totals(),
        };
        *self.baseline.lock() = baseline;
        self.prefixes().clear();
        self.latencies().reset();
        self.hot_keys().reset();
        self.store().reset_curve();
    }

    fn sums(&self) -> Sums {
        let (commands, store) = (self.command_totals(), self.store().totals());
        let memory = self.store().memory_report();
        let watch = self.watch().totals();
        let baseline = self.baseline.lock();
        Sums {
            commands: commands.since(&baseline.commands),
            store: store.since(&baseline.store),
            memory,
            watch: watch.since(&baseline.watch),
        }
    }

    /// The slab classes as they are.
    fn fine_classes(&self, now: Seconds) -> Vec<ClassReport> {
        let mut classes = self.store().class_reports(now);
        let baseline = self.baseline.lock();
        for class in &mut classes {
            if let Some(earlier) = baseline.classes.iter().find(|earlier| earlier.place == class.place) {
                class.forget(earlier);
            }
        }
        classes
    }

    /// The slab classes as clients know them.
    fn classes(&self, now: Seconds) -> Vec<ClassReport> {
        self.store().numbered_reports(&self.fine_classes(now))
    }
}

fn tell(visit: &mut Visit<'_>, figures: &[Figure<'_>]) {
    figures.iter().for_each(visit);
}

fn general(shared: &Shared, now: Seconds, visit: &mut Visit<'_>) {
    let sums = shared.sums();
    general_process(shared, now, visit);
    general_connections(shared, &sums, visit);
    general_commands(&sums, visit);
    general_traffic(shared, &sums, visit);
    general_page_moves(&sums.store, visit);
    general_threads(shared, &sums, now, visit);
    general_items(&sums, visit);
    general_ours(&sums, visit);
    if let Some(restart) = &shared.restart {
        general_restart(restart, visit);
    }
}

/// What became of the items that the memory file held.
fn general_restart(RestartReport { found, micros }: &RestartReport, visit: &mut Visit<'_>) {
    let dropped = [
        ("restart_items_dropped_expired", found.expired),
        ("restart_items_dropped_flushed", found.flushed),
        ("restart_items_dropped_half_written", found.half_written),
        ("restart_items_dropped_superseded", found.superseded),
        ("restart_items_dropped_broken", found.broken),
        ("restart_items_dropped_no_room", found.no_room),
    ];
    tell(visit, &[Figure::gauge("restart_items_kept", found.kept)]);
    tell(visit, &dropped.map(|(name, count)| Figure::gauge(name, count)));
    let seconds = Value::Time(Duration::from_micros(*micros));
    tell(visit, &[Figure::new("restart_seconds", Kind::Gauge, seconds)]);
}

fn general_process(shared: &Shared, now: Seconds, visit: &mut Visit<'_>) {
    let uptime = now.0.saturating_sub(shared.started.seconds.0);
    let unix = shared.started.unix() + i64::from(uptime);
    let cpu = process::cpu_times().unwrap_or_default();
    tell(
        visit,
        &[
            Figure::new("pid", Kind::Info, Value::Number(u64::from(shared.pid))),
            Figure::gauge("uptime", u64::from(uptime)),
            Figure::gauge("time", u64::try_from(unix).unwrap_or(0)),
            Figure::info("version", VERSION),
            Figure::info("libevent", "none"),
            Figure::new("pointer_size", Kind::Info, Value::Number(u64::from(usize::BITS))),
            Figure::new("rusage_user", Kind::Counter, Value::Time(cpu.user)),
            Figure::new("rusage_system", Kind::Counter, Value::Time(cpu.system)),
        ],
    );
}

fn general_connections(shared: &Shared, sums: &Sums, visit: &mut Visit<'_>) {
    // Relaxed: a report.
    let current = number(shared.connections().current.load(Ordering::Relaxed));
    tell(
        visit,
        &[
            Figure::gauge("max_connections", number(shared.options.connections_max)),
            Figure::gauge("curr_connections", current),
            Figure::counter("total_connections", sums.commands.total_connections),
            Figure::counter("rejected_connections", sums.commands.rejected_connections),
            Figure::gauge("connection_structures", current),
            Figure::counter("response_obj_oom", 0),
            Figure::gauge("response_obj_count", 0),
            Figure::gauge("response_obj_bytes", 0),
            Figure::gauge("read_buf_count", 0),
            Figure::gauge("read_buf_bytes", 0),
            Figure::gauge("read_buf_bytes_free", 0),
            Figure::counter("read_buf_oom", 0),
            // Our own descriptors do not count against `-c`.
            Figure::gauge("reserved_fds", 0),
        ],
    );
}

fn general_commands(sums: &Sums, visit: &mut Visit<'_>) {
    let totals = &sums.commands;
    tell(
        visit,
        &[
            Figure::counter("cmd_get", totals.cmd_get),
            Figure::counter("cmd_set", totals.cmd_set),
            Figure::counter("cmd_flush", totals.cmd_flush),
            Figure::counter("cmd_touch", totals.cmd_touch),
            Figure::counter("cmd_meta", totals.cmd_meta),
            Figure::counter("get_hits", totals.get_hits),
            Figure::counter("get_misses", totals.get_misses),
            Figure::counter("get_expired", sums.store.found_expired),
            Figure::counter("get_flushed", sums.store.found_flushed),
            Figure::counter("delete_misses", totals.delete_misses),
            Figure::counter("delete_hits", totals.delete_hits),
            Figure::counter("incr_misses", totals.incr_misses),
            Figure::counter("incr_hits", totals.incr_hits),
            Figure::counter("decr_misses", totals.decr_misses),
            Figure::counter("decr_hits", totals.decr_hits),
            Figure::counter("cas_misses", totals.cas_misses),
            Figure::counter("cas_hits", totals.cas_hits),
            Figure::counter("cas_badval", totals.cas_badval),
            Figure::counter("touch_hits", totals.touch_hits),
            Figure::counter("touch_misses", totals.touch_misses),
            Figure::counter("store_too_large", totals.store_too_large),
            Figure::counter("store_no_memory", totals.store_no_memory),
            Figure::counter("auth_cmds", totals.auth_cmds),
            Figure::counter("auth_errors", totals.auth_errors),
        ],
    );
}

fn general_traffic(shared: &Shared, sums: &Sums, visit: &mut Visit<'_>) {
    let (totals, connections) = (&sums.commands, shared.connections());
    if shared.options.idle_timeout {
        visit(&Figure::counter("idle_kicks", totals.idle_kicks));
    }
    tell(
        visit,
        &[
            Figure::counter("bytes_read", totals.bytes_read),
            Figure::counter("bytes_written", totals.bytes_written),
            Figure::gauge("limit_maxbytes", sums.memory.limit_bytes),
            // Relaxed: a report.
            Figure::gauge("accepting_conns", u64::from(connections.is_accepting.load(Ordering::Relaxed))),
            Figure::counter("listen_disabled_num", totals.listen_disabled_num),
            Figure::counter("time_in_listen_disabled_us", connections.listen_disabled_micros.load(Ordering::Relaxed)),
            Figure::gauge("threads", number(shared.options.workers)),
            Figure::counter("conn_yields", totals.conn_yields),
            Figure::gauge("hash_power_level", u64::from(sums.memory.index_buckets.max(1).ilog2())),
            Figure::gauge("hash_bytes", sums.memory.index_bytes),
            Figure::gauge("hash_is_expanding", 0),
        ],
    );
}

fn general_page_moves(store: &StoreTotals, visit: &mut Visit<'_>) {
    tell(
        visit,
        &[
            Figure::counter("slab_reassign_rescues", store.page_move_rescues),
            Figure::counter("slab_reassign_chunk_rescues", 0),
            Figure::counter("slab_reassign_inline_reclaim", 0),
            Figure::counter("slab_reassign_busy_items", 0),
            Figure::counter("slab_reassign_busy_deletes", 0),
            Figure::counter("slab_reassign_busy_nomem", 0),
            Figure::info("slab_reassign_last_busy_status", "none"),
            Figure::gauge("slab_reassign_running", 0),
            Figure::counter("slabs_moved", store.pages_moved),
        ],
    );
}

/// What memcached has threads of its own for, and who watches.
fn general_threads(shared: &Shared, sums: &Sums, now: Seconds, visit: &mut Visit<'_>) {
    let watch = &sums.watch;
    tell(
        visit,
        &[
            Figure::gauge("lru_crawler_running", u64::from(shared.store().is_sweep_asked())),
            Figure::counter("lru_crawler_starts", sums.store.sweep_passes),
            Figure::counter("lru_maintainer_juggles", 0),
            Figure::counter("malloc_fails", 0),
            Figure::counter("log_worker_dropped", watch.log_worker_dropped),
            Figure::counter("log_worker_written", watch.log_worker_written),
            Figure::counter("log_watcher_skipped", watch.log_watcher_skipped),
            Figure::counter("log_watcher_sent", watch.log_watcher_sent),
            Figure::gauge("log_watchers", number(shared.watch().watchers())),
        ],
    );
    if let Some(tls) = shared.tls() {
        general_tls(tls, sums, now, visit);
    }
    tell(visit, &[Figure::counter("unexpected_napi_ids", 0), Figure::counter("round_robin_fallback", 0)]);
}

fn general_tls(tls: &Certificates, sums: &Sums, now: Seconds, visit: &mut Visit<'_>) {
    let totals = &sums.commands;
    if tls.resumes() {
        visit(&Figure::counter("ssl_new_sessions", totals.ssl_new_sessions));
    }
    tell(
        visit,
        &[
            Figure::counter("ssl_handshake_errors", totals.ssl_handshake_errors),
            Figure::counter("ssl_proto_errors", totals.ssl_proto_errors),
            Figure::gauge("time_since_server_cert_refresh", u64::from(tls.age(now))),
        ],
    );
}

fn general_items(sums: &Sums, visit: &mut Visit<'_>) {
    let store = &sums.store;
    tell(
        visit,
        &[
            Figure::gauge("bytes", store.bytes),
            Figure::gauge("curr_items", store.curr_items),
            Figure::counter("total_items", store.total_items),
            Figure::gauge("slab_global_page_pool", sums.memory.pool_pages),
            Figure::counter("expired_unfetched", store.expired_unfetched),
            Figure::counter("evicted_unfetched", store.evicted_unfetched),
            Figure::counter("evicted_active", 0),
            Figure::counter("evictions", store.evictions),
            Figure::counter("reclaimed", store.reclaimed),
            Figure::counter("crawler_reclaimed", store.sweep_reclaimed),
            Figure::counter("crawler_items_checked", store.sweep_items_checked),
            Figure::counter("lrutail_reflocked", 0),
            Figure::counter("moves_to_cold", 0),
            Figure::counter("moves_to_warm", 0),
            Figure::counter("moves_within_lru", 0),
            Figure::counter("direct_reclaims", 0),
            Figure::counter("lru_bumps_dropped", 0),
        ],
    );
}

/// What memcached has no name for.
fn general_ours(sums: &Sums, visit: &mut Visit<'_>) {
    let (store, memory) = (&sums.store, &sums.memory);
    tell(
        visit,
        &[
            Figure::info("flagstone_version", OWN_VERSION),
            Figure::gauge("committed_bytes", memory.committed_bytes),
            // Together with `bytes` the next seven are `committed_bytes`.
            Figure::gauge("chunk_slack_bytes", memory.used_chunk_bytes.saturating_sub(store.bytes)),
            Figure::gauge("free_chunk_bytes", memory.free_chunk_bytes),
            Figure::gauge("page_tail_bytes", memory.page_tail_bytes),
            Figure::gauge("free_page_bytes", memory.free_page_bytes),
            Figure::gauge("index_bytes", memory.index_bytes),
            Figure::gauge("eviction_bytes", memory.eviction_bytes),
            Figure::gauge("page_table_bytes", memory.head_bytes),
            Figure::counter("slow_reader_kicks", sums.commands.slow_reader_kicks),
            Figure::counter("silent_upload_kicks", sums.commands.silent_upload_kicks),
            Figure::counter("evicted_nonzero", store.evicted_nonzero),
            Figure::counter("outofmemory", store.outofmemory),
            Figure::counter("ghost_hits", store.ghost_hits),
            Figure::counter("page_move_evictions", store.page_move_evictions),
            Figure::counter("index_evictions", store.index_evictions),
        ],
    );
}

/// Tells figures of one of several alike.
fn tell_of(visit: &mut Visit<'_>, group: &'static str, labels: &[Label<'_>], figures: &[Figure<'_>]) {
    figures.iter().for_each(|figure| visit(&figure.of(group, labels)));
}

fn settings(shared: &Shared, visit: &mut Visit<'_>) {
    for (name, value) in &shared.settings {
        visit(&Figure::info(name, shared.live_setting(name).as_deref().unwrap_or(value)));
    }
}

/// memcached's queues do not exist here: all items stand in its last one, so that sums over them are right.
fn items(shared: &Shared, now: Seconds, visit: &mut Visit<'_>) {
    for class in shared.classes(now).iter().filter(|class| class.counts.number > 0) {
        let counts = &class.counts;
        let figures = [
            Figure::gauge("number", counts.number),
            Figure::gauge("number_hot", 0),
            Figure::gauge("number_warm", 0),
            Figure::gauge("number_cold", counts.number),
            Figure::gauge("age_hot", 0),
            Figure::gauge("age_warm", 0),
            Figure::gauge("age", class.age),
            Figure::gauge("mem_requested", counts.mem_requested),
            Figure::counter("evicted", counts.evicted),
            Figure::counter("evicted_nonzero", counts.evicted_nonzero),
            Figure::gauge("evicted_time", counts.evicted_time),
            Figure::counter("outofmemory", counts.outofmemory),
            Figure::counter("tailrepairs", 0),
            Figure::counter("reclaimed", counts.reclaimed),
            Figure::counter("expired_unfetched", counts.expired_unfetched),
            Figure::counter("evicted_unfetched", counts.evicted_unfetched),
            Figure::counter("evicted_active", 0),
            Figure::counter("crawler_reclaimed", counts.crawler_reclaimed),
            Figure::counter("crawler_items_checked", counts.crawler_items_checked),
            Figure::counter("lrutail_reflocked", 0),
            Figure::counter("moves_to_cold", 0),
            Figure::counter("moves_to_warm", 0),
            Figure::counter("moves_within_lru", 0),
            Figure::counter("direct_reclaims", 0),
            Figure::counter("hits_to_hot", 0),
            Figure::counter("hits_to_warm", 0),
            Figure::counter("hits_to_cold", counts.get_hits),
            Figure::counter("hits_to_temp", 0),
        ];
        tell_of(visit, "items", &[Label::number("slab", class.class)], &figures);
    }
}

fn slabs(shared: &Shared, now: Seconds, visit: &mut Visit<'_>) {
    let classes = shared.classes(now);
    for class in &classes {
        let counts = &class.counts;
        let figures = [
            Figure::gauge("chunk_size", class.chunk_size),
            Figure::gauge("chunks_per_page", class.chunks_per_page),
            Figure::gauge("total_pages", class.total_pages),
            Figure::gauge("total_chunks", class.used_chunks + class.free_chunks),
            Figure::gauge("used_chunks", class.used_chunks),
            Figure::gauge("free_chunks", class.free_chunks),
            Figure::gauge("free_chunks_end", 0),
            Figure::counter("get_hits", counts.get_hits),
            Figure::counter("cmd_set", counts.cmd_set),
            Figure::counter("delete_hits", counts.delete_hits),
            Figure::counter("incr_hits", counts.incr_hits),
            Figure::counter("decr_hits", counts.decr_hits),
            Figure::counter("cas_hits", counts.cas_hits),
            Figure::counter("cas_badval", counts.cas_badval),
            Figure::counter("touch_hits", counts.touch_hits),
        ];
        tell_of(visit, "", &[Label::number("slab", class.class)], &figures);
    }
    visit(&Figure::gauge("active_slabs", number(classes.len())));
    visit(&Figure::gauge("total_malloced", classes.iter().map(|class| class.page_bytes).sum()));
}

/// The classes that share a number in the other reports, one by one.
fn slabs_fine(shared: &Shared, now: Seconds, visit: &mut Visit<'_>) {
    for class in shared.fine_classes(now) {
        let counts = &class.counts;
        let figures = [
            Figure::new("class", Kind::Info, Value::Number(u64::from(class.class))),
            Figure::gauge("chunk_size", class.chunk_size),
            Figure::gauge("chunks_per_page", class.chunks_per_page),
            Figure::gauge("total_pages", class.total_pages),
            Figure::gauge("used_chunks", class.used_chunks),
            Figure::gauge("free_chunks", class.free_chunks),
            Figure::gauge("number", counts.number),
            Figure::gauge("mem_requested", counts.mem_requested),
            Figure::gauge("age", class.age),
            Figure::counter("evicted", counts.evicted),
            Figure::gauge("evicted_time", counts.evicted_time),
            Figure::counter("outofmemory", counts.outofmemory),
            Figure::counter("get_hits", counts.get_hits),
            Figure::counter("cmd_set", counts.cmd_set),
        ];
        tell_of(visit, "", &[Label::number("class", class.place)], &figures);
    }
}

fn sizes(shared: &Shared, visit: &mut Visit<'_>) {
    let Some(sizes) = shared.store().size_report() else {
        visit(&Figure::info("sizes_status", "disabled"));
        return;
    };
    for (size, count) in sizes {
        visit(&Figure::gauge("", count).of("", &[Label::number("size", size)]));
    }
}

/// The miss-ratio curve: hit ratios of gets since the last reset, as measured and as they would be with other memory
/// limits. The lines of the latter come once enough sampled keys have been asked for.
fn mrc(shared: &Shared, visit: &mut Visit<'_>) {
    let curve = shared.store().curve_report();
    let sums = shared.sums();
    let CommandTotals { get_hits, get_misses, .. } = sums.commands;
    tell(
        visit,
        &[
            Figure::gauge("limit_maxbytes", sums.memory.limit_bytes),
            Figure::counter("get_hits", get_hits),
            Figure::counter("get_misses", get_misses),
            Figure::gauge("sampled_one_in", curve.sampled_one_in),
            Figure::gauge("sampled_keys", curve.sampled_keys),
            Figure::counter("sampled_gets", curve.sampled_gets),
        ],
    );
    let Some(ratios) = curve.hit_ratios(get_hits, get_misses) else { return };
    let ratios = [
        ("hit_ratio", ratios.present),
        ("hit_ratio_half", ratios.half),
        ("hit_ratio_double", ratios.double),
        ("hit_ratio_quadruple", ratios.quadruple),
        ("misses_saved_double", ratios.misses_saved(ratios.double)),
        ("misses_saved_quadruple", ratios.misses_saved(ratios.quadruple)),
    ];
    for (name, ratio) in ratios {
        visit(&Figure::new(name, Kind::Gauge, Value::Ratio(ratio)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::commands;
    use super::{Answer, Report};
    use crate::protocol::{Failure, Fetch, FetchOptions, Reply};
    use crate::telemetry::{Kind, Label, Value};

    fn names(report: Report) -> Vec<String> {
        let mut names = Vec::new();
        commands().report(report, &mut |figure| names.push(figure.name.to_owned()));
        names
    }

    #[test]
    fn the_general_report_has_names_in_memcacheds_order() {
        let report = names(Report::General);
        let places: Vec<_> = ["pid", "uptime", "version", "cmd_get", "get_hits", "limit_maxbytes", "curr_items"]
            .iter()
            .map(|name| report.iter().position(|other| other == name).expect("it is there"))
            .collect();
        assert!(places.is_sorted(), "{report:?}");
    }

    #[test]
    fn settings_come_in_the_order_they_were_handed_in_and_as_they_stand() {
        let mut figures = Vec::new();
        commands().report(Report::Settings, &mut |figure| figures.push(format!("{} {:?}", figure.name, figure.value)));
        assert_eq!(figures, ["maxconns Text(\"7\")", "verbosity Text(\"0\")"]);
    }

    #[test]
    fn a_classs_figures_are_labelled_with_it() {
        let mut commands = commands();
        let store = crate::protocol::Store {
            key: b"k",
            mode: crate::operation::Mode::Set,
            client_flags: 0,
            exptime: 0,
            value_len: 1,
            refusal_deletes: false,
            shows_cas: false,
            extras: None,
        };
        commands.store(&store, commands.hash_of(b"k"), b"v");
        let mut numbers = Vec::new();
        commands.report(Report::Items, &mut |figure| {
            assert_eq!(figure.group, "items");
            assert!(matches!(figure.labels, [Label { name: "slab", value: Value::Number(1..=63) }]), "{figure:?}");
            if figure.name == "number" {
                assert_eq!(figure.kind, Kind::Gauge);
                numbers.push(format!("{:?}", figure.value));
            }
        });
        assert_eq!(numbers, ["Number(1)"]);
    }

    #[test]
    fn a_reset_takes_counters_back_and_leaves_gauges() {
        let mut commands = commands();
        let fetch = Fetch { key: b"k", options: FetchOptions::GET, extras: None };
        commands.fetch(&fetch, commands.hash_of(b"k"), |_| ());
        assert_eq!(commands.shared.sums().commands.get_misses, 1);
        assert_eq!(commands.stats(b"reset"), Answer::Reply(Reply::Reset));
        assert_eq!(commands.shared.sums().commands.get_misses, 0);
    }

    #[test]
    fn a_report_nobody_knows_is_an_error() {
        assert_eq!(commands().stats(b"foo"), Answer::Reply(Reply::Error(Failure::UnknownReport)));
    }
}
