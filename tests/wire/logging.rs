//! Lines of the log: `--log-format`, what a client's bytes can do to them, and what SIGHUP says.

use crate::commandline::expect_refusal;
use crate::server::{Directory, Server, wait_for};
use std::fs;

/// What somebody sends who wants a line of his own in the log, or the operator's terminal.
const FORGED: &str = "get k\r[ERROR\u{1b}[2J\u{202e}\u{2028}\u{85}all=lost\"}\r\n";

/// Starts with all that is said of clients, lets one send it, and hands over the lines.
fn lines_of(format: &str) -> Vec<String> {
    let server = Server::start(&["-vv", "--log-format", format]);
    server.client().ask(FORGED, "END\r\n");
    wait_for("it is logged", || server.log().contains("all=lost").then_some(()));
    server.log().lines().map(str::to_owned).collect()
}

fn has_hidden(line: &str) -> bool {
    line.contains(|letter: char| letter.is_control() || "\u{202e}\u{2028}".contains(letter))
}

#[test]
fn nothing_a_client_sends_makes_a_line() {
    for line in lines_of("text") {
        assert!(line.starts_with('[') && line.contains("] "), "{line:?}");
        assert!(!line.starts_with("[ERROR") && !has_hidden(&line), "{line:?}");
    }
}

#[test]
fn json_is_an_object_a_line() {
    let lines = lines_of("json");
    for line in &lines {
        assert!(line.starts_with("{\"time\":\"20") && line.ends_with('}'), "{line:?}");
        assert!(line.contains(",\"level\":\"") && line.contains(",\"message\":\"") && !has_hidden(line), "{line:?}");
    }
    assert!(lines.iter().any(|line| line.contains(r"k\\r[ERROR\\x1b[2J")), "{lines:?}");
    expect_refusal(&["--log-format", "xml"], 64, "flagstone: --log-format xml: give text or json");
    expect_refusal(&["--log-format=json", "-s", "/nonexistent/socket"], 71, "\"status\":71}");
}

#[test]
fn a_reload_says_what_it_read() {
    let directory = Directory::new();
    fs::write(directory.join("tokens"), "a:b\nc:d\n").expect("writable");
    let path = directory.text("tokens");
    let server = Server::start(&["-Y", &path]);
    server.signal("HUP");
    let said = format!("tokens read again signal=SIGHUP path={path} tokens=2");
    wait_for("it says what it read", || server.log().contains(&said).then_some(()));
    fs::write(directory.join("tokens"), "nothing\n").expect("writable");
    server.signal("HUP");
    wait_for("it says that it did not", || server.log().contains("the old tokens stay: ").then_some(()));
    let server = Server::start(&[]);
    server.signal("HUP");
    wait_for("it says so", || server.log().contains("no files to read again signal=SIGHUP").then_some(()));
}
