//! stats conns: who is connected, from where, and what each connection is about.

use std::collections::BTreeMap;

use crate::client::Client;
use crate::server::{Directory, Server, is_foreign};

/// The lines of each connection, by its descriptor.
type Connections = BTreeMap<u64, BTreeMap<String, String>>;

#[track_caller]
fn connections(client: &mut Client) -> Connections {
    let mut found = Connections::new();
    for (name, value) in client.stats("conns") {
        let (fd, field) = name.split_once(':').expect("a name is FD:FIELD");
        let fields = found.entry(fd.parse().expect("a descriptor is a number")).or_default();
        assert!(fields.insert(field.to_owned(), value).is_none(), "{name} comes twice");
    }
    found
}

/// The connection in this state; there is one.
#[track_caller]
fn only<'c>(connections: &'c Connections, state: &str) -> &'c BTreeMap<String, String> {
    let found: Vec<_> = connections.values().filter(|fields| fields["state"] == state).collect();
    assert!(found.len() == 1, "{} are {state}: {connections:?}", found.len());
    found[0]
}

#[test]
fn a_listener_and_who_asks_are_named_with_their_addresses() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let found = connections(&mut client);
    assert!(found.len() == 2, "one listens and one asks: {found:?}");
    let listener = only(&found, "conn_listening");
    let listens_at = format!("tcp:{}", server.address());
    assert!(listener["addr"] == listens_at, "the listener is {listener:?}");
    assert!(!listener.contains_key("listen_addr"), "a listener came to nobody");
    let asker = only(&found, "conn_parse_cmd");
    let names: Vec<&str> = asker.keys().map(String::as_str).collect();
    assert!(names == ["addr", "listen_addr", "secs_since_last_cmd", "state"], "the asker is {asker:?}");
    assert!(asker["addr"].starts_with("tcp:127.0.0.1:"), "the asker is {asker:?}");
    assert!(asker["listen_addr"] == listens_at, "the asker is {asker:?}");
    assert!(asker["secs_since_last_cmd"] == "0", "it has just asked: {asker:?}");
}

#[test]
fn the_lines_of_a_connection_come_in_the_order_of_memcached() {
    let server = Server::start(&[]);
    let lines = server.client().stats("conns");
    let asked = lines.iter().position(|(_, value)| value == "conn_parse_cmd").expect("somebody asks");
    let (fd, _) = lines[asked].0.split_once(':').expect("a name is FD:FIELD");
    let names: Vec<&str> = lines[asked - 2..asked + 2].iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["addr", "listen_addr", "state", "secs_since_last_cmd"].map(|field| format!("{fd}:{field}"));
    assert!(names == expected, "they are {names:?}");
}

#[test]
fn each_connection_says_what_it_waits_for() {
    let server = Server::start(&["-t", "3"]);
    let mut asker = server.client();
    let begun = ["get a", "set a 0 0 5\r\nab", "set b 0 0 100000\r\nab", "set c 0 0 2000000\r\nab", ""];
    let mut others: Vec<Client> = begun.iter().map(|_| server.client()).collect();
    for (other, text) in others.iter_mut().zip(begun) {
        other.expect_silence();
        other.send(text);
        other.wait_until_read();
    }
    // Who has read is not through with it yet: a turn later it is.
    let found = crate::server::wait_for("all have begun", || {
        let found = connections(&mut asker);
        found.values().any(|fields| fields["state"] == "conn_swallow").then_some(found)
    });
    let count = |state: &str| found.values().filter(|fields| fields["state"] == state).count();
    assert!(found.len() == 7, "one listens, six are connected: {found:?}");
    let counts = ["conn_listening", "conn_parse_cmd", "conn_read", "conn_nread", "conn_swallow"].map(count);
    assert!(counts == [1, 1, 2, 2, 1], "{counts:?}: {found:?}");
}

#[test]
fn everybody_is_there_once_however_many_there_are() {
    let server = Server::start(&["-t", "3"]);
    // More than a worker writes about in a turn, with gaps.
    let mut clients: Vec<Client> = (0..300).map(|_| server.client()).collect();
    for client in &mut clients {
        client.expect_silence();
    }
    let mut asker = clients.swap_remove(150);
    let found = connections(&mut asker);
    assert!(found.len() == 301, "300 clients and a listener are {}", found.len());
    // Others may ask at the same time, and are answered all.
    for client in &mut clients {
        client.send("stats conns\r\n");
    }
    for client in &mut clients[..20] {
        while client.line() != "END" {}
    }
    asker.expect_silence();
}

#[test]
fn a_pipeline_goes_on_behind_the_report() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("set a 0 0 1\r\n1\r\nstats conns\r\nget a\r\n");
    client.expect("STORED\r\n");
    while client.line() != "END" {}
    client.expect("VALUE a 0 1\r\n1\r\nEND\r\n");
}

#[test]
fn a_client_that_asks_and_leaves_takes_nobody_with_it() {
    let server = Server::start(&[]);
    for _ in 0..20 {
        let mut client = server.client();
        client.send("stats conns\r\n");
        client.hang_up();
    }
    assert!(connections(&mut server.client()).len() >= 2, "one listens, one asks");
}

#[test]
fn a_unix_socket_is_named_by_its_path() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let _server = Server::start_unix(&path, &[]);
    let found = connections(&mut Client::connect_unix(&path));
    let expected = format!("unix:{}", path.display());
    // memcached cuts the listener's path short.
    assert!(is_foreign() || only(&found, "conn_listening")["addr"] == expected, "{found:?}");
    assert!(only(&found, "conn_parse_cmd")["listen_addr"] == expected, "{found:?}");
    // memcached writes `?:<AF 0>` for a client without a name.
    assert!(is_foreign() || only(&found, "conn_parse_cmd")["addr"] == "unix:", "{found:?}");
}
