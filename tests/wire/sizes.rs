//! stats sizes and track_sizes: how many items there are of each size.

use crate::client::Client;
use crate::server::{Server, wait_for};

/// The sizes and their counts.
#[track_caller]
fn sizes(client: &mut Client) -> Vec<(u64, u64)> {
    let number = |text: &str| text.parse::<u64>().expect("sizes and counts are numbers");
    client.stats("sizes").iter().map(|(size, count)| (number(size), number(count))).collect()
}

#[track_caller]
fn expect_items(client: &mut Client, items: u64) {
    let sizes = sizes(client);
    assert!(sizes.iter().all(|(size, count)| size % 32 == 0 && *count > 0), "{sizes:?}");
    assert!(sizes.is_sorted(), "{sizes:?}");
    let counted: u64 = sizes.iter().map(|(_, count)| count).sum();
    assert!(counted == items, "{items} items are counted as {sizes:?}");
    client.expect_stats(&[("curr_items", items)]);
}

#[test]
fn without_the_option_it_is_disabled() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.ask("stats sizes\r\n", "STAT sizes_status disabled\r\nEND\r\n");
    client.ask("stats sizes_enable\r\nstats sizes_disable\r\n", "ERROR\r\nERROR\r\n");
    client.ask("stats sizes\r\n", "STAT sizes_status disabled\r\nEND\r\n");
}

#[test]
fn every_way_an_item_changes_keeps_the_sizes_right() {
    let server = Server::start(&["-o", "track_sizes"]);
    let mut client = server.client();
    expect_items(&mut client, 0);
    for (key, bytes) in [("a", 1), ("b", 1000), ("c", 1010), ("d", 100_000)] {
        client.ask_much(&crate::client::set_bytes(key, &vec![b'v'; bytes]), "STORED\r\n");
    }
    expect_items(&mut client, 4);
    let longest = sizes(&mut client).last().map_or(0, |(size, _)| *size);
    assert!((100_000..100_200).contains(&longest), "the longest takes {longest}");
    // In place, to another class, longer and shorter, out of pieces and into them.
    client.set("b", vec![b'w'; 999]);
    client.set("a", vec![b'w'; 500]);
    client.ask_much(&crate::client::set_bytes("c", &vec![b'v'; 50_000]), "STORED\r\n");
    client.set("d", "short");
    expect_items(&mut client, 4);
    client.ask("append a 0 0 40\r\n".to_owned() + &"x".repeat(40) + "\r\n", "STORED\r\n");
    client.ask("set n 0 0 1\r\n9\r\nincr n 1\r\ndecr n 5\r\n", "STORED\r\n10\r\n5\r\n");
    client.ask("touch n 100\r\ngat 0 n\r\n", "TOUCHED\r\nVALUE n 0 2\r\n5 \r\nEND\r\n");
    client.ask("md d I T30\r\nmd b x\r\nmg e N30 v\r\n", "HD\r\nHD\r\nVA 0 W\r\n\r\n");
    expect_items(&mut client, 6);
    client.ask("delete a\r\nset n 0 -1 1\r\n1\r\nget n\r\n", "DELETED\r\nSTORED\r\nEND\r\n");
    expect_items(&mut client, 4);
    client.ask("stats reset\r\n", "RESET\r\n");
    expect_items(&mut client, 4);
    client.ask("flush_all\r\nget b c d e\r\n", "OK\r\nEND\r\n");
    wait_for("everything is gone", || sizes(&mut client).is_empty().then_some(()));
}

#[test]
fn evictions_and_several_workers_keep_the_sizes_right() {
    let server = Server::start(&["-m", "4", "-I", "512k", "-t", "3", "-o", "track_sizes"]);
    let mut clients: Vec<Client> = (0..6).map(|_| server.client()).collect();
    for number in 0..3000 {
        let bytes = [10, 3000, 900, 9000][number / 750];
        let client = &mut clients[number % 6];
        client.set(&format!("k{number}"), vec![b'v'; bytes]);
    }
    let client = &mut clients[0];
    assert!(client.stat("evictions") > 0, "there is not room for all");
    wait_for("nobody moves items", || {
        let items = client.stat("curr_items");
        let counted: u64 = sizes(client).iter().map(|(_, count)| count).sum();
        (counted == items).then_some(())
    });
}
