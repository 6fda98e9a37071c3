//! -d: the server goes on by itself, and its pidfile tells who it is.

use crate::client::Client;
use crate::server::{Directory, command, wait_for};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The daemon is nobody's child: killed by its number when a test fails.
struct Daemon(u32);

impl Drop for Daemon {
    fn drop(&mut self) {
        let order = format!("kill -KILL {} 2>/dev/null", self.0);
        drop(Command::new("sh").args(["-c", &order]).status());
    }
}

#[test]
fn a_daemon_serves_until_shut_down_and_removes_its_pidfile() {
    let directory = Directory::new();
    let status = command()
        .args(["-l", "127.0.0.1", "-p", "-1", "-d", "-A"])
        .args(["-P", &directory.text("pid")])
        .env("MEMCACHED_PORT_FILENAME", directory.join("ports"))
        .stdin(Stdio::null())
        .status()
        .expect("the server's program can be run");
    assert!(status.success(), "the parent ended with {status}");
    let pid = wait_for("the pidfile is written", || {
        let text = fs::read_to_string(directory.join("pid")).ok()?;
        text.trim_end().parse().ok()
    });
    let daemon = Daemon(pid);
    let ports = wait_for("it listens", || fs::read_to_string(directory.join("ports")).ok());
    let port = ports.trim_end().trim_start_matches("TCP INET: ").parse();
    let mut client = Client::connect(([127, 0, 0, 1], port.expect("a port is a number")).into());
    client.set("a", "1");
    client.expect_value("a", "1");
    assert!(client.stat("pid") == u64::from(daemon.0), "the pidfile is the daemon's");
    let place = fs::read_link(format!("/proc/{}/cwd", daemon.0));
    let place = place.expect("the kernel knows its directory");
    assert!(place == Path::new("/"), "it works in {}", place.display());
    client.send("shutdown\r\n");
    client.expect_closed();
    wait_for("the pidfile is removed", || (!directory.join("pid").exists()).then_some(()));
    // One that ended but was not reaped yet has no open files either.
    let running = format!("/proc/{}/fd/0", daemon.0);
    wait_for("it ends", || (!Path::new(&running).exists()).then_some(()));
    // The number may be another's from now on.
    std::mem::forget(daemon);
}
