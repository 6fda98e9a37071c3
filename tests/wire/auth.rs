//! `-Y`: who has not shown a token is told so, whatever it says; who has is served as without.

use crate::client::Client;
use crate::commandline::run;
use crate::server::{Directory, Server, wait_for};
use std::fs;

const TOKENS: &str = "user:pass\nbob:s3cret pw\nn:\n";
const UNAUTHENTICATED: &str = "CLIENT_ERROR unauthenticated\r\n";
const FAILURE: &str = "CLIENT_ERROR authentication failure\r\n";
const NO_TOKEN: &str = "CLIENT_ERROR bad authentication token format\r\n";
const BAD_END: &str = "CLIENT_ERROR bad command line termination\r\n";

/// A server that asks for a token, and the file that has them.
struct Guarded {
    server: Server,
    directory: Directory,
}

impl Guarded {
    #[track_caller]
    fn start(options: &[&str]) -> Self {
        let directory = Directory::new();
        let path = write(&directory, TOKENS);
        let server = Server::start(&[&["-Y", &path], options].concat());
        Self { server, directory }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// A client that is let in.
    #[track_caller]
    fn friend(&self) -> Client {
        let mut client = self.client();
        client.ask("set x 0 0 9\r\nuser pass\r\n", "STORED\r\n");
        client
    }
}

fn write(directory: &Directory, tokens: &str) -> String {
    fs::write(directory.join("tokens"), tokens).expect("the file can be written");
    directory.text("tokens")
}

fn shown(token: &str) -> String {
    format!("set x 0 0 {}\r\n{token}\r\n", token.len())
}

#[test]
fn a_token_lets_in_and_its_key_is_not_stored() {
    let guarded = Guarded::start(&[]);
    for token in ["user pass", "bob s3cret pw", "n "] {
        let mut client = guarded.client();
        client.ask(shown(token), "STORED\r\n");
        client.expect_missing("x");
        client.expect_silence();
    }
}

#[test]
fn after_it_a_set_is_a_set() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.friend();
    client.ask("set x 0 0 9\r\nuser pass\r\n", "STORED\r\n");
    client.expect_value("x", "user pass");
    client.ask("set x 0 0 9\r\nuser passxx\r\n", "CLIENT_ERROR bad data chunk\r\n");
}

#[test]
fn requests_that_come_with_the_token_are_served() {
    let guarded = Guarded::start(&[]);
    guarded.client().ask("set x 0 0 9\r\nuser pass\r\nget a\r\nmn\r\n", "STORED\r\nEND\r\nMN\r\n");
}

#[test]
fn everything_else_is_answered_alike() {
    let guarded = Guarded::start(&["-A"]);
    let mut client = guarded.client();
    for line in [
        "get a",
        "gets a",
        "version",
        "stats",
        "shutdown",
        "delete a noreply",
        "mg a v",
        "mn   ",
        "foo HTTP/1.1",
        "add x 0 0 9",
        "set x",
        "set x 0 0",
        "set x 0 0 -1",
        "set x 0 0 +9",
        "set x 0 0 9x",
        "set x 0 0 4294967296",
        "SET x 0 0 9",
        " set x 0 0 9",
        "set\tx 0 0 9",
        "\u{80}\u{b}\0\0\0\0\0",
    ] {
        client.ask(format!("{line}\r\n"), UNAUTHENTICATED);
    }
    // The token of a line that ends with a bare LF is not awaited.
    client.ask("set x 0 0 9\n", UNAUTHENTICATED);
    client.ask("a".repeat(10_000) + "\r\n", UNAUTHENTICATED);
    client.ask(shown("user pass"), "STORED\r\n");
}

#[test]
fn the_announcing_line_may_say_what_it_likes() {
    let guarded = Guarded::start(&[]);
    let long_key = format!("set {} 0 0 9\r\n", "k".repeat(1900));
    for line in [
        "set x a b 9\r\n",
        "set x -1 -1 9\r\n",
        "set  x 0 0 0009 \n",
        "set x 0 0 9 noreply\r\n",
        "sets x 0 0 9\r\n",
        &long_key,
    ] {
        guarded.client().ask(format!("{line}user pass\r\n"), "STORED\r\n");
    }
}

#[test]
fn a_wrong_token_is_told_what_is_wrong_and_may_try_again() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    let long = format!("user {}", "p".repeat(16_000));
    for wrong in [
        "user pasS",
        "user pas",
        "user ",
        " user pass",
        "user  pass",
        "user pass ",
        "user pass\0",
        "bob s3cret",
        " ",
        &long,
    ] {
        client.ask(shown(wrong), FAILURE);
    }
    for none in ["user", "", "user:pass", "user\tpass"] {
        client.ask(shown(none), NO_TOKEN);
    }
    client.ask("set x 0 0 9\r\nuser passxx", BAD_END);
    client.ask("set x 0 0 9\r\nuser pass\nx", BAD_END);
    client.ask(shown("user pass"), "STORED\r\n");
}

#[test]
fn noreply_silences_nothing() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    client.ask("version noreply\r\n", UNAUTHENTICATED);
    client.ask("set x 0 0 3 noreply\r\na b\r\n", FAILURE);
    client.ask("set x 0 0 9 noreply\r\nuser pass\r\n", "STORED\r\n");
}

#[test]
fn a_token_announced_too_long_is_refused_at_once() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    for bytes in ["16385", "2147483648", "4294967295"] {
        client.ask(format!("set x 0 0 {bytes}\r\n"), "CLIENT_ERROR auth token too long\r\n");
    }
    client.ask(shown("user pass"), "STORED\r\n");
}

#[test]
fn a_short_line_or_a_long_one_without_end_closes() {
    let guarded = Guarded::start(&[]);
    for said in
        ["quit\r\n", "abcde\n", "mn\r\n", "set\r\n", "\r\nversion\r\n", &"a".repeat(3000), &"get a ".repeat(500)]
    {
        let mut client = guarded.client();
        client.send(said);
        client.expect_closed();
    }
}

#[test]
fn a_token_may_come_byte_by_byte() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.client();
    for byte in shown("user pass").bytes() {
        client.send([byte]);
        client.wait_until_read();
    }
    client.expect("STORED\r\n");
}

#[test]
fn each_of_several_lines_is_answered() {
    let guarded = Guarded::start(&[]);
    let request = format!("version\r\n{}{}version\r\n", shown("a b"), shown("a"));
    guarded.client().ask(request, [UNAUTHENTICATED, FAILURE, NO_TOKEN, UNAUTHENTICATED].concat());
}

#[test]
fn tokens_are_counted() {
    let guarded = Guarded::start(&[]);
    let mut client = guarded.friend();
    client.expect_stats(&[("auth_cmds", 1), ("auth_errors", 0), ("cmd_set", 0)]);
    let mut other = guarded.client();
    other.ask(shown("a b"), FAILURE);
    other.ask(shown("ab"), NO_TOKEN);
    other.ask("version\r\n", UNAUTHENTICATED);
    client.expect_stats(&[("auth_cmds", 2), ("auth_errors", 1), ("cmd_set", 0)]);
}

#[test]
fn settings_name_the_file() {
    let guarded = Guarded::start(&[]);
    let settings = guarded.friend().stats("settings");
    let path = guarded.directory.text("tokens");
    for (name, value) in
        [("auth_enabled_ascii", path.as_str()), ("auth_enabled_sasl", "no"), ("binding_protocol", "ascii")]
    {
        assert!(settings.contains(&(name.to_owned(), value.to_owned())), "{name} is not {value}: {settings:?}");
    }
}

#[test]
fn a_unix_socket_asks_too() {
    let directory = Directory::new();
    let (tokens, path) = (write(&directory, TOKENS), directory.join("socket"));
    let _server = Server::start_unix(&path, &["-Y", &tokens]);
    let mut client = Client::connect_unix(&path);
    client.ask("get a\r\n", UNAUTHENTICATED);
    client.ask(shown("user pass"), "STORED\r\n");
    client.expect_missing("a");
}

/// Until the server has seen the signal, the old answer comes.
#[track_caller]
fn wait_for_answer(guarded: &Guarded, token: &str, answer: &str) {
    let mut client = guarded.client();
    wait_for("the tokens are read again", || {
        let line = client.ask_line(shown(token));
        if line == "STORED" {
            client = guarded.client();
        }
        (line == answer.trim_end()).then_some(())
    });
}

#[test]
fn a_hangup_brings_new_tokens_and_leaves_who_is_in() {
    let guarded = Guarded::start(&[]);
    let mut inside = guarded.friend();
    write(&guarded.directory, "new:one\n");
    guarded.server.signal("HUP");
    wait_for_answer(&guarded, "new one", "STORED");
    guarded.client().ask(shown("user pass"), FAILURE);
    inside.expect_silence();
}

#[test]
fn a_broken_file_leaves_the_old_tokens() {
    let guarded = Guarded::start(&[]);
    let lines_of_log = guarded.server.log().lines().count();
    write(&guarded.directory, "a:b\nnocolon\n");
    guarded.server.signal("HUP");
    wait_for("the log says so", || (guarded.server.log().lines().count() > lines_of_log).then_some(()));
    guarded.client().ask(shown("a b"), FAILURE);
    guarded.friend().expect_silence();
    write(&guarded.directory, "a:b\n");
    guarded.server.signal("HUP");
    wait_for_answer(&guarded, "a b", "STORED");
}

#[test]
fn a_file_that_has_no_tokens_ends_the_start() {
    let directory = Directory::new();
    let path = directory.text("tokens");
    for text in ["nocolon\n", "", "\n", "a:b\n\nc:d\n"] {
        write(&directory, text);
        let outcome = run(&["-Y", &path]);
        assert!(outcome.code == Some(1), "{text:?}: status {:?}", outcome.code);
        assert!(outcome.stderr.contains("has a malformed entry"), "{text:?}: {}", outcome.stderr);
    }
    let outcome = run(&["-Y", &directory.text("nosuch")]);
    assert!(outcome.code == Some(1) && outcome.stderr.contains("Could not open authfile"), "{}", outcome.stderr);
}

#[test]
fn who_is_let_in_speaks_text_whatever_the_first_byte_is() {
    let directory = Directory::new();
    let path = write(&directory, TOKENS);
    let server = Server::start(&["-Y", &path]);
    let mut client = server.client();
    let line = "\u{80}\0\0\x01k\r\n";
    client.ask(line, "CLIENT_ERROR unauthenticated\r\n");
    client.ask("set x 0 0 9\r\nuser pass\r\n", "STORED\r\n");
    client.ask(b"\x80\0\0\x01k\r\n", "ERROR\r\n");
    client.expect_silence();
}

#[test]
fn tokens_go_with_text_over_streams_alone() {
    let directory = Directory::new();
    let path = write(&directory, TOKENS);
    for options in [["-B", "auto"], ["-B", "binary"], ["-U", "11211"]] {
        let outcome = run(&["-Y", &path, options[0], options[1]]);
        assert!(outcome.code == Some(64), "{options:?}: status {:?}", outcome.code);
    }
    let outcome = run(&["-Y", &path, "-B", "ascii", "-U", "0"]);
    assert!(outcome.code.is_none(), "it ended with {:?}: {}", outcome.code, outcome.stderr);
}
