//! Requests that are read together, because many are there and memory is slow: several on one connection, and those of
//! several clients. Replies are those of one at a time.

use std::collections::HashMap;

use crate::client::{Client, Random};
use crate::server::Server;

/// More than the server takes to fit its processor's caches.
const FILLERS: usize = 3000;
const CLIENTS: usize = 16;
const ROUNDS: usize = 60;
const REQUESTS_A_ROUND: usize = 40;
const KEYS_A_CLIENT: usize = 12;

/// What one client has stored, under keys of its own.
struct Peer {
    client: Client,
    name: usize,
    items: HashMap<usize, (usize, String)>,
}

impl Peer {
    fn hit(&self, key: usize) -> String {
        self.items.get(&key).map_or_else(String::new, |(flags, value)| {
            format!("VALUE {}-{key} {flags} {}\r\n{value}\r\n", self.name, value.len())
        })
    }

    /// The next request, and the reply to it.
    fn request(&mut self, random: &mut Random) -> (String, String) {
        let (name, key) = (self.name, random.below(KEYS_A_CLIENT));
        match random.below(20) {
            0..=8 => (format!("get {name}-{key}\r\n"), self.hit(key) + "END\r\n"),
            9..=14 => {
                let flags = random.below(3);
                let longest = if random.below(20) == 0 { 50_000 } else { 300 };
                let len = random.below(longest);
                let value = ["a", "b", "c"][flags].repeat(len);
                let request = format!("set {name}-{key} {flags} 0 {len}\r\n{value}\r\n");
                self.items.insert(key, (flags, value));
                (request, "STORED\r\n".to_owned())
            }
            15 => {
                let other = random.below(KEYS_A_CLIENT);
                (format!("get {name}-{key} {name}-{other}\r\n"), self.hit(key) + &self.hit(other) + "END\r\n")
            }
            16 => {
                let reply = if self.items.remove(&key).is_some() { "DELETED\r\n" } else { "NOT_FOUND\r\n" };
                (format!("delete {name}-{key}\r\n"), reply.to_owned())
            }
            17 => {
                self.items.insert(key, (0, "quiet".to_owned()));
                (format!("set {name}-{key} 0 0 5 noreply\r\nquiet\r\n"), String::new())
            }
            18 => (format!("set {name}-{key} 0 0 3\r\nabcde"), "CLIENT_ERROR bad data chunk\r\n".to_owned()),
            _ => ("nonsense\r\n".to_owned(), "ERROR\r\n".to_owned()),
        }
    }
}

#[test]
fn requests_read_together_are_served_one_by_one() {
    let server = Server::start(&["-t", "1", "-m", "64"]);
    let mut filler = server.client();
    for number in 0..FILLERS {
        filler.send(format!("set filler-{number} 0 0 1000 noreply\r\n{}\r\n", "f".repeat(1000)));
    }
    filler.send("get nosuch\r\n");
    filler.expect("END\r\n");
    let mut random = Random(7);
    let mut peers: Vec<Peer> =
        (0..CLIENTS).map(|name| Peer { client: server.client(), name, items: HashMap::new() }).collect();
    for _ in 0..ROUNDS {
        let mut expected = Vec::new();
        let mut later = Vec::new();
        for peer in &mut peers {
            // Now and then one request alone, as most clients send them.
            let count = if random.below(3) == 0 { 1 } else { REQUESTS_A_ROUND };
            let (requests, replies): (String, String) = (0..count).map(|_| peer.request(&mut random)).unzip();
            let cut = random.below(requests.len());
            peer.client.send(&requests[..cut]);
            later.push(requests[cut..].to_owned());
            expected.push(replies);
        }
        for (peer, rest) in peers.iter_mut().zip(later) {
            peer.client.send(rest);
        }
        for (peer, replies) in peers.iter_mut().zip(expected) {
            peer.client.expect(replies);
        }
    }
    for peer in &mut peers {
        peer.client.expect_silence();
    }
}
