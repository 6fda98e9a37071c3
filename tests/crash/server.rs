//! The program, started on a file of memory and ended in all ways.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use flagstone::sys::file::room_bytes;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_flagstone");

/// What the tests take of a file system together: each begins with room for its largest `-m`.
const ROOM_BYTES: u64 = 1 << 30;

/// Whether there is such a folder, and all tests fit into it: a container's has 64 MB as a rule.
fn has_room(folder: &Path) -> bool {
    fs::File::open(folder)
        .and_then(|file| room_bytes(&file))
        .is_ok_and(|room| room.is_none_or(|room| room >= ROOM_BYTES))
}

/// A folder of its own for each test, on a file system that is memory if one has room.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if has_room(memory) { memory.to_owned() } else { std::env::temp_dir() };
        let path = parent.join(format!("flagstone-crash-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn holds(&self, name: &str) -> bool {
        self.path(name).exists()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a failed test leaves is worth less than its message.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Reads on to the end: what a server says must not stop it.
fn read_lines(stderr: impl BufRead, sees: &Sender<String>) {
    for line in stderr.lines().map_while(Result::ok) {
        // Who is not interested any more does not listen.
        drop(sees.send(line));
    }
}

/// A server that has said it serves.
pub(crate) struct Server {
    child: Child,
    socket: PathBuf,
    lines: Receiver<String>,
    /// What was read of them.
    said: String,
}

impl Server {
    fn command(folder: &Folder, flags: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("-e").arg(folder.path("memory")).arg("-s").arg(folder.path("socket")).args(flags);
        command
    }

    fn spawn(mut command: Command) -> Child {
        command.arg("-v").env_remove("RUST_LOG").stderr(Stdio::piped()).spawn().expect("the program")
    }

    /// Starts one that has items to move to another layout, and kills it some time after it has said so: somewhere in
    /// the move, or behind it.
    pub(crate) fn start_and_kill(folder: &Folder, flags: &[&str], yields: u64) {
        let mut child = Self::spawn(Self::command(folder, flags));
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        while !said.contains("moving its items") && !said.contains("serving") {
            assert!(stderr.read_line(&mut said).expect("text") > 0, "it ended: {said}");
        }
        (0..yields).for_each(|_| std::thread::yield_now());
        child.kill().expect("it runs");
        child.wait().expect("a child");
    }

    pub(crate) fn start(folder: &Folder, flags: &[&str]) -> Self {
        let socket = folder.path("socket");
        Self::start_by(Self::command(folder, flags), socket)
    }

    /// One that listens at this socket, among others.
    pub(crate) fn start_by(command: Command, socket: PathBuf) -> Self {
        let mut child = Self::spawn(command);
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sees, lines) = channel();
        let mut server = Self { child, socket, lines, said: String::new() };
        std::thread::Builder::new().spawn(move || read_lines(stderr, &sees)).expect("a thread");
        let said = server.wait_for("serving, ");
        assert!(!said.contains("starting empty"), "it does not serve what was left: {said}");
        server
    }

    /// Waits until it has said that; all that it has said.
    pub(crate) fn wait_for(&mut self, word: &str) -> &str {
        while !self.said.contains(word) {
            let line = self.lines.recv();
            assert!(line.is_ok(), "it ended before it said {word}: {}", self.said);
            self.said.extend(line.into_iter().chain(["\n".to_owned()]));
        }
        &self.said
    }

    /// Waits for its end, which must be one in order.
    pub(crate) fn wait(mut self) {
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}");
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// A number of `stats`.
    pub(crate) fn stat(&self, name: &str) -> Option<u64> {
        let mut stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.write_all(b"stats\r\n").expect("it reads");
        let wanted = format!("STAT {name} ");
        let lines = BufReader::new(stream).lines().map(|line| line.expect("text")).take_while(|line| line != "END");
        let values: Vec<String> = lines.filter_map(|line| line.strip_prefix(&wanted).map(str::to_owned)).collect();
        values.first().map(|value| value.parse().expect("a number"))
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
    }

    pub(crate) fn end_by(mut self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().expect("kill").success());
        self.child.wait().expect("a child");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, if all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
