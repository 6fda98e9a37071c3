//! UDP: headers, replies of several datagrams, what is not answered, and what reports say of the sockets.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use crate::client::{Client, pattern, set_bytes, value_bytes};
use crate::server::{Directory, Server, WAIT_SECONDS_MAX, is_foreign};

const HEADER_BYTES: usize = 8;
const DATAGRAM_BYTES_MAX: usize = 1400;

/// One client's socket.
struct Asker {
    socket: UdpSocket,
    /// The number of the last request.
    id: u16,
}

impl Asker {
    fn new(server: &Server) -> Self {
        Self::of(server.datagram_address())
    }

    fn of(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
        let socket = socket.expect("a port is free");
        socket.connect(address).expect("an address of the same family");
        socket.set_read_timeout(Some(Duration::from_secs(WAIT_SECONDS_MAX))).expect("a deadline can be set");
        Self { socket, id: 0xfffe }
    }

    fn send(&self, datagram: impl AsRef<[u8]>) {
        self.socket.send(datagram.as_ref()).expect("the kernel takes it");
    }

    /// Sends a request with a number of its own.
    fn request(&mut self, request: impl AsRef<[u8]>) {
        self.id = self.id.wrapping_add(1);
        let header = [self.id.to_be_bytes(), [0, 0], [0, 1], [0, 0]].concat();
        self.send([&header, request.as_ref()].concat());
    }

    /// The payloads of a message's datagrams, each of which is as it should be.
    #[track_caller]
    fn message(&self) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        loop {
            let mut datagram = vec![0; 2 * DATAGRAM_BYTES_MAX];
            let len = self.socket.recv(&mut datagram).expect("a datagram comes");
            datagram.truncate(len);
            let header: Vec<u16> =
                datagram[..HEADER_BYTES].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            let [id, sequence, total, zero] = header[..] else { unreachable!("eight bytes are four numbers") };
            assert_eq!((id, usize::from(sequence), zero), (self.id, payloads.len(), 0), "of {total}");
            let is_last = sequence + 1 == total;
            assert!(is_last || len == DATAGRAM_BYTES_MAX, "{len} bytes in {sequence} of {total}");
            assert!((HEADER_BYTES + 1..=DATAGRAM_BYTES_MAX).contains(&len), "{len} bytes");
            payloads.push(datagram[HEADER_BYTES..].to_vec());
            if is_last {
                return payloads;
            }
        }
    }

    #[track_caller]
    fn ask(&mut self, request: impl AsRef<[u8]>) -> Vec<u8> {
        self.request(request);
        self.message().concat()
    }

    /// The whole answer to a request.
    #[track_caller]
    fn expect(&mut self, request: impl AsRef<[u8]>, reply: impl AsRef<[u8]>) {
        let request = request.as_ref();
        let shown = request[..request.len().min(60)].escape_ascii();
        let (got, reply) = (self.ask(request), reply.as_ref());
        assert!(got == reply, "{shown}: {} and not {}", got.escape_ascii(), reply.escape_ascii());
    }

    /// Nothing was answered that no reply was taken for: the next one is the next request's.
    #[track_caller]
    fn expect_silence(&mut self) {
        self.expect("mn\r\n", "MN\r\n");
    }
}

fn started(options: &[&str]) -> Server {
    Server::start(&[&["-U", "-1"], options].concat())
}

#[test]
fn requests_are_answered_with_their_number() {
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    for (request, reply) in [
        ("set a 5 0 1\r\n1\r\n", "STORED\r\n"),
        ("get a\r\n", "VALUE a 5 1\r\n1\r\nEND\r\n"),
        ("get b\r\n", "END\r\n"),
        ("add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n"),
        ("append a 0 0 1\r\n2\r\n", "STORED\r\n"),
        ("incr a 3\r\n", "15\r\n"),
        ("touch a 0\r\n", "TOUCHED\r\n"),
        ("gat 0 a\r\n", "VALUE a 5 2\r\n15\r\nEND\r\n"),
        ("mg a v f\r\n", "VA 2 f5\r\n15\r\n"),
        ("ms a 1\r\n7\r\n", "HD\r\n"),
        ("ma a\r\n", "HD\r\n"),
        ("md a\r\n", "HD\r\n"),
        ("delete a\r\n", "NOT_FOUND\r\n"),
        ("verbosity 0\r\n", "OK\r\n"),
        ("flush_all\r\n", "OK\r\n"),
        ("nonsense\r\n", "ERROR\r\n"),
    ] {
        asker.expect(request, reply);
    }
}

/// A request of the binary protocol.
fn packet(opcode: u8, extras: &[u8], key: &[u8], value: &[u8]) -> Vec<u8> {
    let body_len = u32::try_from(extras.len() + key.len() + value.len()).expect("short");
    let key_len = u16::try_from(key.len()).expect("short").to_be_bytes();
    let extras_len = u8::try_from(extras.len()).expect("short");
    let head = [&[0x80, opcode], &key_len[..], &[extras_len, 0, 0, 0], &body_len.to_be_bytes(), &[1, 2, 3, 4]].concat();
    [&head[..], &[0; 8], extras, key, value].concat()
}

/// Opcode, status and body of each reply.
#[track_caller]
fn replies(mut stream: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !stream.is_empty() {
        assert!(stream.len() >= 24 && stream[0] == 0x81 && stream[12..16] == [1, 2, 3, 4], "{stream:?}");
        let body_len = u32::from_be_bytes([stream[8], stream[9], stream[10], stream[11]]);
        let end = 24 + usize::try_from(body_len).expect("short");
        found.push((stream[1], stream[7], stream[24..end].to_vec()));
        stream = &stream[end..];
    }
    found
}

#[test]
fn the_first_byte_of_each_datagram_tells_its_dialect() {
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    assert_eq!(replies(&asker.ask(packet(0x01, &[0; 8], b"a", b"12"))), [(0x01, 0, vec![])]);
    asker.expect("get a\r\n", "VALUE a 0 2\r\n12\r\nEND\r\n");
    assert_eq!(replies(&asker.ask(packet(0x00, &[], b"a", b""))), [(0x00, 0, b"\0\0\0\x0012".to_vec())]);
    assert_eq!(replies(&asker.ask(packet(0x00, &[], b"b", b"")))[0].1, 1);
    // Quiet requests, and one that is not.
    let batch = [packet(0x0d, &[], b"a", b""), packet(0x0d, &[], b"b", b""), packet(0x0a, &[], b"", b"")].concat();
    if !is_foreign() {
        assert_eq!(replies(&asker.ask(batch)), [(0x0d, 0, b"\0\0\0\0a12".to_vec()), (0x0a, 0, vec![])]);
    }
    asker.request(packet(0x0d, &[], b"b", b""));
    asker.expect_silence();
    let value = pattern(3, 20_000);
    assert_eq!(replies(&asker.ask(packet(0x01, &[0; 8], b"L", &value))), [(0x01, 0, vec![])]);
    let found = replies(&asker.ask(packet(0x00, &[], b"L", b"")));
    assert!(found[0].2[4..] == value, "the value comes back");
}

#[test]
fn half_a_binary_request_is_not_answered() {
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    let whole = packet(0x00, &[], b"abc", b"");
    for len in [1, 23, 24, 26] {
        asker.request(&whole[..len]);
        asker.expect_silence();
    }
    if !is_foreign() {
        for value_len in [5, 99_999] {
            let set = packet(0x01, &[0; 8], b"abc", &vec![b'v'; value_len]);
            asker.request(&set[..set.len().min(1000) - 1]);
            asker.expect_silence();
        }
        asker.request(packet(0x07, &[], b"", b""));
        assert_eq!(replies(&asker.message().concat()), [(0x07, 0, vec![])], "quit is answered");
    }
    asker.expect("get abc\r\n", "END\r\n");
}

#[test]
fn clients_by_both_ways_see_the_same_items() {
    let server = started(&[]);
    let (mut asker, mut client) = (Asker::new(&server), server.client());
    asker.expect("set a 0 0 1\r\n1\r\n", "STORED\r\n");
    client.expect_value("a", "1");
    client.set("b", "2");
    asker.expect("get b\r\n", "VALUE b 0 1\r\n2\r\nEND\r\n");
}

#[test]
fn a_long_reply_comes_in_datagrams_of_1400_bytes() {
    let server = started(&[]);
    let (mut asker, mut client) = (Asker::new(&server), server.client());
    let head = "VALUE a 0 1234\r\n".len();
    // Around one and two whole datagrams, and values that are copied or not.
    for len in [1392 - head - 7 - 1, 1392 - head - 7, 1392 - head - 7 + 1, 2784, 16_384, 16_385, 20_000, 60_000] {
        let value = pattern(1, len);
        client.set("a", &value);
        let reply = [&value_bytes("a", &value)[..], b"END\r\n"].concat();
        asker.request("get a\r\n");
        let payloads = asker.message();
        assert!(payloads.concat() == reply, "a value of {len} bytes");
        assert_eq!(payloads.len(), reply.len().div_ceil(1392), "a value of {len} bytes");
    }
}

#[test]
fn a_value_as_long_as_a_datagram_is_stored() {
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    for len in [1, 1400, 16_384, 16_385, 65_000] {
        let value = pattern(2, len);
        asker.expect(set_bytes("a", &value), "STORED\r\n");
        server.client().expect_value("a", &value);
    }
}

#[test]
fn all_replies_to_a_datagram_are_one_message() {
    if is_foreign() {
        // It numbers each value of a line from 0.
        return;
    }
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    let requests = "set a 0 0 1\r\n1\r\nset b 0 0 1\r\n2\r\nget a nothing b\r\n";
    let replies = "STORED\r\nSTORED\r\nVALUE a 0 1\r\n1\r\nVALUE b 0 1\r\n2\r\nEND\r\n";
    asker.expect(requests, replies);
    // More than -R lets a connection have in a turn.
    asker.expect("mn\r\n".repeat(5000), "MN\r\n".repeat(5000));
}

#[test]
fn what_is_not_a_whole_request_is_not_answered() {
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    asker.expect("set a 0 0 1\r\n1\r\n", "STORED\r\n");
    for datagram in [&b""[..], b"g", b"get a\r\n", b"\0\0\0\0\0\x01\0\0", b"\0\0\0\0\0\0\0\0get a\r\n"] {
        asker.send(datagram);
    }
    asker.send(b"\0\x07\0\0\0\x02\0\0get a\r\n");
    asker.send(b"\0\x07\0\x01\0\x02\0\0get a\r\n");
    asker.send(b"\0\x07\0\0\x01\x01\0\0get a\r\n");
    for half in ["get a", "get a b", "delete a", "mg a v"] {
        asker.request(half);
        asker.expect_silence();
    }
    if !is_foreign() {
        // It reads the rest of a value from the datagrams that follow.
        for half in ["set a 0 0 5\r\nab", "set a 0 0 99999\r\nab", "set a 0 0 9999999\r\nab", "mn\r\nget a b"] {
            asker.request(half);
            let whole = half.starts_with("mn");
            assert!(!whole || asker.message() == [b"MN\r\n"], "what is whole before it is answered");
            asker.expect_silence();
        }
    }
    asker.expect("get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n");
}

#[test]
fn noreply_and_quiet_requests_are_not_answered() {
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    for quiet in ["set a 0 0 1 noreply\r\n1\r\n", "mg b v q\r\n", "delete b noreply\r\n"] {
        asker.request(quiet);
        asker.expect_silence();
    }
    asker.expect("get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n");
}

#[test]
fn errors_that_come_back_are_not_answered() {
    if is_foreign() {
        // Two servers may keep each other busy with these.
        return;
    }
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    for reply in ["ERROR\r\n", "CLIENT_ERROR bad command line format\r\n", "SERVER_ERROR out of memory\r\nget a\r\n"] {
        asker.request(reply);
        asker.expect_silence();
    }
}

#[test]
fn a_client_that_quits_takes_nobody_with_it() {
    if is_foreign() {
        // It sends an empty datagram.
        return;
    }
    let server = started(&["-t", "1"]);
    let (mut asker, mut other) = (Asker::new(&server), Asker::new(&server));
    for end in ["quit\r\n".to_owned(), "x".repeat(5000), "GET / HTTP/1.1\r\n".to_owned()] {
        asker.request(end);
        asker.expect_silence();
        other.expect_silence();
    }
}

#[test]
fn what_would_outlive_its_datagram_is_refused() {
    if is_foreign() {
        // It gives the socket away for good, or writes to nobody.
        return;
    }
    let server = started(&["-t", "1"]);
    let mut asker = Asker::new(&server);
    asker.expect("watch\r\n", "CLIENT_ERROR watch commands not allowed\r\n");
    asker.expect("lru_crawler metadump all\r\n", "ERROR metadump not allowed\r\n");
    asker.expect("lru_crawler mgdump all\r\n", "ERROR key dump not allowed\r\n");
    asker.expect("shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n");
}

#[test]
fn reports_are_answered() {
    let server = started(&[]);
    let mut asker = Asker::new(&server);
    asker.expect("set a 0 0 1\r\n1\r\n", "STORED\r\n");
    for (report, line) in [
        ("stats\r\n", "STAT cmd_set 1"),
        ("stats settings\r\n", "STAT udpport -1"),
        ("stats items\r\n", "STAT items:1:number 1"),
        ("stats conns\r\n", ":UDP UDP"),
    ] {
        let text = String::from_utf8_lossy(&asker.ask(report)).into_owned();
        assert!(text.contains(line) && text.ends_with("END\r\n"), "{report}{text}");
    }
}

#[test]
fn every_worker_has_a_socket_that_counts_as_a_connection() {
    let server = started(&["-t", "3"]);
    let mut client = server.client();
    let listed = client.stats("conns");
    let fields = |field: &str| -> Vec<(String, String)> {
        let named = listed.iter().filter_map(|(name, value)| {
            let (fd, name) = name.split_once(':')?;
            (name == field).then(|| (fd.to_owned(), value.clone()))
        });
        named.collect()
    };
    let sockets = fields("UDP");
    assert_eq!(sockets.len(), 3, "{listed:?}");
    let address = format!("udp:{}", server.datagram_address());
    for (fd, _) in &sockets {
        let of = |field: &str| fields(field).into_iter().find(|(of, _)| of == fd).map(|(_, value)| value);
        assert_eq!((of("addr").as_ref(), of("state").as_deref()), (Some(&address), Some("conn_read")));
        assert_eq!(of("listen_addr"), None);
    }
    // The listener is not counted among the first.
    client.expect_stats(&[("curr_connections", 4), ("total_connections", 5)]);
}

#[test]
fn who_asks_for_connections_is_named_in_the_answer() {
    let server = started(&["-t", "2"]);
    let mut asker = Asker::new(&server);
    let text = String::from_utf8_lossy(&asker.ask("stats conns\r\n")).into_owned();
    let own = format!("addr udp:{}\r\n", asker.socket.local_addr().expect("it is bound"));
    let to = format!("listen_addr udp:{}\r\n", server.datagram_address());
    assert!(text.contains(&own) && text.contains(&to) && text.contains("state conn_parse_cmd"), "{text}");
}

#[test]
fn bytes_are_counted_with_their_headers() {
    let server = started(&[]);
    let (mut asker, mut client) = (Asker::new(&server), server.client());
    let read = client.stat("bytes_read");
    let written = client.stat("bytes_written");
    client.send("stats\r\n");
    let text = {
        while client.line() != "END" {}
        asker.expect("mn\r\n", "MN\r\n");
        (client.stat("bytes_read"), client.stat("bytes_written"))
    };
    assert_eq!(text.0 - read, u64::try_from("stats\r\n".len() * 3 + 12).expect("few"), "read");
    assert!(text.1 > written + 12, "written");
}

/// How many sockets of UDP a process has open. The port itself tells nothing: another test may have it.
fn datagram_sockets(pid: u32) -> usize {
    let list = fs::read_to_string("/proc/net/udp").expect("the kernel lists its sockets");
    let inodes: Vec<_> = list.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(9)).collect();
    let links = fs::read_dir(format!("/proc/{pid}/fd")).expect("the kernel lists the process' descriptors");
    let links = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    links.filter(|link| inodes.iter().any(|inode| link.as_os_str() == format!("socket:[{inode}]").as_str())).count()
}

/// A port that is free for TCP and UDP. It is none of those that the kernel hands out (from 32,768 on), which a
/// client of another test may be given at any moment.
fn port_nobody_is_given() -> (u16, UdpSocket) {
    let first = u16::try_from(std::process::id() % 10_000).expect("a remainder below 10,000") + 20_000;
    let held = (first..first + 1000).find_map(|port| {
        let _free_for_tcp = TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some((port, UdpSocket::bind(("127.0.0.1", port)).ok()?))
    });
    held.expect("one of a thousand ports is free")
}

#[test]
fn it_is_off_unless_asked_for() {
    let server = Server::start(&[]);
    assert_eq!(server.ports().len(), 1, "{:?}", server.ports());
    assert_eq!(datagram_sockets(server.pid()), 0);
    assert_ne!(datagram_sockets(started(&[]).pid()), 0, "they would be seen");
    assert!(server.client().stats("conns").iter().all(|(name, _)| !name.ends_with(":UDP")));
}

#[test]
fn every_address_has_its_sockets() {
    let server = Server::start_listening(&["-l", "127.0.0.1,127.0.0.2", "-p", "-1", "-U", "-1", "-t", "2"]);
    let ports = server.ports();
    let found: Vec<_> = ports.iter().filter(|(name, _)| name == "UDP INET").map(|(_, port)| *port).collect();
    assert_eq!((ports.len(), found.len()), (4, 2), "{ports:?}");
    for (host, port) in [[127, 0, 0, 1], [127, 0, 0, 2]].into_iter().zip(found) {
        Asker::of((host, port).into()).expect_silence();
    }
}

#[test]
fn v6_is_served() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let server = Server::start_listening(&["-l", "::1", "-p", "-1", "-U", "-1"]);
    let ports = server.ports();
    let port = ports.iter().find(|(name, _)| name == "UDP INET6").expect("it has a port").1;
    let mut asker = Asker::of((std::net::Ipv6Addr::LOCALHOST, port).into());
    asker.expect_silence();
    let text = String::from_utf8_lossy(&asker.ask("stats conns\r\n")).into_owned();
    assert!(text.contains(&format!("udp6:[::1]:{port}\r\n")), "{text}");
}

#[test]
fn a_port_of_udp_is_one_of_tcp_too_and_taken_by_one_server_alone() {
    let (port, held) = port_nobody_is_given();
    let text = port.to_string();
    let outcome = crate::commandline::run(&["-U", &text]);
    assert_eq!(outcome.code, Some(71), "{}", outcome.stderr);
    drop(held);
    let server = Server::start_listening(&["-l", "127.0.0.1", "-U", &text]);
    assert_eq!(server.ports(), [("TCP INET".to_owned(), port), ("UDP INET".to_owned(), port)]);
    Asker::new(&server).expect_silence();
    let outcome = crate::commandline::run(&["-U", &text]);
    // memcached listens beside another one.
    assert!(is_foreign() || outcome.code == Some(71), "{}", outcome.stderr);
}

#[test]
fn a_unix_socket_alone_turns_it_off() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let server = Server::start_unix(&path, &["-U", "-1"]);
    assert!(!server.has_ports(), "the port file is for other sockets");
    assert!(Client::connect_unix(&path).stats("conns").iter().all(|(name, _)| !name.ends_with(":UDP")));
}

#[test]
fn reaching_beyond_this_machine_is_warned_of() {
    if is_foreign() {
        return;
    }
    let near = started(&[]);
    assert!(!near.log().contains("UDP"), "{}", near.log());
    let far = Server::start_listening(&["-l", "0.0.0.0", "-p", "-1", "-U", "-1"]);
    assert!(far.log().contains("UDP on 0.0.0.0"), "{}", far.log());
}

#[test]
fn a_flood_of_garbage_keeps_nobody_from_being_served() {
    let server = started(&["-t", "1"]);
    let mut client = server.client();
    let garbage = Asker::new(&server);
    for round in 0..200_u32 {
        for nth in 0..50_usize {
            garbage.send(pattern(u64::from(round), nth * 20));
        }
        client.set("a", round.to_string());
        client.expect_value("a", round.to_string());
    }
    Asker::new(&server).expect_silence();
}

#[test]
fn sockets_go_from_server_to_server() {
    let doors = Directory::new();
    let door = doors.text("door");
    let mut server = started(&["-t", "2", "--takeover", &door]);
    let mut asker = Asker::new(&server);
    asker.expect("set a 0 0 1\r\n1\r\n", "STORED\r\n");
    for threads in ["2", "4", "1"] {
        let next = started(&["-t", threads, "--takeover", &door]);
        assert!(server.wait_exit().success());
        assert_eq!(next.ports(), server.ports());
        server = next;
        for mut asker in [Asker::new(&server), Asker::new(&server)] {
            asker.expect("mg a v\r\n", "VA 1\r\n1\r\n");
        }
        asker.expect("mg a v\r\n", "VA 1\r\n1\r\n");
    }
}

#[test]
fn datagrams_are_measured() {
    if is_foreign() {
        return;
    }
    // One worker: datagrams come to any of them, and each measures by itself.
    let server = started(&["-t", "1"]);
    let mut asker = Asker::new(&server);
    for _ in 0..850 {
        asker.expect("set k 0 0 1\r\nv\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n");
    }
    let lines = server.client().stats("latency");
    let count = |name: &str| lines.iter().find(|(other, _)| other == name).map(|(_, count)| count.clone());
    assert!(count("get:count").is_some(), "{lines:?}");
    assert_eq!(count("get:count"), count("set:count"));
    assert!(server.client().stats("hotkeys").contains(&("1:key".to_owned(), "k".to_owned())));
}
