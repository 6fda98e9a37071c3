//! `stats latency` and `stats hotkeys`: what is measured of a sample of requests.

use crate::certificates::Encrypted;
use crate::client::Client;
use crate::packets::{GET, SET, keyed, store};
use crate::server::{Server, is_foreign};

/// So many requests that some of them are sampled for certain: the longest gap is 799 reads.
const READS: usize = 1700;

/// The value of a line.
fn value<'l>(lines: &'l [(String, String)], name: &str) -> Option<&'l str> {
    lines.iter().find_map(|(other, value)| (other == name).then_some(value.as_str()))
}

#[track_caller]
fn number(lines: &[(String, String)], name: &str) -> u64 {
    let found = value(lines, name);
    assert!(found.is_some(), "no {name} in {lines:?}");
    found.unwrap_or_default().parse().expect("a number")
}

fn share(lines: &[(String, String)], name: &str) -> f64 {
    value(lines, name).expect("it is there").parse().expect("a share")
}

fn ask_often(client: &mut Client, request: &str, answer: &str) {
    for _ in 0..READS {
        client.ask(request, answer);
    }
}

#[test]
fn latencies_are_told_by_kind_and_in_order() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&[]);
    let mut client = server.client();
    let lines = client.stats("latency");
    assert_eq!(lines.len(), 1, "nothing was asked for: {lines:?}");
    assert_eq!(number(&lines, "sampled_one_in"), 400);
    ask_often(&mut client, "set k 0 0 1\r\nv\r\n", "STORED\r\n");
    ask_often(&mut client, "get k\r\n", "VALUE k 0 1\r\nv\r\nEND\r\n");
    ask_often(&mut client, "mg k v\r\nincr n 1\r\n", "VA 1\r\nv\r\nNOT_FOUND\r\n");
    let lines = client.stats("latency");
    for kind in ["get", "set", "meta_get", "arithmetic"] {
        assert!(number(&lines, &format!("{kind}:count")) > 0);
        let of = |name: &str| number(&lines, &format!("{kind}:{name}_ns"));
        let quantiles = ["p50", "p90", "p99", "p999", "max"].map(of);
        assert!(quantiles[0] > 0 && quantiles.is_sorted(), "{kind}: {quantiles:?}");
        assert!(of("mean") <= of("max"));
    }
    assert_eq!(number(&lines, "meta_get:count"), number(&lines, "arithmetic:count"), "each came with the other");
    assert_eq!(value(&lines, "delete:count"), None);
    client.ask("stats reset\r\n", "RESET\r\n");
    let left = client.stats("latency");
    assert_eq!(value(&left, "set:count"), None, "{left:?}");
}

#[test]
fn large_values_and_replies_that_wait_are_measured() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&["-R", "1"]);
    let mut client = server.client();
    let value = "v".repeat(100_000);
    for _ in 0..READS / 2 {
        client.ask_much(format!("set L 0 0 100000\r\n{value}\r\n").as_bytes(), "STORED\r\n");
    }
    let answer = format!("VALUE L 0 100000\r\n{value}\r\nEND\r\n");
    for _ in 0..100 {
        client.ask_much("get L\r\n".repeat(8).as_bytes(), answer.repeat(8));
    }
    ask_often(&mut client, "get L\r\n", &answer);
    let lines = client.stats("latency");
    assert!(number(&lines, "set:count") > 0 && number(&lines, "get:count") > 0);
}

#[test]
fn hot_keys_are_told_with_their_shares() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("big", "b".repeat(300));
    client.set("small", "s".repeat(100));
    let big = format!("VALUE big 0 300\r\n{}\r\n", "b".repeat(300));
    let small = format!("VALUE small 0 100\r\n{}\r\n", "s".repeat(100));
    // Of what is asked for half is big, a quarter small, a quarter missing; reads of 4 keys are looked at whole.
    let answer = format!("{big}{big}{small}END\r\n");
    ask_often(&mut client, "get big big small nosuch\r\n", &answer);
    let lines = client.stats("hotkeys 2");
    assert_eq!(value(&lines, "1:key"), Some("big"));
    assert!(value(&lines, "2:key").is_some());
    assert_eq!(value(&lines, "3:key"), None);
    assert!(number(&lines, "sampled_keys") >= 4);
    // The sets and the report of before may be among what was sampled.
    assert!((share(&lines, "1:requests_share") - 0.5).abs() < 0.2, "{lines:?}");
    assert!((share(&lines, "1:bytes_share") - 6.0 / 7.0).abs() < 0.2, "{lines:?}");
    client.ask("stats reset\r\n", "RESET\r\n");
    assert_eq!(value(&client.stats("hotkeys"), "1:key"), None);
}

#[test]
fn a_key_of_any_bytes_stays_within_its_word() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&[]);
    let mut client = server.client();
    // 250 bytes: a NUL, a line's end, a space, and letters.
    let key = [&b"\x00\r\n "[..], &[b'k'; 246]].concat();
    let mut binary = server.client();
    binary.call_ok(&store(SET, &key, 0, 0, "value"));
    for _ in 0..READS {
        binary.call(&keyed(GET, &key));
    }
    let shown = format!("%00%0D%0A%20{}", "k".repeat(246));
    let lines = client.stats("hotkeys");
    assert_eq!(value(&lines, "1:key"), Some(&*shown));
    assert_eq!(value(&lines, "1:requests_share"), Some("1.0000"));
    assert_eq!(value(&lines, "1:bytes_share"), Some("1.0000"));
    assert!(number(&client.stats("latency"), "get:count") > 0);
    // The same over the binary protocol, with a number and without; the report of before may be told once more.
    for name in ["hotkeys", "hotkeys 1"] {
        assert_eq!(value(&binary.figures(name), "1:key"), Some(&*shown));
    }
    assert_eq!(binary.figures("hotkeys 0").len(), 2);
    assert!(number(&binary.figures("latency"), "get:count") > 0);
    client.expect_silence();
}

#[test]
fn requests_behind_tls_are_measured() {
    if is_foreign() {
        return;
    }
    let encrypted = Encrypted::start(&[]);
    let mut client = encrypted.client();
    client.set("k", "v");
    ask_often(&mut client, "get k\r\n", "VALUE k 0 1\r\nv\r\nEND\r\n");
    assert!(number(&client.stats("latency"), "get:count") > 0);
    assert_eq!(value(&client.stats("hotkeys"), "1:key"), Some("k"));
}

/// Each worker measures by itself; what is told is of all.
#[test]
fn workers_are_told_together() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&["-t", "4"]);
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    for client in &mut clients {
        ask_often(client, "touch k 0\r\n", "NOT_FOUND\r\n");
    }
    // Clients go round the workers, so each of these has read so often at least.
    let lines = clients[0].stats("latency");
    let most = 8 * READS as u64;
    let least = most / 799 - 4;
    assert!((least..=most).contains(&number(&lines, "touch:count")), "{lines:?}");
    assert_eq!(value(&clients[0].stats("hotkeys"), "1:requests_share"), Some("1.0000"));
}

#[test]
fn hot_keys_are_refused_where_keys_may_not_be_listed() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&["-X"]);
    let mut client = server.client();
    ask_often(&mut client, "get secret\r\n", "END\r\n");
    for request in ["stats hotkeys\r\n", "stats hotkeys 5\r\n", "stats hotkeys x\r\n"] {
        client.ask(request, "CLIENT_ERROR stats hotkeys not allowed\r\n");
    }
    assert!(number(&client.stats("latency"), "get:count") > 0, "that shows no key");
}

#[test]
fn a_number_of_keys_is_a_number() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&[]);
    let mut client = server.client();
    for request in ["stats hotkeys x\r\n", "stats hotkeys -1\r\n", "stats hotkeys 4294967296\r\n"] {
        client.ask(request, "CLIENT_ERROR bad command line format\r\n");
    }
    assert_eq!(client.stats("hotkeys 0").len(), 2);
    assert_eq!(client.stats("hotkeys 4294967295").len(), 2);
}
