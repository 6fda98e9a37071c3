//! `watch`: each event's line, who gets it, and what watching costs those who do not.

use std::collections::HashMap;
use std::thread;

use crate::client::Client;
use crate::server::{Directory, Server, is_foreign, wait_for};

/// A client that watches, past its `OK`.
#[track_caller]
fn watcher(server: &Server, words: &str) -> Client {
    let mut client = server.client();
    client.ask(format!("watch {words}\r\n"), "OK\r\n");
    client
}

/// A line's words after time and number; `skipped=` stands alone.
fn rest(line: &str) -> &str {
    let rest = line.strip_prefix("ts=").and_then(|line| line.split_once(" gid="));
    rest.and_then(|(_, rest)| rest.split_once(' ')).map_or(line, |(_, rest)| rest)
}

/// The value of a line's word.
fn word<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

#[track_caller]
fn number(line: &str, name: &str) -> u64 {
    let number = word(line, name).and_then(|text| text.parse().ok());
    assert!(number.is_some(), "no number {name} in: {line}");
    number.expect("asserted just above")
}

/// A number of the general report.
#[track_caller]
fn stat(client: &mut Client, name: &str) -> u64 {
    let value = client.stats("").into_iter().find_map(|(listed, value)| (listed == name).then_some(value));
    value.and_then(|value| value.parse().ok()).expect("the report has the number")
}

/// The next line, its class and descriptor replaced where there are any.
#[track_caller]
fn event(client: &mut Client) -> String {
    let line = client.line();
    let neutral = rest(&line).split(' ').map(|word| match word.split_once('=') {
        Some(("clsid", class)) if class != "0" => "clsid=C",
        Some(("cfd", _)) => "cfd=F",
        _ => word,
    });
    neutral.collect::<Vec<_>>().join(" ")
}

/// Sends a command and expects its lines: `get` and `store` stand for their types, and say nothing of class and
/// descriptor.
#[track_caller]
fn tells(watcher: &mut Client, client: &mut Client, command: &str, lines: &[&str]) {
    client.send(command);
    for line in lines {
        let got = event(watcher);
        let short = got.replace("type=item_", "").replace("type=", "").replace(" cfd=F", "").replace("key=", "");
        let short = short.replace(" clsid=C", "");
        assert!(short == *line, "{command:?} told\n {got}\nnot\n {line}");
    }
}

const ITEMS: &str = "fetchers mutations deletions";

#[test]
fn a_line_has_time_number_and_memcacheds_words() {
    let server = Server::start(&[]);
    let (mut watcher, mut client) = (watcher(&server, "fetchers mutations"), server.client());
    client.ask("set k 5 100 5\r\nhello\r\n", "STORED\r\n");
    let first = watcher.line();
    assert!(first.contains(" type=item_get key=k status=not_found clsid=0 cfd="), "{first}");
    let second = watcher.line();
    assert!(number(&second, "gid") > number(&first, "gid"), "{first} {second}");
    let (seconds, micros) = word(&second, "ts").and_then(|ts| ts.split_once('.')).expect("a time");
    assert!(seconds.parse::<u64>().is_ok_and(|seconds| seconds > 1_700_000_000), "{second}");
    assert!(micros.parse::<u32>().is_ok_and(|micros| micros < 1_000_000), "{second}");
    let names: Vec<_> = second.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect();
    assert_eq!(names, ["ts", "gid", "type", "key", "status", "cmd", "ttl", "clsid", "cfd", "size"]);
    assert_eq!(number(&second, "ttl"), 100);
    assert!(number(&second, "clsid") > 0);
}

#[test]
fn fetches_tell_what_was_there() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set k 0 0 5\r\nhello\r\n", "STORED\r\n");
    let mut watcher = watcher(&server, ITEMS);
    let mut tells = |command: &str, lines: &[&str]| tells(&mut watcher, &mut client, command, lines);
    let (hit, miss) = ("get k status=found size=5", "get none status=not_found clsid=0 size=0");
    tells("get k\r\n", &[hit]);
    tells("gets k none k\r\n", &[hit, miss, hit]);
    tells("gat 100 k\r\n", &[hit]);
    tells("touch k 100\r\n", &[hit]);
    tells("touch none 100\r\n", &[miss]);
    tells("mg k s v q\r\n", &[hit]);
    tells("mg none v\r\n", &[miss]);
    tells("me k\r\n", &[hit]);
    tells("mg new v N100\r\n", &["get new status=not_found clsid=0 size=0"]);
    tells("get\r\nbogus\r\nget k\r\n", &[hit]);
}

#[test]
fn an_expired_item_is_told_of_as_such() {
    let server = Server::start(&[]);
    let (mut watcher, mut client) = (watcher(&server, "fetchers"), server.client());
    // At once: memcached's maintainer may be there before a second command.
    let lines = ["get k status=not_found clsid=0 size=0", "get k status=expired clsid=0 size=0"];
    tells(&mut watcher, &mut client, "set k 0 -1 1\r\nx\r\nget k\r\n", &lines);
}

#[test]
fn stores_look_the_key_up_first() {
    let server = Server::start(&[]);
    let (mut watcher, mut client) = (watcher(&server, ITEMS), server.client());
    let mut tells = |command: &str, lines: &[&str]| tells(&mut watcher, &mut client, command, lines);
    let (none, miss) = ("get none status=not_found clsid=0 size=0", "get k status=not_found clsid=0 size=0");
    tells("set k 0 0 5\r\nhello\r\n", &[miss, "store k status=stored cmd=set ttl=0 size=5"]);
    let hit = "get k status=found size=5";
    tells("set k 0 100 5\r\nhello\r\n", &[hit, "store k status=stored cmd=set ttl=100 size=5"]);
    tells("add k 0 0 1\r\nx\r\n", &[hit, "store k status=not_stored cmd=add ttl=0 size=1"]);
    tells("replace none 0 0 1\r\nx\r\n", &[none, "store none status=not_stored cmd=replace ttl=0 size=1"]);
    tells("set k 0 0 5 noreply\r\nhello\r\n", &[hit, "store k status=stored cmd=set ttl=0 size=5"]);
    tells("append k 0 0 1\r\nx\r\n", &[hit, "store k status=stored cmd=append ttl=0 size=6"]);
    let hit = "get k status=found size=6";
    tells("prepend none 0 0 1\r\nx\r\n", &[none, "store none status=not_stored cmd=prepend ttl=0 size=1"]);
    tells("cas k 0 0 1 999999999\r\nx\r\n", &[hit, "store k status=exists cmd=cas ttl=0 size=1"]);
    tells("cas none 0 0 1 9\r\nx\r\n", &[none, "store none status=not_found cmd=cas ttl=0 size=1"]);
    tells("ms k 2 MR\r\nhi\r\n", &[hit, "store k status=stored cmd=replace ttl=0 size=2"]);
    tells("set k 0 0 1\r\nxyz\r\nget k\r\n", &["get k status=found size=2"]);
}

#[test]
fn a_value_that_streams_is_told_of_when_it_is_there() {
    let server = Server::start(&[]);
    let (mut watcher, mut client) = (watcher(&server, ITEMS), server.client());
    let set = format!("set large 0 0 300000\r\n{}\r\n", "x".repeat(300_000));
    let miss = "get large status=not_found clsid=0 size=0";
    tells(&mut watcher, &mut client, &set, &[miss, "store large status=stored cmd=set ttl=0 size=300000"]);
    client.expect("STORED\r\n");
    tells(&mut watcher, &mut client, "get large\r\n", &["get large status=found size=300000"]);
}

#[test]
fn a_value_too_large_is_told_of_before_the_old_one_goes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set k 0 0 5\r\nhello\r\n", "STORED\r\n");
    let mut watcher = watcher(&server, ITEMS);
    client.send(format!("set k 0 0 2000000\r\n{}\r\n", "x".repeat(2_000_000)));
    let line = event(&mut watcher);
    // memcached forgets to pass class and descriptor here, and prints what happens to be there.
    assert!(line.starts_with("type=item_store key=k status=too_large cmd=set ttl="), "{line}");
    assert_eq!(event(&mut watcher), "type=item_get key=k status=found clsid=C cfd=F size=5");
}

#[test]
fn numbers_and_deletes_are_told_of() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set n 0 0 1\r\n9\r\n", "STORED\r\n");
    let mut watcher = watcher(&server, ITEMS);
    let mut tells = |command: &str, lines: &[&str]| tells(&mut watcher, &mut client, command, lines);
    let none = "get none status=not_found clsid=0 size=0";
    tells("incr n 1\r\n", &["get n status=found size=1"]);
    tells("decr none 1\r\n", &[none]);
    tells("ma n\r\n", &["get n status=found size=2"]);
    let miss = "get m status=not_found clsid=0 size=0";
    tells("ma m N0 J5\r\n", &[miss, miss, "store m status=stored cmd=add ttl=0 size=1"]);
    tells("delete n\r\n", &["get n status=found size=2", "deleted n cmd=delete size=2"]);
    tells("delete none\r\n", &[none]);
    let hit = "get m status=found size=1";
    tells("md m I\r\n", &[hit]);
    tells("md m C1\r\n", &[hit]);
    tells("md m x\r\n", &[hit, hit, "store m status=stored cmd=set ttl=0 size=0", "deleted m cmd=md size=0"]);
    tells("md m\r\n", &["get m status=found size=0", "deleted m cmd=md size=0"]);
}

#[test]
fn keys_are_encoded_as_in_an_address() {
    let server = Server::start(&[]);
    let (mut watcher, mut client) = (watcher(&server, "fetchers"), server.client());
    client.ask("get a%b/c~d-e_f.g!h\r\n", "END\r\n");
    assert_eq!(word(&watcher.line(), "key"), Some("a%25b%2Fc~d-e_f.g%21h"));
    client.ask(format!("get {}\r\n", "#".repeat(250)), "END\r\n");
    assert_eq!(word(&watcher.line(), "key"), Some(&*"%23".repeat(250)));
    client.ask("mg YWIK b v\r\n", "EN\r\n");
    assert_eq!(word(&watcher.line(), "key"), Some("ab%0A"));
}

#[test]
fn evictions_tell_what_went() {
    let server = Server::start(&["-m", "8"]);
    let (mut watcher, mut client) = (watcher(&server, "evictions"), server.client());
    let value = "x".repeat(4000);
    let sets: String = (0..4000).map(|number| format!("set k{number} 0 0 4000 noreply\r\n{value}\r\n")).collect();
    client.send(format!("{sets}mn\r\n"));
    client.expect("MN\r\n");
    let line = rest(&watcher.line()).to_owned();
    assert!(line.starts_with("type=eviction key=k"), "{line}");
    let names: Vec<_> = line.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect();
    assert_eq!(names, ["type", "key", "fetch", "ttl", "la", "clsid", "size"]);
    assert_eq!((word(&line, "fetch"), word(&line, "ttl"), number(&line, "size")), (Some("no"), Some("-1"), 4000));
}

#[test]
fn clients_that_come_and_go_are_told_of() {
    let server = Server::start(&["-o", "idle_timeout=1"]);
    let mut watcher = watcher(&server, "connevents");
    let client = server.client();
    let came = watcher.line();
    assert!(rest(&came).starts_with("type=conn_new rip=127.0.0.1 rport="), "{came}");
    assert!(came.contains(" transport=tcp cfd="), "{came}");
    drop(client);
    let went = watcher.line();
    let tail = format!("transport=tcp reason=normal cfd={}", number(&came, "cfd"));
    assert_eq!(rest(&went), format!("type=conn_close rip=127.0.0.1 rport={} {tail}", number(&came, "rport")));
    for (said, reason) in [("quit\r\n", "normal"), ("get / HTTP/1.1\r\nx HTTP/1.1\r\n", "error"), ("", "idle_timeout")]
    {
        let mut client = server.client();
        client.send(said);
        assert_eq!(word(&watcher.line(), "type"), Some("conn_new"));
        assert_eq!(word(&watcher.line(), "reason"), Some(reason), "{said:?}");
        drop(client);
    }
}

#[test]
fn a_client_of_a_unix_socket_is_local() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let server = Server::start_unix(&path, &[]);
    let mut watcher = Client::connect_unix(&path);
    // Whoever tried at the start whether somebody listens has left, and that is seen a little later.
    wait_for("it is alone", || (watcher.stat("curr_connections") == 1).then_some(()));
    watcher.ask("watch connevents\r\n", "OK\r\n");
    let client = Client::connect_unix(&path);
    assert_eq!(event(&mut watcher), "type=conn_new rip=unix rport=0 transport=local cfd=F");
    drop(client);
    assert_eq!(event(&mut watcher), "type=conn_close rip=unix rport=0 transport=local reason=normal cfd=F");
    drop(server);
}

#[test]
fn the_search_for_the_dead_tells_what_it_came_to() {
    let server = Server::start(&[]);
    let (mut watcher, mut client) = (watcher(&server, "sysevents"), server.client());
    client.ask("set k 0 1 1\r\nx\r\n", "STORED\r\n");
    let line = watcher.line();
    assert!(rest(&line).starts_with("type=lru_crawler crawler="), "{line}");
    let names = ["lru", "low_mark", "next_reclaims", "since_run", "next_run", "elapsed", "examined", "reclaimed"];
    assert!(names.iter().all(|name| word(&line, name).is_some()), "{line}");
}

#[test]
fn a_page_that_moves_is_told_of() {
    if is_foreign() {
        // memcached tells of moves of its own choice only, which come when they come.
        return;
    }
    let server = Server::start(&["-m", "32"]);
    let mut client = server.client();
    let value = "x".repeat(4000);
    let sets: String = (0..4000).map(|number| format!("set k{number} 0 0 4000 noreply\r\n{value}\r\n")).collect();
    client.send(format!("{sets}mn\r\n"));
    client.expect("MN\r\n");
    let mut watcher = watcher(&server, "sysevents");
    client.ask("cache_memlimit 8\r\n", "OK\r\n");
    let line = wait_for("a page moves", || Some(watcher.line()).filter(|line| line.contains("type=slab_move")));
    assert!(number(&line, "src") > 0 && number(&line, "dst") == 0, "to the pool: {line}");
    assert_eq!(word(&line, "state"), Some("ok"));
}

#[test]
fn raw_commands_come_before_what_they_do() {
    if is_foreign() {
        // memcached knows the word and tells nothing.
        return;
    }
    let server = Server::start(&[]);
    let (mut watcher, mut client) = (watcher(&server, "rawcmds fetchers"), server.client());
    client.send("set k 0 0 5\r\nhe");
    client.wait_until_read();
    client.ask("llo\r\nget k\r\n", "STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n");
    client.ask("get a b\r\n", "END\r\n");
    let lines: Vec<_> = (0..7).map(|_| rest(&watcher.line()).to_owned()).collect();
    let heads: Vec<_> = lines.iter().map(|line| line.split_once(' ').map_or("", |(head, _)| head)).collect();
    let cfd = heads[0];
    assert!(cfd.starts_with('<'), "{lines:?}");
    let get = "type=item_get";
    assert_eq!(heads, [cfd, get, cfd, get, cfd, get, get]);
    assert_eq!(lines[0], format!("{cfd} set k 0 0 5"));
    assert_eq!(lines[4], format!("{cfd} get a b"));
}

#[test]
fn no_word_means_fetchers_and_the_beginning_of_a_word_will_do() {
    let server = Server::start(&[]);
    let mut plain = server.client();
    plain.ask("watch\r\n", "OK\r\n");
    let mut short = watcher(&server, "f");
    let mut proxy = watcher(&server, "proxyreqs proxyevents proxyuser");
    let mut client = server.client();
    client.ask("set k 0 0 1\r\nx\r\n", "STORED\r\n");
    for watcher in [&mut plain, &mut short] {
        assert_eq!(event(watcher), "type=item_get key=k status=not_found clsid=0 cfd=F size=0");
    }
    client.ask("get k\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n");
    assert_eq!(word(&plain.line(), "status"), Some("found"), "the store is no fetch");
    assert!(proxy.finish_sending(), "it is there");
    proxy.expect_closed();
}

#[test]
fn what_cannot_be_watched_is_refused_and_the_client_goes_on() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for words in ["nothing", "fetchers nothing", "fetchersx", "noreply"] {
        client.ask(format!("watch {words}\r\n"), "ERROR\r\n");
    }
    let refused = "ERROR cannot pipeline other commands before watch\r\n";
    client.ask("get k\r\nwatch\r\n", format!("END\r\n{refused}"));
    client.ask("verbosity 0 noreply\r\nwatch\r\n", refused);
    client.ask("mg k q\r\nwatch\r\n", refused);
    client.ask("get k\r\nwatch nothing\r\nget k\r\n", format!("END\r\n{refused}END\r\n"));
    client.expect_silence();
}

#[test]
fn watching_may_be_forbidden() {
    let server = Server::start(&["-W"]);
    let mut client = server.client();
    client.ask("watch\r\n", "CLIENT_ERROR watch commands not allowed\r\n");
    client.ask("get k\r\nwatch nothing\r\n", "END\r\nCLIENT_ERROR watch commands not allowed\r\n");
}

#[test]
fn twenty_watch_at_a_time() {
    let server = Server::start(&[]);
    let mut watchers: Vec<_> = (0..20).map(|_| watcher(&server, "sysevents")).collect();
    let mut client = server.client();
    client.ask("watch\r\n", "WATCHER_TOO_MANY log watcher limit reached\r\n");
    client.expect_silence();
    watchers.pop();
    // Somebody else has to see that it left.
    wait_for("room for another", || (client.ask_line("watch\r\n") == "OK").then_some(()));
}

#[test]
fn a_watcher_is_not_listened_to() {
    let server = Server::start(&[]);
    let mut watcher = server.client();
    watcher.ask("watch mutations\r\nset k 0 0 1\r\nx\r\n", "OK\r\n");
    watcher.send("set k 0 0 1\r\nx\r\nquit\r\n");
    let mut client = server.client();
    client.ask("set j 0 0 1\r\nx\r\n", "STORED\r\n");
    assert_eq!(word(&watcher.line(), "key"), Some("j"));
    client.expect_missing("k");
}

#[test]
fn the_counters_tell_who_watches_and_what_was_told() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut fetches = watcher(&server, "fetchers");
    let mut both = watcher(&server, "fetchers mutations");
    client.ask("set k 0 0 1\r\nx\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n");
    for (watcher, lines) in [(&mut fetches, 2), (&mut both, 3)] {
        for _ in 0..lines {
            watcher.line();
        }
    }
    wait_for("the counters are brought up", || (stat(&mut client, "log_watcher_sent") == 5).then_some(()));
    client.expect_stats(&[
        ("log_worker_written", 3),
        ("log_worker_dropped", 0),
        ("log_watcher_sent", 5),
        ("log_watcher_skipped", 0),
        ("log_watchers", 2),
        ("curr_connections", 3),
    ]);
    drop((fetches, both));
    wait_for("the watchers are gone", || (stat(&mut client, "log_watchers") == 0).then_some(()));
    client.ask("get k\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n");
    client.expect_stats(&[("log_worker_written", 3)]);
    client.ask("stats reset\r\n", "RESET\r\n");
    client.expect_stats(&[("log_worker_written", 0), ("log_watcher_sent", 0), ("log_watchers", 0)]);
}

/// Gets sent at once to make lines for a watcher that does not read.
const GETS: usize = 1000;

/// Guards: a watcher that stalls costs bounded memory, is told how much it missed, and holds up nobody.
#[test]
fn a_stalled_watcher_misses_lines_and_nobody_else_notices() {
    let server = Server::start(&["-t", "1", "-o", "watcher_logbuf_size=16"]);
    let mut stalled = watcher(&server, "fetchers");
    let mut client = server.client();
    let before = server.peak_bytes();
    stall(&mut client);
    let grown = server.peak_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "lines nobody reads took {grown} bytes");
    // What a burst left in the worker's ring is worked off: a full one takes nothing, for nobody.
    wait_for("all that was recorded is told or skipped", || {
        let told = stat(&mut client, "log_watcher_sent") + stat(&mut client, "log_watcher_skipped");
        (stat(&mut client, "log_worker_written") == told).then_some(())
    });
    // Beside it another one watches, and sees what happens now.
    let mut other = watcher(&server, "mutations");
    client.ask("set k 0 0 1\r\nx\r\n", "STORED\r\n");
    assert_eq!(word(&other.line(), "key"), Some("k"));
    // Once it reads again it hears how much it missed, ahead of what comes next.
    let mut lines = 0_usize;
    let skipped = loop {
        if lines.is_multiple_of(GETS) {
            client.ask("get later\r\n", "END\r\n");
        }
        let line = stalled.line();
        if let Some(skipped) = line.strip_prefix("skipped=") {
            break skipped.to_owned();
        }
        assert!(line.starts_with("ts="), "a whole line: {line}");
        lines += 1;
    };
    assert!(skipped.parse::<u64>().is_ok_and(|skipped| skipped > 0), "{skipped}");
    assert!(stalled.line().starts_with("ts="), "the line there was room for again");
}

/// Has gets make lines until a watcher that does not read misses some.
#[track_caller]
fn stall(client: &mut Client) {
    let (gets, end) = (format!("get {}\r\n", "#".repeat(250)).repeat(GETS), "END\r\n".repeat(GETS));
    wait_for("the stalled watcher misses lines", || {
        client.ask_much(gets.as_bytes(), &end);
        (stat(client, "log_watcher_skipped") > 0).then_some(())
    });
}

#[test]
fn a_stalled_watcher_that_leaves_is_gone() {
    let server = Server::start(&["-o", "watcher_logbuf_size=16"]);
    let mut client = server.client();
    let closes = watcher(&server, "fetchers");
    stall(&mut client);
    drop(closes);
    wait_for("the watcher is gone", || (stat(&mut client, "log_watchers") == 0).then_some(()));
    client.ask("stats reset\r\n", "RESET\r\n");
    // One that only says that it has nothing more to say has said that it leaves.
    let half_closes = watcher(&server, "fetchers");
    stall(&mut client);
    assert!(half_closes.finish_sending(), "it is there");
    wait_for("the watcher is gone", || (stat(&mut client, "log_watchers") == 0).then_some(()));
}

#[test]
fn lines_of_one_client_come_in_order() {
    const CLIENTS: usize = 8;
    const GETS: usize = 300;
    let server = Server::start(&["-o", "worker_logbuf_size=1024,watcher_logbuf_size=4096"]);
    let mut watcher = watcher(&server, "fetchers");
    let mut seen: HashMap<u64, (usize, u64)> = HashMap::new();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let mut client = server.client();
            scope.spawn(move || {
                for batch in 0..GETS / 10 {
                    let gets: String = (0..10).map(|at| format!("get {}\r\n", batch * 10 + at)).collect();
                    client.ask(gets, "END\r\n".repeat(10));
                }
                // Its descriptor is not to be another's before the lines are read.
                client
            });
        }
        for _ in 0..CLIENTS * GETS {
            let line = watcher.line();
            let (cfd, gid) = (number(&line, "cfd"), number(&line, "gid"));
            let (next, last) = seen.entry(cfd).or_insert((0, 0));
            let key = usize::try_from(number(&line, "key")).expect("a small number");
            // A descriptor may be another client's by now, which then begins at the beginning.
            assert!(key == *next % GETS, "{line} where {next} was next");
            assert!(gid > *last, "{line} after {last}");
            (*next, *last) = (key + 1, gid);
        }
    });
    assert!(seen.values().all(|(next, _)| *next == GETS), "{seen:?}");
}

#[test]
fn watchers_that_come_and_go_under_load_leave_nothing_behind() {
    let server = Server::start(&["-o", "watcher_logbuf_size=64"]);
    thread::scope(|scope| {
        for number in 0..2 {
            let mut client = server.client();
            scope.spawn(move || {
                let (set, stored) = (format!("set k{number} 0 0 1\r\nx\r\nget k{number}\r\n").repeat(20), "STORED\r\n");
                let reply = format!("{stored}VALUE k{number} 0 1\r\nx\r\nEND\r\n").repeat(20);
                for _ in 0..200 {
                    client.ask(&set, &reply);
                }
            });
        }
        for number in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..20 {
                    let mut watcher = server.client();
                    watcher.ask("watch fetchers mutations connevents\r\n", "OK\r\n");
                    if (round + number) % 2 == 0 {
                        // Every other one reads a little, the rest leave with all of it unread. A client that comes is
                        // something to tell of even when the load is over.
                        drop(server.client());
                        assert!(watcher.line().starts_with("ts="));
                    }
                }
            });
        }
    });
    let mut client = server.client();
    wait_for("the watchers are gone", || (stat(&mut client, "log_watchers") == 0).then_some(()));
    wait_for("all others are gone", || (stat(&mut client, "curr_connections") == 1).then_some(()));
    client.expect_stats(&[("cmd_set", 8000)]);
    client.expect_silence();
}
