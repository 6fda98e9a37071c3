//! Clients that do not read, or leave half-way: memory stays bounded, others are served, and what
//! is read at last is right.

use crate::client::{Client, pattern, set_bytes, value_bytes};
use crate::server::{Directory, Server, wait_for};

/// What the server may grow by while 64 MiB of replies wait for a client that does not read.
const GROWTH_BYTES_MAX: u64 = 24 << 20;

/// What it may grow by besides the memory for items, whatever clients do not read.
const OVERHEAD_GROWTH_BYTES_MAX: u64 = 4 << 20;

fn get_reply(key: &str, value: &[u8]) -> Vec<u8> {
    [&value_bytes(key, value), b"END\r\n".as_slice()].concat()
}

#[test]
fn a_client_that_does_not_read_costs_bounded_memory_and_nobody_else() {
    let server = Server::start(&["-m", "16", "-t", "1"]);
    let mut other = server.client();
    let value = pattern(1, 65_536);
    other.set("large", &value);
    other.expect_value("large", &value);
    let before = server.peak_bytes();

    let mut lazy = server.client();
    lazy.send("get large\r\n".repeat(1024));
    for number in 0..200 {
        other.set("small", format!("{number}"));
        other.expect_value("small", format!("{number}"));
        other.expect_value("large", &value);
    }
    let reply = get_reply("large", &value);
    for _ in 0..1024 {
        lazy.expect(&reply);
    }
    lazy.expect_silence();
    let growth = server.peak_bytes() - before;
    assert!(growth < GROWTH_BYTES_MAX, "the server grew by {growth} bytes");
}

#[test]
fn a_get_of_many_large_values_costs_bounded_memory() {
    let server = Server::start(&["-m", "16", "-t", "1"]);
    let mut other = server.client();
    let value = pattern(1, 65_536);
    other.set("large", &value);
    other.expect_value("large", &value);
    let before = server.peak_bytes();

    let mut lazy = server.client();
    lazy.send(format!("get{}\r\n", " large".repeat(1024)));
    for _ in 0..200 {
        other.expect_value("large", &value);
    }
    let reply = value_bytes("large", &value);
    for _ in 0..1024 {
        lazy.expect(&reply);
    }
    lazy.expect("END\r\n");
    let growth = server.peak_bytes() - before;
    assert!(growth < GROWTH_BYTES_MAX, "the server grew by {growth} bytes");
}

#[test]
fn clients_that_do_not_read_and_leave_are_forgotten() {
    let server = Server::start(&["-m", "16", "-t", "1"]);
    let mut other = server.client();
    let value = pattern(1, 500_000);
    other.set("large", &value);
    for _ in 0..20 {
        let mut lazy = server.client();
        lazy.send("get large\r\n".repeat(100));
    }
    wait_for("the others are gone", || (other.stat("curr_connections") == 1).then_some(()));
    other.expect_value("large", &value);
}

/// Clients ask for a value again and again and never read it, while another one overwrites it: what they hold is
/// gone from the cache, and more than an eighth of `-m` of that is nobody's right.
#[test]
fn readers_too_slow_for_values_that_are_gone_are_closed() {
    let server = Server::start(&["-m", "16"]);
    let mut other = server.client();
    let value = |seed| pattern(seed, 900_000);
    for number in 0..40 {
        other.set(&format!("k{number}"), value(number));
    }
    let before = server.peak_bytes();
    let mut lazy: Vec<Client> = Vec::new();
    for round in 0..16 {
        let mut client = server.client();
        client.send("get large\r\n".repeat(100));
        lazy.push(client);
        for _ in 0..4 {
            other.set("large", value(round));
            other.expect_value("large", value(round));
        }
    }
    let mut round = 100;
    wait_for("slow readers are closed", || {
        round += 1;
        other.set("large", value(round));
        other.expect_value("large", value(round));
        (other.stat("slow_reader_kicks") > 0).then_some(())
    });
    let closed = other.stat("slow_reader_kicks");
    let open = 1 + u64::try_from(lazy.len()).expect("a few") - closed;
    wait_for("those are gone, and no others", || (other.stat("curr_connections") == open).then_some(()));
    assert!(server.log().contains("reads too slowly"), "it is said in the log");
    let growth = server.peak_bytes().saturating_sub(before);
    assert!(growth < OVERHEAD_GROWTH_BYTES_MAX, "the server grew by {growth} bytes");
    for number in 0..40 {
        other.set(&format!("k{number}"), value(number));
        other.expect_value(&format!("k{number}"), value(number));
    }
}

#[test]
fn a_slow_reader_of_values_that_stay_is_left_alone() {
    let server = Server::start(&["-m", "16", "-t", "1"]);
    let mut other = server.client();
    let value = pattern(1, 900_000);
    other.set("kept", &value);
    let mut innocent = server.client();
    innocent.send("get kept\r\n".repeat(50));
    innocent.expect("VALUE kept 0 900000\r\n");
    let mut lazy: Vec<Client> = Vec::new();
    for round in 0..16 {
        let mut client = server.client();
        client.send("get large\r\n".repeat(100));
        lazy.push(client);
        other.set("large", pattern(round, 900_000));
        other.expect_value("large", pattern(round, 900_000));
        other.expect_value("kept", &value);
    }
    wait_for("a slow reader is closed", || {
        other.set("large", &value);
        (other.stat("slow_reader_kicks") > 0).then_some(())
    });
    innocent.expect(&value);
    innocent.expect("\r\nEND\r\n");
    for _ in 1..50 {
        innocent.expect(get_reply("kept", &value));
    }
}

#[test]
fn pipelined_sets_without_reading_are_all_done() {
    let server = Server::start(&["-m", "16", "-t", "1"]);
    let mut client = server.client();
    let sets: String = (0..50_000).map(|number| format!("set k 0 0 5\r\n{number:05}\r\n")).collect();
    client.ask_much(sets.as_bytes(), "STORED\r\n".repeat(50_000));
    client.expect_value("k", "49999");
}

#[test]
fn a_value_half_sent_leaves_the_old_one() {
    let server = Server::start(&["-m", "16"]);
    let mut other = server.client();
    for bytes in [100, 16_384, 100_000, 900_000] {
        other.set("a", "old");
        let set = set_bytes("a", &pattern(1, bytes));
        for sent in [set.len() - bytes - 2, set.len() - bytes / 2, set.len() - 1] {
            let mut client = server.client();
            client.send(&set[..sent]);
            client.wait_until_read();
            other.expect_value("a", "old");
            drop(client);
            wait_for("it is gone", || (other.stat("curr_connections") == 1).then_some(()));
            other.expect_value("a", "old");
        }
    }
}

#[test]
fn values_half_sent_give_their_memory_back() {
    let server = Server::start(&["-m", "16"]);
    let mut other = server.client();
    let value = pattern(1, 900_000);
    let set = set_bytes("half", &value);
    for _ in 0..60 {
        let mut client = server.client();
        client.send(&set[..600_000]);
        client.wait_until_read();
        drop(client);
    }
    wait_for("they are gone", || (other.stat("curr_connections") == 1).then_some(()));
    other.expect_missing("half");
    for number in 0..40 {
        other.set(&format!("k{number}"), &value);
        other.expect_value(&format!("k{number}"), &value);
    }
}

#[test]
fn many_values_half_sent_at_once_leave_room_for_others() {
    let server = Server::start(&["-m", "16"]);
    let mut other = server.client();
    let set = set_bytes("half", &pattern(1, 900_000));
    let mut halves: Vec<Client> = (0..40).map(|_| server.client()).collect();
    for client in &mut halves {
        client.send(&set[..200_000]);
    }
    for number in 0..200 {
        let (key, value) = (format!("k{number}"), pattern(number, 1000));
        other.set(&key, &value);
        other.expect_value(&key, &value);
    }
    for client in &mut halves {
        client.try_send(&set[200_000..]);
        let reply = client.line();
        // memcached has another text for memory that ends within a value: any of them will do.
        let refused = reply.to_lowercase().starts_with("server_error out of memory");
        assert!(reply == "STORED" || refused, "a strange reply: {reply}");
        client.expect_silence();
    }
}

/// Starts to read a reply larger than the sockets hold, lets another client act, reads the rest.
#[track_caller]
fn expect_intact_after(act: impl FnOnce(&mut Client)) {
    let server = Server::start(&["-m", "128", "-I", "8m"]);
    let mut other = server.client();
    let value = pattern(1, 7 << 20);
    other.set("large", &value);
    let mut client = server.client();
    client.send("get large\r\nversion\r\n");
    client.expect("VALUE large 0 7340032\r\n");
    act(&mut other);
    client.expect(&value);
    client.expect("\r\nEND\r\nVERSION ");
}

#[test]
fn a_reply_being_sent_stays_intact_when_the_key_is_replaced() {
    expect_intact_after(|other| {
        let value = pattern(2, 7 << 20);
        other.set("large", &value);
        other.expect_value("large", &value);
    });
}

#[test]
fn a_reply_being_sent_stays_intact_when_the_key_is_deleted() {
    expect_intact_after(|other| {
        other.ask("delete large\r\n", "DELETED\r\n");
        other.expect_missing("large");
        // Its memory must not be given to these.
        for number in 0..60 {
            other.set(&format!("k{number}"), pattern(number, 1 << 20));
        }
    });
}

#[test]
fn a_reply_being_sent_stays_intact_when_all_is_flushed() {
    expect_intact_after(|other| {
        other.ask("flush_all\r\n", "OK\r\n");
        other.expect_missing("large");
        for number in 0..60 {
            other.set(&format!("k{number}"), pattern(number, 1 << 20));
        }
    });
}

#[test]
fn a_reply_being_sent_stays_intact_when_the_key_is_evicted() {
    expect_intact_after(|other| {
        for number in 0..150 {
            other.set(&format!("k{number}"), vec![b'v'; 1 << 20]);
        }
    });
}

#[test]
fn pipelined_gets_show_whole_values_while_the_key_changes() {
    let server = Server::start(&["-m", "32"]);
    let mut other = server.client();
    let values = [1, 2].map(|seed| pattern(seed, 200_000));
    let replies = [&values[0], &values[1]].map(|value| get_reply("large", value));
    other.set("large", &values[0]);
    let mut client = server.client();
    client.send("get large\r\n".repeat(200));
    let mut changed = false;
    for number in 0..200 {
        if number == 20 {
            other.set("large", &values[1]);
        }
        let reply = client.receive(replies[0].len());
        changed = changed || reply == replies[1];
        let expected = &replies[usize::from(changed)];
        assert!(reply == *expected, "reply {number} is neither the old value nor the new");
    }
    client.expect_silence();
}

/// A client that has announced a value of so many bytes and sent the first of them.
fn begun(server: &Server, bytes: usize, sent: usize) -> Client {
    let mut client = server.client();
    client.send(format!("set stalled 0 0 {bytes}\r\n"));
    client.send(pattern(1, sent));
    client
}

/// What counts is what stalled values hold, not what they announced.
#[test]
fn values_announced_and_not_sent_keep_nobody_waiting() {
    let server = Server::start(&["-m", "64", "-I", "32m", "-t", "1"]);
    let mut stalled = vec![begun(&server, 32_000_000, 1)];
    stalled.extend((0..16).map(|_| begun(&server, 1_000_000, 1)));
    for client in &mut stalled {
        client.wait_until_read();
    }
    let mut other = server.client();
    for bytes in [16_385, 100_000, 1_000_000, 20_000_000] {
        other.set("w", pattern(2, bytes));
        other.expect_value("w", pattern(2, bytes));
    }
    assert!(other.stat("silent_upload_kicks") == 0, "nobody had to go");
}

/// How long a value waits for memory does not depend on what others do meanwhile.
#[test]
fn a_value_waits_for_memory_as_long_beside_busy_clients() {
    let server = Server::start(&["-m", "16", "-t", "1"]);
    let mut other = server.client();
    let mut stalled: Vec<Client> = (0..20).map(|_| begun(&server, 1_000_000, 700_000)).collect();
    let value = pattern(3, 900_000);
    let mut waiting = server.client();
    waiting.send(set_bytes("w", &value));
    for _ in 0..4000 {
        other.ask("get nothing\r\n", "END\r\n");
    }
    stalled.clear();
    waiting.expect("STORED\r\n");
    other.expect_value("w", &value);
}

/// Values that hold all that arriving values may, and do not go on, are given up for one that does.
#[test]
fn a_value_that_stalls_is_given_up_for_one_that_needs_its_memory() {
    let server = Server::start(&["-m", "16", "-t", "2"]);
    let stalled: Vec<Client> = (0..20).map(|_| begun(&server, 1_000_000, 700_000)).collect();
    let mut other = server.client();
    let value = pattern(3, 900_000);
    other.set("w", &value);
    other.expect_value("w", &value);
    wait_for("silent clients are closed", || (other.stat("silent_upload_kicks") > 0).then_some(()));
    assert!(server.log().contains("sends nothing of a value"), "it is said in the log");
    drop(stalled);
}

/// Values that come slowly and together are too much for memory wait for each other at last.
#[test]
fn slow_values_that_come_together_are_all_stored() {
    let server = Server::start(&["-m", "16", "-t", "2"]);
    let value = pattern(4, 1_000_000);
    let mut clients: Vec<Client> = (0..14)
        .map(|number| {
            let mut client = server.client();
            client.send(format!("set k{number} 0 0 1000000\r\n"));
            client
        })
        .collect();
    let block = [&value, b"\r\n".as_slice()].concat();
    for piece in block.chunks(50_000) {
        for client in &mut clients {
            client.send(piece);
        }
    }
    for client in &mut clients {
        client.expect("STORED\r\n");
    }
}

/// Clients that pin all values by not reading them make way for who stores.
#[test]
fn readers_that_hold_all_values_make_way_for_new_ones() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let server = Server::start_unix(&path, &["-m", "16", "-I", "8m", "-t", "2"]);
    let mut other = Client::connect_unix(&path);
    let mut count = 0;
    while other.stat("evictions") == 0 {
        other.set(&format!("k{count}"), pattern(count, 100_000));
        count += 1;
    }
    let mut lazy: Vec<Client> = (0..2 * count).map(|_| Client::connect_unix(&path)).collect();
    for (number, client) in (0..).zip(&mut lazy) {
        let keys: String = (0..20).map(|next| format!("get k{}\r\n", (number + next) % count)).collect();
        client.send(keys);
    }
    let value = pattern(1, 7_000_000);
    other.set("new", &value);
    other.expect_value("new", &value);
    assert!(other.stat("slow_reader_kicks") > 0, "somebody had to go");
    assert!(server.log().contains("reads too slowly"), "it is said in the log");
}
