//! incr, decr: 64-bit decimal counters kept as text.

use crate::server::Server;

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";
const NOT_NUMERIC: &str = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
const BAD_DELTA: &str = "CLIENT_ERROR invalid numeric delta argument\r\n";

#[test]
fn incr_and_decr_answer_the_new_value() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "5");
    client.ask("incr a 3\r\n", "8\r\n");
    client.ask("decr a 1\r\n", "7\r\n");
    client.ask("incr a 0\r\n", "7\r\n");
    client.expect_value("a", "7");
    client.expect_stats(&[("incr_hits", 2), ("decr_hits", 1), ("cmd_set", 1)]);
}

#[test]
fn a_missing_counter_is_not_found() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("incr a 1\r\n", "NOT_FOUND\r\n");
    client.ask("decr a 1\r\n", "NOT_FOUND\r\n");
    client.expect_missing("a");
    client.expect_stats(&[("incr_misses", 1), ("decr_misses", 1)]);
}

#[test]
fn decr_stops_at_zero() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "5");
    client.ask("decr a 6\r\n", "0\r\n");
    client.ask("decr a 18446744073709551615\r\n", "0\r\n");
}

#[test]
fn incr_wraps_at_two_to_the_64() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "18446744073709551614");
    client.ask("incr a 1\r\n", "18446744073709551615\r\n");
    client.ask("incr a 1\r\n", "0\r\n");
    client.expect_value("a", format!("{:<20}", 0));
    client.ask("incr a 18446744073709551615\r\n", "18446744073709551615\r\n");
    client.ask("incr a 18446744073709551615\r\n", "18446744073709551614\r\n");
    client.ask("decr a 18446744073709551613\r\n", "1\r\n");
}

#[test]
fn a_shorter_number_is_padded_on_the_right() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "10");
    client.ask("decr a 1\r\n", "9\r\n");
    client.expect_value("a", "9 ");
    client.ask("incr a 1\r\n", "10\r\n");
    client.expect_value("a", "10");
    client.set("a", "  5  ");
    client.ask("incr a 1\r\n", "6\r\n");
    client.expect_value("a", "6    ");
}

#[test]
fn a_longer_number_grows_the_item() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 77 0 2\r\n99\r\n", "STORED\r\n");
    client.ask("incr a 1\r\n", "100\r\n");
    client.ask("get a\r\n", "VALUE a 77 3\r\n100\r\nEND\r\n");
    client.ask("incr a 18446744073709551515\r\n", "18446744073709551615\r\n");
    client.ask("get a\r\n", "VALUE a 77 20\r\n18446744073709551615\r\nEND\r\n");
}

#[test]
fn arithmetic_gives_a_new_cas() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "9");
    let mut seen = vec![client.cas("a")];
    for command in ["incr a 0", "decr a 1", "incr a 1", "incr a 1"] {
        client.ask_line(format!("{command}\r\n"));
        let cas = client.cas("a");
        assert!(!seen.contains(&cas), "{command} left an old cas");
        seen.push(cas);
    }
}

#[test]
fn what_is_no_number_is_refused_and_stays() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let texts = ["x", "", "-1", "1x", "0x10", "1.5", "18446744073709551616", "99999999999999999999"];
    for text in texts {
        client.set("a", text);
        client.ask("incr a 1\r\n", NOT_NUMERIC);
        client.ask("decr a 1\r\n", NOT_NUMERIC);
        client.expect_value("a", text);
    }
}

#[test]
fn twenty_digits_and_leading_zeros_are_numbers() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "00000000000000000007");
    client.ask("incr a 1\r\n", "8\r\n");
    client.set("a", "10000000000000000000");
    client.ask("decr a 1\r\n", "9999999999999999999\r\n");
    client.expect_value("a", "9999999999999999999 ");
}

#[test]
fn a_bad_delta_is_refused_before_the_key_is_looked_up() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for delta in ["x", "-1", "1x", "18446744073709551616", "1.0"] {
        client.ask(format!("incr nosuch {delta}\r\n"), BAD_DELTA);
        client.ask(format!("decr nosuch {delta}\r\n"), BAD_DELTA);
    }
}

#[test]
fn words_missing_or_a_key_too_long_are_a_bad_format() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for line in ["incr", "decr", "incr a", "decr a"] {
        client.ask(format!("{line}\r\n"), BAD_FORMAT);
    }
    client.ask(format!("incr {} 1\r\n", "k".repeat(251)), BAD_FORMAT);
    client.set("a", "1");
    client.ask("incr a 1 2 3\r\n", "2\r\n");
}

#[test]
fn noreply_silences_results_and_errors() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", "1");
    client.set("x", "x");
    client.send("incr a 5 noreply\r\ndecr a 2 noreply\r\nincr nosuch 1 noreply\r\n");
    client.send("incr a x noreply\r\nincr x 1 noreply\r\n");
    client.expect_silence();
    client.expect_value("a", "4");
}

#[test]
fn increments_of_many_clients_are_all_counted() {
    let server = Server::start(&["-t", "2"]);
    server.client().set("a", "0");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = server.client();
            scope.spawn(move || {
                for _ in 0..300 {
                    client.ask_line("incr a 1\r\n");
                }
            });
        }
    });
    server.client().expect_value("a", "1200");
}
