//! The server under test as a child process: started on ports the kernel picks, awaited until it
//! listens, killed and reaped on drop. It does not speak the protocol: `client` does.

use crate::client::Client;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long anything may take before the test fails: generous, as machines are shared and builds slow.
pub(crate) const WAIT_SECONDS_MAX: u64 = 20;

/// The pause between two looks at something that has no event to wait for.
const POLL_MILLISECONDS: u64 = 3;

/// Looks until `ready` answers, and fails with `what` when it does not in time.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let looks = WAIT_SECONDS_MAX * 1000 / POLL_MILLISECONDS;
    let found = (0..looks).find_map(|look| {
        if look > 0 {
            std::thread::sleep(Duration::from_millis(POLL_MILLISECONDS));
        }
        ready()
    });
    assert!(found.is_some(), "waited {WAIT_SECONDS_MAX} s in vain: {what}");
    found.expect("asserted just above")
}

/// Whether the suite runs against another server than the one built here.
pub(crate) fn is_foreign() -> bool {
    std::env::var_os("FLAGSTONE_TEST_SERVER").is_some()
}

/// The program under test, with what it needs to start as root.
pub(crate) fn command() -> Command {
    let built = || OsString::from(env!("CARGO_BIN_EXE_flagstone"));
    let mut command = Command::new(std::env::var_os("FLAGSTONE_TEST_SERVER").unwrap_or_else(built));
    if is_foreign() {
        command.args(["-u", "root"]);
    }
    command
}

/// A directory of the test's own, removed on drop.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only the number must be unique.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("flagstone-wire-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for the test can be made");
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The same as text, for a command line.
    pub(crate) fn text(&self, name: &str) -> String {
        let path = self.join(name);
        path.to_str().expect("the temporary directory is text").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    directory: Directory,
}

impl Server {
    /// Listens on 127.0.0.1, on a port the kernel picks.
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_in(&[], options)
    }

    /// The same with these variables in its environment.
    #[track_caller]
    pub(crate) fn start_in(variables: &[(&str, &str)], options: &[&str]) -> Self {
        let mut all = vec!["-l", "127.0.0.1", "-p", "-1"];
        all.extend_from_slice(options);
        Self::listening(Self::spawn(variables, &all))
    }

    /// Listens where `options` say; returns when the port file is there.
    #[track_caller]
    pub(crate) fn start_listening(options: &[&str]) -> Self {
        Self::listening(Self::spawn(&[], options))
    }

    #[track_caller]
    fn listening(mut server: Self) -> Self {
        let ports = server.port_file();
        server.wait_until_up(|| ports.exists());
        server
    }

    /// Listens on the unix socket `path` alone; returns when it accepts.
    #[track_caller]
    pub(crate) fn start_unix(path: &Path, options: &[&str]) -> Self {
        Self::start_unix_in(&[], path, options)
    }

    /// The same with these variables in its environment.
    #[track_caller]
    pub(crate) fn start_unix_in(variables: &[(&str, &str)], path: &Path, options: &[&str]) -> Self {
        let mut all = vec!["-s", path.to_str().expect("the path is text")];
        all.extend_from_slice(options);
        let mut server = Self::spawn(variables, &all);
        server.wait_until_up(|| std::os::unix::net::UnixStream::connect(path).is_ok());
        server
    }

    #[track_caller]
    fn spawn(variables: &[(&str, &str)], options: &[&str]) -> Self {
        let directory = Directory::new();
        let log = fs::File::create(directory.join("stderr")).expect("the log can be made");
        let child = command()
            .args(options)
            .env("MEMCACHED_PORT_FILENAME", directory.join("ports"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server's program can be run");
        Self { child, directory }
    }

    #[track_caller]
    fn wait_until_up(&mut self, mut up: impl FnMut() -> bool) {
        let exited = wait_for("the server listens", || {
            let exited = self.child.try_wait().expect("the child can be asked");
            (exited.is_some() || up()).then_some(exited)
        });
        assert!(exited.is_none(), "the server ended, {exited:?}: {}", self.log());
    }

    fn port_file(&self) -> PathBuf {
        self.directory.join("ports")
    }

    /// What the server wrote to stderr so far.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.directory.join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn has_ports(&self) -> bool {
        self.port_file().exists()
    }

    /// The lines of the port file, as (`TCP INET`, port).
    pub(crate) fn ports(&self) -> Vec<(String, u16)> {
        let text = fs::read_to_string(self.port_file()).expect("the port file is there");
        let lines = text.lines().map(|line| {
            let (name, port) = line.rsplit_once(": ").expect("a line is NAME: PORT");
            (name.to_owned(), port.parse().expect("a port is a number"))
        });
        lines.collect()
    }

    fn port(&self, name: &str) -> u16 {
        let ports = self.ports();
        let found = ports.iter().find(|(listed, _)| listed == name);
        found.expect("the server listens on this family").1
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port("TCP INET")))
    }

    /// Where datagrams go.
    pub(crate) fn datagram_address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port("UDP INET")))
    }

    pub(crate) fn address_v6(&self) -> SocketAddr {
        SocketAddr::from((Ipv6Addr::LOCALHOST, self.port("TCP INET6")))
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name without SIG. The shell's `kill` spares the tests unsafe code.
    pub(crate) fn signal(&self, name: &str) {
        let order = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &order]).status();
        assert!(status.expect("the shell runs").success(), "{order} failed");
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        wait_for("the server ends", || self.child.try_wait().expect("the child can be asked"))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_none()
    }

    /// The most memory the process ever had in core, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(path).expect("the kernel describes the process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.expect("there is a peak").trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().expect("the peak is a number") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the child is gone, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("the server's stderr: {}", self.log());
        }
    }
}
