//! How the program starts and ends: exit statuses, files, signals. It is run as its operators run it.
//!
//! Nothing is waited for by the clock: a server is ready when it says so on stderr, and gone when it is.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
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
}

impl Server {
    fn start(folder: &Folder, flags: &[&str]) -> Self {
        let ports = folder.path("ports");
        let mut command = Command::new(PROGRAM);
        command.arg("-v").args(flags).env("MEMCACHED_PORT_FILENAME", &ports).env_remove("RUST_LOG");
        let mut child = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the program");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut server = Self { child, stderr, ports };
        server.wait_for("serving");
        server
    }

    fn wait_for(&mut self, word: &str) -> String {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(self.stderr.read_line(&mut line).expect("text"), 0, "it ended before it said {word}");
        }
        line
    }

    fn connect(&self) -> TcpStream {
        let text = fs::read_to_string(&self.ports).expect("the file of ports");
        let port = text.trim().strip_prefix("TCP INET: ").expect("one port").parse().expect("a number");
        TcpStream::connect(("127.0.0.1", port)).expect("it listens")
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
        ("-S", 64, "SASL authentication (-S) is not supported yet"),
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
    assert_eq!(version.stdout, b"memcached 1.6.45-flagstone-0.1.0\n");
    let help = run(&["-h"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stdout.starts_with(b"memcached 1.6.45-flagstone-0.1.0\n-p, --port=<num>"));
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
    ask(server.connect(), "version\r\n", "VERSION 1.6.45-flagstone-0.1.0\r\n");
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
        ask(client, "version\r\n", "VERSION 1.6.45-flagstone-0.1.0\r\n");
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
    ask(server.connect(), "get k0\r\n", "END\r\n");
    server.signal("TERM");
    assert_eq!(server.status(), Some(0));
}

#[test]
fn over_the_limit_a_line_says_so() {
    let folder = Folder::new("limit");
    let mut server = Server::start(&folder, &[&LOCAL[..], &["-c", "1"]].concat());
    let first = server.connect();
    ask(&first, "version\r\n", "VERSION 1.6.45-flagstone-0.1.0\r\n");
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
