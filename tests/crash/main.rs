//! A server with `-e` that is killed in the middle of its work, again and again on one file, and clients that know what
//! they were told: every acknowledged write is there afterwards.
//!
//! `FLAGSTONE_CRASHES` says how often it is killed.

mod client;
mod server;
mod upgrade;

use std::sync::RwLock;
use std::sync::mpsc::channel;
use std::thread;

use client::{Client, Random};
use server::{Folder, Server};

/// Clients at work at the same time, each with keys of its own.
const CLIENTS: u64 = 8;
/// Most steps of one of them until the next kill, whatever the others are at.
const STEPS_MAX: u64 = 800;

fn crashes() -> u64 {
    std::env::var("FLAGSTONE_CRASHES").map_or(6, |text| text.parse().expect("FLAGSTONE_CRASHES is a number"))
}

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let folder = Folder::new("kill");
    let mut clients: Vec<Client> = (0..CLIENTS).map(Client::new).collect();
    let mut random = Random::new(7);
    let mut kept = 0;
    let flushes = RwLock::new(0);
    for crash in 0..crashes() {
        let server = Server::start(&folder, &["-m", "256", "-t", "2"]);
        let (socket, steps) = (server.socket(), 20 + random.below(STEPS_MAX));
        kept += server.stat("restart_items_kept").unwrap_or(0);
        assert_eq!(server.stat("restart_items_dropped_broken").unwrap_or(0), 0);
        clients.iter_mut().for_each(|client| client.verify(&socket));
        let flush_in_work = thread::scope(|scope| {
            let (flushes, socket) = (&flushes, &socket);
            let mut threads = Vec::new();
            let (enough, done) = channel();
            for (number, client) in clients.iter_mut().enumerate() {
                // In every fourth run somebody flushes.
                let flushes_in_this_run = crash % 4 == 3 && number == 2;
                let (enough, steps) = (enough.clone(), if number == 0 { steps } else { u64::MAX });
                threads.push(scope.spawn(move || {
                    let mut left = steps;
                    client.work(socket, flushes, flushes_in_this_run, || {
                        left = left.saturating_sub(1);
                        // Nobody hears it who has killed the server.
                        let _ = if left == 0 { enough.send(()) } else { Ok(()) };
                    })
                }));
            }
            done.recv().expect("a client comes so far");
            server.kill();
            threads.into_iter().any(|thread| thread.join().expect("a client does not fail"))
        });
        let count = *flushes.read().expect("nobody fails");
        clients.iter_mut().for_each(|client| client.note_flushes(count));
        if flush_in_work {
            clients.iter_mut().for_each(Client::note_flush_in_work);
        }
    }
    let server = Server::start(&folder, &["-m", "256", "-t", "2"]);
    for client in &mut clients {
        client.verify(&server.socket());
    }
    assert!(kept > 0, "nothing was ever kept");
    assert_eq!(server.stat("evictions"), Some(0), "what is missing would prove nothing");
}

/// Items that move to another layout are in one of the two files, whenever the move is killed.
#[test]
fn a_move_to_another_layout_that_is_killed_loses_nothing() {
    let folder = Folder::new("moves");
    let mut clients: Vec<Client> = (0..CLIENTS).map(Client::new).collect();
    let factors = ["1.5", "1.2", "1.9"];
    for round in 0..6 {
        let server = Server::start(&folder, &["-m", "64", "-t", "2", "-f", factors[round % 3]]);
        for client in &mut clients {
            client.verify(&server.socket());
            client.do_some(&server.socket(), 200);
        }
        server.kill();
        for kill in 0..4 {
            Server::start_and_kill(&folder, &["-m", "64", "-t", "2", "-f", factors[(round + 1) % 3]], kill * 100);
        }
    }
    let server = Server::start(&folder, &["-m", "64", "-t", "2", "-f", factors[0]]);
    clients.iter_mut().for_each(|client| client.verify(&server.socket()));
    assert!(!folder.holds("memory.moving"), "it has taken the other's name");
    assert_eq!(server.stat("evictions"), Some(0), "what is missing would prove nothing");
}

/// What a stop in order keeps, as memcached's does at SIGUSR1 alone.
#[test]
fn every_stop_and_every_other_size_keeps_the_items() {
    let folder = Folder::new("stops");
    let mut client = Client::new(1);
    let sizes = ["64", "64", "32", "256", "128"];
    for (size, signal) in sizes.into_iter().zip(["TERM", "INT", "USR1", "KILL", "TERM"]) {
        let server = Server::start(&folder, &["-m", size, "-I", "2m", "-t", "3"]);
        client.verify(&server.socket());
        client.do_some(&server.socket(), 200);
        server.end_by(signal);
    }
    let server = Server::start(&folder, &["-m", "64", "-f", "1.5", "-n", "100"]);
    client.verify(&server.socket());
    assert!(server.stat("restart_items_kept").is_some_and(|kept| kept > 50));
}
