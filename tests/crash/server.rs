//! The program, started on a file of memory and ended in all ways.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use flagstone::sys::file::room_bytes;

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

/// A server that has said it serves.
pub(crate) struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn spawn(folder: &Folder, flags: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flagstone"));
        command.arg("-v").arg("-e").arg(folder.path("memory")).arg("-s").arg(folder.path("socket")).args(flags);
        command.env_remove("RUST_LOG").stderr(Stdio::piped()).spawn().expect("the program")
    }

    /// Starts one that has items to move to another layout, and kills it some time after it has said so: somewhere in
    /// the move, or behind it.
    pub(crate) fn start_and_kill(folder: &Folder, flags: &[&str], yields: u64) {
        let mut child = Self::spawn(folder, flags);
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
        let mut child = Self::spawn(folder, flags);
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        while !said.contains("serving") {
            let n = stderr.read_line(&mut said).expect("text");
            assert!(n > 0 && !said.contains("starting empty"), "it does not serve what was left: {said}");
        }
        // What it says from now on is read by nobody, and must not stop it.
        let read_on = move || drop(stderr.read_to_end(&mut Vec::new()));
        std::thread::Builder::new().spawn(read_on).expect("a thread");
        Self { child, socket }
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
