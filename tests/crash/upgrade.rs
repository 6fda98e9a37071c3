//! One server after another on the same sockets and the same memory: by `--takeover`, and by a service manager.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use flagstone::sys::descriptors::{receive, send};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::client::{Client, Place};
use crate::server::{Folder, PROGRAM, Server};

/// How long anything may take that is waited for; no test passes later for that.
const WAIT: Duration = Duration::from_secs(60);
/// Steps that all clients make between two takeovers.
const STEPS: u64 = 300;

/// The program, which listens at a unix socket and at a TCP port that the first one is given.
fn command(folder: &Folder, flags: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    let places = format!("127.0.0.1,unix:{}", folder.path("socket").display());
    command.args(["-l", &places, "-p", "-1", "-m", "128", "--takeover"]).arg(folder.path("door")).args(flags);
    command.env("MEMCACHED_PORT_FILENAME", folder.path("ports"));
    command
}

fn start(folder: &Folder, flags: &[&str]) -> Server {
    Server::start_by(command(folder, flags), folder.path("socket"))
}

fn port(folder: &Folder) -> u16 {
    let text = fs::read_to_string(folder.path("ports")).expect("the file of ports");
    text.trim().strip_prefix("TCP INET: ").expect("one port").parse().expect("a number")
}

fn connect(socket: &Path) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(WAIT)).expect("a deadline");
    BufReader::new(stream)
}

fn ask(stream: &mut BufReader<UnixStream>, request: &str) -> String {
    stream.get_mut().write_all(request.as_bytes()).expect("open");
    let mut line = String::new();
    stream.read_line(&mut line).expect("an answer");
    line
}

fn fails(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().expect("the program");
    assert_eq!(status.code(), Some(71));
    String::from_utf8_lossy(&stderr).into_owned()
}

fn takeovers_in_a_row(folder: &Folder, flags: [&[&str]; 4]) {
    let mut server = start(folder, flags[0]);
    let places = [Place::Tcp(port(folder)), Place::Unix(folder.path("socket"))];
    let mut clients: Vec<Client> = (0..4).map(Client::new).collect();
    let (steps, is_over) = ([const { AtomicU64::new(0) }; 4], AtomicBool::new(false));
    thread::scope(|scope| {
        let (steps, is_over) = (&steps, &is_over);
        let (made, has_made) = std::sync::mpsc::channel();
        let mut working = Vec::new();
        for (number, client) in clients.iter_mut().enumerate() {
            let (place, made) = (&places[number % 2], made.clone());
            working.push(scope.spawn(move || {
                client.work_on(place, || {
                    if steps[number].fetch_add(1, Ordering::Relaxed) % STEPS == STEPS - 1 {
                        // Nobody counts any more at the end.
                        let _ = made.send(number);
                    }
                    !is_over.load(Ordering::Relaxed)
                })
            }));
        }
        let all_have_made = || {
            let mut missing = [true; 4];
            while missing.contains(&true) {
                missing[has_made.recv_timeout(WAIT).expect("all clients come on")] = false;
            }
        };
        for flags in flags.iter().cycle().skip(1).take(6) {
            all_have_made();
            let next = start(folder, flags);
            std::mem::replace(&mut server, next).wait();
            // What they made with the old one says nothing of the new one.
            while has_made.try_recv().is_ok() {}
        }
        all_have_made();
        is_over.store(true, Ordering::Relaxed);
        for client in working {
            let closed = client.join().expect("a client does not fail");
            assert!((1..=6).contains(&closed), "each is closed once by a takeover at most: {closed}");
        }
    });
    clients.iter_mut().for_each(|client| client.verify(&folder.path("socket")));
    assert_eq!(server.stat("evictions"), Some(0), "what is missing would prove nothing");
    assert_eq!(server.stat("restart_items_dropped_broken").unwrap_or(0), 0);
    assert!(server.stat("restart_items_kept").is_some_and(|kept| kept > 20));
}

#[test]
fn takeovers_in_a_row_lose_no_write_and_refuse_nobody() {
    let folder = Folder::new("takeover");
    let flags = [&["-t", "2"][..], &["-t", "4", "-m", "64"], &["-t", "1", "-c", "100", "-m", "256"], &["-I", "2m"]];
    takeovers_in_a_row(&folder, flags);
}

#[test]
fn takeovers_go_on_with_the_same_file() {
    let folder = Folder::new("takeover-file");
    let memory = folder.path("memory");
    let file = memory.to_str().expect("text");
    let flags = ["2", "3", "1", "4"].map(|threads| ["-e", file, "-t", threads]);
    takeovers_in_a_row(&folder, flags.each_ref().map(|flags| &flags[..]));
}

#[test]
fn clients_are_closed_between_requests_and_a_half_sent_value_is_not_stored() {
    let folder = Folder::new("half");
    let old = start(&folder, &["-t", "2"]);
    let socket = folder.path("socket");
    let (mut idle, mut half, mut hanging) = (connect(&socket), connect(&socket), connect(&socket));
    assert_eq!(ask(&mut idle, "set k 0 0 5\r\nhello\r\n"), "STORED\r\n");
    let value = vec![b'v'; 900_000];
    let set = [b"set large 0 0 900000\r\n", &value[..], b"\r\n"].concat();
    half.get_mut().write_all(&set).expect("open");
    let mut line = String::new();
    half.read_line(&mut line).expect("an answer");
    assert_eq!(line, "STORED\r\n");
    half.get_mut().write_all(&[b"set other 0 0 900000\r\n", &value[..400_000]].concat()).expect("open");
    // It reads none of some 20 MB.
    hanging.get_mut().write_all(&b"get large\r\n".repeat(24)).expect("open");
    let new = start(&folder, &["-t", "3"]);
    old.wait();
    for stream in [&mut idle, &mut half] {
        let mut rest = Vec::new();
        // With a part of the value unread it is a reset.
        drop(stream.read_to_end(&mut rest));
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
    let mut client = connect(&socket);
    assert_eq!(ask(&mut client, "get other\r\n"), "END\r\n");
    assert_eq!(ask(&mut client, "mg k v\r\n"), "VA 5\r\n");
    assert_eq!(new.stat("curr_items"), Some(2));
}

#[test]
fn a_server_that_cannot_go_on_with_it_changes_nothing() {
    let folder = Folder::new("refused");
    let mut old = start(&folder, &["-t", "1"]);
    let mut client = connect(&folder.path("socket"));
    assert_eq!(ask(&mut client, "set k 0 0 5\r\nhello\r\n"), "STORED\r\n");
    assert!(fails(command(&folder, &["-C"])).contains("its items would be lost: -C has changed"));
    let elsewhere = folder.path("elsewhere");
    assert!(fails(command(&folder, &["-e", elsewhere.to_str().expect("text")])).contains("its items elsewhere"));
    assert!(!elsewhere.exists());
    assert!(fails(command(&folder, &["-l", "unix:/nonexistent/a"])).contains("failed to listen"));
    // Who says something else is not heard any more, and who comes next is.
    let stranger = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    stranger.connect(&SockAddr::unix(folder.path("door")).expect("a path")).expect("it listens");
    send(&stranger, b"flagstone takeover 2 ask", &[]).expect("it is there");
    stranger.set_read_timeout(Some(WAIT)).expect("a deadline");
    assert!(receive(&stranger, &mut [0; 8]).map_or(0, |(len, _)| len) == 0);
    old.wait_for("not understood");
    assert_eq!(ask(&mut client, "mg k v\r\n"), "VA 5\r\n", "its clients have noticed nothing");
    let _new = start(&folder, &[]);
    old.wait();
}

#[test]
fn when_the_new_server_ends_too_early_the_old_one_serves_again() {
    let folder = Folder::new("again");
    let mut old = start(&folder, &["-t", "2"]);
    let socket = folder.path("socket");
    assert_eq!(ask(&mut connect(&socket), "set k 0 0 5\r\nhello\r\n"), "STORED\r\n");
    for round in 0..2 {
        let new = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
        new.connect(&SockAddr::unix(folder.path("door")).expect("a path")).expect("it listens");
        new.set_read_timeout(Some(WAIT)).expect("a deadline");
        let mut buffer = [0; 64];
        let mut hear = |expected: &[u8]| {
            let (len, descriptors) = receive(&new, &mut buffer).expect("a message");
            assert_eq!(&buffer[..len], expected);
            descriptors
        };
        send(&new, b"flagstone takeover 1 ask", &[]).expect("it is there");
        assert_eq!(hear(b"flagstone takeover 1 last").len(), 4, "two listeners, the memory, the door: {round}");
        send(&new, b"flagstone takeover 1 stop", &[]).expect("it is there");
        hear(b"flagstone takeover 1 stopped");
        // It waits in the backlog.
        let mut client = connect(&socket);
        drop(new);
        assert_eq!(ask(&mut client, "mg k v\r\n"), "VA 5\r\n");
    }
    old.wait_for("serving again");
    let new = start(&folder, &["-t", "2"]);
    old.wait();
    assert_eq!(new.stat("curr_items"), Some(1));
}

#[test]
fn who_does_not_answer_as_a_server_is_not_taken_over_from() {
    let folder = Folder::new("mute");
    let path = folder.path("door");
    let stranger = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    stranger.bind(&SockAddr::unix(&path).expect("a path")).expect("a folder of ours");
    stranger.listen(1).expect("a socket");
    for answer in [&b""[..], b"flagstone takeover 1 serving", b"flagstone takeover 1 last", b"hello"] {
        thread::scope(|scope| {
            scope.spawn(|| {
                let (asks, _) = stranger.accept().expect("it asks");
                assert!(receive(&asks, &mut [0; 64]).expect("a word").0 > 0);
                if !answer.is_empty() {
                    send(&asks, answer, &[]).expect("it is there");
                }
            });
            assert!(fails(command(&folder, &[])).contains("failed to take over from the running server"));
        });
    }
    drop(stranger);
    // Nobody is there any more: the next one is the first.
    start(&folder, &[]).end_by("TERM");
}

/// Starts the program as a service manager does, with these descriptors behind the standard ones.
fn activate(given: [Option<OwnedFd>; 2], names: &str, flags: &[&str]) -> Command {
    let count = given.iter().flatten().count();
    let script = "LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >/dev/null";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, PROGRAM]).args(flags);
    shell.env("LISTEN_FDS", count.to_string()).env("LISTEN_FDNAMES", names);
    let [first, second] = given.map(|one| one.map_or_else(Stdio::null, Stdio::from));
    shell.stdin(first).stdout(second);
    shell
}

#[test]
fn sockets_that_are_handed_in_take_the_place_of_the_flags() {
    let folder = Folder::new("activated");
    let socket = folder.path("socket");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = tcp.local_addr().expect("it is bound");
    let unix = UnixListener::bind(&socket).expect("a folder of ours");
    // They come before it runs, and wait.
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(WAIT)).expect("a deadline");
    let given = [Some(OwnedFd::from(tcp)), Some(OwnedFd::from(unix))];
    // A port of the flags would be refused: the first one has it.
    let port = address.port().to_string();
    let server = Server::start_by(activate(given, "a:b", &["-l", "127.0.0.1", "-p", &port]), socket);
    stream.write_all(b"set k 0 0 1\r\nx\r\n").expect("open");
    let mut reply = [0; 8];
    stream.read_exact(&mut reply).expect("an answer");
    assert_eq!(&reply, b"STORED\r\n");
    assert_eq!(server.stat("curr_items"), Some(1));
    assert!(SockRef::from(&stream).peer_addr().expect("connected").as_socket() == Some(address));
}

#[test]
fn sockets_for_datagrams_are_handed_in_too() {
    let folder = Folder::new("activated-udp");
    let socket = folder.path("socket");
    let unix = UnixListener::bind(&socket).expect("a folder of ours");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let asker = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    asker.connect(udp.local_addr().expect("it is bound")).expect("an address");
    asker.set_read_timeout(Some(WAIT)).expect("a deadline");
    // It comes before the server runs, and waits.
    asker.send(b"\0\x07\0\0\0\x01\0\0mn\r\n").expect("the kernel takes it");
    let given = [Some(OwnedFd::from(udp)), Some(OwnedFd::from(unix))];
    let _server = Server::start_by(activate(given, "", &["-t", "2"]), socket);
    let mut reply = [0; 16];
    let len = asker.recv(&mut reply).expect("a datagram comes");
    assert_eq!(&reply[..len], b"\0\x07\0\0\0\x01\0\0MN\r\n");
}

#[test]
fn the_service_manager_keeps_the_memory_of_a_server_that_was_killed() {
    let folder = Folder::new("fdstore");
    let (manager, socket) = (folder.path("manager"), folder.path("socket"));
    let notified = UnixDatagram::bind(&manager).expect("a folder of ours");
    notified.set_read_timeout(Some(WAIT)).expect("a deadline");
    let told = || {
        let mut buffer = [0; 256];
        let (len, descriptors) = receive(&SockRef::from(&notified), &mut buffer).expect("a message");
        (String::from_utf8_lossy(&buffer[..len]).into_owned(), descriptors)
    };
    let flags = ["-s", socket.to_str().expect("text"), "-m", "64", "-o", "memory_fd_store"];
    let mut kept: Option<File> = None;
    let mut client = Client::new(3);
    for (round, signal) in ["KILL", "KILL", "TERM"].into_iter().enumerate() {
        let given = kept.as_ref().map(|file| file.try_clone().expect("descriptors").into());
        let mut command = activate([given, None], "flagstone-memory", &flags);
        command.env("NOTIFY_SOCKET", &manager);
        let server = Server::start_by(command, socket.clone());
        let (text, mut descriptors) = told();
        assert_eq!((text.as_str(), descriptors.len()), ("FDSTORE=1\nFDNAME=flagstone-memory", 1));
        // A manager that has it already keeps it once.
        kept.get_or_insert_with(|| File::from(descriptors.remove(0)));
        assert_eq!(told().0, "READY=1");
        client.verify(&socket);
        if round > 0 {
            assert!(server.stat("restart_items_kept").is_some_and(|kept| kept > 20));
        }
        client.do_some(&socket, 200);
        server.end_by(signal);
    }
    assert_eq!(told().0, "STOPPING=1");
}
