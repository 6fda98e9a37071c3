//! Bytes no client would send: the server lives on and serves the others. `FLAGSTONE_TEST_SEED`
//! takes a printed seed back.

use crate::client::{Client, Random};
use crate::server::Server;

const CONNECTIONS: usize = 150;

/// Pieces of commands, to get further than bytes alone would.
const WORDS: &[&[u8]] = &[
    b"get ",
    b"gets ",
    b"gat 0 ",
    b"set ",
    b"add ",
    b"replace ",
    b"append ",
    b"prepend ",
    b"cas ",
    b"touch ",
    b"incr ",
    b"decr ",
    b"delete ",
    b"flush_all ",
    b"stats ",
    b"stats items",
    b"version",
    b"noreply",
    b"k ",
    b"0 ",
    b"1 ",
    b"-1 ",
    b"5 ",
    b"100000 ",
    b"2147483645 ",
    b"18446744073709551615 ",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"0 0 5\r\nhello\r\n",
    b"good ",
    b"mg k v",
    b"ms k 2",
    b"\x80",
    b"\0",
    b"\xff",
];

fn seed() -> u64 {
    if let Ok(given) = std::env::var("FLAGSTONE_TEST_SEED") {
        return given.parse().expect("FLAGSTONE_TEST_SEED is a number");
    }
    // std has no random numbers, but keys its hash maps with them.
    let state = std::collections::hash_map::RandomState::new();
    std::hash::BuildHasher::hash_one(&state, "seed") | 1
}

/// One connection's bytes: words and noise, mostly words.
fn noise(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(200) {
        if random.below(4) > 0 {
            bytes.extend_from_slice(WORDS[random.below(WORDS.len())]);
        } else {
            let count = random.below(20);
            bytes.extend((0..count).map(|_| random.next().to_le_bytes()[3]));
        }
    }
    bytes
}

/// What a good client sees must not depend on the noise; only its own key is its own.
fn serve_good_client(client: &mut Client) {
    client.set("not-in-the-noise", "value");
    let line = client.ask_line("get not-in-the-noise\r\n");
    // The noise may flush.
    if line != "END" {
        client.expect("value\r\nEND\r\n");
    }
}

#[test]
fn random_bytes_harm_nobody() {
    let seed = seed();
    eprintln!("FLAGSTONE_TEST_SEED={seed}");
    let mut random = Random(seed);
    let mut server = Server::start(&["-m", "16", "-t", "2"]);
    let mut good = server.client();
    for connection in 0..CONNECTIONS {
        let mut bad = server.client();
        let bytes = noise(&mut random);
        let cut = random.below(bytes.len() + 1);
        // The server may close in between.
        let _ = bad.try_send(&bytes[..cut]) && bad.try_send(&bytes[cut..]);
        serve_good_client(&mut good);
        // Half of them leave unread replies behind.
        if connection % 2 == 0 && bad.finish_sending() {
            bad.read_to_end();
        }
    }
    assert!(server.is_running(), "the server ended, seed {seed}");
    serve_good_client(&mut good);
}

#[test]
fn connections_that_say_nothing_harm_nobody() {
    let server = Server::start(&["-t", "2"]);
    let mut good = server.client();
    let silent: Vec<Client> = (0..200).map(|_| server.client()).collect();
    serve_good_client(&mut good);
    drop(silent);
    serve_good_client(&mut good);
}
