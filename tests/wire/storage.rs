//! set, add, replace, append, prepend, cas: what they store, refuse, swallow and count.

use crate::client::pattern;
use crate::server::Server;

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";
/// Items of at most 1024 bytes, so that too large is near; chunks may not be larger than items.
const SMALL: &[&str] = &["-I", "1024", "-o", "slab_chunk_max=1"];

const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";

#[test]
fn set_stores_a_value_and_its_flags() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 7 0 3\r\nxyz\r\n", "STORED\r\n");
    client.ask("get a\r\n", "VALUE a 7 3\r\nxyz\r\nEND\r\n");
    client.ask("set a 0 0 1\r\nn\r\n", "STORED\r\n");
    client.ask("get a\r\n", "VALUE a 0 1\r\nn\r\nEND\r\n");
    client.expect_stats(&[("cmd_set", 2), ("total_items", 2), ("curr_items", 1)]);
}

#[test]
fn a_value_may_be_empty_or_hold_any_bytes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("empty", "");
    client.expect_value("empty", "");
    let every: Vec<u8> = (0..=255).collect();
    client.set("every", &every);
    client.expect_value("every", &every);
    client.set("lines", "\r\nget a\r\n\r\n");
    client.expect_value("lines", "\r\nget a\r\n\r\n");
}

#[test]
fn add_stores_only_what_is_missing() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("add a 1 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("add a 2 0 1\r\ny\r\n", "NOT_STORED\r\n");
    client.ask("get a\r\n", "VALUE a 1 1\r\nx\r\nEND\r\n");
}

#[test]
fn replace_stores_only_what_is_there() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("replace a 1 0 1\r\nx\r\n", "NOT_STORED\r\n");
    client.expect_missing("a");
    client.set("a", "x");
    client.ask("replace a 2 0 2\r\nyz\r\n", "STORED\r\n");
    client.ask("get a\r\n", "VALUE a 2 2\r\nyz\r\nEND\r\n");
}

#[test]
fn append_and_prepend_extend_and_keep_the_flags() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("append a 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
    client.ask("prepend a 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
    client.ask("set a 9 0 3\r\nmid\r\n", "STORED\r\n");
    client.ask("append a 1 -1 4\r\n-end\r\n", "STORED\r\n");
    client.ask("prepend a 2 -1 4\r\nbeg-\r\n", "STORED\r\n");
    client.ask("get a\r\n", "VALUE a 9 11\r\nbeg-mid-end\r\nEND\r\n");
    client.ask("append a x 0 1\r\nn\r\n", BAD_FORMAT);
    client.ask("append a 0 x 1\r\nn\r\n", BAD_FORMAT);
    client.ask("append a 0 0 0\r\n\r\n", "STORED\r\n");
    client.ask("get a\r\n", "VALUE a 9 11\r\nbeg-mid-end\r\nEND\r\n");
}

#[test]
fn every_change_gives_a_new_cas() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    let changes = ["set", "replace", "append", "prepend"];
    let seen = changes.map(|command| {
        client.ask(format!("{command} a 0 0 1\r\n1\r\n"), "STORED\r\n");
        client.cas("a")
    });
    for (place, cas) in seen.iter().enumerate() {
        assert!(*cas > 0, "a cas is never 0");
        assert!(!seen[..place].contains(cas), "{} left the cas as it was", changes[place]);
    }
    client.ask("touch a 100\r\n", "TOUCHED\r\n");
    assert!(client.cas("a") == seen[3], "touch changed the cas");
}

#[test]
fn cas_stores_only_over_the_version_named() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("cas a 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n");
    client.set("a", "x");
    let first = client.cas("a");
    client.ask("cas a 0 0 1 0\r\ny\r\n", "EXISTS\r\n");
    client.ask(format!("cas a 0 0 1 {}\r\ny\r\n", first + 1), "EXISTS\r\n");
    client.ask(format!("cas a 5 0 2 {first}\r\nyz\r\n"), "STORED\r\n");
    client.ask("get a\r\n", "VALUE a 5 2\r\nyz\r\nEND\r\n");
    client.ask(format!("cas a 0 0 1 {first}\r\nn\r\n"), "EXISTS\r\n");
    client.expect_stats(&[("cas_hits", 1), ("cas_badval", 3), ("cas_misses", 1)]);
}

#[test]
fn a_cas_without_a_number_is_refused_and_its_data_swallowed() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for unique in ["", " x", " -1", " 1x", " 18446744073709551616"] {
        client.ask(format!("cas a 0 0 7{unique}\r\nversion\r\n"), BAD_FORMAT);
    }
    client.ask("cas a 0 0 1 18446744073709551615\r\nx\r\n", "NOT_FOUND\r\n");
    client.expect_silence();
}

#[test]
fn flags_are_kept_modulo_two_to_the_32() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let cases = [("4294967295", 4_294_967_295_u32), ("0", 0), ("2147483648", 2_147_483_648)];
    for (sent, kept) in cases {
        client.ask(format!("set a {sent} 0 1\r\nx\r\n"), "STORED\r\n");
        client.ask("get a\r\n", format!("VALUE a {kept} 1\r\nx\r\nEND\r\n"));
    }
}

#[test]
fn flags_beyond_32_bits_are_cut_down() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 4294967297 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("get a\r\n", "VALUE a 1 1\r\nx\r\nEND\r\n");
    client.ask("set a 18446744073709551615 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("get a\r\n", "VALUE a 4294967295 1\r\nx\r\nEND\r\n");
}

#[test]
fn bad_flags_or_exptime_are_refused_and_the_data_swallowed() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "old");
    for numbers in ["x 0", "-1 0", "1x 0", "18446744073709551616 0", "0 x", "0 1x", "0 --1"] {
        client.ask(format!("set a {numbers} 7\r\nversion\r\n"), BAD_FORMAT);
    }
    client.expect_value("a", "old");
}

#[test]
fn a_bad_length_is_refused_and_what_follows_is_read_as_commands() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "old");
    for length in ["x", "-1", "1x", "+1", "2147483647", "2147483646", "99999999999999999999"] {
        client.ask(format!("set a 0 0 {length}\r\nget a\r\n"), [BAD_FORMAT, "VALUE a 0 3\r\nold\r\nEND\r\n"].concat());
    }
}

#[test]
fn too_few_words_are_a_bad_format() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for command in ["set", "add", "replace", "append", "prepend", "cas"] {
        for words in ["", " a", " a 0", " a 0 0"] {
            client.ask(format!("{command}{words}\r\n"), BAD_FORMAT);
        }
    }
    client.expect_silence();
}

#[test]
fn extra_words_are_ignored() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 1 foo bar\r\nx\r\n", "STORED\r\n");
    client.ask("set  b   0  0 1  \r\ny\r\n", "STORED\r\n");
    client.expect_value("a", "x");
    client.expect_value("b", "y");
}

#[test]
fn a_key_has_at_most_250_bytes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let longest = "k".repeat(250);
    client.set(&longest, "x");
    client.expect_value(&longest, "x");
    client.ask(format!("set {longest}k 0 0 7\r\nversion\r\n"), BAD_FORMAT);
    client.ask(format!("set {longest}k 0 0 7 noreply\r\nversion\r\n"), "");
    client.expect_silence();
    client.expect_value(&longest, "x");
}

#[test]
fn a_key_may_hold_any_byte_but_space_and_line_feed() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let key: Vec<u8> = (1..=255).filter(|byte| !b" \r\n".contains(byte)).take(240).collect();
    client.send([b"set ", key.as_slice(), b" 0 0 1\r\nx\r\n"].concat());
    client.expect("STORED\r\n");
    client.send([b"get ", key.as_slice(), b"\r\n"].concat());
    client.expect([b"VALUE ", key.as_slice(), b" 0 1\r\nx\r\nEND\r\n"].concat());
}

#[test]
fn a_data_block_without_its_end_is_a_bad_chunk() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "old");
    let bad_then_error = "CLIENT_ERROR bad data chunk\r\nERROR\r\n";
    client.ask("set a 0 0 3\r\nabcdeWRONG\r\n", bad_then_error);
    client.ask("set a 0 0 3\r\nabc\n\nWRONG\r\n", bad_then_error);
    client.ask("set a 0 0 3\r\nabc\rxWRONG\r\n", bad_then_error);
    client.ask("set a 0 0 0\r\nxxWRONG\r\n", bad_then_error);
    client.expect_value("a", "old");
    client.ask("set a 0 0 3 noreply\r\nabcdeversion\r\n", "VERSION ");
}

#[test]
fn too_large_deletes_the_old_value_on_set_alone() {
    let server = Server::start(SMALL);
    let mut client = server.client();
    let large = "v".repeat(2048);
    client.set("a", "old");
    for command in ["add", "replace", "append", "prepend"] {
        client.ask(format!("{command} a 0 0 2048\r\n{large}\r\n"), TOO_LARGE);
        client.expect_value("a", "old");
    }
    client.ask(format!("cas a 0 0 2048 1\r\n{large}\r\n"), TOO_LARGE);
    client.expect_value("a", "old");
    client.ask(format!("set a 0 0 2048\r\n{large}\r\n"), TOO_LARGE);
    client.expect_missing("a");
    client.expect_stats(&[("store_too_large", 6), ("store_no_memory", 0)]);
}

#[test]
fn too_large_data_is_swallowed_whole() {
    let server = Server::start(SMALL);
    let mut client = server.client();
    let commands = "version\r\n".repeat(1000);
    let set = format!("set a 0 0 {}\r\n{commands}\r\n", commands.len());
    client.ask(set.repeat(3), TOO_LARGE.repeat(3));
    client.ask(set.replacen("\r\n", " noreply\r\n", 1), "");
    client.expect_silence();
}

#[test]
fn a_result_too_large_is_not_stored_by_append() {
    let server = Server::start(SMALL);
    let mut client = server.client();
    let half = pattern(1, 600);
    client.set("a", &half);
    for command in ["append", "prepend"] {
        let head = format!("{command} a 0 0 600\r\n");
        client.ask([head.as_bytes(), &half, b"\r\n"].concat(), "NOT_STORED\r\n");
    }
    client.expect_value("a", &half);
}

#[test]
fn noreply_silences_every_reply() {
    let server = Server::start(SMALL);
    let mut client = server.client();
    client.send("set a 0 0 1 noreply\r\nx\r\n");
    client.send("add a 0 0 1 noreply\r\ny\r\n");
    client.send("replace nosuch 0 0 1 noreply\r\ny\r\n");
    client.send("append a 0 0 1 noreply\r\ny\r\n");
    client.send("prepend a 0 0 1 noreply\r\nw\r\n");
    client.send("cas a 0 0 1 0 noreply\r\nz\r\n");
    client.send("cas nosuch 0 0 1 0 noreply\r\nz\r\n");
    client.send("set a x 0 1 noreply\r\nz\r\n");
    client.send(format!("add b 0 0 2048 noreply\r\n{}\r\n", "v".repeat(2048)));
    client.expect_silence();
    client.expect_value("a", "wxy");
}

#[test]
fn noreply_is_the_exact_last_word() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 1 NOREPLY\r\nx\r\n", "STORED\r\n");
    client.ask("set a 0 0 1 noreplyx\r\nx\r\n", "STORED\r\n");
    client.ask("set a 0 0 1 noreply x\r\nx\r\n", "STORED\r\n");
    client.ask("set a 0 0 1 x noreply\r\nx\r\n", "");
    client.expect_silence();
}

#[test]
fn without_cas_every_compare_fails() {
    let server = Server::start(&["-C"]);
    let mut client = server.client();
    client.set("a", "x");
    client.ask("gets a\r\n", "VALUE a 0 1 0\r\nx\r\nEND\r\n");
    client.ask("cas a 0 0 1 0\r\ny\r\n", "EXISTS\r\n");
    client.ask("cas nosuch 0 0 1 0\r\ny\r\n", "NOT_FOUND\r\n");
}

/// Adds one to the number under the key a, by gets and cas, until it wins.
fn add_one(client: &mut crate::client::Client) {
    loop {
        let line = client.ask_line("gets a\r\n");
        let cas = line.rsplit(' ').next().expect("a split has a first part").to_owned();
        let number: u32 = client.line().parse().expect("the value is a number");
        client.expect("END\r\n");
        let value = (number + 1).to_string();
        let request = format!("cas a 0 0 {} {cas}\r\n{value}\r\n", value.len());
        let reply = client.ask_line(request);
        if reply == "STORED" {
            return;
        }
        assert!(reply == "EXISTS", "a strange reply: {reply}");
    }
}

#[test]
fn of_clients_that_compare_at_once_one_wins() {
    let server = Server::start(&["-t", "2"]);
    server.client().set("a", "0");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = server.client();
            scope.spawn(move || (0..100).for_each(|_| add_one(&mut client)));
        }
    });
    server.client().expect_value("a", "400");
    server.client().expect_stats(&[("cas_hits", 400), ("cas_misses", 0)]);
}
