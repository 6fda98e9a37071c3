//! Where the server listens: addresses, families, unix sockets, the port file and the pidfile.

use crate::client::Client;
use crate::server::{Directory, Server, is_foreign, wait_for};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

/// Whether the kernel has an IPv6 loopback at all.
fn has_v6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn the_port_file_names_the_port() {
    let server = Server::start(&[]);
    let ports = server.ports();
    assert!(ports.len() == 1 && ports[0].0 == "TCP INET", "the port file says {ports:?}");
    assert!(ports[0].1 != 0, "a port is not 0");
    server.client().expect_silence();
}

#[test]
fn the_port_file_of_a_server_without_a_port_is_empty() {
    let server = Server::start_listening(&["-p", "0"]);
    assert!(server.ports().is_empty(), "the port file says {:?}", server.ports());
}

#[test]
fn several_addresses_are_served() {
    for listen in [vec!["-l", "127.0.0.1,127.0.0.2"], vec!["-l", "127.0.0.1", "-l", "127.0.0.2"]] {
        let server = Server::start_listening(&[&listen[..], &["-p", "-1"]].concat());
        let ports = server.ports();
        assert!(ports.len() == 2, "the port file says {ports:?}");
        let mut first = Client::connect(([127, 0, 0, 1], ports[0].1).into());
        let mut second = Client::connect(([127, 0, 0, 2], ports[1].1).into());
        first.set("a", "1");
        second.expect_value("a", "1");
        let crossed = TcpStream::connect(("127.0.0.2", ports[0].1));
        assert!(crossed.is_err() || ports[0].1 == ports[1].1, "each has its own port");
    }
}

#[test]
fn the_v6_loopback_is_served() {
    if !has_v6() {
        return;
    }
    for address in ["::1", "[::1]"] {
        let server = Server::start_listening(&["-l", address, "-p", "-1"]);
        let ports = server.ports();
        assert!(ports.len() == 1 && ports[0].0 == "TCP INET6", "the port file says {ports:?}");
        Client::connect(server.address_v6()).expect_silence();
    }
}

#[test]
fn both_families_are_served_at_once() {
    if !has_v6() {
        return;
    }
    let server = Server::start_listening(&["-l", "127.0.0.1,[::1]", "-p", "-1"]);
    let mut first = server.client();
    let mut second = Client::connect(server.address_v6());
    first.set("a", "1");
    second.expect_value("a", "1");
}

#[test]
fn a_port_in_the_address_overrides_the_option() {
    // Held here, so that the server could not have it.
    let held = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = held.local_addr().expect("the socket has a name").port().to_string();
    let server = Server::start_listening(&["-p", &taken, "-l", "127.0.0.1:0"]);
    server.client().expect_silence();
}

#[test]
fn a_port_already_taken_ends_the_server() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = held.local_addr().expect("the socket has a name").port().to_string();
    let outcome = crate::commandline::run(&["-l", "127.0.0.1", "-p", &taken]);
    assert!(outcome.code == Some(71), "it ended with {:?}", outcome.code);
    assert!(!outcome.stderr.is_empty(), "it says why");
}

#[test]
fn a_unix_socket_is_served_and_nothing_else() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let server = Server::start_unix(&path, &["-p", "0"]);
    let mut client = Client::connect_unix(&path);
    client.set("a", "1");
    client.expect_value("a", "1");
    let large = vec![b'v'; 300_000];
    client.set("large", &large);
    client.expect_value("large", &large);
    let kind = fs::metadata(&path).expect("the socket is there").file_type();
    assert!(kind.is_socket(), "what is there is a socket");
    assert!(!server.has_ports(), "the port file is for other sockets");
    client.ask("quit\r\n", "");
    client.expect_closed();
}

#[test]
fn a_unix_socket_has_the_mode_asked_for() {
    for (options, mode) in [(vec![], 0o700), (vec!["-a", "0755"], 0o755), (vec!["-a", "766"], 0o766)] {
        let directory = Directory::new();
        let path = directory.join("socket");
        let _server = Server::start_unix(&path, &options);
        let found = fs::metadata(&path).expect("the socket is there").permissions().mode() & 0o777;
        assert!(found == mode, "the mode is {found:o}, not {mode:o}");
    }
}

#[test]
fn an_old_socket_is_replaced_and_any_other_file_left() {
    let directory = Directory::new();
    let path = directory.join("socket");
    drop(Server::start_unix(&path, &[]));
    assert!(path.exists(), "a killed server leaves its socket");
    let _server = Server::start_unix(&path, &[]);
    Client::connect_unix(&path).expect_silence();

    let file = directory.text("file");
    fs::write(&file, "precious").expect("a file can be written");
    let outcome = crate::commandline::run(&["-s", &file]);
    assert!(outcome.code == Some(71), "it ended with {:?}", outcome.code);
    assert!(fs::read(&file).is_ok_and(|text| text == b"precious"), "the file was left alone");
}

#[test]
fn a_socket_that_is_served_is_not_taken_over() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let _server = Server::start_unix(&path, &[]);
    let outcome = crate::commandline::run(&["-s", &directory.text("socket")]);
    assert!(outcome.code == Some(71), "it ended with {:?}", outcome.code);
    assert!(outcome.stderr.contains("Address already in use"), "it says: {}", outcome.stderr);
    Client::connect_unix(&path).expect_silence();
}

#[test]
fn the_pidfile_holds_the_pid() {
    let directory = Directory::new();
    let server = Server::start(&["-P", &directory.text("pid")]);
    let expected = format!("{}\n", server.pid());
    wait_for("the pidfile is written", || {
        let text = fs::read_to_string(directory.join("pid")).ok()?;
        assert!(text == expected, "the pidfile says {text:?}");
        Some(())
    });
    assert!(!directory.join("pid.tmp").exists(), "the draft is gone");
}

#[test]
fn a_unix_socket_is_served_beside_other_addresses() {
    if is_foreign() {
        return;
    }
    let directory = Directory::new();
    let path = directory.join("socket");
    let listen = format!("127.0.0.1,unix:{}:640", path.display());
    let server = Server::start_listening(&["-l", &listen, "-p", "-1"]);
    let mut near = Client::connect_unix(&path);
    near.set("a", "1");
    server.client().expect_value("a", "1");
    let mode = fs::metadata(&path).expect("the socket is there").permissions().mode() & 0o777;
    assert!(mode == 0o640, "the mode is {mode:o}");
    let listeners: Vec<_> = near.stats("conns").into_iter().filter(|(_, value)| value == "conn_listening").collect();
    assert!(listeners.len() == 2, "{listeners:?}");
}

#[test]
fn each_address_has_its_protocol() {
    const NOOP: &[u8] = b"\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let answer = [&b"\x81\x0a"[..], &[0; 22]].concat();
    let listen = "proto[ascii]:127.0.0.1,proto[binary]:tag[two]:127.0.0.2,proto[negotiating]:127.0.0.3,127.0.0.4";
    let server = Server::start_listening(&["-l", listen, "-p", "-1", "-B", "ascii"]);
    let ports = server.ports();
    let client = |nth: u8| Client::connect(([127, 0, 0, nth], ports[usize::from(nth) - 1].1).into());
    for text_only in [1, 4] {
        let mut asked = client(text_only);
        asked.expect_silence();
        drop(asked);
        let mut asked = client(text_only);
        asked.send(b"\x80\x0b\0\0\0\r\n");
        asked.expect("ERROR\r\n");
    }
    for binary in [2, 3] {
        client(binary).ask(NOOP, &answer);
    }
    client(3).expect_silence();
    let mut asked = client(2);
    asked.send("version of this server, please\r\n");
    asked.expect_closed();
}
