//! get, gets, gat, gats: what comes back, in which order, for how many keys, and what is counted.

use crate::client::{Client, value_bytes};
use crate::server::Server;

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";

#[test]
fn get_shows_hits_and_leaves_misses_out() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.expect_missing("a");
    client.set("a", "1");
    client.set("b", "22");
    client.ask("get nosuch a nosuch b\r\n", "VALUE a 0 1\r\n1\r\nVALUE b 0 2\r\n22\r\nEND\r\n");
    client.ask("get b a\r\n", "VALUE b 0 2\r\n22\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
    client.expect_stats(&[("cmd_get", 7), ("get_hits", 4), ("get_misses", 3)]);
    client.expect_stats(&[("get_expired", 0), ("get_flushed", 0)]);
}

#[test]
fn a_key_asked_twice_comes_twice() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.ask("get a a\r\n", "VALUE a 0 1\r\n1\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
    client.expect_stats(&[("cmd_get", 2), ("get_hits", 2)]);
}

#[test]
fn gets_shows_the_cas_of_each_hit() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 5 0 1\r\n1\r\n", "STORED\r\n");
    client.set("b", "2");
    let (a, b) = (client.cas("a"), client.cas("b"));
    assert!(a != b, "two items have one cas");
    let reply = format!("VALUE a 5 1 {a}\r\n1\r\nVALUE b 0 1 {b}\r\n2\r\nEND\r\n");
    client.ask("gets a nosuch b\r\n", reply);
    client.ask("gets nosuch\r\n", "END\r\n");
}

#[test]
fn keys_may_be_far_apart_and_lines_end_in_spaces() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.ask("get    a    a   \r\n", "VALUE a 0 1\r\n1\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
    client.ask("get a \n", "VALUE a 0 1\r\n1\r\nEND\r\n");
}

#[test]
fn too_few_words_are_a_bad_format() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for line in ["get", "gets", "gat", "gats", "gat 0", "gats 0", "get ", "gets  "] {
        client.ask(format!("{line}\r\n"), BAD_FORMAT);
    }
    client.expect_silence();
}

#[test]
fn gat_sets_the_exptime_of_its_hits() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 3 0 1\r\n1\r\n", "STORED\r\n");
    client.set("b", "2");
    let reply = "VALUE a 3 1\r\n1\r\nVALUE b 0 1\r\n2\r\nEND\r\n";
    client.ask("gat 100 a nosuch b\r\n", reply);
    let cas = client.cas("a");
    client.ask("gats 100 a\r\n", format!("VALUE a 3 1 {cas}\r\n1\r\nEND\r\n"));
    client.ask("gat -1 a\r\n", "VALUE a 3 1\r\n1\r\nEND\r\n");
    client.expect_missing("a");
    client.expect_value("b", "2");
}

#[test]
fn gat_counts_as_touch() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.ask("gat 100 a nosuch\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n");
    client.expect_stats(&[("cmd_touch", 2), ("touch_hits", 1), ("touch_misses", 1)]);
}

#[test]
fn gat_refuses_a_bad_exptime() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    for exptime in ["x", "1x", "2147483648", "99999999999999999999"] {
        for command in ["gat", "gats"] {
            let reply = "CLIENT_ERROR invalid exptime argument\r\n";
            client.ask(format!("{command} {exptime} a\r\n"), reply);
        }
    }
    client.expect_value("a", "1");
}

#[test]
fn a_key_too_long_ends_the_reply_after_the_values_before_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    let long = "k".repeat(251);
    let reply = ["VALUE a 0 1\r\n1\r\n", BAD_FORMAT].concat();
    client.ask(format!("get a {long} a\r\n"), &reply);
    client.expect_value("a", "1");
    client.ask(format!("gat 0 a {long} a\r\n"), &reply);
    client.expect_value("a", "1");
}

#[test]
fn a_first_key_too_long_is_a_bad_format() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask(format!("get {}\r\n", "k".repeat(251)), BAD_FORMAT);
    client.expect_silence();
    client.ask(format!("get {}\r\n", "k".repeat(5000)), BAD_FORMAT);
    client.expect_silence();
}

/// Stores every third of `count` keys; returns the words of all and the values of those.
fn keys_and_values(client: &mut Client, prefix: &str, count: usize) -> (String, Vec<u8>) {
    let mut words = String::new();
    let mut values = Vec::new();
    for number in 0..count {
        let key = format!("{prefix}{number}");
        words = words + " " + &key;
        if number % 3 == 0 {
            let value = number.to_string();
            client.set(&key, &value);
            values.extend_from_slice(&value_bytes(&key, value.as_bytes()));
        }
    }
    (words, values)
}

#[test]
fn a_get_line_may_exceed_2048_bytes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let (words, values) = keys_and_values(&mut client, "key-", 400);
    assert!(words.len() > 2048, "the line is not long");
    client.ask(format!("get{words}\r\n"), [&values, b"END\r\n".as_slice()].concat());
    client.ask_line(format!("gets{words}\r\nversion\r\n"));
    let mut lines = 1;
    while client.line() != "END" {
        lines += 1;
    }
    assert!(lines == 2 * 400_usize.div_ceil(3), "gets showed {lines} lines");
    assert!(client.line().starts_with("VERSION "), "the next reply is the next command's");
    let hits = 400_u64.div_ceil(3) * 2;
    client.expect_stats(&[("cmd_get", 800), ("get_hits", hits), ("get_misses", 800 - hits)]);
}

#[test]
fn a_get_line_may_exceed_100_kilobytes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let prefix = "long-".repeat(40);
    let (words, values) = keys_and_values(&mut client, &prefix, 600);
    assert!(words.len() > 100_000, "the line is not long");
    let reply = [&values, b"END\r\n".as_slice()].concat();
    client.ask_much(format!("get{words}\r\n").as_bytes(), &reply);
    client.ask_much(format!("get{words}\r\n").repeat(3).as_bytes(), reply.repeat(3));
    client.expect_silence();
}

#[test]
fn a_long_get_line_may_come_in_pieces() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let (words, values) = keys_and_values(&mut client, "key-", 2000);
    let line = format!("get{words}\r\n");
    for piece in line.as_bytes().chunks(997) {
        client.send(piece);
    }
    client.expect([&values, b"END\r\n".as_slice()].concat());
    client.expect_silence();
}
