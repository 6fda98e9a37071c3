//! What signals do: stop with status 0, or nothing.

use crate::server::Server;

#[test]
fn a_signal_to_stop_ends_with_status_0() {
    for signal in ["TERM", "INT", "USR1"] {
        let mut server = Server::start(&[]);
        let mut client = server.client();
        client.set("a", "1");
        server.signal(signal);
        let status = server.wait_exit();
        assert!(status.code() == Some(0), "SIG{signal} ended it with {status}");
        client.expect_closed();
    }
}

#[test]
fn a_server_stops_while_clients_are_in_the_middle() {
    for signal in ["TERM", "USR1"] {
        let mut server = Server::start(&["-m", "16"]);
        let mut reading = server.client();
        reading.set("a", vec![b'v'; 500_000]);
        reading.send("get a\r\n".repeat(100));
        let mut writing = server.client();
        writing.send("set b 0 0 100000\r\nhalf");
        writing.wait_until_read();
        server.signal(signal);
        let status = server.wait_exit();
        assert!(status.code() == Some(0), "SIG{signal} ended it with {status}");
    }
}

#[test]
fn pipe_and_hup_do_not_stop_it() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    for signal in ["PIPE", "HUP"] {
        server.signal(signal);
        client.set("a", signal);
        client.expect_value("a", signal);
    }
    server.client().expect_silence();
    assert!(server.is_running(), "the server ended");
}

#[test]
fn a_graceful_stop_says_so() {
    let mut server = Server::start(&[]);
    server.signal("USR1");
    let status = server.wait_exit();
    assert!(status.code() == Some(0), "it ended with {status}");
    let log = server.log();
    assert!(log.contains("Gracefully stopping"), "the log says: {log}");
}
