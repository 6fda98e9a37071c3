//! `stats`: memcached's names in memcached's order, then ours.
//!
//! What memcached counts and has no counterpart here is 0: monitors look for the line, and a missing one breaks
//! them.

use std::time::Duration;

use super::shared::Baseline;
use super::{Answer, Commands, Shared};
use crate::bytes::Buffer;
use crate::protocol::ascii::{push_reply, push_stat};
use crate::protocol::{ErrorText, Reply, VERSION};
use crate::store::{ClassReport, MemoryReport};
use crate::sync::Ordering;
use crate::sys::process;
use crate::telemetry::{CommandTotals, StoreTotals, WatchTotals};

/// A report on its way to the end of an output.
struct Report<'a> {
    out: &'a mut Buffer,
}

impl Report<'_> {
    fn text(&mut self, name: &str, value: &str) {
        push_stat(self.out, name, value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.text(name, itoa::Buffer::new().format(value));
    }

    fn numbers(&mut self, pairs: &[(&str, u64)]) {
        for &(name, value) in pairs {
            self.number(name, value);
        }
    }

    fn seconds(&mut self, name: &str, value: Duration) {
        self.text(name, &format!("{}.{:06}", value.as_secs(), value.subsec_micros()));
    }
}

/// What the general report is made from, the counters since the last reset.
struct Sums {
    commands: CommandTotals,
    store: StoreTotals,
    memory: MemoryReport,
    watch: WatchTotals,
}

impl Commands {
    /// Appends the report of this name to `out`; a name nobody knows is an error.
    pub(super) fn stats(&self, name: &[u8], out: &mut Buffer) -> Answer {
        let mut report = Report { out };
        match name {
            b"" => general(&self.shared, self.now.seconds.0, &mut report),
            b"settings" => settings(&self.shared, &mut report),
            b"items" => items(&self.shared, &mut report),
            b"slabs" => slabs(&self.shared, &mut report),
            b"sizes" => sizes(&self.shared, &mut report),
            b"mrc" => mrc(&self.shared, &mut report),
            b"conns" => return Answer::Census,
            b"reset" => {
                self.shared.reset_counters();
                return Answer::Reply(Reply::Reset);
            }
            _ => return Answer::Reply(Reply::Error(ErrorText::UnknownCommand)),
        }
        push_reply(report.out, Reply::End);
        Answer::Report
    }
}

impl Shared {
    fn command_totals(&self) -> CommandTotals {
        let mut totals = CommandTotals::default();
        self.counters().for_each(|block| totals.add(block));
        totals
    }

    /// Counters begin again at 0, gauges stay: the counts so far are remembered and taken off.
    fn reset_counters(&self) {
        let baseline = Baseline {
            commands: self.command_totals(),
            store: self.store().totals(),
            classes: self.store().class_reports(),
            watch: self.watch().totals(),
        };
        *self.baseline.lock() = baseline;
        self.prefixes().clear();
        self.store().reset_curve();
    }

    fn sums(&self) -> Sums {
        let (commands, store) = (self.command_totals(), self.store().totals());
        let memory = self.store().memory_report();
        let watch = self.watch().totals();
        let baseline = self.baseline.lock();
        let gauges = (store.curr_items, store.bytes);
        let mut store = store.since(&baseline.store);
        (store.curr_items, store.bytes) = gauges;
        let commands = commands.since(&baseline.commands);
        Sums { commands, store, memory, watch: watch.since(&baseline.watch) }
    }

    fn classes(&self) -> Vec<ClassReport> {
        let mut classes = self.store().class_reports();
        let baseline = self.baseline.lock();
        for class in &mut classes {
            if let Some(earlier) = baseline.classes.iter().find(|earlier| earlier.class == class.class) {
                class.forget(earlier);
            }
        }
        classes
    }
}

fn general(shared: &Shared, now_seconds: u32, report: &mut Report<'_>) {
    let sums = shared.sums();
    general_process(shared, now_seconds, report);
    general_connections(shared, &sums, report);
    general_commands(&sums, report);
    general_traffic(shared, &sums, report);
    general_page_moves(&sums.store, report);
    general_threads(shared, &sums, report);
    general_items(&sums, report);
    general_ours(&sums, report);
}

fn general_process(shared: &Shared, now_seconds: u32, report: &mut Report<'_>) {
    let uptime = now_seconds.saturating_sub(shared.started.seconds.0);
    let unix = shared.started.unix() + i64::from(uptime);
    report.number("pid", u64::from(shared.pid));
    report.number("uptime", u64::from(uptime));
    report.number("time", u64::try_from(unix).unwrap_or(0));
    report.text("version", VERSION);
    report.text("libevent", "none");
    report.number("pointer_size", u64::from(usize::BITS));
    let cpu = process::cpu_times().unwrap_or_default();
    report.seconds("rusage_user", cpu.user);
    report.seconds("rusage_system", cpu.system);
}

fn general_connections(shared: &Shared, sums: &Sums, report: &mut Report<'_>) {
    // Relaxed: a report.
    let current = count(shared.connections().current.load(Ordering::Relaxed));
    report.numbers(&[
        ("max_connections", count(shared.options.connections_max)),
        ("curr_connections", current),
        ("total_connections", sums.commands.total_connections),
        ("rejected_connections", sums.commands.rejected_connections),
        ("connection_structures", current),
        ("response_obj_oom", 0),
        ("response_obj_count", 0),
        ("response_obj_bytes", 0),
        ("read_buf_count", 0),
        ("read_buf_bytes", 0),
        ("read_buf_bytes_free", 0),
        ("read_buf_oom", 0),
        // Our own descriptors do not count against `-c`.
        ("reserved_fds", 0),
    ]);
}

fn general_commands(sums: &Sums, report: &mut Report<'_>) {
    let totals = &sums.commands;
    report.numbers(&[
        ("cmd_get", totals.cmd_get),
        ("cmd_set", totals.cmd_set),
        ("cmd_flush", totals.cmd_flush),
        ("cmd_touch", totals.cmd_touch),
        ("cmd_meta", totals.cmd_meta),
        ("get_hits", totals.get_hits),
        ("get_misses", totals.get_misses),
        ("get_expired", sums.store.found_expired),
        ("get_flushed", sums.store.found_flushed),
        ("delete_misses", totals.delete_misses),
        ("delete_hits", totals.delete_hits),
        ("incr_misses", totals.incr_misses),
        ("incr_hits", totals.incr_hits),
        ("decr_misses", totals.decr_misses),
        ("decr_hits", totals.decr_hits),
        ("cas_misses", totals.cas_misses),
        ("cas_hits", totals.cas_hits),
        ("cas_badval", totals.cas_badval),
        ("touch_hits", totals.touch_hits),
        ("touch_misses", totals.touch_misses),
        ("store_too_large", totals.store_too_large),
        ("store_no_memory", totals.store_no_memory),
        ("auth_cmds", totals.auth_cmds),
        ("auth_errors", totals.auth_errors),
    ]);
}

fn general_traffic(shared: &Shared, sums: &Sums, report: &mut Report<'_>) {
    let (totals, connections) = (&sums.commands, shared.connections());
    if shared.options.idle_timeout {
        report.number("idle_kicks", totals.idle_kicks);
    }
    report.numbers(&[
        ("bytes_read", totals.bytes_read),
        ("bytes_written", totals.bytes_written),
        ("limit_maxbytes", sums.memory.limit_bytes),
        // Relaxed: a report.
        ("accepting_conns", u64::from(connections.is_accepting.load(Ordering::Relaxed))),
        ("listen_disabled_num", totals.listen_disabled_num),
        ("time_in_listen_disabled_us", connections.listen_disabled_micros.load(Ordering::Relaxed)),
        ("threads", count(shared.options.workers)),
        ("conn_yields", totals.conn_yields),
        ("hash_power_level", u64::from(sums.memory.index_buckets.max(1).ilog2())),
        ("hash_bytes", sums.memory.index_bytes),
        ("hash_is_expanding", 0),
    ]);
}

fn general_page_moves(store: &StoreTotals, report: &mut Report<'_>) {
    report.numbers(&[
        ("slab_reassign_rescues", store.page_move_rescues),
        ("slab_reassign_chunk_rescues", 0),
        ("slab_reassign_inline_reclaim", 0),
        ("slab_reassign_busy_items", 0),
        ("slab_reassign_busy_deletes", 0),
        ("slab_reassign_busy_nomem", 0),
    ]);
    report.text("slab_reassign_last_busy_status", "none");
    report.numbers(&[("slab_reassign_running", 0), ("slabs_moved", store.pages_moved)]);
}

/// What memcached has threads of its own for, and who watches.
fn general_threads(shared: &Shared, sums: &Sums, report: &mut Report<'_>) {
    let watch = &sums.watch;
    report.numbers(&[
        ("lru_crawler_running", 0),
        ("lru_crawler_starts", sums.store.sweep_passes),
        ("lru_maintainer_juggles", 0),
        ("malloc_fails", 0),
        ("log_worker_dropped", watch.log_worker_dropped),
        ("log_worker_written", watch.log_worker_written),
        ("log_watcher_skipped", watch.log_watcher_skipped),
        ("log_watcher_sent", watch.log_watcher_sent),
        ("log_watchers", count(shared.watch().watchers())),
        ("unexpected_napi_ids", 0),
        ("round_robin_fallback", 0),
    ]);
}

fn general_items(sums: &Sums, report: &mut Report<'_>) {
    let store = &sums.store;
    report.numbers(&[
        ("bytes", store.bytes),
        ("curr_items", store.curr_items),
        ("total_items", store.total_items),
        ("slab_global_page_pool", sums.memory.pool_pages),
        ("expired_unfetched", store.expired_unfetched),
        ("evicted_unfetched", store.evicted_unfetched),
        ("evicted_active", 0),
        ("evictions", store.evictions),
        ("reclaimed", store.reclaimed),
        ("crawler_reclaimed", store.sweep_reclaimed),
        ("crawler_items_checked", store.sweep_items_checked),
        ("lrutail_reflocked", 0),
        ("moves_to_cold", 0),
        ("moves_to_warm", 0),
        ("moves_within_lru", 0),
        ("direct_reclaims", 0),
        ("lru_bumps_dropped", 0),
    ]);
}

/// What memcached has no name for.
fn general_ours(sums: &Sums, report: &mut Report<'_>) {
    let (store, memory) = (&sums.store, &sums.memory);
    report.numbers(&[
        ("committed_bytes", memory.committed_bytes),
        // Together with `bytes` the next seven are `committed_bytes`.
        ("chunk_slack_bytes", memory.used_chunk_bytes.saturating_sub(store.bytes)),
        ("free_chunk_bytes", memory.free_chunk_bytes),
        ("page_tail_bytes", memory.page_tail_bytes),
        ("free_page_bytes", memory.free_page_bytes),
        ("index_bytes", memory.index_bytes),
        ("eviction_bytes", memory.eviction_bytes),
        ("page_table_bytes", memory.head_bytes),
        ("slow_reader_kicks", sums.commands.slow_reader_kicks),
        ("evicted_nonzero", store.evicted_nonzero),
        ("outofmemory", store.outofmemory),
        ("ghost_hits", store.ghost_hits),
        ("page_move_evictions", store.page_move_evictions),
        ("index_evictions", store.index_evictions),
    ]);
}

fn settings(shared: &Shared, report: &mut Report<'_>) {
    for (name, value) in &shared.settings {
        report.text(name, shared.live_setting(name).as_deref().unwrap_or(value));
    }
}

/// memcached's queues do not exist here: all items stand in its last one, so that sums over them are right.
fn items(shared: &Shared, report: &mut Report<'_>) {
    for class in shared.classes().iter().filter(|class| class.number > 0) {
        let fields = [
            ("number", class.number),
            ("number_hot", 0),
            ("number_warm", 0),
            ("number_cold", class.number),
            ("age_hot", 0),
            ("age_warm", 0),
            ("age", class.age),
            ("mem_requested", class.mem_requested),
            ("evicted", class.evicted),
            ("evicted_nonzero", class.evicted_nonzero),
            ("evicted_time", class.evicted_time),
            ("outofmemory", class.outofmemory),
            ("tailrepairs", 0),
            ("reclaimed", class.reclaimed),
            ("expired_unfetched", class.expired_unfetched),
            ("evicted_unfetched", class.evicted_unfetched),
            ("evicted_active", 0),
            ("crawler_reclaimed", class.crawler_reclaimed),
            ("crawler_items_checked", class.crawler_items_checked),
            ("lrutail_reflocked", 0),
            ("moves_to_cold", 0),
            ("moves_to_warm", 0),
            ("moves_within_lru", 0),
            ("direct_reclaims", 0),
            ("hits_to_hot", 0),
            ("hits_to_warm", 0),
            ("hits_to_cold", class.get_hits),
            ("hits_to_temp", 0),
        ];
        for (name, value) in fields {
            report.number(&format!("items:{}:{name}", class.class), value);
        }
    }
}

fn slabs(shared: &Shared, report: &mut Report<'_>) {
    let classes = shared.classes();
    for class in &classes {
        let fields = [
            ("chunk_size", class.chunk_size),
            ("chunks_per_page", class.chunks_per_page),
            ("total_pages", class.total_pages),
            ("total_chunks", class.used_chunks + class.free_chunks),
            ("used_chunks", class.used_chunks),
            ("free_chunks", class.free_chunks),
            ("free_chunks_end", 0),
            ("get_hits", class.get_hits),
            ("cmd_set", class.cmd_set),
            ("delete_hits", class.delete_hits),
            ("incr_hits", class.incr_hits),
            ("decr_hits", class.decr_hits),
            ("cas_hits", class.cas_hits),
            ("cas_badval", class.cas_badval),
            ("touch_hits", class.touch_hits),
        ];
        for (name, value) in fields {
            report.number(&format!("{}:{name}", class.class), value);
        }
    }
    report.number("active_slabs", count(classes.len()));
    report.number("total_malloced", classes.iter().map(|class| class.page_bytes).sum());
}

fn sizes(shared: &Shared, report: &mut Report<'_>) {
    let Some(sizes) = shared.store().size_report() else {
        report.text("sizes_status", "disabled");
        return;
    };
    for (size, count) in sizes {
        report.number(itoa::Buffer::new().format(size), count);
    }
}

/// The miss-ratio curve: hit ratios of gets since the last reset, as measured and as they would be with other memory
/// limits. The lines of the latter come once enough sampled keys have been asked for.
fn mrc(shared: &Shared, report: &mut Report<'_>) {
    let curve = shared.store().curve_report();
    let sums = shared.sums();
    let CommandTotals { get_hits, get_misses, .. } = sums.commands;
    report.numbers(&[
        ("limit_maxbytes", sums.memory.limit_bytes),
        ("get_hits", get_hits),
        ("get_misses", get_misses),
        ("sampled_one_in", curve.sampled_one_in),
        ("sampled_keys", curve.sampled_keys),
        ("sampled_gets", curve.sampled_gets),
    ]);
    let Some(ratios) = curve.hit_ratios(get_hits, get_misses) else { return };
    let ratios = [
        ("hit_ratio", ratios.present),
        ("hit_ratio_half", ratios.half),
        ("hit_ratio_double", ratios.double),
        ("hit_ratio_quadruple", ratios.quadruple),
    ];
    for (name, ratio) in ratios {
        report.text(name, &format!("{ratio:.4}"));
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::commands;
    use super::Answer;
    use crate::bytes::Buffer;
    use crate::protocol::{ErrorText, Fetch, FetchOptions, Reply};

    fn report(name: &str) -> String {
        let mut out = Buffer::default();
        assert_eq!(commands().stats(name.as_bytes(), &mut out), Answer::Report);
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn the_general_report_has_names_in_memcacheds_order() {
        let report = report("");
        let places: Vec<_> = ["pid ", "uptime ", "version ", "cmd_get ", "get_hits ", "limit_maxbytes ", "curr_items "]
            .iter()
            .map(|name| report.find(&format!("STAT {name}")).unwrap_or_else(|| panic!("{name} in {report}")))
            .collect();
        assert!(places.is_sorted(), "{report}");
        assert!(report.ends_with("END\r\n"));
    }

    #[test]
    fn settings_come_in_the_order_they_were_handed_in() {
        assert_eq!(report("settings"), "STAT maxconns 7\r\nSTAT verbosity 0\r\nEND\r\n");
    }

    #[test]
    fn a_reset_takes_counters_back_and_leaves_gauges() {
        let mut commands = commands();
        commands.fetch(Fetch { key: b"k", options: FetchOptions::GET, extras: None }, |_| ());
        assert_eq!(commands.shared.sums().commands.get_misses, 1);
        let mut out = Buffer::default();
        assert_eq!(commands.stats(b"reset", &mut out), Answer::Reply(Reply::Reset));
        assert_eq!(commands.shared.sums().commands.get_misses, 0);
    }

    #[test]
    fn a_report_nobody_knows_is_an_error() {
        let answer = commands().stats(b"foo", &mut Buffer::default());
        assert_eq!(answer, Answer::Reply(Reply::Error(ErrorText::UnknownCommand)));
    }
}
