//! How many connections, how long idle, how many requests a turn.

use crate::client::Client;
use crate::server::{Server, wait_for};
use std::sync::atomic::{AtomicBool, Ordering};

const LIMIT: usize = 64;

#[test]
fn over_the_limit_a_client_is_told_and_closed() {
    let server = Server::start(&["-c", "64", "-t", "1"]);
    let mut clients = Vec::new();
    let refused = loop {
        assert!(clients.len() <= LIMIT, "nobody was refused");
        let mut client = server.client();
        // One that is refused may be closed before it can say anything.
        client.try_send("version\r\n");
        let line = client.line();
        if !line.starts_with("VERSION ") {
            break (client, line);
        }
        clients.push(client);
    };
    let (mut client, line) = refused;
    assert!(line == "ERROR Too many open connections", "the refusal is: {line}");
    client.expect_closed();
    // Some of the limit is the server's own.
    assert!(clients.len() >= LIMIT / 4, "refused after {} clients", clients.len());
    let mut first = clients.swap_remove(0);
    assert!(first.stat("rejected_connections") >= 1, "the refusal was not counted");
    first.expect_stats(&[("max_connections", 64)]);
    let open = first.stat("curr_connections");
    assert!(open <= 64, "{open} connections are open");
}

#[test]
fn when_a_client_leaves_another_finds_room() {
    let server = Server::start(&["-c", "64", "-t", "1"]);
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let mut client = server.client();
        client.try_send("version\r\n");
        if !client.line().starts_with("VERSION ") {
            break;
        }
        clients.push(client);
    }
    drop(clients.pop());
    wait_for("there is room again", || {
        let mut client = server.client();
        client.try_send("version\r\n");
        client.line().starts_with("VERSION ").then_some(())
    });
    clients[0].expect_silence();
}

#[test]
fn without_maxconns_fast_clients_wait_in_the_backlog() {
    let server = Server::start(&["-c", "64", "-t", "1", "-o", "no_maxconns_fast"]);
    let mut first = server.client();
    let mut clients = Vec::new();
    while first.stat("listen_disabled_num") == 0 {
        clients.push(server.client());
        let opened = 1 + u64::try_from(clients.len()).expect("a count");
        assert!(opened <= 65, "more are open than allowed");
        wait_for("it accepts, or stops accepting", || {
            let accepted = first.stat("curr_connections") == opened;
            (accepted || first.stat("listen_disabled_num") > 0).then_some(())
        });
    }
    assert!(first.stat("accepting_conns") == 0, "it still accepts");
    // The last one may be the one that waits; one more has room in the shortest backlog.
    let mut last = clients.pop().expect("somebody was let in");
    if first.stat("curr_connections") > u64::try_from(clients.len()).expect("a count") + 1 {
        clients.push(std::mem::replace(&mut last, server.client()));
    }
    last.send("version\r\n");
    first.expect_silence();
    drop(clients);
    assert!(last.line().starts_with("VERSION "), "who waited is served in the end");
    wait_for("it accepts again", || (first.stat("accepting_conns") == 1).then_some(()));
}

#[test]
fn an_idle_client_is_closed_and_counted() {
    let server = Server::start(&["-o", "idle_timeout=1"]);
    let mut idle = server.client();
    let mut busy = server.client();
    idle.expect_silence();
    // Asking keeps the busy one alive meanwhile.
    wait_for("the idle one is kicked", || (busy.stat("idle_kicks") == 1).then_some(()));
    idle.expect_closed();
    busy.expect_silence();
}

/// memcached closes who is silent between requests or inside a line, however long that is, and nobody in a value.
#[test]
fn who_is_silent_inside_a_line_is_idle_and_who_is_inside_a_value_is_not() {
    let server = Server::start(&["-o", "idle_timeout=1"]);
    let long_line = format!("get {}", "k ".repeat(2000));
    let mut idle: Vec<Client> = ["", "get k", long_line.as_str()].map(|_| server.client()).into();
    for (client, said) in idle.iter_mut().zip(["", "get k", long_line.as_str()]) {
        client.send(said);
    }
    let (mut small, mut large) = (server.client(), server.client());
    small.send("set s 0 0 2\r\nx");
    large.send("set l 0 0 100000\r\nx");
    let mut busy = server.client();
    wait_for("three are kicked", || (busy.stat("idle_kicks") == 3).then_some(()));
    idle.iter_mut().for_each(Client::expect_closed);
    small.send("y\r\n");
    small.expect("STORED\r\n");
    large.send(format!("{}\r\n", "x".repeat(99_999)));
    large.expect("STORED\r\n");
}

/// Lets the flood end also when the test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pipelines without end and reads what comes, until told to stop.
fn flood(mut reader: Client, stop: &AtomicBool) {
    let mut writer = reader.twin();
    std::thread::scope(|scope| {
        scope.spawn(move || while writer.try_send("get nosuch\r\n".repeat(500)) {});
        // Relaxed: the flag orders nothing.
        while !stop.load(Ordering::Relaxed) {
            reader.expect("END\r\n".repeat(500));
        }
        reader.hang_up();
    });
}

#[test]
fn an_endless_pipeline_starves_nobody_on_its_thread() {
    let server = Server::start(&["-t", "1", "-R", "5"]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for _ in 0..2 {
            let client = server.client();
            scope.spawn(|| flood(client, &stop));
        }
        let mut other = server.client();
        wait_for("the flood has begun", || (other.stat("cmd_get") > 1000).then_some(()));
        let before = other.stat("cmd_get");
        for number in 0..100 {
            other.set("k", number.to_string());
        }
        let after = other.stat("cmd_get");
        assert!(after > before, "the flood stood still meanwhile");
    });
}

#[test]
fn a_deep_pipeline_yields_and_is_counted() {
    let server = Server::start(&["-t", "1", "-R", "2"]);
    let mut client = server.client();
    client.ask("get nosuch\r\n".repeat(500), "END\r\n".repeat(500));
    let yields = client.stat("conn_yields");
    assert!(yields >= 10, "500 commands, 2 a turn, yielded {yields} times");
}

/// memcached yields with the first request past `-R`. Writing replies counts as one more where the input ends; a get's
/// is written before the next request, and counts no more.
#[test]
fn yields_are_counted_as_by_memcached_however_long_a_turn_is() {
    let (set, get) = (("set k 0 0 1\r\nx\r\n", "STORED\r\n"), ("get nosuch\r\n", "END\r\n"));
    for (requests_a_turn, (request, reply), requests, yields) in [
        ("1", set, 6, 5),
        ("1", get, 6, 5),
        ("1", set, 1, 1),
        ("1", get, 1, 0),
        ("1", set, 40, 39),
        ("2", set, 6, 3),
        ("2", get, 6, 2),
        ("5", set, 100, 20),
        ("5", get, 100, 19),
        ("20", set, 19, 0),
        ("20", set, 20, 1),
        ("20", get, 20, 0),
        ("20", get, 21, 1),
    ] {
        let server = Server::start(&["-t", "1", "-R", requests_a_turn]);
        let mut client = server.client();
        client.ask(request.repeat(requests), reply.repeat(requests));
        let counted = client.stat("conn_yields");
        assert_eq!(counted, yields, "-R {requests_a_turn}, {requests} times {request:?}");
    }
}

#[test]
fn two_clients_that_pipeline_yield_to_each_other() {
    let server = Server::start(&["-t", "1", "-R", "1"]);
    let mut clients = [server.client(), server.client()];
    for client in &mut clients {
        client.send("set k 0 0 1\r\nx\r\n".repeat(2000));
    }
    for client in &mut clients {
        client.expect("STORED\r\n".repeat(2000));
    }
    // Each but the first of each; and a turn that reads begins anew.
    let yields = clients[0].stat("conn_yields");
    assert!((3900..=3998).contains(&yields), "2 times 2000 sets, 1 a turn, yielded {yields} times");
}

#[test]
fn few_commands_do_not_yield() {
    let server = Server::start(&["-t", "1", "-R", "1000"]);
    let mut client = server.client();
    client.ask("get nosuch\r\n".repeat(100), "END\r\n".repeat(100));
    client.expect_stats(&[("conn_yields", 0)]);
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let server = Server::start(&["-c", "200", "-t", "2"]);
    let mut first = server.client();
    // memcached counts its listeners, too.
    let total = first.stat("total_connections");
    for _ in 0..1000 {
        let mut client = server.client();
        client.expect_silence();
        client.ask("quit\r\n", "");
        client.expect_closed();
    }
    wait_for("all are gone", || (first.stat("curr_connections") == 1).then_some(()));
    first.expect_stats(&[("total_connections", total + 1000), ("rejected_connections", 0)]);
}

/// More than a turn closes, some of them in the middle of a value.
#[test]
fn clients_that_leave_all_at_once_are_served_their_last_and_closed() {
    const CLIENTS: u64 = 100;
    let server = Server::start(&["-c", "200", "-t", "1"]);
    let mut first = server.client();
    let total = first.stat("total_connections");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("set k{number} 0 0 1 noreply\r\nx\r\n"));
        if number % 2 == 0 {
            client.send("set L 0 0 100000\r\nhalf");
        } else {
            client.send("get a");
        }
    }
    drop(clients);
    wait_for("all were there", || (first.stat("total_connections") == total + CLIENTS).then_some(()));
    wait_for("all are gone", || (first.stat("curr_connections") == 1).then_some(()));
    first.expect_stats(&[("curr_items", CLIENTS)]);
    first.expect_missing("L");
}

#[test]
fn many_idle_clients_are_all_closed() {
    let server = Server::start(&["-t", "1", "-o", "idle_timeout=1"]);
    let mut clients: Vec<Client> = (0..60).map(|_| server.client()).collect();
    for client in &mut clients {
        client.expect_closed();
    }
    let mut last = server.client();
    last.expect_stats(&[("idle_kicks", 60), ("curr_connections", 1)]);
}
