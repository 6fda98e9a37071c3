//! How the program starts and ends: exit statuses, files, signals. It is run as its operators run it.
//!
//! Nothing is waited for by the clock: a server is ready when it says so on stderr, and gone when it is.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_flagstone");

/// A folder of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("flagstone-start-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a failed test leaves is worth less than its message.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A server that has said it serves; killed if the test ends before it does.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    ports: String,
    /// Lines that were read while another was waited for.
    passed: Vec<String>,
}

impl Server {
    fn start(folder: &Folder, flags: &[&str]) -> Self {
        Self::start_by(Command::new(PROGRAM), folder, flags)
    }

    /// The same in a shell that has set a limit before.
    fn start_after(limit: &str, folder: &Folder, flags: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limit} && exec \"$0\" \"$@\""), PROGRAM]);
        Self::start_by(shell, folder, flags)
    }

    fn start_by(mut command: Command, folder: &Folder, flags: &[&str]) -> Self {
        let ports = folder.path("ports");
        command.arg("-v").args(flags).env("MEMCACHED_PORT_FILENAME", &ports).env_remove("RUST_LOG");
        let mut child = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the program");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut server = Self { child, stderr, ports, passed: Vec::new() };
        server.wait_for("serving");
        server
    }

    fn wait_for(&mut self, word: &str) -> String {
        if let Some(place) = self.passed.iter().position(|line| line.contains(word)) {
            return self.passed.remove(place);
        }
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).expect("text"), 0, "it ended before it said {word}");
            if line.contains(word) {
                return line;
            }
            self.passed.push(line);
        }
    }

    fn connect(&self) -> TcpStream {
        let text = fs::read_to_string(&self.ports).expect("the file of ports");
        let port = text.trim().strip_prefix("TCP INET: ").expect("one port").parse().expect("a number");
        TcpStream::connect(("127.0.0.1", port)).expect("it listens")
    }

    /// Memory of the process that is there, in bytes.
    fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux has it");
        line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") << 10
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("kill");
        assert!(status.success());
    }

    fn status(&mut self) -> Option<i32> {
        self.child.wait().expect("a child").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, if all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const LOCAL: [&str; 4] = ["-l", "127.0.0.1", "-p", "-1"];

fn run(flags: &[&str]) -> Output {
    Command::new(PROGRAM).args(flags).env_remove("RUST_LOG").output().expect("the program")
}

fn ask(mut stream: impl Read + Write, request: &str, reply: &str) {
    stream.write_all(request.as_bytes()).expect("open");
    let mut got = vec![0; reply.len()];
    stream.read_exact(&mut got).expect("open");
    assert_eq!(String::from_utf8_lossy(&got), reply);
}

#[test]
fn wrong_flags_end_with_memcacheds_line_and_status() {
    for (flags, code, line) in [
        ("-p 70000", 64, "ERROR: Invalid port number 70000."),
        ("-c 0", 1, "Maximum connections must be greater than 0"),
        ("-t 0", 1, "Number of threads must be greater than 0"),
        ("-o x", 1, "Illegal suboption \"x\""),
        ("-S -B auto", 64, "ERROR: You cannot allow the ASCII protocol while using SASL."),
        ("-s /nonexistent/a", 71, "failed to listen on UNIX socket: /nonexistent/a: No such file"),
        ("-l 127.0.0.1 -p -1 -c 99999999999", 71, "failed to set rlimit for open files."),
    ] {
        let output = run(&flags.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(code), "{flags}");
        assert!(output.stdout.is_empty(), "{flags}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.lines().any(|said| said.starts_with(line)), "{flags}: {stderr}");
    }
}

#[test]
fn texts_are_on_stdout() {
    let version = run(&["-V"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(version.stdout, b"memcached 1.6.45\nflagstone 0.1.0\n");
    let help = run(&["-h"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stdout.starts_with(b"memcached 1.6.45\n-p, --port=<num>"));
}

#[test]
fn every_stop_ends_with_0_and_a_hangup_does_not_end_it() {
    for signal in ["TERM", "INT", "USR1"] {
        let folder = Folder::new(signal);
        let mut server = Server::start(&folder, &LOCAL);
        server.signal("HUP");
        server.wait_for("SIGHUP");
        ask(server.connect(), "set k 0 0 1\r\nv\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n");
        server.signal(signal);
        assert_eq!(server.status(), Some(0), "{signal}");
    }
}

#[test]
fn a_client_that_leaves_early_does_not_end_it() {
    let folder = Folder::new("pipe");
    let mut server = Server::start(&folder, &LOCAL);
    for _ in 0..10 {
        let mut client = server.connect();
        client.write_all(&b"version\r\n".repeat(1000)).expect("open");
    }
    ask(server.connect(), "version\r\n", "VERSION 1.6.45\r\n");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
}

#[test]
fn the_unix_socket_serves_and_its_file_stays() {
    let folder = Folder::new("unix");
    let path = folder.path("socket");
    for _ in 0..2 {
        let mut server = Server::start(&folder, &["-s", &path, "-a", "600"]);
        let client = UnixStream::connect(&path).expect("it listens");
        ask(client, "version\r\n", "VERSION 1.6.45\r\n");
        assert!(!Path::new(&server.ports).exists(), "no TCP, no ports");
        server.signal("TERM");
        assert_eq!(server.status(), Some(0));
        assert!(Path::new(&path).exists());
    }
}

#[test]
fn the_pidfile_names_the_process_and_stays() {
    let folder = Folder::new("pid");
    let path = folder.path("pid");
    let mut server = Server::start(&folder, &[&LOCAL[..], &["-P", &path]].concat());
    assert_eq!(fs::read_to_string(&path).expect("written"), format!("{}\n", server.child.id()));
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
    assert!(Path::new(&path).exists());
}

#[test]
fn with_large_pages_it_serves_and_evicts() {
    let folder = Folder::new("large-pages");
    let mut server = Server::start(&folder, &[&LOCAL[..], &["-L", "-m", "8"]].concat());
    let value = "v".repeat(100_000);
    for number in 0..200 {
        ask(server.connect(), &format!("set k{number} 0 0 100000\r\n{value}\r\n"), "STORED\r\n");
    }
    ask(server.connect(), "get k199\r\n", &format!("VALUE k199 0 100000\r\n{value}\r\nEND\r\n"));
    let is_gone = |number: &u32| {
        let (mut stream, mut word) = (server.connect(), [0; 5]);
        stream.write_all(format!("get k{number}\r\n").as_bytes()).expect("open");
        stream.read_exact(&mut word).expect("open");
        word == *b"END\r\n"
    };
    assert!((0..200).filter(is_gone).count() > 200 - 84, "eight megabytes hold no more");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
}

/// To find gigabytes takes seconds: who asks meanwhile is answered, and the end does not wait for it.
#[test]
fn with_large_pages_it_serves_while_memory_is_found() {
    let folder = Folder::new("population");
    let value = "v".repeat(1000);
    for flags in [&["-L"][..], &["-k", "-L"]] {
        let mut server = Server::start(&folder, &[&LOCAL[..], &["-m", "256"], flags].concat());
        for number in 0..1000 {
            ask(server.connect(), &format!("set k{number} 0 0 1000\r\n{value}\r\n"), "STORED\r\n");
        }
        server.wait_for("the memory of -L is there");
        for number in 0..1000 {
            let there = format!("VALUE k{number} 0 1000\r\n{value}\r\nEND\r\n");
            ask(server.connect(), &format!("get k{number}\r\n"), &there);
        }
        let resident = server.resident_bytes();
        assert!((192 << 20..(192 + 32) << 20).contains(&resident), "{flags:?} holds {resident} bytes");
        server.signal("TERM");
        assert_eq!(server.status(), Some(0));
    }
    let mut server = Server::start(&folder, &[&LOCAL[..], &["-m", "2048", "-L"]].concat());
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
}

/// memcached starts with any: this one as far as items can be named, and says so above.
#[test]
fn a_memory_limit_starts_or_is_refused() {
    let folder = Folder::new("memory-limits");
    for flags in [&["-m", "2"][..], &["-m", "1", "-I", "512k"], &["-m", "16777216"], &["-m", "33554432"]] {
        let mut server = Server::start(&folder, &[&LOCAL[..], flags].concat());
        ask(server.connect(), "set k 0 0 1\r\nv\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n");
        server.signal("TERM");
        assert_eq!(server.status(), Some(0), "{flags:?}");
    }
    for megabytes in ["33554433", "2147483647", "17592186044415", "17592186044416", "18446744073709551616", "-1", "0"] {
        let output = run(&["-m", megabytes]);
        assert_eq!(output.status.code(), Some(64), "-m {megabytes}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn addresses_reserved_for_a_higher_limit_take_no_memory() {
    let folder = Folder::new("reserve");
    for megabytes in ["64", "1024", "16384"] {
        let server = Server::start(&folder, &[&LOCAL[..], &["-m", megabytes]].concat());
        ask(server.connect(), "set k 0 0 1\r\nv\r\n", "STORED\r\n");
        let resident = server.resident_bytes();
        assert!(resident < 24 << 20, "-m {megabytes} begins with {resident} bytes");
    }
}

/// 64 MB want 2 GiB of addresses for sixteen times as much: where there are not so many, fewer do, and the threads of
/// a server that is in use have theirs.
#[test]
fn fewer_addresses_do_where_they_are_limited() {
    for limit in ["700000", "1200000"] {
        let folder = Folder::new(&format!("addresses-{limit}"));
        let limit = format!("ulimit -v {limit}");
        let server = Server::start_after(&limit, &folder, &[&LOCAL[..], &["-m", "64"]].concat());
        for _ in 0..8 {
            ask(server.connect(), "cache_memlimit 128\r\ncache_memlimit 64\r\n", "OK\r\nOK\r\n");
            ask(server.connect(), "cache_memlimit 1024\r\n", "MEMLIMIT_ADJUST_FAILED");
            ask(server.connect(), "set k 0 0 1\r\nv\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n");
        }
    }
}

/// All addresses are open with `-L`: to lock what was never touched took four times the limit.
#[test]
fn locked_memory_is_not_more_than_the_limit() {
    let folder = Folder::new("locked");
    for flags in [&["-k"][..], &["-k", "-L"]] {
        let server = Server::start(&folder, &[&LOCAL[..], &["-m", "64"], flags].concat());
        ask(server.connect(), "set k 0 0 1\r\nv\r\n", "STORED\r\n");
        let resident = server.resident_bytes();
        assert!(resident < (64 + 32) << 20, "{flags:?} holds {resident} bytes");
    }
}

#[test]
fn over_the_limit_a_line_says_so() {
    let folder = Folder::new("limit");
    let mut server = Server::start(&folder, &[&LOCAL[..], &["-c", "1"]].concat());
    let first = server.connect();
    ask(&first, "version\r\n", "VERSION 1.6.45\r\n");
    let mut said = String::new();
    server.connect().read_to_string(&mut said).expect("an orderly end");
    assert_eq!(said, "ERROR Too many open connections\r\n");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
}

#[test]
fn shutdown_by_a_client_ends_with_0() {
    let folder = Folder::new("shutdown");
    let mut server = Server::start(&folder, &[&LOCAL[..], &["-A"]].concat());
    let mut client = server.connect();
    client.write_all(b"shutdown\r\n").expect("open");
    assert_eq!(server.status(), Some(0));
}

#[test]
fn all_interfaces_are_warned_of_in_one_line() {
    // It ends before it binds anything: no machine has so many descriptors.
    let output = run(&["-c", "99999999999"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let warnings = stderr.lines().filter(|line| line.contains("on all interfaces without authentication"));
    assert_eq!(warnings.count(), 1, "{stderr}");
}

#[test]
fn a_memory_file_that_cannot_be_had_ends_with_71_and_says_why() {
    let folder = Folder::new("memory-file");
    let file = folder.path("memory");
    let flags = |file: &str, size: &str| [&LOCAL[..], &["-e", file, "-m", size]].concat().join(" ");
    let refused = |flags: String, said: &str| {
        let output = run(&flags.split(' ').collect::<Vec<_>>());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(71), "{flags}: {stderr}");
        assert!(stderr.contains(said), "{flags}: {stderr}");
    };
    let server = Server::start(&folder, &flags(&file, "64").split(' ').collect::<Vec<_>>());
    refused(flags(&file, "64"), &format!("is in use by process {}", server.child.id()));
    drop(server);
    refused(flags(&folder.path(""), "64"), "memory file");
    refused(flags("/nonexistent/memory", "64"), "No such file");
    refused(flags("/dev/null", "64"), "no regular file");
    refused(flags(&file, "30000000"), "MB too little for -m");
    // Who is not root can be given no other owner.
    if std::os::unix::fs::chown(&file, Some(1), None).is_ok() {
        refused(flags(&file, "64"), "belongs to another user");
    }
}

#[test]
fn a_memory_file_that_is_not_believed_is_named_in_a_line_and_started_over() {
    let folder = Folder::new("memory-lies");
    let file = folder.path("memory");
    let mut flags = [&LOCAL[..], &["-e", &file]].concat();
    fs::write(&file, "something else").expect("writable");
    let mut server = Server::start(&folder, &flags);
    assert!(
        server.passed.iter().any(|line| line.contains("starting empty: it is no memory file")),
        "{:?}",
        server.passed
    );
    ask(server.connect(), "set a 0 0 1\r\n1\r\n", "STORED\r\n");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
    let mut server = Server::start(&folder, &flags);
    ask(server.connect(), "get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n");
    ask(server.connect(), "cache_memlimit 128\r\n", "OK\r\n");
    server.signal("KILL");
    assert_eq!(server.status(), None);
    flags.extend(["-o", "memory_file_reset"]);
    let mut server = Server::start(&folder, &flags);
    assert!(server.passed.iter().any(|line| line.contains("memory_file_reset")), "{:?}", server.passed);
    ask(server.connect(), "get a\r\n", "END\r\n");
    ask(server.connect(), "set b 0 0 1\r\n1\r\n", "STORED\r\n");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
    // What is not kept has another name then, and is whole under it.
    let keep = [&LOCAL[..], &["-e", &file, "-C", "-o", "memory_file_keep_old"]].concat();
    let mut server = Server::start(&folder, &keep);
    ask(server.connect(), "get b\r\n", "END\r\n");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
    let old = format!("{file}.old");
    let mut server = Server::start(&folder, &[&LOCAL[..], &["-e", &old]].concat());
    ask(server.connect(), "get b\r\n", "VALUE b 0 1\r\n1\r\nEND\r\n");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
    let output = run(&["-o", "max_outage=5"]);
    assert_eq!(output.status.code(), Some(64), "without -e");
}

/// Guards: who starts before all is there waits, and the manager is told when it is.
#[test]
fn the_service_manager_is_told_when_it_serves_and_when_it_stops() {
    let folder = Folder::new("notify");
    let path = folder.path("manager");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    let mut command = Command::new(PROGRAM);
    command.env("NOTIFY_SOCKET", &path);
    let mut server = Server::start_by(command, &folder, &LOCAL);
    let mut said = [0; 32];
    let n = manager.recv(&mut said).expect("a datagram");
    assert_eq!(&said[..n], b"READY=1");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
    let n = manager.recv(&mut said).expect("a datagram");
    assert_eq!(&said[..n], b"STOPPING=1");
}

/// Guards: who takes over a server that gave up its privileges gets no file, and every thread of it has given them up.
#[test]
fn a_server_without_privileges_serves_and_opens_nothing() {
    let folder = Folder::new("privileges");
    let (tokens, memory) = (folder.path("tokens"), folder.path("memory"));
    fs::write(&tokens, "a:b\n").expect("writable");
    let without = ["-o", "drop_privileges", "-Y", &tokens, "-e", &memory, "-A"];
    let mut server = Server::start(&folder, &[&LOCAL[..], &without].concat());
    for thread in fs::read_dir(format!("/proc/{}/task", server.child.id())).expect("it runs") {
        let status = fs::read_to_string(thread.expect("a thread").path().join("status")).unwrap_or_default();
        // One may have ended meanwhile.
        assert!(status.is_empty() || status.contains("\nSeccomp:\t2\n"), "{status}");
    }
    let mut client = server.connect();
    ask(&mut client, "set a 0 0 3\r\na b\r\n", "STORED\r\n");
    ask(&mut client, "set large 0 0 500000\r\n", "");
    client.write_all(&[b'v'; 500_000]).expect("open");
    ask(&mut client, "\r\n", "STORED\r\n");
    ask(&mut client, "cache_memlimit 80\r\n", "OK\r\n");
    server.signal("HUP");
    let line = server.wait_for("the old tokens stay");
    assert!(line.contains("Operation not permitted"), "{line}");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));

    let relaxed = ["-o", "drop_privileges,relaxed_privileges", "-Y", &tokens];
    let mut server = Server::start(&folder, &[&LOCAL[..], &relaxed].concat());
    server.signal("HUP");
    server.wait_for("tokens read again");
}

/// Guards: a container's health check needs no other program.
#[test]
fn a_server_is_asked_whether_it_serves() {
    let folder = Folder::new("check");
    let server = Server::start(&folder, &LOCAL);
    let address = server.connect().peer_addr().expect("connected");
    assert_eq!(run(&[&format!("--check={address}")]).status.code(), Some(0));
    drop(server);
    let output = run(&["--check", &address.to_string()]);
    assert_eq!(output.status.code(), Some(1), "nobody is there");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("flagstone: --check={address}: ")));
    let socket = folder.path("socket");
    let server = UnixListener::bind(&socket).expect("a socket");
    // One that accepts and never answers serves nobody; the kernel takes the connection for it.
    assert_eq!(run(&[&format!("--check=unix:{socket}")]).status.code(), Some(1));
    drop(server);
}
