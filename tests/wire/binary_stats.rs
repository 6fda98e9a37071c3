//! Reports and logs over the binary protocol.

use crate::packets::{
    ADD, APPEND, DECREMENT, DELETE, EXISTS, FLUSH, GAT, GET, GETK, GETKQ, GETQ, INCREMENT, NOT_FOUND, SET, SETQ, STAT,
    TOUCH, bare, count, join, keyed, store, timed,
};
use crate::server::{Server, is_foreign};

fn names(figures: &[(String, String)]) -> Vec<&str> {
    figures.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn reports_are_those_of_the_text_protocol() {
    let server = Server::start(&[]);
    let (mut client, mut text) = (server.client(), server.client());
    client.call_ok(&store(SET, "k", 0, 0, "x"));
    for name in ["", "settings", "items", "slabs", "sizes"] {
        let figures = client.figures(name);
        assert!(!figures.is_empty(), "{name}");
        let lines = text.stats(name);
        assert_eq!(names(&figures), names(&lines), "{name}");
    }
    let settings = client.figures("settings");
    assert_eq!(settings, text.stats("settings"));
    client.expect_quiet();
}

#[test]
fn a_report_nobody_knows_is_not_found() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for name in ["foo", "detail", "detail foo", "item", "slabsx"] {
        client.call_error(&keyed(STAT, name), NOT_FOUND);
    }
    client.expect_quiet();
}

#[test]
fn counts_of_prefixes_are_one_text() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_ok(&store(SET, "off:k", 0, 0, "x"));
    assert_eq!(client.figures("detail on"), []);
    client.call_ok(&store(SET, "p:k", 0, 0, "x"));
    let cas = client.call_ok(&join(APPEND, "p:k", "x"));
    client.call_ok(&join(APPEND, "p:k", "x").with_cas(cas));
    client.call(&keyed(GET, "p:k"));
    client.call(&keyed(GETK, "p:missing"));
    client.call(&timed(GAT, "p:k", 0));
    client.call(&keyed(DELETE, "p:k"));
    client.call(&keyed(DELETE, "p:k").with_cas(3));
    let dump = "PREFIX p get 3 hit 2 set 3 del 2\r\nEND\r\n".to_owned();
    assert_eq!(client.figures("detail dump"), [("detailed".to_owned(), dump)]);
    assert_eq!(client.figures("detail off"), []);
    client.call(&keyed(GET, "p:k"));
    assert_eq!(client.figures("reset"), []);
    assert_eq!(client.figures("detail dump")[0].1, "END\r\n");
}

#[test]
fn counts_of_prefixes_may_be_forbidden() {
    let server = Server::start(&["-X"]);
    let mut client = server.client();
    for name in ["detail on", "detail off", "detail dump"] {
        client.call_error(&keyed(STAT, name), NOT_FOUND);
    }
}

#[test]
fn a_reset_begins_counters_again() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_error(&keyed(GET, "k"), NOT_FOUND);
    assert_eq!(client.figures("reset"), []);
    let figures = client.figures("");
    assert!(figures.contains(&("get_misses".to_owned(), "0".to_owned())), "{figures:?}");
}

#[test]
fn commands_are_counted_as_those_of_text() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_ok(&store(SET, "k", 0, 0, "1"));
    client.send(store(SETQ, "q", 0, 0, "1").bytes());
    client.call(&keyed(GET, "k"));
    client.call(&keyed(GETK, "missing"));
    client.send([keyed(GETQ, "missing").bytes(), keyed(GETKQ, "missing").bytes()].concat());
    client.call(&timed(TOUCH, "k", 0));
    client.call(&timed(GAT, "missing", 0));
    client.call(&count(INCREMENT, "k", 1, 0, 0));
    client.call(&count(DECREMENT, "missing", 1, 0, u32::MAX));
    client.call(&count(INCREMENT, "made", 1, 0, 0));
    let cas = client.call(&keyed(GET, "k")).cas;
    client.call_error(&keyed(DELETE, "k").with_cas(cas + 1), EXISTS);
    client.call_ok(&keyed(DELETE, "k"));
    client.call_error(&keyed(DELETE, "k"), NOT_FOUND);
    client.call_ok(&bare(FLUSH));
    server.client().expect_stats(&[
        ("cmd_get", 5),
        ("get_hits", 2),
        ("get_misses", 3),
        ("cmd_set", 2),
        ("cmd_touch", 2),
        ("touch_hits", 1),
        ("touch_misses", 1),
        ("incr_hits", 1),
        ("incr_misses", 0),
        ("decr_misses", 1),
        ("delete_hits", 1),
        ("delete_misses", 1),
        ("cmd_flush", 1),
        ("total_items", 3),
    ]);
}

#[test]
fn who_watches_is_told_of_binary_commands_as_of_text() {
    let server = Server::start(&[]);
    let mut watcher = server.client();
    watcher.ask("watch fetchers mutations deletions\r\n", "OK\r\n");
    let mut client = server.client();
    client.call_ok(&store(SET, "k", 0, 100, "value"));
    client.call(&keyed(GET, "k"));
    client.call(&keyed(GETK, "missing"));
    client.call_error(&store(ADD, "k", 0, 0, "x").with_cas(1), EXISTS);
    client.call(&keyed(DELETE, "k"));
    let mut expect = |parts: &[&str]| {
        let line = watcher.line();
        assert!(parts.iter().all(|part| line.contains(part)), "{line} has not {parts:?}");
    };
    expect(&["type=item_get key=k status=not_found"]);
    expect(&["type=item_store key=k status=stored cmd=set ttl=100", "size=5"]);
    expect(&["type=item_get key=k status=found", "size=5"]);
    expect(&["type=item_get key=missing status=not_found"]);
    expect(&["type=item_get key=k status=found"]);
    expect(&["type=item_store key=k status=exists cmd=cas"]);
    expect(&["type=item_get key=k status=found"]);
    // memcached says of a binary delete no more than that the key was looked up.
    if !is_foreign() {
        expect(&["type=deleted key=k cmd=delete", "size=5"]);
    }
}

#[test]
fn packets_are_shown_in_the_log_up_to_their_values() {
    let server = Server::start(&["-vv"]);
    let mut client = server.client();
    client.call_ok(&store(SET, "loudkey", 0, 0, "secretvalue"));
    client.expect_quiet();
    let log = server.log();
    assert!(log.contains("loudkey"), "{log}");
    assert!(is_foreign() || !log.contains("secretvalue"), "{log}");
}

#[test]
fn who_watches_raw_commands_is_shown_lines_alone() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&[]);
    let mut watcher = server.client();
    watcher.ask("watch rawcmds\r\n", "OK\r\n");
    server.client().call_ok(&store(SET, "k", 0, 0, "\n"));
    server.client().ask("get other\r\n", "END\r\n");
    let line = watcher.line();
    assert!(line.contains("get other"), "{line}");
}
