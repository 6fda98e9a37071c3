//! stats detail and -D: counts by the prefix of a key.

use crate::client::Client;
use crate::server::{Server, is_foreign};

const USAGE: &str = "CLIENT_ERROR usage: stats detail on|off|dump\r\n";

/// The lines of the dump, sorted: their order is the server's own affair.
#[track_caller]
fn dump(client: &mut Client) -> Vec<String> {
    client.send("stats detail dump\r\n");
    let mut lines = Vec::new();
    loop {
        let line = client.line();
        if line == "END" {
            lines.sort();
            return lines;
        }
        assert!(line.starts_with("PREFIX "), "not a prefix: {line}");
        lines.push(line);
    }
}

#[test]
fn nothing_is_counted_until_it_is_switched_on() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a:1", "1");
    assert!(dump(&mut client).is_empty(), "it is off");
    client.ask("stats detail on\r\nset a:1 0 0 1\r\n1\r\n", "OK\r\nSTORED\r\n");
    assert!(dump(&mut client) == ["PREFIX a get 0 hit 0 set 1 del 0"], "it was on within the pipeline");
    client.ask("stats detail off\r\nset a:1 0 0 1\r\n1\r\n", "OK\r\nSTORED\r\n");
    assert!(dump(&mut client) == ["PREFIX a get 0 hit 0 set 1 del 0"], "it was off, and what was counted stayed");
}

#[test]
fn gets_stores_and_deletes_are_counted_and_nothing_else() {
    let server = Server::start(&["-D", ":"]);
    let mut client = server.client();
    client.ask("set a:1 0 0 1\r\n1\r\nadd a:1 0 0 1\r\n1\r\n", "STORED\r\nNOT_STORED\r\n");
    client.ask("get a:1 a:2 c\r\n", "VALUE a:1 0 1\r\n1\r\nEND\r\n");
    client.ask("gat 0 a:1\r\ngats 0 a:3\r\n", "VALUE a:1 0 1\r\n1\r\nEND\r\nEND\r\n");
    client.ask("touch a:1 0\r\nincr a:1 1\r\ndecr a:4 1\r\n", "TOUCHED\r\n2\r\nNOT_FOUND\r\n");
    client.ask("mg a:1 v\r\nms a:1 1\r\n1\r\nma a:1\r\nmd a:1\r\nmn\r\n", "VA 1\r\n2\r\nHD\r\nHD\r\nHD\r\nMN\r\n");
    client.ask("delete a:1\r\nset a:5 0 0 1\r\n1\r\ndelete a:5\r\n", "NOT_FOUND\r\nSTORED\r\nDELETED\r\n");
    client.ask("set none 0 0 1\r\n1\r\nget none\r\n", "STORED\r\nVALUE none 0 1\r\n1\r\nEND\r\n");
    let lines = dump(&mut client);
    assert!(lines == ["PREFIX a get 4 hit 2 set 3 del 2"], "{lines:?}");
}

#[test]
fn a_store_is_counted_whatever_becomes_of_it() {
    let server = Server::start(&["-D", ":"]);
    let mut client = server.client();
    client.ask("set a: 0 0 1\r\n12\r\n", "CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\n");
    client.ask_much(
        &[&b"set b:x 0 0 2000000\r\n"[..], &vec![b'v'; 2_000_000], b"\r\n"].concat(),
        "SERVER_ERROR object too large for cache\r\n",
    );
    client.ask_much(&[&b"set :c 0 0 100000\r\n"[..], &vec![b'v'; 100_000], b"\r\n"].concat(), "STORED\r\n");
    client.ask("set d: x 0 1\r\n1\r\n", "CLIENT_ERROR bad command line format\r\n");
    let lines = dump(&mut client);
    let counted = ["", "a", "b"].map(|prefix| format!("PREFIX {prefix} get 0 hit 0 set 1 del 0"));
    assert!(lines == counted, "{lines:?}");
}

#[test]
fn all_workers_counts_are_summed_and_reset_together() {
    let server = Server::start(&["-t", "4", "-D", "/"]);
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for client in &mut clients {
        client.set("web/1", "1");
        client.ask("delete mail/1\r\n", "NOT_FOUND\r\n");
    }
    let lines = dump(&mut clients[0]);
    let expected = ["PREFIX mail get 0 hit 0 set 0 del 8", "PREFIX web get 0 hit 0 set 8 del 0"];
    assert!(lines == expected, "{lines:?}");
    clients[3].ask("stats reset\r\n", "RESET\r\n");
    assert!(dump(&mut clients[0]).is_empty(), "a reset forgets prefixes");
    clients[0].set("web/1", "1");
    assert!(dump(&mut clients[5]) == ["PREFIX web get 0 hit 0 set 1 del 0"], "counting goes on");
}

#[test]
fn settings_tell_the_delimiter_and_whether_it_is_on() {
    let detail = |client: &mut Client| {
        let lines = client.stats("settings");
        let value = |name| lines.iter().find(|(line, _)| line == name).map(|(_, value)| value.clone());
        (value("stat_key_prefix"), value("detail_enabled"))
    };
    let shown = |prefix: &str, on: &str| (Some(prefix.to_owned()), Some(on.to_owned()));
    let server = Server::start(&["-D", "/"]);
    assert!(detail(&mut server.client()) == shown("/", "yes"), "-D switches it on");
    let server = Server::start(&[]);
    let mut client = server.client();
    assert!(detail(&mut client) == shown(":", "no"), "it is off by itself");
    client.ask("stats detail on\r\n", "OK\r\n");
    assert!(detail(&mut client) == shown(":", "yes"), "it was switched on");
}

#[test]
fn other_words_are_told_the_usage() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("stats detail\r\nstats detail foo\r\nstats detail ON\r\n", [USAGE, USAGE, USAGE].concat());
    client.ask("stats detail off more\r\n", "OK\r\n");
    client.expect_silence();
}

#[test]
fn it_is_refused_with_dumps_disabled() {
    let server = Server::start(&["-X"]);
    let mut client = server.client();
    for word in [" on", " off", " dump", ""] {
        client.ask(format!("stats detail{word}\r\n"), "CLIENT_ERROR stats detail not allowed\r\n");
    }
}

#[test]
fn more_prefixes_than_the_bound_are_not_counted() {
    if is_foreign() {
        return;
    }
    let server = Server::start(&["-t", "1", "-D", ":"]);
    let mut client = server.client();
    let keys: Vec<String> = (0..9000).map(|number| format!("{number}:")).collect();
    for keys in keys.chunks(100) {
        client.ask(format!("get {}\r\n", keys.join(" ")), "END\r\n");
    }
    let lines = dump(&mut client);
    assert!(lines.len() == 8192, "there are {} prefixes", lines.len());
    client.ask("get 0: 8999:\r\n", "END\r\n");
    let lines = dump(&mut client);
    assert!(lines.iter().any(|line| line == "PREFIX 0 get 2 hit 0 set 0 del 0"), "those within go on");
}
