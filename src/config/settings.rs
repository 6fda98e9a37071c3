//! The lines of `stats settings`, in memcached's order, as a build of it without external storage and proxy
//! prints them.
//!
//! What has no effect here shows what was given, or memcached's default: tools look for the line, and a
//! missing one breaks them.

use super::extended::Extended;
use super::{Config, MemoryFile, tls};
use crate::net::Endpoint;
use crate::protocol::Dialect;

/// Words of the command line that are shown as they were written.
#[derive(Debug)]
pub(super) struct Words<'a> {
    /// `-p`.
    pub(super) port: Option<&'a str>,
    /// `-U`.
    pub(super) udp_port: Option<&'a str>,
    /// All `-l`, joined.
    pub(super) listen: String,
    /// `-a`.
    pub(super) unix_mask: Option<&'a str>,
    /// `-D`.
    pub(super) delimiter: Option<char>,
    /// `-B`.
    /// `-Y`.
    pub(super) auth_file: Option<&'a str>,
    /// `-N`.
    pub(super) napi_ids: Option<&'a str>,
}

type Lines = Vec<(&'static str, String)>;

/// All lines. `config.settings` and `config.warnings` are not looked at.
pub(super) fn list(config: &Config, extended: &Extended, words: &Words<'_>) -> Lines {
    let mut lines = listening(config, words);
    lines.extend(serving(config, words));
    lines.extend(slabs(config, extended));
    lines.extend(crawler(config, extended));
    lines.extend(lru(config, extended));
    lines.extend([("slab_automove_freeratio", text(extended, "slab_automove_freeratio", "0.010"))]);
    lines.extend(encryption(config, extended));
    lines.extend([
        ("num_napi_ids", words.napi_ids.unwrap_or("0").to_owned()),
        ("memory_file", memory_file(config)),
        ("client_flags_size", "4".to_owned()),
    ]);
    lines
}

fn listening(config: &Config, words: &Words<'_>) -> Lines {
    let socket = config.net.endpoints.iter().find_map(|endpoint| match endpoint {
        Endpoint::Unix { path, .. } => Some(path.display().to_string()),
        Endpoint::Tcp { .. } | Endpoint::Udp { .. } => None,
    });
    let udp_port = words.udp_port.filter(|port| *port != "0");
    let inter = if words.listen.is_empty() { "NULL".to_owned() } else { words.listen.clone() };
    vec![
        ("maxbytes", config.store.limit_bytes.to_string()),
        ("maxconns", config.clients.connections_max.to_string()),
        ("tcpport", words.port.or(udp_port).unwrap_or("11211").to_owned()),
        ("udpport", words.udp_port.unwrap_or("0").to_owned()),
        ("inter", inter),
        ("verbosity", config.process.verbosity.to_string()),
        ("oldest", "0".to_owned()),
        ("evictions", if config.store.evict { "on" } else { "off" }.to_owned()),
        ("domain_socket", socket.unwrap_or_else(|| "NULL".to_owned())),
        ("umask", words.unix_mask.unwrap_or("700").to_owned()),
    ]
}

fn serving(config: &Config, words: &Words<'_>) -> Lines {
    let workers = config.clients.workers.to_string();
    let protocol = config.commands.dialect.map_or("auto-negotiate", Dialect::name);
    vec![
        ("shutdown_command", yes(config.commands.shutdown)),
        ("growth_factor", format!("{:.2}", config.store.growth_factor.unwrap_or(1.25))),
        ("chunk_size", config.store.chunk_bytes_min.unwrap_or(48).to_string()),
        ("num_threads", workers.clone()),
        ("num_threads_per_udp", workers),
        ("stat_key_prefix", words.delimiter.unwrap_or(':').to_string()),
        ("detail_enabled", yes(config.commands.detail)),
        ("reqs_per_event", config.clients.requests_per_turn.to_string()),
        ("cas_enabled", yes(config.store.cas)),
        ("tcp_backlog", config.net.backlog.to_string()),
        ("binding_protocol", protocol.to_owned()),
        ("auth_enabled_sasl", yes(config.auth.sasl)),
        ("auth_enabled_ascii", words.auth_file.unwrap_or("no").to_owned()),
        ("item_size_max", config.store.item_bytes_max.to_string()),
        ("maxconns_fast", yes(config.clients.refuse_fast)),
    ]
}

fn slabs(config: &Config, extended: &Extended) -> Lines {
    let tuning = &config.commands.tuning;
    vec![
        ("hashpower_init", text(extended, "hashpower", "0")),
        ("slab_reassign", yes(tuning.reassign)),
        ("slab_automove", tuning.automove.to_string()),
        ("slab_automove_ratio", text(extended, "slab_automove_ratio", "0.80")),
        ("slab_automove_window", tuning.automove_window.to_string()),
        ("slab_chunk_max", extended.chunk_bytes_max().to_string()),
    ]
}

fn crawler(config: &Config, extended: &Extended) -> Lines {
    let hash = if extended.has("no_modern") { "jenkins" } else { "murmur3" };
    vec![
        ("lru_crawler", yes(config.store.sweep)),
        ("lru_crawler_sleep", config.store.sweep_pause_micros.to_string()),
        ("lru_crawler_tocrawl", config.store.sweep_items_max.to_string()),
        ("tail_repair_time", text(extended, "tail_repair_time", "0")),
        ("flush_enabled", yes(config.commands.flush_all)),
        ("dump_enabled", yes(config.commands.dumping)),
        ("hash_algorithm", text(extended, "hash_algorithm", hash)),
    ]
}

fn lru(config: &Config, extended: &Extended) -> Lines {
    let tuning = &config.commands.tuning;
    let kilobytes = |name, default: i64| (extended.integer(name).unwrap_or(default) << 10).to_string();
    let read_buffers = extended.integer("read_buf_mem_limit").unwrap_or(0) << 20;
    vec![
        ("lru_maintainer_thread", yes(tuning.lru_maintainer)),
        ("lru_segmented", yes(tuning.segmented)),
        ("hot_lru_pct", tuning.hot_percent.to_string()),
        ("warm_lru_pct", tuning.warm_percent.to_string()),
        ("hot_max_factor", text(extended, "hot_max_factor", "0.20")),
        ("warm_max_factor", text(extended, "warm_max_factor", "2.00")),
        ("temp_lru", yes(tuning.temp_lru)),
        ("temporary_ttl", tuning.temp_seconds.to_string()),
        ("idle_timeout", config.clients.idle_seconds_max.unwrap_or(0).to_string()),
        ("watcher_logbuf_size", kilobytes("watcher_logbuf_size", 256)),
        ("worker_logbuf_size", kilobytes("worker_logbuf_size", 64)),
        ("read_buf_mem_limit", read_buffers.to_string()),
        ("track_sizes", yes(extended.has("track_sizes"))),
        ("inline_ascii_response", yes(false)),
    ]
}

fn encryption(config: &Config, extended: &Extended) -> Lines {
    let write_kilobytes = extended.number("ssl_wbuf_size").unwrap_or(tls::WRITE_KILOBYTES);
    vec![
        ("ssl_enabled", yes(config.tls.is_some())),
        ("ssl_chain_cert", text(extended, "ssl_chain_cert", "(null)")),
        ("ssl_key", text(extended, "ssl_key", "(null)")),
        ("ssl_verify_mode", extended.integer("ssl_verify_mode").map_or("0", openssl_verify_mode).to_owned()),
        ("ssl_keyformat", text(extended, "ssl_keyformat", "1")),
        ("ssl_ciphers", text(extended, "ssl_ciphers", "NULL")),
        ("ssl_ca_cert", text(extended, "ssl_ca_cert", "NULL")),
        ("ssl_wbuf_size", (u64::from(write_kilobytes) << 10).to_string()),
        ("ssl_session_cache", yes(extended.has("ssl_session_cache"))),
        ("ssl_kernel_tls", yes(extended.has("ssl_kernel_tls"))),
        ("ssl_min_version", tls::version_text(extended).to_owned()),
    ]
}

/// memcached shows the mode as OpenSSL's bits: peer 1, fail without one 2, once 4.
fn openssl_verify_mode(mode: i64) -> &'static str {
    match mode {
        1 => "1",
        2 => "3",
        3 => "7",
        _ => "0",
    }
}

fn memory_file(config: &Config) -> String {
    match &config.memory_file {
        Some((MemoryFile::At(path), _)) => path.display().to_string(),
        Some((MemoryFile::Nameless { .. }, _)) | None => "(null)".to_owned(),
    }
}

fn text(extended: &Extended, name: &str, default: &str) -> String {
    extended.text(name).unwrap_or(default).to_owned()
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}
