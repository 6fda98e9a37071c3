//! version, verbosity, quit, shutdown, cache_memlimit.

use crate::server::Server;

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";

#[test]
fn version_is_the_memcacheds_it_stands_in_for_and_nothing_more() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for request in ["version\r\n", "version x\r\n", "version\n"] {
        client.ask(request, "VERSION 1.6.45\r\n");
    }
    let stats = client.stats("");
    let find = |wanted: &str| stats.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    // Perl's version->parse, Python's packaging.version, PHP's version_compare and Ruby's Gem::Version take numbers.
    assert_eq!(find("version"), Some("1.6.45"));
    assert_eq!(find("flagstone_version"), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn verbosity_takes_a_number() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for level in ["1", "2", "5", "0", "1 x", "0"] {
        client.ask(format!("verbosity {level}\r\n"), "OK\r\n");
    }
    for line in ["verbosity", "verbosity x", "verbosity -1x"] {
        client.ask(format!("{line}\r\n"), BAD_FORMAT);
    }
    client.send("verbosity 0 noreply\r\n");
    client.expect_silence();
}

#[test]
fn quit_closes_after_the_replies_before_it() {
    let server = Server::start(&[]);
    let mut other = server.client();
    for quit in ["quit\r\n", "quit x\r\n", "quit\n"] {
        let mut client = server.client();
        client.send(format!("set a 0 0 1\r\n1\r\nget a\r\n{quit}set a 0 0 1\r\n2\r\n"));
        client.expect("STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
        client.expect_closed();
        other.expect_value("a", "1");
    }
}

#[test]
fn quit_sends_large_replies_whole() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    let value = vec![b'v'; 500_000];
    client.set("a", &value);
    client.send("get a\r\n".repeat(10) + "quit\r\n");
    let reply = [&crate::client::value_bytes("a", &value), b"END\r\n".as_slice()].concat();
    client.expect(reply.repeat(10));
    client.expect_closed();
}

#[test]
fn shutdown_is_refused_unless_enabled() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    client.ask("shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n");
    client.ask("shutdown graceful\r\n", "SERVER_ERROR: shutdown not enabled\r\n");
    client.expect_silence();
    assert!(server.is_running(), "the server ended though shutdown was refused");
}

#[test]
fn shutdown_stops_the_server_with_status_0() {
    for line in ["shutdown\r\n", "shutdown graceful\r\n"] {
        let mut server = Server::start(&["-A"]);
        let mut client = server.client();
        client.ask("shutdown x\r\n", "CLIENT_ERROR invalid shutdown mode\r\n");
        client.send(line);
        client.expect_closed();
        let status = server.wait_exit();
        assert!(status.code() == Some(0), "{line:?} ended in {status}");
    }
}

#[test]
fn a_limit_that_was_raised_is_used() {
    let server = Server::start(&["-m", "8"]);
    let mut client = server.client();
    client.ask("cache_memlimit 128\r\n", "OK\r\n");
    let value = "v".repeat(12_000);
    for part in 0..16 {
        let sets: String = (0..300).map(|n| format!("set {part}-{n} 0 0 12000\r\n{value}\r\n")).collect();
        client.ask(sets, "STORED\r\n".repeat(300));
    }
    client.expect_stats(&[("curr_items", 4800), ("evictions", 0), ("limit_maxbytes", 128 << 20)]);
    assert!(client.stat("committed_bytes") > 56 << 20);
}

#[test]
fn cache_memlimit_says_what_it_takes() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    let too_small = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
    client.ask("cache_memlimit 7\r\n", too_small);
    client.ask("cache_memlimit 8\r\n", "OK\r\n");
    client.expect_stats(&[("limit_maxbytes", 8 << 20)]);
    client.ask("cache_memlimit 24\r\n", "OK\r\n");
    client.expect_stats(&[("limit_maxbytes", 24 << 20)]);
    client.ask("cache_memlimit 256\r\n", "OK\r\n");
    client.expect_stats(&[("limit_maxbytes", 256 << 20)]);
    // memcached takes any number here, and its memory from the system as it comes.
    client.ask("cache_memlimit 257\r\n", "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n");
    let too_large = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n";
    client.ask("cache_memlimit 1000000001\r\n", too_large);
    client.ask("cache_memlimit\r\n", "ERROR\r\n");
    client.ask("cache_memlimit x\r\n", "ERROR\r\n");
    client.send("cache_memlimit 16 noreply\r\n");
    client.expect_silence();
    client.expect_stats(&[("limit_maxbytes", 16 << 20)]);
}
