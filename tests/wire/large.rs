//! Values from 16 KiB to the item limit, alone and many at once.

use crate::client::{Client, Random, pattern, set_bytes, value_bytes};
use crate::server::Server;

const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";

#[track_caller]
fn round_trip(client: &mut Client, key: &str, seed: u64, bytes: usize) {
    let value = pattern(seed, bytes);
    client.set(key, &value);
    client.expect_value(key, &value);
}

#[test]
fn every_size_around_16_kib_comes_back_whole() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    let edges = 16_384 - 64..=16_384 + 64;
    for (seed, bytes) in (0_u64..).zip(edges.chain([32_767, 32_768, 32_769])) {
        round_trip(&mut client, "edge", seed, bytes);
    }
}

#[test]
fn values_of_many_sizes_live_side_by_side() {
    let server = Server::start(&["-m", "32"]);
    let mut client = server.client();
    let sizes = [1, 8_191, 16_383, 16_384, 16_385, 24_000, 49_151, 65_535, 65_536, 65_537, 131_072, 262_145];
    for (place, bytes) in (0_u64..).zip(sizes) {
        client.set(&format!("k{place}"), pattern(place, bytes));
    }
    for (place, bytes) in (0_u64..).zip(sizes) {
        client.expect_value(&format!("k{place}"), pattern(place, bytes));
    }
    assert!(client.stat("evictions") == 0, "there was room for all");
}

#[test]
fn the_default_limit_lies_between_1047552_and_1049600() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    round_trip(&mut client, "a", 1, 1_047_552);
    let over = pattern(2, 1_049_600);
    client.ask_much(&set_bytes("b", &over), TOO_LARGE);
    client.expect_missing("b");
    client.ask_much(&set_bytes("a", &over), TOO_LARGE);
    client.expect_missing("a");
    round_trip(&mut client, "a", 3, 1_000_000);
}

#[test]
fn the_limit_follows_the_option() {
    let server = Server::start(&["-m", "64", "-I", "8m"]);
    let mut client = server.client();
    round_trip(&mut client, "a", 1, 8_000_000);
    client.ask_much(&set_bytes("a", &pattern(2, 8_400_000)), TOO_LARGE);
    client.expect_missing("a");

    let server = Server::start(&["-m", "16", "-I", "128k", "-o", "slab_chunk_max=64"]);
    let mut client = server.client();
    round_trip(&mut client, "a", 1, 130_000);
    client.ask_much(&set_bytes("a", &pattern(2, 132_000)), TOO_LARGE);
    client.expect_missing("a");
}

#[test]
fn large_values_take_the_place_of_small_ones_and_back() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    for (seed, bytes) in (0_u64..).zip([10, 200_000, 10, 16_385, 16_384, 900_000, 0, 65_536, 65_536]) {
        round_trip(&mut client, "a", seed, bytes);
    }
    client.ask("delete a\r\n", "DELETED\r\n");
    client.expect_missing("a");
    assert!(client.stat("curr_items") == 0, "nothing is left");
}

#[test]
fn append_and_prepend_extend_large_values() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    let mut value = pattern(1, 16_000);
    client.set("a", &value);
    for (seed, bytes) in (2_u64..).zip([300, 83, 1, 1, 1, 20_000, 100_000]) {
        let more = pattern(seed, bytes);
        let append = set_bytes("a", &more);
        client.ask_much(&[b"append", &append[b"set".len()..]].concat(), "STORED\r\n");
        value.extend_from_slice(&more);
        client.expect_value("a", &value);
        client.ask_much(&[b"prepend", &append[b"set".len()..]].concat(), "STORED\r\n");
        value.splice(0..0, more);
        client.expect_value("a", &value);
    }
}

#[test]
fn append_beyond_the_limit_leaves_the_value() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    let value = pattern(1, 600_000);
    client.set("a", &value);
    let append = [b"append", &set_bytes("a", &value)[b"set".len()..]].concat();
    client.ask_much(&append, "NOT_STORED\r\n");
    client.expect_value("a", &value);
}

#[test]
fn large_values_have_a_cas_flags_and_conditions() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    let value = pattern(1, 100_000);
    let block = |head: &str| [head.as_bytes(), b"\r\n", &value, b"\r\n"].concat();
    client.ask_much(&block("replace a 1 0 100000"), "NOT_STORED\r\n");
    client.ask_much(&block("add a 4294967295 0 100000"), "STORED\r\n");
    client.ask_much(&block("add a 1 0 100000"), "NOT_STORED\r\n");
    let cas = client.cas("a");
    client.ask_much(&block(&format!("cas a 1 0 100000 {}", cas + 1)), "EXISTS\r\n");
    client.ask("get a\r\n", [&block("VALUE a 4294967295 100000"), b"END\r\n".as_slice()].concat());
    client.ask_much(&block(&format!("cas a 2 0 100000 {cas}")), "STORED\r\n");
    client.ask("get a\r\n", [&block("VALUE a 2 100000"), b"END\r\n".as_slice()].concat());
    client.ask_much(&block("cas nosuch 2 0 100000 1"), "NOT_FOUND\r\n");
}

#[test]
fn a_large_value_is_touched_but_is_no_number() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    client.set("a", vec![b'1'; 600_000]);
    let refusal = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    client.ask("incr a 1\r\n", refusal);
    client.ask("decr a 1\r\n", refusal);
    client.ask("touch a 100\r\n", "TOUCHED\r\n");
    client.expect_value("a", vec![b'1'; 600_000]);
    client.ask("touch a -1\r\n", "TOUCHED\r\n");
    client.expect_missing("a");
}

#[test]
fn a_large_bad_data_chunk_leaves_the_old_value_and_the_stream_in_step() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    client.set("a", "old");
    let mut set = set_bytes("a", &pattern(1, 100_000));
    let end = set.len();
    set[end - 2..].copy_from_slice(b"xx");
    client.ask_much(&set, "CLIENT_ERROR bad data chunk\r\n");
    client.expect_silence();
    client.expect_value("a", "old");
}

#[test]
fn large_hits_come_in_order_on_one_line() {
    let server = Server::start(&["-m", "32"]);
    let mut client = server.client();
    let mut reply = Vec::new();
    for number in 0..20 {
        let bytes = if number % 2 == 0 { 150_000 } else { 20 };
        let (key, value) = (format!("k{number}"), pattern(number, bytes));
        client.set(&key, &value);
        reply.extend_from_slice(&value_bytes(&key, &value));
    }
    let words: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
    reply.extend_from_slice(b"END\r\n");
    client.ask(format!("get {}\r\n", words.join(" ")), reply);
}

#[test]
fn values_that_arrive_together_wait_for_each_other() {
    // Seven of them are more than the quarter of memory that incomplete values may hold.
    let server = Server::start(&["-m", "16", "-t", "2"]);
    let value = pattern(7, 700_000);
    let mut clients: Vec<Client> = (0..7).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("set k{number} 0 0 700000\r\n"));
        client.send(&value[..1000]);
    }
    for client in &mut clients {
        client.ask_much(&[&value[1000..], b"\r\n"].concat(), "STORED\r\n");
    }
}

/// Sets and gets values of all sizes; what is found must be what this client stored last.
fn write_and_read(mut client: Client, own: u64) {
    for round in 0..60 {
        let key = format!("own-{own}-{}", round % 5);
        let bytes = [10, 16_384, 40_000, 150_000, 700_000][usize::try_from(round % 5).expect("below 5")];
        let value = pattern(own * 1000 + round, bytes);
        client.set(&key, &value);
        let line = client.ask_line(format!("get {key}\r\n"));
        if line != "END" {
            assert!(line == format!("VALUE {key} 0 {bytes}"), "a strange hit: {line}");
            assert!(client.receive(bytes) == value, "{key} has another value, round {round}");
            client.expect("\r\nEND\r\n");
        }
    }
}

#[test]
fn many_clients_write_and_read_large_values_at_once() {
    let server = Server::start(&["-m", "16", "-t", "2"]);
    std::thread::scope(|scope| {
        for own in 0..8 {
            let client = server.client();
            scope.spawn(move || write_and_read(client, own));
        }
    });
    let mut client = server.client();
    assert!(client.stat("get_hits") > 0, "nothing was ever found");
    assert!(client.stat("bytes") <= client.stat("limit_maxbytes"), "more stored than allowed");
}

/// Stores a pattern whose seed is told by its flags; its length follows from the seed.
fn shared_bytes(seed: u64) -> usize {
    usize::try_from(seed * 7919 % 120_000).expect("it is below a usize")
}

/// Reads the key, and checks that it is wholly what somebody stored.
#[track_caller]
fn expect_whole(client: &mut Client, key: &str) {
    let line = client.ask_line(format!("get {key}\r\n"));
    if line == "END" {
        return;
    }
    let mut words = line.split(' ').skip(2).map(|word| word.parse::<u64>().expect("a number"));
    let (seed, bytes) = (words.next().expect("flags"), words.next().expect("a length"));
    assert!(u64::try_from(shared_bytes(seed)).ok() == Some(bytes), "a length of another value: {line}");
    let value = client.receive(shared_bytes(seed));
    assert!(value == pattern(seed, value.len()), "the value of {line} is a mixture");
    client.expect("\r\nEND\r\n");
}

fn share(mut client: Client, own: u64) {
    let mut random = Random(own + 1);
    for round in 0..200 {
        let key = format!("shared-{}", random.below(3));
        match random.below(10) {
            0 => drop(client.ask_line(format!("delete {key}\r\n"))),
            1 => drop(client.ask_line(format!("touch {key} 100\r\n"))),
            2 if round % 50 == 0 => client.ask("flush_all\r\n", "OK\r\n"),
            2..6 => {
                let seed = own * 1000 + round;
                let head = format!("set {key} {seed} 0 {}\r\n", shared_bytes(seed));
                let value = pattern(seed, shared_bytes(seed));
                client.ask_much(&[head.as_bytes(), &value, b"\r\n"].concat(), "STORED\r\n");
            }
            _ => expect_whole(&mut client, &key),
        }
    }
}

#[test]
fn values_shared_by_many_clients_are_never_mixed() {
    let server = Server::start(&["-m", "16", "-t", "2"]);
    std::thread::scope(|scope| {
        for own in 0..6 {
            let client = server.client();
            scope.spawn(move || share(client, own));
        }
    });
    let mut client = server.client();
    assert!(client.stat("get_hits") > 0, "nothing was ever found");
}

/// memcached asks for the memory of a value above `slab_chunk_max` while it arrives: when that ends the old one stays.
#[test]
fn a_value_refused_for_want_of_memory_deletes_the_old_one_where_it_would_in_memcached() {
    for (bytes, reply, stays) in [
        (100_000, "SERVER_ERROR out of memory storing object\r\n", false),
        (900_000, "SERVER_ERROR Out of memory during read\r\n", true),
    ] {
        let server = Server::start(&["-M", "-m", "16"]);
        let mut client = server.client();
        client.set("old", "old");
        let value = pattern(1, bytes);
        let is_full = (0..400).any(|number| {
            client.send(set_bytes(&format!("k{number}"), &value));
            client.line() != "STORED"
        });
        assert!(is_full, "memory ends somewhere");
        client.ask_much(&set_bytes("old", &value), reply);
        client.expect_silence();
        if stays { client.expect_value("old", "old") } else { client.expect_missing("old") }
    }
}
