//! Full memory: no set is refused, the useful stays, or with -M the old stays.

use crate::client::{Client, pattern, set_bytes};
use crate::server::{Server, wait_for};

const VALUE_BYTES: usize = 4000;

fn value(number: u64) -> Vec<u8> {
    pattern(number, VALUE_BYTES)
}

/// Sets the keys k0, k1, ... of this range; every set must be stored.
#[track_caller]
fn fill(client: &mut Client, numbers: std::ops::Range<u64>) {
    let count = usize::try_from(numbers.end - numbers.start).expect("a count");
    let sets: Vec<u8> = numbers.flat_map(|number| set_bytes(&format!("k{number}"), &value(number))).collect();
    client.ask_much(&sets, "STORED\r\n".repeat(count));
}

/// Whether the key is there, which then must have its own value.
#[track_caller]
fn is_there(client: &mut Client, number: u64) -> bool {
    let line = client.ask_line(format!("get k{number}\r\n"));
    if line == "END" {
        return false;
    }
    assert!(line == format!("VALUE k{number} 0 {VALUE_BYTES}"), "a strange hit: {line}");
    client.expect([&value(number), b"\r\nEND\r\n".as_slice()].concat());
    true
}

#[test]
fn memory_filled_ten_times_over_refuses_no_set() {
    let server = Server::start(&["-m", "8"]);
    let mut client = server.client();
    for batch in 0..20 {
        fill(&mut client, batch * 1000..(batch + 1) * 1000);
    }
    let found = (0..20_000).rev().filter(|&number| is_there(&mut client, number)).count();
    // 8 MiB hold at most 2097 such values.
    assert!((1500..=2097).contains(&found), "{found} values are there");
    assert!(is_there(&mut client, 19_999), "the newest value is there");
    let (items, evictions) = (client.stat("curr_items"), client.stat("evictions"));
    assert!(evictions + items == 20_000, "{evictions} evictions and {items} items of 20000");
    client.expect_stats(&[("store_no_memory", 0), ("limit_maxbytes", 8 << 20)]);
    assert!(client.stat("bytes") <= 8 << 20, "more stored than allowed");
}

#[test]
fn values_of_changing_sizes_refuse_no_set() {
    let server = Server::start(&["-m", "8"]);
    let mut client = server.client();
    for bytes in [100, 100_000, 1000, 30_000, 300, 500_000, 5000] {
        let count = 12 * (1 << 20) / (bytes + 300);
        let sets: Vec<u8> =
            (0..count).flat_map(|number| set_bytes(&format!("k-{bytes}-{number}"), &vec![b'v'; bytes])).collect();
        client.ask_much(&sets, "STORED\r\n".repeat(count));
        client.expect_value(&format!("k-{bytes}-{}", count - 1), vec![b'v'; bytes]);
    }
    assert!(client.stat("store_no_memory") == 0, "a set was refused");
}

#[test]
fn a_lowered_limit_is_reached_though_nothing_was_evicted_before() {
    let server = Server::start(&["-m", "64"]);
    let mut client = server.client();
    fill(&mut client, 0..5000);
    assert!(client.stat("evictions") == 0, "20 MB fit 64");
    client.ask("cache_memlimit 8\r\n", "OK\r\n");
    wait_for("the limit is reached", || (client.stat("committed_bytes") <= 8 << 20).then_some(()));
    let found = (0..5000).filter(|&number| is_there(&mut client, number)).count();
    assert!((500..=2097).contains(&found), "{found} values are left");
    fill(&mut client, 5000..5100);
}

#[test]
fn a_key_fetched_all_the_time_survives() {
    let server = Server::start(&["-m", "8"]);
    let mut client = server.client();
    fill(&mut client, 0..1);
    for batch in 0..400 {
        fill(&mut client, 1 + batch * 25..1 + (batch + 1) * 25);
        assert!(is_there(&mut client, 0), "evicted in batch {batch}, though fetched in each");
    }
    assert!(client.stat("evictions") > 5000, "memory never was full");
}

#[test]
fn without_eviction_full_memory_refuses_and_keeps_the_old() {
    let server = Server::start(&["-m", "8", "-M"]);
    let mut client = server.client();
    let refused = "SERVER_ERROR out of memory storing object";
    let stored = (0..4000)
        .take_while(|&number| {
            let reply = client.ask_line(set_bytes(&format!("k{number}"), &value(number)));
            assert!(reply == "STORED" || reply == refused, "a strange reply: {reply}");
            reply == "STORED"
        })
        .count();
    assert!((500..=2100).contains(&stored), "8 MiB took {stored} values of 4000 bytes");
    let stored = u64::try_from(stored).expect("a count");
    for number in 0..stored {
        assert!(is_there(&mut client, number), "k{number} went though nothing may");
    }
    assert!(!is_there(&mut client, stored), "the refused one is not there");
    client.expect_stats(&[("evictions", 0), ("store_no_memory", 1), ("curr_items", stored)]);
}

#[test]
fn without_eviction_deleting_makes_room() {
    let server = Server::start(&["-m", "8", "-M"]);
    let mut client = server.client();
    let mut stored = 0;
    while client.ask_line(set_bytes(&format!("k{stored}"), &value(stored))) == "STORED" {
        stored += 1;
    }
    for number in 0..200 {
        client.ask(format!("delete k{number}\r\n"), "DELETED\r\n");
    }
    fill(&mut client, 0..150);
    assert!(is_there(&mut client, 149), "what was stored again is there");
}

#[test]
fn expired_items_give_way_to_live_ones() {
    let server = Server::start(&["-m", "8"]);
    let mut client = server.client();
    for batch in 0..10 {
        for number in batch * 1000..(batch + 1) * 1000 {
            let head = format!("set k{number} 0 -1 {VALUE_BYTES} noreply\r\n");
            client.send([head.as_bytes(), &value(1), b"\r\n"].concat());
        }
        client.expect_silence();
    }
    fill(&mut client, 0..100);
    for number in 0..100 {
        assert!(is_there(&mut client, number), "a live item went for expired ones");
    }
}
