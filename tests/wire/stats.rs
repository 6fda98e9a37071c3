//! stats: which lines there are, in which order, with which values after a scripted session.

use crate::client::Client;
use crate::server::{Server, is_foreign, wait_for};

/// The lines of `stats` that every build has, in memcached's order.
const GENERAL: &str = "pid uptime time version libevent pointer_size rusage_user rusage_system max_connections \
    curr_connections total_connections rejected_connections connection_structures response_obj_oom \
    response_obj_count response_obj_bytes read_buf_count read_buf_bytes read_buf_bytes_free read_buf_oom \
    reserved_fds cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses get_expired get_flushed \
    delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval \
    touch_hits touch_misses store_too_large store_no_memory auth_cmds auth_errors bytes_read bytes_written \
    limit_maxbytes accepting_conns listen_disabled_num time_in_listen_disabled_us threads conn_yields \
    hash_power_level hash_bytes hash_is_expanding slab_reassign_rescues slab_reassign_chunk_rescues \
    slab_reassign_inline_reclaim slab_reassign_busy_items slab_reassign_busy_deletes slab_reassign_busy_nomem \
    slab_reassign_last_busy_status slab_reassign_running slabs_moved lru_crawler_running lru_crawler_starts \
    lru_maintainer_juggles malloc_fails log_worker_dropped log_worker_written log_watcher_skipped \
    log_watcher_sent log_watchers unexpected_napi_ids round_robin_fallback bytes curr_items total_items \
    slab_global_page_pool expired_unfetched evicted_unfetched evicted_active evictions reclaimed \
    crawler_reclaimed crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm moves_within_lru \
    direct_reclaims lru_bumps_dropped";

/// The lines of `stats settings` that every build has, in memcached's order, with their defaults.
const SETTINGS: &str = "maxbytes=67108864 maxconns=1024 tcpport=-1 udpport=0 inter=127.0.0.1 verbosity=0 oldest=0 \
    evictions=on domain_socket=NULL umask=700 shutdown_command=no growth_factor=1.25 chunk_size=48 num_threads=4 \
    num_threads_per_udp=4 stat_key_prefix=: detail_enabled=no reqs_per_event=20 cas_enabled=yes tcp_backlog=1024 \
    binding_protocol=auto-negotiate auth_enabled_sasl=no auth_enabled_ascii=no item_size_max=1048576 \
    maxconns_fast=yes hashpower_init=0 slab_reassign=yes slab_automove=1 slab_automove_ratio=0.80 \
    slab_automove_window=10 slab_chunk_max=524288 lru_crawler=yes lru_crawler_sleep=100 lru_crawler_tocrawl=0 \
    tail_repair_time=0 flush_enabled=yes dump_enabled=yes hash_algorithm=murmur3 lru_maintainer_thread=yes \
    lru_segmented=yes hot_lru_pct=20 warm_lru_pct=40 hot_max_factor=0.20 warm_max_factor=2.00 temp_lru=no \
    temporary_ttl=61 idle_timeout=0 watcher_logbuf_size=262144 worker_logbuf_size=65536 read_buf_mem_limit=0 \
    track_sizes=no inline_ascii_response=no slab_automove_freeratio=0.010 num_napi_ids=0 memory_file=(null) \
    client_flags_size=4";

type Lines = Vec<(String, String)>;

/// All of `names` are there, in this order; other lines may stand between them.
#[track_caller]
fn expect_in_order<'a>(lines: &Lines, names: impl Iterator<Item = &'a str>) {
    let mut rest = lines.iter();
    for name in names {
        let found = rest.any(|(line, _)| line == name);
        assert!(found, "{name} is missing or not in its place");
    }
}

#[track_caller]
fn expect_line(lines: &Lines, name: &str, value: &str) {
    let found = lines.iter().find(|(line, _)| line == name).map(|(_, value)| value.as_str());
    assert!(found == Some(value), "{name} is {found:?}, not {value:?}");
}

/// The sum of the numbers whose names end so, over all classes.
fn sum(lines: &Lines, end: &str) -> u64 {
    let numbers = lines.iter().filter(|(name, _)| name.ends_with(end));
    numbers.map(|(_, value)| value.parse::<u64>().expect("the stat is a number")).sum()
}

#[test]
fn general_lines_come_in_the_order_of_memcached() {
    let server = Server::start(&[]);
    let lines = server.client().stats("");
    expect_in_order(&lines, GENERAL.split_whitespace());
    for (place, (name, _)) in lines.iter().enumerate() {
        assert!(lines[..place].iter().all(|(other, _)| other != name), "{name} comes twice");
    }
}

#[test]
fn general_lines_describe_the_process() {
    let server = Server::start(&["-m", "16", "-t", "3", "-c", "200"]);
    let mut client = server.client();
    let lines = client.stats("");
    let expected = [
        ("pid", server.pid().to_string()),
        ("pointer_size", usize::BITS.to_string()),
        ("max_connections", "200".to_owned()),
        ("limit_maxbytes", (16 << 20).to_string()),
        ("threads", "3".to_owned()),
        ("accepting_conns", "1".to_owned()),
        ("curr_connections", "1".to_owned()),
    ];
    for (name, value) in expected {
        expect_line(&lines, name, &value);
    }
    for name in ["rusage_user", "rusage_system"] {
        let value = lines.iter().find(|(line, _)| line == name).map(|(_, value)| value.as_str());
        let (_, fraction) = value.and_then(|value| value.split_once('.')).expect("a time is S.US");
        assert!(fraction.len() == 6, "{name} has {fraction} after the dot");
    }
    assert!(client.stat("time") > 1_700_000_000, "the time is Unix time");
}

#[test]
fn a_scripted_session_is_counted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 1\r\n1\r\nadd a 0 0 1\r\n1\r\nadd b 0 0 1\r\n1\r\n", "STORED\r\nNOT_STORED\r\nSTORED\r\n");
    client.ask("append a 0 0 1\r\n1\r\nreplace c 0 0 1\r\n1\r\n", "STORED\r\nNOT_STORED\r\n");
    client.ask("get a b c\r\n", "VALUE a 0 2\r\n11\r\nVALUE b 0 1\r\n1\r\nEND\r\n");
    client.ask("incr a 1\r\nincr c 1\r\ndecr b 1\r\ndecr c 1\r\n", "12\r\nNOT_FOUND\r\n0\r\nNOT_FOUND\r\n");
    client.ask("touch a 9\r\ntouch c 9\r\ngat 0 b\r\n", "TOUCHED\r\nNOT_FOUND\r\nVALUE b 0 1\r\n0\r\nEND\r\n");
    client.ask("cas a 0 0 1 0\r\n1\r\ncas c 0 0 1 0\r\n1\r\n", "EXISTS\r\nNOT_FOUND\r\n");
    client.ask("delete b\r\ndelete b\r\nflush_all\r\n", "DELETED\r\nNOT_FOUND\r\nOK\r\n");
    client.expect_stats(&[
        ("cmd_set", 7),
        ("cmd_flush", 1),
        ("cmd_touch", 3),
        ("incr_hits", 1),
        ("incr_misses", 1),
        ("decr_hits", 1),
        ("decr_misses", 1),
        ("touch_hits", 2),
        ("touch_misses", 1),
        ("cas_hits", 0),
        ("cas_badval", 1),
        ("cas_misses", 1),
        ("delete_hits", 1),
        ("delete_misses", 1),
        ("evictions", 0),
        ("store_too_large", 0),
        ("store_no_memory", 0),
    ]);
}

#[test]
fn items_and_bytes_are_gauges() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.expect_stats(&[("curr_items", 0), ("bytes", 0), ("total_items", 0)]);
    for number in 0..10 {
        client.set(&format!("k{number}"), vec![b'v'; 1000]);
    }
    client.expect_stats(&[("curr_items", 10), ("total_items", 10)]);
    let full = client.stat("bytes");
    assert!((10_000..12_000).contains(&full), "10 values of 1000 bytes take {full}");
    client.set("k0", "short");
    assert!(client.stat("bytes") < full, "a shorter value takes less");
    client.expect_stats(&[("curr_items", 10), ("total_items", 11)]);
    for number in 0..10 {
        client.ask(format!("delete k{number}\r\n"), "DELETED\r\n");
    }
    client.expect_stats(&[("curr_items", 0), ("bytes", 0), ("total_items", 11)]);
}

#[test]
fn traffic_and_connections_are_counted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let (read, written) = (client.stat("bytes_read"), client.stat("bytes_written"));
    client.set("a", vec![b'v'; 50_000]);
    client.expect_value("a", vec![b'v'; 50_000]);
    let read = client.stat("bytes_read") - read;
    let written = client.stat("bytes_written") - written;
    assert!((50_000..51_000).contains(&read), "{read} bytes were read");
    assert!((50_000..70_000).contains(&written), "{written} bytes were written");
    let total = client.stat("total_connections");
    for _ in 0..5 {
        server.client().expect_silence();
    }
    assert!(client.stat("total_connections") == total + 5, "five clients came");
}

#[test]
fn settings_come_in_order_with_their_defaults() {
    let server = Server::start(&[]);
    let lines = server.client().stats("settings");
    let pairs = || SETTINGS.split_whitespace().filter_map(|pair| pair.split_once('='));
    expect_in_order(&lines, pairs().map(|(name, _)| name));
    for (name, value) in pairs() {
        expect_line(&lines, name, value);
    }
}

#[test]
fn settings_show_the_options() {
    let options = [
        "-m",
        "32",
        "-c",
        "100",
        "-t",
        "2",
        "-R",
        "7",
        "-b",
        "99",
        "-I",
        "2m",
        "-f",
        "1.5",
        "-n",
        "64",
        "-M",
        "-C",
        "-F",
        "-A",
        "-D",
        "/",
        "-X",
        "-o",
        "idle_timeout=30,hashpower=14,no_maxconns_fast,tail_repair_time=60",
        "-o",
        "slab_chunk_max=256,hash_algorithm=xxh3,lru_crawler_sleep=50,hot_lru_pct=30,warm_lru_pct=30",
    ];
    let server = Server::start(&options);
    let lines = server.client().stats("settings");
    let expected = "maxbytes=33554432 maxconns=100 num_threads=2 reqs_per_event=7 tcp_backlog=99 item_size_max=2097152 \
        growth_factor=1.50 chunk_size=64 evictions=off cas_enabled=no flush_enabled=no shutdown_command=yes \
        stat_key_prefix=/ dump_enabled=no idle_timeout=30 hashpower_init=14 maxconns_fast=no \
        tail_repair_time=60 slab_chunk_max=262144 hash_algorithm=xxh3 lru_crawler_sleep=50 hot_lru_pct=30 \
        warm_lru_pct=30";
    for (name, value) in expected.split_whitespace().filter_map(|pair| pair.split_once('=')) {
        expect_line(&lines, name, value);
    }
}

/// Keys with values of three sizes, so that several classes are in use.
fn fill(client: &mut Client) {
    for number in 0..30 {
        let bytes = [10, 500, 5000][number % 3];
        client.set(&format!("k{number}"), vec![b'v'; bytes]);
    }
    for number in 0..30 {
        client.ask_line(format!("get k{number}\r\n"));
        client.receive([10, 500, 5000][number % 3] + "\r\nEND\r\n".len());
    }
}

#[test]
fn items_shows_the_classes_in_use() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert!(client.stats("items").is_empty(), "no class is in use");
    fill(&mut client);
    let lines = client.stats("items");
    for (name, _) in &lines {
        let mut parts = name.split(':');
        assert!(parts.next() == Some("items"), "a strange name: {name}");
        let class = parts.next().and_then(|class| class.parse::<u32>().ok());
        assert!(class.is_some_and(|class| class > 0), "no class in {name}");
    }
    assert!(sum(&lines, ":number") == 30, "all items are in some class");
    let classes = lines.iter().filter(|(name, _)| name.ends_with(":number")).count();
    // How fine classes step is the server's own affair, but these sizes lie far apart.
    assert!(classes >= 3, "three sizes in {classes} classes");
    assert!(sum(&lines, ":mem_requested") == client.stat("bytes"), "the classes sum up to all bytes");
    let names = "age evicted evicted_nonzero evicted_time outofmemory tailrepairs reclaimed expired_unfetched \
        evicted_unfetched crawler_reclaimed crawler_items_checked lrutail_reflocked";
    for name in names.split_whitespace() {
        let end = format!(":{name}");
        assert!(
            lines.iter().filter(|(line, _)| line.ends_with(&end)).count() == classes,
            "{name} is not in each class"
        );
    }
}

#[test]
fn slabs_shows_chunks_and_hits_by_class() {
    let server = Server::start(&[]);
    let mut client = server.client();
    fill(&mut client);
    client.ask("incr k1 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
    client.ask("delete k0\r\ntouch k1 0\r\n", "DELETED\r\nTOUCHED\r\n");
    let lines = client.stats("slabs");
    let (used, free) = (sum(&lines, ":used_chunks"), sum(&lines, ":free_chunks"));
    assert!(used >= 29, "each item has a chunk, but {used} are used");
    assert!(sum(&lines, ":total_chunks") == used + free, "a chunk is used or free");
    assert!(sum(&lines, ":cmd_set") == 30, "each set is counted");
    assert!(sum(&lines, ":get_hits") == 30, "each hit is counted");
    assert!(sum(&lines, ":delete_hits") == 1, "each delete is counted");
    assert!(sum(&lines, ":touch_hits") == 1, "each touch is counted");
    let names = "chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks free_chunks_end get_hits \
        cmd_set delete_hits incr_hits decr_hits cas_hits cas_badval touch_hits";
    for name in names.split_whitespace() {
        let end = format!(":{name}");
        assert!(lines.iter().filter(|(line, _)| line.ends_with(&end)).count() >= 3, "{name} is not in each class");
    }
    expect_in_order(&lines, ["active_slabs", "total_malloced"].into_iter());
}

/// Values of ten sizes, from every part of the table of classes.
fn fill_with_ten_sizes(client: &mut Client) {
    for number in 0..200 {
        let bytes = [1, 40, 150, 400, 900, 2000, 4100, 9000, 16_000, 120_000][number % 10];
        client.ask_much(&crate::client::set_bytes(&format!("k{number}"), &vec![b'v'; bytes]), "STORED\r\n");
    }
}

/// The class of a line `CLASS:name` or `items:CLASS:name`.
fn class_of(name: &str) -> Option<u32> {
    name.strip_prefix("items:").unwrap_or(name).split_once(':')?.0.parse().ok()
}

#[test]
fn class_numbers_are_those_that_clients_ask_for() {
    for options in [&["-m", "64"], &["-m", "1024"], &["-f", "1.02"]] {
        let server = Server::start(options);
        let mut client = server.client();
        fill_with_ten_sizes(&mut client);
        for report in ["items", "slabs"] {
            let classes = client.stats(report);
            let classes: Vec<u32> = classes.iter().filter_map(|(name, _)| class_of(name)).collect();
            assert!(classes.iter().all(|class| (1..=63).contains(class)), "{options:?}: {classes:?}");
            assert!(classes.is_sorted(), "{options:?}: {classes:?}");
        }
        assert_eq!(sum(&client.stats("items"), ":number"), 200);
        assert_eq!(sum(&client.stats("slabs"), ":cmd_set"), 200);
    }
}

#[test]
fn fine_classes_sum_up_to_those_that_clients_know() {
    if is_foreign() {
        return;
    }
    for options in [&["-m", "64"], &["-m", "1024"]] {
        let server = Server::start(options);
        let mut client = server.client();
        fill_with_ten_sizes(&mut client);
        client.ask_much(
            b"stats reset\r\nset k1 0 0 1\r\nx\r\nget k1\r\n",
            "RESET\r\nSTORED\r\nVALUE k1 0 1\r\nx\r\nEND\r\n",
        );
        let (fine, slabs) = (client.stats("slabs_fine"), client.stats("slabs"));
        let of = |lines: &Lines, class: u32, name: &str| -> u64 {
            let line = lines.iter().find(|(line, _)| *line == format!("{class}:{name}"));
            line.and_then(|(_, value)| value.parse().ok()).expect("each class has each line")
        };
        let mut fine_of: std::collections::BTreeMap<u64, Vec<u32>> = std::collections::BTreeMap::new();
        for place in fine.iter().filter_map(|(name, _)| name.strip_suffix(":class")?.parse().ok()) {
            fine_of.entry(of(&fine, place, "class")).or_default().push(place);
        }
        let known: Vec<u64> =
            slabs.iter().filter_map(|(name, _)| name.strip_suffix(":chunk_size")?.parse().ok()).collect();
        assert_eq!(fine_of.keys().copied().collect::<Vec<_>>(), known);
        for (class, places) in fine_of {
            let class = u32::try_from(class).expect("at most 63");
            for name in ["total_pages", "used_chunks", "free_chunks", "cmd_set", "get_hits"] {
                let total: u64 = places.iter().map(|place| of(&fine, *place, name)).sum();
                assert_eq!(of(&slabs, class, name), total, "{name} of {class}");
            }
            let sizes = places.iter().map(|place| of(&fine, *place, "chunk_size"));
            assert!(sizes.max().is_some_and(|size| size <= of(&slabs, class, "chunk_size")));
        }
    }
}

#[test]
fn few_classes_have_the_numbers_of_their_places() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&["-f", "1.25"]);
    let mut client = server.client();
    fill_with_ten_sizes(&mut client);
    for (name, value) in client.stats("slabs_fine") {
        assert!(!name.ends_with(":class") || name == format!("{value}:class"), "{name} is {value}");
    }
}

#[test]
fn a_classs_age_grows_before_anything_is_evicted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    wait_for("the item to grow older than a second", || (sum(&client.stats("items"), ":age") > 0).then_some(()));
    client.expect_stats(&[("evictions", 0)]);
}

#[test]
fn an_expired_item_that_a_set_replaces_is_reclaimed() {
    // Without memcached's threads and our sweep, which would take them first.
    let server = Server::start(&["-o", "no_modern"]);
    let mut client = server.client();
    let (dead, live) = ("set a 0 -1 1\r\n1\r\n", "set a 0 0 1\r\n1\r\n");
    client.ask(format!("{dead}{live}"), "STORED\r\nSTORED\r\n");
    client.expect_stats(&[("reclaimed", 1), ("expired_unfetched", 1), ("crawler_reclaimed", 0)]);
    assert_eq!(sum(&client.stats("items"), ":reclaimed"), 1);
    client.ask(live, "STORED\r\n");
    client.expect_stats(&[("reclaimed", 1)]);
}

#[test]
fn reset_clears_counters_but_not_gauges() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.expect_value("a", "1");
    client.ask("get nosuch\r\ndelete nosuch\r\n", "END\r\nNOT_FOUND\r\n");
    let bytes = client.stat("bytes");
    client.ask("stats reset\r\n", "RESET\r\n");
    let cleared = ["cmd_get", "cmd_set", "get_hits", "get_misses", "delete_misses", "evictions"];
    client.expect_stats(&cleared.map(|name| (name, 0)));
    client.expect_stats(&[("curr_items", 1), ("bytes", bytes), ("curr_connections", 1)]);
    client.expect_value("a", "1");
    client.expect_stats(&[("cmd_get", 1), ("get_hits", 1)]);
}

/// Lines of `stats mrc` from the first get on, and those that want enough sampled gets.
const MRC: &str = "limit_maxbytes get_hits get_misses sampled_one_in sampled_keys sampled_gets";
const MRC_RATIOS: &str = "hit_ratio hit_ratio_half hit_ratio_double hit_ratio_quadruple";
const MRC_SAVED: &str = "misses_saved_double misses_saved_quadruple";

#[track_caller]
fn expect_names(lines: &Lines, names: &str) {
    let found: Vec<_> = lines.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(found.join(" "), names);
}

#[test]
fn mrc_estimates_nothing_from_too_few_gets() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&["-m", "32"]);
    let mut client = server.client();
    client.set("a", "1");
    client.expect_value("a", "1");
    client.ask("get nosuch\r\n", "END\r\n");
    let lines = client.stats("mrc");
    expect_names(&lines, MRC);
    for (name, value) in [("limit_maxbytes", "33554432"), ("get_hits", "1"), ("get_misses", "1")] {
        expect_line(&lines, name, value);
    }
    expect_line(&lines, "sampled_one_in", "64");
}

#[test]
fn mrc_shows_ratios_and_begins_again_after_a_reset() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&[]);
    let mut client = server.client();
    // 100 sampled keys or so, by a hash of the server's own; 25 gets of each are twice as many as it wants and more.
    for batch in 0..64 {
        let keys: Vec<_> = (0..100).map(|number| format!("k{}", batch * 100 + number)).collect();
        let sets: String = keys.iter().map(|key| format!("set {key} 0 0 1\r\nv\r\n")).collect();
        client.ask_much(sets.as_bytes(), "STORED\r\n".repeat(keys.len()));
        let values: String = keys.iter().map(|key| format!("VALUE {key} 0 1\r\nv\r\n")).collect();
        let get = format!("get {}\r\n", keys.join(" "));
        client.ask_much(get.repeat(25).as_bytes(), format!("{values}END\r\n").repeat(25));
    }
    let lines = client.stats("mrc");
    expect_names(&lines, &format!("{MRC} {MRC_RATIOS} {MRC_SAVED}"));
    expect_line(&lines, "get_hits", "160000");
    for name in MRC_RATIOS.split(' ') {
        expect_line(&lines, name, "1.0000");
    }
    for name in MRC_SAVED.split(' ') {
        expect_line(&lines, name, "0.0000");
    }
    client.ask("stats reset\r\n", "RESET\r\n");
    let after = client.stats("mrc");
    expect_names(&after, MRC);
    for name in ["get_hits", "sampled_gets"] {
        expect_line(&after, name, "0");
    }
    assert_eq!(sum(&after, "sampled_keys"), sum(&lines, "sampled_keys"), "the keys stay");
    client.ask("flush_all\r\n", "OK\r\n");
    expect_line(&client.stats("mrc"), "sampled_keys", "0");
}

#[test]
fn an_unknown_name_is_an_error() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("stats nosuch\r\n", "ERROR\r\n");
    client.ask("stats sizes_enable\r\n", "ERROR\r\n");
    client.expect_silence();
}

#[test]
fn the_parts_of_the_memory_add_up() {
    if is_foreign() {
        return;
    }
    let options: [&[&str]; 2] = [&["-m", "8", "-I", "512k"], &["-m", "64"]];
    for options in options {
        let server = Server::start(options);
        let mut client = server.client();
        expect_memory_to_add_up(&mut client);
        for number in 0..4000 {
            let bytes = [10, 700, 3000, 20_000][number % 4];
            client.ask_much(&crate::client::set_bytes(&format!("k{number}"), &vec![b'v'; bytes]), "STORED\r\n");
        }
        expect_memory_to_add_up(&mut client);
        client.ask("flush_all\r\n", "OK\r\n");
        expect_memory_to_add_up(&mut client);
    }
}

/// The parts are read one after the other, and pages may move meanwhile: then they are read again.
#[track_caller]
fn expect_memory_to_add_up(client: &mut Client) {
    wait_for("the parts sum up to committed_bytes", || {
        let lines = client.stats("");
        let value = |name: &str| {
            let line = lines.iter().find(|(line, _)| line == name);
            line.and_then(|(_, value)| value.parse::<u64>().ok()).expect("each part has its line")
        };
        let parts = "bytes chunk_slack_bytes free_chunk_bytes page_tail_bytes free_page_bytes index_bytes \
            eviction_bytes page_table_bytes";
        let sum: u64 = parts.split_whitespace().map(value).sum();
        assert!(value("committed_bytes") <= value("limit_maxbytes"), "more than -m");
        (sum == value("committed_bytes")).then_some(())
    });
}
