//! `-S` with a file of passwords: who has not shown one is told so and hung up on; who has is served as without.
//!
//! What Cyrus SASL does is asked in `tests/interop`. Memcached, too, can be held to this, built with
//! `--enable-sasl-pwdb`: the library is kept to PLAIN and to an empty database of its own.

use std::fs;
use std::process::Command;

use crate::client::Client;
use crate::commandline::{run, run_in};
use crate::packets::{
    AUTH_FAILURE, Answer, GET, INVALID, NOOP, Packet, SASL_LIST, SASL_START, SASL_STEP, SET, STAT, UNKNOWN, VERSION,
    bare, join, keyed, store,
};
use crate::server::{Directory, Server, wait_for};

const GOOD: &str = "\0user\0s3cret";
const WRONG: &str = "\0user\0s3crex";
const NO_MEMORY: (u16, &str) = (0x82, "Out of memory");
const CONTINUES: u16 = 0x21;

/// A server that asks for a password, and the file that has them.
struct Guarded {
    server: Server,
    directory: Directory,
}

impl Guarded {
    #[track_caller]
    fn start(options: &[&str]) -> Self {
        let directory = Directory::new();
        let configuration = format!("mech_list: plain\nsasldb_path: {}\n", directory.text("nosuch"));
        fs::write(directory.join("memcached.conf"), configuration).expect("the file can be written");
        write(&directory, &[("user", "s3cret")]);
        let (file, folder) = (directory.text("passwords"), directory.text(""));
        let variables = [("MEMCACHED_SASL_PWDB", file.as_str()), ("SASL_CONF_PATH", folder.as_str())];
        let server = Server::start_in(&variables, &[&["-S"], options].concat());
        Self { server, directory }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// A client that is let in.
    #[track_caller]
    fn friend(&self) -> Client {
        let mut client = self.client();
        client.expect_let_in(&start(GOOD));
        client
    }
}

/// With this machine's realm, as memcached wants it.
fn write(directory: &Directory, users: &[(&str, &str)]) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("the machine has a name");
    let lines = users.iter().map(|(user, password)| format!("{user}@{}:{password}\n", host.trim()));
    fs::write(directory.join("passwords"), lines.collect::<String>()).expect("the file can be written");
}

fn start(said: &str) -> Packet {
    join(SASL_START, "PLAIN", said)
}

fn step(said: &str) -> Packet {
    join(SASL_STEP, "PLAIN", said)
}

impl Client {
    #[track_caller]
    fn expect_let_in(&mut self, packet: &Packet) {
        let answer = self.call(packet);
        assert_eq!((answer.status, answer.text().as_str()), (0, "Authenticated"), "to {packet:?}");
    }

    #[track_caller]
    fn expect_challenge(&mut self, packet: &Packet) {
        let answer = self.call(packet);
        assert_eq!((answer.status, answer.text().as_str()), (CONTINUES, ""), "to {packet:?}");
    }

    /// It is not let in, and told so with its next request.
    #[track_caller]
    fn expect_out(&mut self) {
        self.call_error(&bare(NOOP), AUTH_FAILURE);
        self.expect_closed();
    }
}

#[test]
fn a_password_lets_in() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.friend();
    client.call_ok(&store(SET, "k", 0, 0, "v"));
    assert_eq!(client.value_of("k"), Some(b"v".to_vec()));
    client.expect_quiet();
    for mechanism in ["plain", "Plain", "PLAIN\0anything"] {
        guarded.client().expect_let_in(&join(SASL_START, mechanism, GOOD));
    }
    guarded.client().expect_let_in(&start("user\0user\0s3cret"));
}

#[test]
fn before_it_everything_else_is_refused_and_hung_up_on() {
    let guarded = Guarded::start(&[]);
    for opcode in (0..=u8::MAX).filter(|opcode| ![VERSION, SASL_LIST, SASL_START, SASL_STEP].contains(opcode)) {
        for packet in [bare(opcode), keyed(opcode, "k"), store(opcode, "k", 0, 0, "v")] {
            let mut client = guarded.client();
            client.call_error(&packet, AUTH_FAILURE);
            client.expect_closed();
        }
    }
    assert_eq!(guarded.friend().value_of("k"), None);
}

#[test]
fn the_mechanisms_and_the_version_are_told_to_anybody() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    for _ in 0..2 {
        let (list, version) = (client.call(&bare(SASL_LIST)), client.call(&bare(VERSION)));
        assert_eq!((list.status, list.text().as_str()), (0, "PLAIN"));
        assert_eq!((version.status, version.text().is_empty()), (0, false));
    }
    client.expect_let_in(&start(GOOD));
}

#[test]
fn lengths_that_cannot_be_are_told_first() {
    let guarded = Guarded::start(&[]);
    for opcode in [GET, SET, STAT, VERSION, SASL_LIST, SASL_START, SASL_STEP] {
        let cases = [
            (keyed(opcode, "PLAIN").saying(5, 0, 4), UNKNOWN),
            (keyed(opcode, "PLAINS").saying(0, 6, 5), UNKNOWN),
            (keyed(opcode, "PLAIN").saying(5, 0, u32::MAX), INVALID),
        ];
        for (packet, error) in cases {
            let mut client = guarded.client();
            client.call_error(&packet, error);
            client.expect_closed();
        }
    }
}

#[test]
fn a_step_of_another_form_is_invalid() {
    let guarded = Guarded::start(&[]);
    for packet in [
        keyed(SASL_LIST, "k"),
        join(SASL_LIST, "", "v"),
        keyed(VERSION, "k"),
        join(SASL_START, "", GOOD),
        join(SASL_STEP, "", GOOD),
        join(SASL_START, "M".repeat(251), GOOD),
        store(SASL_START, "PLAIN", 0, 0, GOOD),
    ] {
        let mut client = guarded.client();
        client.call_error(&packet, INVALID);
        client.expect_closed();
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_alike_and_may_try_again() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    let long = format!("\0user\0{}", "p".repeat(10_000));
    for said in [WRONG, "\0nobody\0s3cret", "\0user\0", "\0\0s3cret", "\0user", "x\0user\0s3cret", "\0", &long] {
        client.call_error(&start(said), AUTH_FAILURE);
    }
    for mechanism in ["X", "PLAIN ", "CRAM-MD5", "\0", "\u{ff}", &"M".repeat(32)] {
        client.call_error(&join(SASL_START, mechanism, GOOD), AUTH_FAILURE);
    }
    client.expect_let_in(&start(GOOD));
    client.expect_quiet();
}

#[test]
fn what_was_not_said_with_the_mechanism_is_asked_for() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    client.expect_challenge(&start(""));
    client.expect_challenge(&start(""));
    client.call_error(&step(WRONG), AUTH_FAILURE);
    client.call_error(&step(""), AUTH_FAILURE);
    client.expect_let_in(&join(SASL_STEP, "anything", GOOD));
    client.expect_quiet();
    let mut client = guarded.client();
    client.expect_challenge(&start(""));
    client.expect_out();
}

#[test]
fn a_step_without_a_start_is_refused() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    client.call_error(&step(GOOD), AUTH_FAILURE);
    client.call_error(&start(WRONG), AUTH_FAILURE);
    client.call_error(&step(GOOD), AUTH_FAILURE);
    client.expect_challenge(&start(""));
    client.call_error(&join(SASL_START, "X", ""), AUTH_FAILURE);
    client.call_error(&step(GOOD), AUTH_FAILURE);
    client.expect_out();
}

#[test]
fn who_is_in_and_takes_another_step_is_out() {
    let guarded = Guarded::start(&[]);
    for packet in [start(WRONG), step(GOOD), start("")] {
        let mut client = guarded.friend();
        client.call(&packet);
        client.expect_out();
    }
    let mut client = guarded.friend();
    assert_eq!(client.call(&bare(SASL_LIST)).text(), "PLAIN");
    client.expect_out();
    let mut client = guarded.friend();
    client.call_error(&start(WRONG), AUTH_FAILURE);
    client.expect_let_in(&start(GOOD));
    client.expect_quiet();
}

#[test]
fn a_name_too_long_and_a_response_too_long_are_swallowed() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    let refusals = [
        (join(SASL_START, "M".repeat(33), GOOD), INVALID),
        (join(SASL_STEP, "M".repeat(250), GOOD), INVALID),
        (keyed(SASL_START, "M".repeat(33)), INVALID),
        (start(&"p".repeat(600_000)), NO_MEMORY),
        (step(&"p".repeat(600_000)), NO_MEMORY),
    ];
    for _ in 0..2 {
        for (packet, error) in &refusals {
            client.call_error(packet, *error);
        }
    }
    client.expect_let_in(&start(GOOD));
    // These are no steps: who is in stays in.
    for (packet, error) in &refusals {
        client.call_error(packet, *error);
        client.expect_quiet();
    }
    guarded.client().expect_let_in(&start(GOOD));
}

/// Requests that need each other's outcome, and what is answered to them.
fn pipeline() -> (Vec<u8>, [u16; 7]) {
    let packets =
        [bare(VERSION), start(WRONG), start(""), step(GOOD), store(SET, "k", 0, 0, "v"), keyed(GET, "k"), bare(NOOP)];
    (packets.iter().flat_map(Packet::bytes).collect(), [0, AUTH_FAILURE.0, CONTINUES, 0, 0, 0, 0])
}

#[test]
fn requests_that_come_with_it_wait_for_the_outcome() {
    let guarded = Guarded::start(&["-R", "2"]);
    let (bytes, statuses) = pipeline();
    let mut client = guarded.client();
    client.send(&bytes);
    let answers: Vec<Answer> = statuses.iter().map(|_| client.answer()).collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), statuses);
    client.expect_quiet();
}

#[test]
fn it_may_be_cut_anywhere() {
    let guarded = Guarded::start(&[]);
    let (bytes, statuses) = pipeline();
    for cut in 1..bytes.len() {
        let mut client = guarded.client();
        client.send(&bytes[..cut]);
        client.wait_until_read();
        client.send(&bytes[cut..]);
        let answered: Vec<u16> = statuses.iter().map(|_| client.answer().status).collect();
        assert_eq!(answered, statuses, "cut at {cut}");
    }
}

#[test]
fn text_is_hung_up_on() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    client.send("set k 0 0 1\r\nv\r\nget k\r\nversion\r\n");
    client.expect_closed();
    assert_eq!(guarded.friend().value_of("k"), None);
}

#[test]
fn outcomes_are_counted_and_settings_tell() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    client.call(&bare(SASL_LIST));
    client.expect_challenge(&start(""));
    client.call_error(&step(WRONG), AUTH_FAILURE);
    client.call_error(&join(SASL_START, "X", ""), AUTH_FAILURE);
    client.call_error(&join(SASL_START, "M".repeat(33), ""), INVALID);
    client.call_error(&step(GOOD), AUTH_FAILURE);
    client.expect_let_in(&start(GOOD));
    let figures = client.figures("");
    for (name, value) in [("auth_cmds", "4"), ("auth_errors", "3")] {
        assert!(figures.contains(&(name.to_owned(), value.to_owned())), "{name} is not {value}: {figures:?}");
    }
    let settings = client.figures("settings");
    for (name, value) in [("auth_enabled_sasl", "yes"), ("auth_enabled_ascii", "no"), ("binding_protocol", "binary")] {
        assert!(settings.contains(&(name.to_owned(), value.to_owned())), "{name} is not {value}: {settings:?}");
    }
}

#[test]
fn the_file_counts_as_it_is() {
    let guarded = Guarded::start(&[]);
    let mut inside = guarded.friend();
    write(&guarded.directory, &[("new", "one"), ("user", "other")]);
    guarded.client().call_error(&start(GOOD), AUTH_FAILURE);
    guarded.client().expect_let_in(&start("\0new\0one"));
    fs::remove_file(guarded.directory.join("passwords")).expect("it is there");
    guarded.client().call_error(&start("\0new\0one"), AUTH_FAILURE);
    inside.expect_quiet();
}

#[test]
fn a_unix_socket_asks_too() {
    let guarded = Guarded::start(&[]);
    let (path, file) = (guarded.directory.join("socket"), guarded.directory.text("passwords"));
    let folder = guarded.directory.text("");
    let variables = [("MEMCACHED_SASL_PWDB", file.as_str()), ("SASL_CONF_PATH", folder.as_str())];
    let _server = Server::start_unix_in(&variables, &path, &["-S"]);
    let mut client = Client::connect_unix(&path);
    client.expect_let_in(&start(GOOD));
    client.expect_quiet();
    Client::connect_unix(&path).expect_out();
}

#[test]
fn exchanges_that_nobody_ends_stop_nobody() {
    let guarded = Guarded::start(&["-t", "1"]);
    let half_done: Vec<Client> = (0..500)
        .map(|_| {
            let mut client = guarded.client();
            client.expect_challenge(&start(""));
            client
        })
        .collect();
    guarded.friend().expect_quiet();
    drop(half_done);
    guarded.friend().expect_quiet();
}

/// Who reads a pipe waits until somebody writes: so may saslauthd.
#[test]
fn who_is_judged_waits_and_nobody_else_does() {
    let mut guarded = Guarded::start(&["-t", "1"]);
    let mut inside = guarded.friend();
    let path = guarded.directory.text("passwords");
    let text = fs::read(&path).expect("it is there");
    fs::remove_file(&path).expect("it is there");
    assert!(Command::new("mkfifo").arg(&path).status().expect("a program").success());
    let mut waiting = guarded.client();
    waiting.send(start(GOOD).bytes());
    waiting.send(store(SET, "k", 0, 0, "v").bytes());
    let mut leaving = guarded.client();
    leaving.send(start(GOOD).bytes());
    for _ in 0..10 {
        inside.expect_quiet();
        assert_eq!(guarded.client().call(&bare(VERSION)).status, 0);
    }
    drop(leaving);
    fs::write(&path, &text).expect("somebody reads");
    assert_eq!((waiting.answer().text().as_str(), waiting.answer().status), ("Authenticated", 0));
    waiting.expect_quiet();
    // Nor does the end wait for who is judged.
    waiting.send(start(GOOD).bytes());
    waiting.wait_until_read();
    guarded.server.signal("TERM");
    assert!(guarded.server.wait_exit().success());
}

#[test]
fn passwords_are_not_logged() {
    let guarded = Guarded::start(&["-vvv"]);
    let mut client = guarded.client();
    client.call_error(&start(WRONG), AUTH_FAILURE);
    client.expect_let_in(&start(GOOD));
    client.call_ok(&store(SET, "logged", 0, 0, "v"));
    client.call_error(&start(WRONG), AUTH_FAILURE);
    wait_for("the log has it", || guarded.server.log().contains("logged").then_some(()));
    assert!(!guarded.server.log().contains("s3cre"), "{}", guarded.server.log());
}

#[test]
fn it_goes_with_packets_over_streams_alone_and_needs_a_way_to_judge() {
    for (options, words) in [
        (["-B", "auto"], "ERROR: You cannot allow the ASCII protocol while using SASL."),
        (["-B", "ascii"], "ERROR: You cannot allow the ASCII protocol while using SASL."),
        (["-U", "11211"], "ERROR: Cannot enable UDP while using binary SASL authentication."),
        (["-Y", "/dev/null"], "-S and -Y exclude each other"),
    ] {
        let outcome = run(&["-S", options[0], options[1]]);
        assert!(outcome.code == Some(64), "{options:?}: status {:?}", outcome.code);
        assert!(outcome.stderr.contains(words), "{options:?}: {}", outcome.stderr);
    }
    // The library is hidden behind files that are none.
    let directory = Directory::new();
    for name in ["libsasl2.so.2", "libsasl2.so.3"] {
        fs::write(directory.join(name), "no library").expect("the file can be written");
    }
    let folder = directory.text("");
    let outcome = run_in(&[("LD_LIBRARY_PATH", &folder), ("MEMCACHED_SASL_PWDB", "")], &["-S"]);
    assert!(outcome.code == Some(64), "status {:?}", outcome.code);
    for way in ["MEMCACHED_SASL_PWDB", "libsasl2"] {
        assert!(outcome.stderr.contains(way), "{way} is not in: {}", outcome.stderr);
    }
    let passwords = directory.text("passwords");
    let outcome = run_in(&[("LD_LIBRARY_PATH", &folder), ("MEMCACHED_SASL_PWDB", &passwords)], &["-S", "-B", "binary"]);
    assert!(outcome.code.is_none(), "it ended with {:?}: {}", outcome.code, outcome.stderr);
}
