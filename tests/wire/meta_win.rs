//! Stale and won: of many clients that meet a missing, an early or a stale item exactly one is told to bring a new
//! value.

use crate::client::{Client, Random};
use crate::server::Server;

#[test]
fn the_first_to_miss_makes_the_item_and_wins() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("mg k v N30 s h\r\n", "VA 0 s0 h0 W\r\n\r\n");
    client.ask("mg k v N30\r\n", "VA 0 Z\r\n\r\n");
    client.ask("mg k v\r\n", "VA 0 Z\r\n\r\n");
    client.ask("ms k 2 T0\r\nhi\r\n", "HD\r\n");
    client.ask("mg k v N30\r\n", "VA 2\r\nhi\r\n");
    client.ask("mg m N0 E44 c t k O1\r\n", "HD c44 t-1 km O1 W\r\n");
}

#[test]
fn an_item_that_dies_soon_is_won_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ms k 2 T100\r\nhi\r\n", "HD\r\n");
    client.ask("mg k v R30\r\n", "VA 2\r\nhi\r\n");
    client.ask("mg k v R200\r\n", "VA 2 W\r\nhi\r\n");
    client.ask("mg k v R200\r\n", "VA 2 Z\r\nhi\r\n");
    client.ask("ms k 2 T0\r\nho\r\n", "HD\r\n");
    client.ask("mg k R200\r\nmg k R0\r\nmg k R-1\r\n", "HD\r\nHD\r\nHD\r\n");
    client.ask("ms k 2 T100\r\nho\r\n", "HD\r\n");
    client.ask("mg k T500 R200\r\n", "HD\r\n");
    client.ask("mg k R1000 T50\r\n", "HD W\r\n");
}

#[test]
fn an_invalidated_item_is_served_as_stale_and_won_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("md k I\r\n", "NF\r\n");
    client.ask("ms k 2 F5\r\nhi\r\n", "HD\r\n");
    let before = client.cas("k");
    client.ask("md k I T300 q\r\n", "");
    let cas = client.cas("k");
    assert_ne!(cas, before, "invalidating gives a new version");
    client.ask("get k\r\n", "VALUE k 5 2\r\nhi\r\nEND\r\n");
    client.ask("mg k v c\r\n", format!("VA 2 c{cas} X W\r\nhi\r\n"));
    client.ask("mg k v\r\nmg k\r\n", "VA 2 Z X\r\nhi\r\nHD Z X\r\n");
    client.ask("md k I E88\r\n", "HD\r\n");
    client.ask("mg k c\r\nmg k c\r\n", "HD c88 X W\r\nHD c88 Z X\r\n");
    client.ask("ms k 2 C88 T0\r\nho\r\n", "HD\r\n");
    client.ask("mg k v t\r\n", "VA 2 t-1\r\nho\r\n");
}

#[test]
fn an_older_version_may_be_stored_as_stale() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ms k 1 E100 T300\r\n1\r\n", "HD\r\n");
    client.ask("ms k 1 C99\r\n2\r\n", "EX\r\n");
    client.ask("ms k 1 C101 I\r\n2\r\n", "EX\r\n");
    client.ask("ms k 2 C99 I T0 E200\r\n22\r\n", "HD\r\n");
    let line = client.ask_line("mg k s c t\r\n");
    assert!(line == "HD s2 c200 t300 X W" || line == "HD s2 c200 t299 X W", "it keeps its time: {line}");
    client.ask("ms k 30 C199 I E300\r\n333333333333333333333333333333\r\n", "HD\r\n");
    client.ask("mg k s c\r\n", "HD s30 c300 Z X\r\n");
    let large = "v".repeat(20_000);
    client.ask(format!("ms k 20000 C299 I E400\r\n{large}\r\n"), "HD\r\n");
    client.ask("mg k s c\r\n", "HD s20000 c400 Z X\r\n");
    client.ask("ms k 1 C400\r\n4\r\n", "HD\r\n");
    client.ask("mg k v\r\n", "VA 1\r\n4\r\n");
}

#[test]
fn a_mark_finds_room_on_items_of_every_size() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for bytes in (0..70).chain([1000, 16_300, 16_360, 16_382, 16_383, 16_384, 16_385, 40_000]) {
        let value = vec![b'v'; bytes];
        client.send(format!("ms k {bytes} T300\r\n"));
        client.ask([&value[..], b"\r\n"].concat(), "HD\r\n");
        client.ask("mg k s R600\r\n", format!("HD s{bytes} W\r\n"));
        client.ask("mg k s\r\n", format!("HD s{bytes} Z\r\n"));
        client.expect_value("k", &value);
        client.ask("md k I E5\r\n", "HD\r\n");
        client.ask("mg k s c T0\r\n", format!("HD s{bytes} c5 X W\r\n"));
        client.ask("mg k s c\r\n", format!("HD s{bytes} c5 Z X\r\n"));
        client.expect_value("k", &value);
    }
}

/// Many clients ask for the same keys at once, each time after these were deleted, invalidated or brought near their
/// end; of each round and key exactly one sees W.
#[test]
fn of_many_clients_exactly_one_wins() {
    const CLIENTS: usize = 12;
    const KEYS: usize = 8;
    const ROUNDS: usize = 40;
    let server = Server::start(&["-t", "4"]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    let mut random = Random(1);
    for round in 0..ROUNDS {
        let marks: Vec<usize> = (0..KEYS).map(|_| random.below(3)).collect();
        let question: String = (0..KEYS).map(|key| format!("mg key{key} v k N300 R600\r\n")).collect();
        for (key, mark) in marks.iter().enumerate() {
            let value = "x".repeat(random.below(40));
            let length = value.len();
            match mark {
                0 => drop(clients[0].ask_line(format!("md key{key}\r\n"))),
                1 => clients[0].ask(format!("ms key{key} {length} T0\r\n{value}\r\nmd key{key} I\r\n"), "HD\r\nHD\r\n"),
                _ => clients[0].ask(format!("ms key{key} {length} T500\r\n{value}\r\n"), "HD\r\n"),
            }
        }
        // All are written to before any is read from.
        for client in &mut clients {
            client.send(&question);
        }
        let mut winners = [0; KEYS];
        for client in &mut clients {
            for (key, winners) in winners.iter_mut().enumerate() {
                let line = client.line();
                client.line();
                assert!(line.contains(&format!(" kkey{key}")), "round {round}: {line}");
                let [won, was_won, stale] = [" W", " Z", " X"].map(|mark| line.contains(mark));
                assert!(won != was_won, "one or the other, round {round}: {line}");
                assert_eq!(stale, marks[key] == 1, "round {round}: {line}");
                *winners += usize::from(won);
            }
        }
        assert_eq!(winners, [1; KEYS], "round {round}, {marks:?}");
    }
}
