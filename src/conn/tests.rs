//! Whole conversations, without sockets.

use super::testing::Client;
use super::{Connection, Next};

#[test]
fn a_set_is_read_back() {
    let mut client = Client::new();
    assert_eq!(client.ask(b"set k 5 0 5\r\nhello\r\nget k\r\n"), "STORED\r\nVALUE k 5 5\r\nhello\r\nEND\r\n");
    assert_eq!(client.ask(b"get nothing\r\n"), "END\r\n");
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection>() <= 120, "{} bytes", size_of::<Connection>());
    let mut client = Client::new();
    client.ask(b"set k 0 0 5\r\nhe");
    assert_eq!(client.connection.kept(), b"set k 0 0 5\r\nhe");
    assert_eq!(client.send(b"llo\r\n").1, Next::Read);
    assert!(client.connection.kept().is_empty());
}
