//! flush_all: what was stored before is gone, what is stored after stays.

use crate::client::Client;
use crate::server::{Server, wait_for};

#[test]
fn flush_all_hides_everything_stored_before() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.set("b", "2");
    client.ask("flush_all\r\n", "OK\r\n");
    client.ask("get a b\r\n", "END\r\n");
    client.expect_stats(&[("cmd_flush", 1), ("get_misses", 2), ("get_hits", 0)]);
}

#[test]
fn what_is_stored_right_after_stays() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let round = "set a 0 0 1\r\n1\r\nflush_all\r\nget a\r\nset a 0 0 1\r\n2\r\nget a\r\n";
    let reply = "STORED\r\nOK\r\nEND\r\nSTORED\r\nVALUE a 0 1\r\n2\r\nEND\r\n";
    client.ask(round.repeat(50), reply.repeat(50));
    client.expect_stats(&[("cmd_flush", 50)]);
}

#[test]
fn large_values_are_flushed_too() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    client.set("large", vec![b'v'; 300_000]);
    client.ask("flush_all\r\n", "OK\r\n");
    client.expect_missing("large");
    client.set("large", "small");
    client.expect_value("large", "small");
}

#[test]
fn zero_and_negative_mean_now() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for exptime in ["0", "-1", "-100"] {
        client.set("a", "1");
        client.ask(format!("flush_all {exptime}\r\n"), "OK\r\n");
        client.expect_missing("a");
    }
}

#[test]
fn a_flushed_item_is_missing_for_every_command() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let cases = [
        ("replace a 0 0 1\r\ny\r\n", "NOT_STORED\r\n"),
        ("append a 0 0 1\r\ny\r\n", "NOT_STORED\r\n"),
        ("prepend a 0 0 1\r\ny\r\n", "NOT_STORED\r\n"),
        ("cas a 0 0 1 1\r\ny\r\n", "NOT_FOUND\r\n"),
        ("incr a 1\r\n", "NOT_FOUND\r\n"),
        ("delete a\r\n", "NOT_FOUND\r\n"),
        ("touch a 0\r\n", "NOT_FOUND\r\n"),
        ("gat 0 a\r\n", "END\r\n"),
        ("add a 0 0 1\r\ny\r\n", "STORED\r\n"),
    ];
    for (request, reply) in cases {
        client.set("a", "1");
        client.ask("flush_all\r\n", "OK\r\n");
        client.ask(request, reply);
    }
    client.expect_value("a", "y");
}

#[test]
fn a_delayed_flush_lets_items_live_until_then() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.ask("flush_all 100\r\n", "OK\r\n");
    client.expect_value("a", "1");
    let later = client.stat("time") + 1000;
    client.ask(format!("flush_all {later}\r\n"), "OK\r\n");
    client.expect_value("a", "1");
    client.ask("flush_all\r\n", "OK\r\n");
    client.expect_missing("a");
    client.set("a", "2");
    client.expect_value("a", "2");
}

/// As with memcached, whose answers these are (asked of 1.6.18): a delay of a second is none, and a Unix time that has
/// been flushes, unless it lies more than a minute before the server's start.
#[test]
fn a_unix_time_of_this_second_or_past_flushes_at_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let start = client.stat("time") - client.stat("uptime");
    for exptime in [start - 40, start, client.stat("time"), 1] {
        client.set("a", "1");
        client.ask(format!("flush_all {exptime}\r\n"), "OK\r\n");
        client.expect_missing("a");
    }
    client.ask("flush_all\r\n", "OK\r\n");
    client.set("a", "1");
    for exptime in [start - 100, 2_592_001] {
        client.ask(format!("flush_all {exptime}\r\n"), "OK\r\n");
        client.expect_value("a", "1");
    }
}

#[test]
fn a_later_flush_replaces_a_pending_one_and_its_misses_are_counted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    // Background work may remove flushed items before a get finds them: then try again.
    wait_for("get_flushed counts", || {
        client.set("a", "1");
        client.ask("flush_all 1000\r\nflush_all 2\r\n", "OK\r\nOK\r\n");
        wait_for("the flush comes", || (!is_there(&mut client, "1")).then_some(()));
        (client.stat("get_flushed") > 0).then_some(())
    });
    // What is stored within the very second of the flush may still go with it.
    wait_for("a value stays again", || {
        client.set("a", "2");
        is_there(&mut client, "2").then_some(())
    });
}

/// Whether the key a is there, which then must have this value.
fn is_there(client: &mut Client, value: &str) -> bool {
    if client.ask_line("get a\r\n") == "END" {
        return false;
    }
    client.expect(format!("{value}\r\nEND\r\n"));
    true
}

#[test]
fn a_bad_delay_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    for exptime in ["x", "1x", "2147483648"] {
        client.ask(format!("flush_all {exptime}\r\n"), "CLIENT_ERROR invalid exptime argument\r\n");
    }
    client.expect_value("a", "1");
}

#[test]
fn noreply_is_silent_and_acts() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for line in ["flush_all noreply", "flush_all 0 noreply"] {
        client.set("a", "1");
        client.send(format!("{line}\r\n"));
        client.expect_silence();
        client.expect_missing("a");
    }
    client.set("a", "1");
    client.send("flush_all x noreply\r\n");
    client.expect_silence();
    client.expect_value("a", "1");
}

#[test]
fn flushing_can_be_forbidden() {
    let server = Server::start(&["-F"]);
    let mut client = server.client();
    client.set("a", "1");
    client.ask("flush_all\r\n", "CLIENT_ERROR flush_all not allowed\r\n");
    client.ask("flush_all 10\r\n", "CLIENT_ERROR flush_all not allowed\r\n");
    client.send("flush_all noreply\r\n");
    client.expect_silence();
    client.expect_value("a", "1");
    client.expect_stats(&[("cmd_flush", 3)]);
}
