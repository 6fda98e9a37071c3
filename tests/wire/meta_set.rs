//! ms: modes, compares, versions of a client's own, sizes and refusals.

use crate::client::pattern;
use crate::server::Server;

#[test]
fn a_store_answers_with_what_is_asked_for() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ms k 2\r\nhi\r\n", "HD\r\n");
    let line = client.ask_line("ms k 2 k c s Oabc F9 T100\r\nho\r\n");
    let cas = client.cas("k");
    assert_eq!(line, format!("HD kk c{cas} s2 Oabc"));
    client.ask("get k\r\n", "VALUE k 9 2\r\nho\r\nEND\r\n");
    client.ask("ms k 2 q k\r\nhu\r\nmn\r\n", "MN\r\n");
    client.ask("get k\r\n", "VALUE k 0 2\r\nhu\r\nEND\r\n");
}

#[test]
fn the_mode_says_when_a_value_is_stored() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ms k 1 MR q\r\nr\r\n", "NS\r\n");
    client.ask("ms k 1 MA\r\nr\r\nms k 1 MP\r\nr\r\n", "NS\r\nNS\r\n");
    client.ask("ms k 1 ME\r\n1\r\n", "HD\r\n");
    client.ask("ms k 1 MEx c k\r\n2\r\n", "NS c0 kk\r\n");
    client.ask("ms k 1 MR\r\n3\r\n", "HD\r\n");
    client.ask("ms k 2 MA s F5 T-1\r\n45\r\n", "HD s3\r\n");
    client.ask("ms k 2 MP s\r\n12\r\n", "HD s5\r\n");
    client.ask("get k\r\n", "VALUE k 0 5\r\n12345\r\nEND\r\n");
    client.ask("ms k 1 MS\r\n0\r\n", "HD\r\n");
    client.expect_value("k", "0");
}

#[test]
fn an_add_that_finds_the_item_is_no_fetch_of_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("k", "1");
    client.ask("add k 0 0 1\r\n2\r\nms k 1 ME\r\n2\r\nmg k h\r\nmg k h\r\n", "NOT_STORED\r\nNS\r\nHD h0\r\nHD h1\r\n");
}

#[test]
fn an_append_may_make_the_item() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ms k 2 MA N100 F3\r\nab\r\n", "HD\r\n");
    client.ask("ms k 2 MA N0 s\r\ncd\r\n", "HD s4\r\n");
    client.ask("ms p 2 MP N0 s T-1\r\nxy\r\n", "HD s2\r\n");
    client.ask("get k p\r\n", "VALUE k 3 4\r\nabcd\r\nVALUE p 0 2\r\nxy\r\nEND\r\n");
    client.ask("mg p t\r\n", "HD t-1\r\n");
    let line = client.ask_line("mg k t\r\n");
    assert!(line == "HD t100" || line == "HD t99", "{line}");
}

#[test]
fn a_large_append_may_make_the_item() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let [first, second] = [1, 2].map(|seed| pattern(seed, 20_000));
    for value in [&first, &second] {
        client.send("ms k 20000 MA N0 q\r\n");
        client.send([value, &b"\r\n"[..]].concat());
    }
    client.ask("mn\r\n", "MN\r\n");
    client.expect_value("k", [first, second].concat());
}

#[test]
fn a_compare_stores_for_the_same_version_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ms k 1 C5\r\n1\r\n", "NF\r\n");
    client.set("k", "v");
    let cas = client.cas("k");
    for mode in ["", "MS", "MR", "MA", "MP"] {
        client.ask(format!("ms k 1 C{} {mode} c\r\n1\r\n", cas + 1), "EX c0\r\n");
    }
    client.ask("ms k 1 C0\r\n1\r\n", "EX\r\n");
    client.ask(format!("ms k 1 C{cas}\r\n2\r\n"), "HD\r\n");
    client.ask(format!("ms k 1 C{cas}\r\n3\r\n"), "EX\r\n");
    let cas = client.cas("k");
    client.ask(format!("ms k 1 MA C{cas}\r\n3\r\n"), "HD\r\n");
    client.ask("ms k 1 MA C0\r\n4\r\n", "HD\r\n");
    client.expect_value("k", "234");
    client.expect_stats(&[("cas_hits", 1), ("cas_misses", 1), ("cas_badval", 5)]);
}

#[test]
fn a_version_of_the_clients_own_is_any_number() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for cas in [1, 4096, u64::MAX] {
        client.ask(format!("ms k 2 c E{cas}\r\nab\r\n"), format!("HD c{cas}\r\n"));
        client.ask("gets k\r\n", format!("VALUE k 0 2 {cas}\r\nab\r\nEND\r\n"));
        client.ask(format!("cas k 0 0 2 {}\r\ncd\r\n", cas - 1), "EXISTS\r\n");
        client.ask(format!("ms k 1 MA c E77 C{cas}\r\n!\r\n"), "HD c77\r\n");
        client.ask("mg k c v\r\n", "VA 3 c77\r\nab!\r\n");
        client.ask("cas k 0 0 2 77\r\nef\r\n", "STORED\r\n");
        assert_ne!(client.cas("k"), 77, "the next version is the server's again");
    }
    let value = pattern(3, 100_000);
    let head = "ms L 100000 c E123456789012345\r\n";
    client.ask([head.as_bytes(), &value, b"\r\n"].concat(), "HD c123456789012345\r\n");
    client.ask("mg L c s\r\n", "HD c123456789012345 s100000\r\n");
}

#[test]
fn a_block_that_does_not_end_is_refused_even_in_silence() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ms k 2 q\r\nabcd", "CLIENT_ERROR bad data chunk\r\n");
    client.expect_missing("k");
    client.send("ms k 20000 q\r\n");
    client.ask([&pattern(1, 20_000)[..], b"xx"].concat(), "CLIENT_ERROR bad data chunk\r\n");
    client.expect_silence();
}

#[test]
fn too_large_a_value_takes_the_old_one_with_it_in_any_mode() {
    let server = Server::start(&["-I", "1024", "-o", "slab_chunk_max=1"]);
    let mut client = server.client();
    for mode in ["", "ME", "MR", "MA", "MP", "C1", "q"] {
        client.set("k", "old");
        client.send(format!("ms k 2048 {mode}\r\n"));
        client.ask([&[b'x'; 2048][..], b"\r\n"].concat(), "SERVER_ERROR object too large for cache\r\n");
        client.expect_missing("k");
    }
    client.expect_stats(&[("store_too_large", 7)]);
}

#[test]
fn values_of_any_size_arrive_in_pieces() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for bytes in [0, 1, 2000, 16 * 1024, 16 * 1024 + 1, 500_000] {
        let value = pattern(11, bytes);
        client.send(format!("ms key {bytes} s k O1 F"));
        client.send("3 T0\r\n");
        client.wait_until_read();
        let (first, second) = value.split_at(bytes / 2);
        client.send(first);
        client.send(second);
        client.ask("\r\n", format!("HD s{bytes} kkey O1\r\n"));
        client.ask("mg key v f\r\n", [format!("VA {bytes} f3\r\n").as_bytes(), &value, b"\r\n"].concat());
    }
}
