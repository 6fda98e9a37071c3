//! Exptimes: never, past, relative up to 30 days, absolute beyond; touch. The tests that must let
//! real time pass wait for a second at most, and poll.

use crate::client::Client;
use crate::server::{Server, wait_for};

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";

fn set_for(client: &mut Client, key: &str, exptime: i64) {
    client.ask(format!("set {key} 0 {exptime} 1\r\nx\r\n"), "STORED\r\n");
}

fn is_missing(client: &mut Client, key: &str) -> bool {
    if client.ask_line(format!("get {key}\r\n")) == "END" {
        return true;
    }
    client.expect("x\r\nEND\r\n");
    false
}

fn server_time(client: &mut Client) -> i64 {
    i64::try_from(client.stat("time")).expect("the time fits")
}

#[test]
fn zero_is_never() {
    let server = Server::start(&[]);
    let mut client = server.client();
    set_for(&mut client, "a", 0);
    client.expect_value("a", "x");
}

#[test]
fn a_negative_exptime_is_stored_and_expired_at_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    set_for(&mut client, "a", 0);
    set_for(&mut client, "a", -1);
    client.expect_missing("a");
    set_for(&mut client, "b", -100);
    client.expect_missing("b");
    client.expect_stats(&[("get_misses", 2), ("get_hits", 0), ("get_flushed", 0)]);
}

#[test]
fn a_get_of_an_expired_item_is_counted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    // Background work may remove the item before the get finds it: then it is a plain miss.
    wait_for("get_expired counts", || {
        client.ask("set a 0 -1 1\r\nx\r\nget a\r\n", "STORED\r\nEND\r\n");
        (client.stat("get_expired") > 0).then_some(())
    });
    let (expired, misses) = (client.stat("get_expired"), client.stat("get_misses"));
    assert!(expired <= misses, "{expired} of {misses} misses were expired");
}

#[test]
fn thirty_days_are_relative_and_a_second_more_is_1970() {
    let server = Server::start(&[]);
    let mut client = server.client();
    set_for(&mut client, "a", 2_592_000);
    client.expect_value("a", "x");
    set_for(&mut client, "b", 2_592_001);
    client.expect_missing("b");
}

#[test]
fn an_absolute_exptime_is_unix_time() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let now = server_time(&mut client);
    set_for(&mut client, "future", now + 100);
    client.expect_value("future", "x");
    set_for(&mut client, "past", now - 100);
    client.expect_missing("past");
}

#[test]
fn items_expire_when_their_second_comes_and_touch_or_gat_spares_them() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let soon = server_time(&mut client) + 3;
    set_for(&mut client, "absolute", soon);
    set_for(&mut client, "touched", 3);
    set_for(&mut client, "gat", 3);
    set_for(&mut client, "relative", 1);
    client.ask("touch touched 0\r\n", "TOUCHED\r\n");
    client.ask("gat 0 gat\r\n", "VALUE gat 0 1\r\nx\r\nEND\r\n");
    set_for(&mut client, "shortened", 100);
    client.ask("touch shortened 1\r\n", "TOUCHED\r\n");
    for key in ["relative", "shortened", "absolute"] {
        wait_for("the item expires", || is_missing(&mut client, key).then_some(()));
    }
    client.expect_value("touched", "x");
    client.expect_value("gat", "x");
}

#[test]
fn an_expired_item_is_missing_for_every_command() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let cases = [
        ("replace a 0 0 1\r\ny\r\n", "NOT_STORED\r\n"),
        ("append a 0 0 1\r\ny\r\n", "NOT_STORED\r\n"),
        ("prepend a 0 0 1\r\ny\r\n", "NOT_STORED\r\n"),
        ("cas a 0 0 1 1\r\ny\r\n", "NOT_FOUND\r\n"),
        ("incr a 1\r\n", "NOT_FOUND\r\n"),
        ("decr a 1\r\n", "NOT_FOUND\r\n"),
        ("delete a\r\n", "NOT_FOUND\r\n"),
        ("touch a 0\r\n", "NOT_FOUND\r\n"),
        ("gat 0 a\r\n", "END\r\n"),
        ("gets a\r\n", "END\r\n"),
        ("add a 0 0 1\r\ny\r\n", "STORED\r\n"),
    ];
    for (request, reply) in cases {
        set_for(&mut client, "a", -1);
        client.ask(request, reply);
    }
    client.expect_value("a", "y");
}

#[test]
fn arithmetic_and_append_keep_the_exptime() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 1 1\r\n9\r\n", "STORED\r\n");
    client.send("incr a 1 noreply\r\nappend a 0 0 1 noreply\r\n0\r\nprepend a 0 0 1 noreply\r\n1\r\n");
    wait_for("the item expires", || {
        let missing = client.ask_line("get a\r\n") == "END";
        if !missing {
            client.line();
            client.expect("END\r\n");
        }
        missing.then_some(())
    });
}

#[test]
fn touch_answers_and_counts() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("touch a 10\r\n", "NOT_FOUND\r\n");
    set_for(&mut client, "a", 0);
    client.ask("touch a 10\r\n", "TOUCHED\r\n");
    client.expect_value("a", "x");
    client.ask("touch a -1\r\n", "TOUCHED\r\n");
    client.expect_missing("a");
    client.expect_stats(&[("cmd_touch", 3), ("touch_hits", 2), ("touch_misses", 1)]);
}

#[test]
fn touch_follows_the_rules_of_thirty_days_and_of_the_past() {
    let server = Server::start(&[]);
    let mut client = server.client();
    set_for(&mut client, "a", 0);
    client.ask("touch a 2592000\r\n", "TOUCHED\r\n");
    client.expect_value("a", "x");
    client.ask("touch a 2592001\r\n", "TOUCHED\r\n");
    client.expect_missing("a");
}

#[test]
fn touch_refuses_bad_arguments() {
    let server = Server::start(&[]);
    let mut client = server.client();
    set_for(&mut client, "a", 0);
    for exptime in ["x", "1x", "2147483648", "-2147483649"] {
        client.ask(format!("touch a {exptime}\r\n"), "CLIENT_ERROR invalid exptime argument\r\n");
    }
    client.ask("touch\r\n", BAD_FORMAT);
    client.ask("touch a\r\n", BAD_FORMAT);
    client.ask(format!("touch {} 0\r\n", "k".repeat(251)), BAD_FORMAT);
    client.expect_value("a", "x");
}

#[test]
fn touch_noreply_is_silent_and_acts() {
    let server = Server::start(&[]);
    let mut client = server.client();
    set_for(&mut client, "a", 0);
    client.send("touch nosuch 0 noreply\r\ntouch a x noreply\r\ntouch a -1 noreply\r\n");
    client.expect_silence();
    client.expect_missing("a");
}
