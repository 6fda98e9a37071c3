//! delete: what goes, what it answers and counts.

use crate::server::Server;

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";

#[test]
fn delete_removes_a_key_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("delete a\r\n", "NOT_FOUND\r\n");
    client.set("a", "1");
    client.ask("delete a\r\n", "DELETED\r\n");
    client.expect_missing("a");
    client.ask("delete a\r\n", "NOT_FOUND\r\n");
    client.expect_stats(&[("delete_hits", 1), ("delete_misses", 2), ("curr_items", 0)]);
}

#[test]
fn a_deleted_key_can_be_added_again() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.ask("delete a\r\nadd a 0 0 1\r\n2\r\n", "DELETED\r\nSTORED\r\n");
    client.expect_value("a", "2");
}

#[test]
fn delete_leaves_other_keys_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let keys = ["a", "aa", "A", "b", "ab"];
    for key in keys {
        client.set(key, key);
    }
    client.ask("delete a\r\n", "DELETED\r\n");
    client.expect_missing("a");
    for key in &keys[1..] {
        client.expect_value(key, key);
    }
}

#[test]
fn extra_words_are_ignored() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for extra in ["0", "x", "1 2 3"] {
        client.set("a", "1");
        client.ask(format!("delete a {extra}\r\n"), "DELETED\r\n");
    }
}

#[test]
fn noreply_silences_hits_and_misses() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.set("b", "1");
    client.send("delete a noreply\r\ndelete a noreply\r\ndelete b 0 noreply\r\n");
    client.expect_silence();
    client.expect_missing("a");
    client.expect_missing("b");
    client.expect_stats(&[("delete_hits", 2), ("delete_misses", 1)]);
}

#[test]
fn a_bad_or_missing_key_is_a_bad_format() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("delete\r\n", BAD_FORMAT);
    client.ask("delete  \r\n", BAD_FORMAT);
    client.ask(format!("delete {}\r\n", "k".repeat(251)), BAD_FORMAT);
    client.ask(format!("delete {}\r\n", "k".repeat(250)), "NOT_FOUND\r\n");
}
