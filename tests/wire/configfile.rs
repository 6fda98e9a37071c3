//! `--config=FILE`: flags from a file in the form of Debian's `/etc/memcached.conf`.

use crate::commandline::{expect_refusal, run};
use crate::server::{Directory, Server};
use std::fs;

/// What Debian installs says this, among comments.
const DEBIANS: &str = "\
# memcached default config file\n\
# This configuration file is read by the start-memcached script.\n\
\n\
# Run memcached as a daemon. This command is implied.\n\
-d\n\
\n\
# Log memcached's output to /var/log/memcached\n\
logfile /var/log/memcached.log\n\
\n\
# -v\n\
# -vv\n\
-m 48\n\
\n\
# Default connection port is 11211\n\
-p 11211 \n\
-u root\n\
\n\
-l 127.0.0.1\n\
# -c 1024\n\
# -k\n\
# -M\n";

/// A file with these lines, and the flag that names it.
fn write(directory: &Directory, text: &str) -> String {
    fs::write(directory.join("conf"), text).expect("writable");
    format!("--config={}", directory.text("conf"))
}

#[test]
fn debians_file_works_unchanged_and_the_command_line_beats_it() {
    let directory = Directory::new();
    let pidfile = directory.text("pid");
    let flag = write(&directory, &format!("{DEBIANS}-P {pidfile}-of-the-file\n-o idle_timeout=7,track_sizes\n"));
    let server = Server::start_listening(&[&flag, "-p", "-1", "-P", &pidfile, "-o", "idle_timeout=9"]);
    let settings = server.client().stats("settings");
    let setting = |name| settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    for (name, value) in [
        ("maxbytes", "50331648"),
        ("inter", "127.0.0.1"),
        ("tcpport", "-1"),
        ("idle_timeout", "9"),
        ("track_sizes", "yes"),
        ("maxconns", "1024"),
    ] {
        assert_eq!(setting(name), Some(value), "{name}");
    }
    assert!(!directory.join("pid-of-the-file").exists(), "the command line's pid file counts");
}

#[test]
fn where_to_listen_is_the_command_lines_if_it_says_so() {
    let directory = Directory::new();
    let socket = directory.text("socket");
    let flag = write(&directory, &format!("-s {socket}\n-v\n"));
    let server = Server::start_listening(&[&flag, "-l", "127.0.0.1", "-p", "-1"]);
    let settings = server.client().stats("settings");
    assert!(settings.contains(&("domain_socket".to_owned(), "NULL".to_owned())), "{settings:?}");
    assert!(!directory.join("socket").exists());
}

#[test]
fn a_line_that_is_none_is_refused_with_file_and_number() {
    let directory = Directory::new();
    for (text, number, word) in [
        ("-m 64\n\nuser nobody\n", 3, "\"user\" is no flag"),
        ("# fine\n--nosuch\n", 2, "--nosuch"),
        ("-m\n", 1, "requires an argument"),
        ("-m 64 megabytes\n", 1, "\"megabytes\" is no flag"),
        ("-s \"a\n", 1, "is not closed"),
        ("--config=other\n", 1, "--config"),
    ] {
        let flag = write(&directory, text);
        let outcome = run(&[&flag]);
        assert_eq!(outcome.code, Some(64), "{text}: {}", outcome.stderr);
        let place = format!("{}:{number}: ", directory.text("conf"));
        assert!(outcome.stderr.contains(&place) && outcome.stderr.contains(word), "{text}: {}", outcome.stderr);
    }
    let missing = directory.text("missing");
    expect_refusal(&[&format!("--config={missing}")], 64, &missing);
    expect_refusal(&["--config=/dev/zero"], 64, "longer than 64 KiB");
    // Help is there however the file is.
    assert_eq!(run(&["-h", &format!("--config={missing}")]).code, Some(0));
}
