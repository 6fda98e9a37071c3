//! What an item can come to have beside its value always finds room: an exptime, marks, a client's own cas.

use crate::client::{Client, pattern, set_bytes};
use crate::server::Server;

/// Values about as long as a chunk can hold: items just below, at and above where they begin to lie in pieces.
const LENGTHS: std::ops::RangeInclusive<usize> = 16_300..=16_500;

/// Commands that add fields to an item `k` of so many bytes, and what is answered; `V` stands for its value.
const COMMANDS: [(&str, &str); 15] = [
    ("touch k 100", "TOUCHED\r\n"),
    ("gat 100 k", "VALUE k 0 N\r\nV\r\nEND\r\n"),
    ("mg k T100 s v", "VA N sN\r\nV\r\n"),
    ("mg k T100 R200 s v", "VA N sN W\r\nV\r\n"),
    ("mg k N100 s", "HD sN\r\n"),
    ("touch k 30\r\nmg k R40 s v\r\nmg k R40 s", "TOUCHED\r\nVA N sN W\r\nV\r\nHD sN Z\r\n"),
    ("md k I\r\nmg k s v\r\nmg k s", "HD\r\nVA N sN X W\r\nV\r\nHD sN Z X\r\n"),
    ("md k I T100\r\nmg k s v", "HD\r\nVA N sN X W\r\nV\r\n"),
    ("md k I T100 E77\r\nmg k s c", "HD\r\nHD sN c77 X W\r\n"),
    ("md k x\r\nmg k s", "HD\r\nHD s0\r\n"),
    ("ms k N T100 E77\r\nV\r\nmg k s c v", "HD\r\nVA N sN c77\r\nV\r\n"),
    ("touch k 100\r\nms k N C1 I E77\r\nV\r\nmg k s c v", "TOUCHED\r\nHD\r\nVA N sN c77 X W\r\nV\r\n"),
    ("ms k 1 MA E77\r\nx\r\nmg k c\r\ntouch k 9\r\nget k", "HD\r\nHD c77\r\nTOUCHED\r\nVALUE k 0 M\r\nVx\r\nEND\r\n"),
    ("prepend k 0 0 1\r\nx\r\ntouch k 9\r\nget k", "STORED\r\nTOUCHED\r\nVALUE k 0 M\r\nxV\r\nEND\r\n"),
    ("gat 100 k\r\nmd k I E77\r\nmg k R200 v", "VALUE k 0 N\r\nV\r\nEND\r\nHD\r\nVA N X W\r\nV\r\n"),
];

/// A script with the value and its length put in.
fn filled(script: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (nth, word) in script.split_inclusive([' ', '\n', '\r']).enumerate() {
        let (name, end) = word.split_at(word.trim_end().len());
        match name {
            "V" => bytes.extend_from_slice(value),
            "Vx" => bytes.extend_from_slice(&[value, b"x"].concat()),
            "xV" => bytes.extend_from_slice(&[b"x", value].concat()),
            "M" => bytes.extend_from_slice((value.len() + 1).to_string().as_bytes()),
            "N" if nth > 0 => bytes.extend_from_slice(value.len().to_string().as_bytes()),
            "sN" => bytes.extend_from_slice(format!("s{}", value.len()).as_bytes()),
            other => bytes.extend_from_slice(other.as_bytes()),
        }
        bytes.extend_from_slice(end.as_bytes());
    }
    bytes
}

/// Plays all commands over items of these lengths and key.
#[track_caller]
fn sweep(client: &mut Client, lengths: impl Iterator<Item = usize>) {
    for length in lengths {
        let value: Vec<u8> = pattern(7, length).iter().map(|byte| b'a' + byte % 26).collect();
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for (command, reply) in COMMANDS {
            requests.extend_from_slice(&set_bytes("k", &value));
            requests.extend_from_slice(&filled(&format!("{command}\r\n"), &value));
            replies.extend_from_slice(b"STORED\r\n");
            replies.extend_from_slice(&filled(reply, &value));
        }
        client.ask_much(&requests, replies);
    }
}

#[test]
fn every_command_that_adds_a_field_works_at_every_size() {
    let server = Server::start(&[]);
    let mut client = server.client();
    sweep(&mut client, LENGTHS);
    client.expect_stats(&[("evictions", 0)]);
}

#[test]
fn with_flags_too() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (flags, length) in LENGTHS.flat_map(|length| [(7, length), (70_000, length)]) {
        let value = vec![b'v'; length];
        let set = [format!("set k {flags} 0 {length}\r\n").as_bytes(), &value, b"\r\n"].concat();
        let shown = [format!("VALUE k {flags} {length}\r\n").as_bytes(), &value, b"\r\nEND\r\n"].concat();
        client.ask_much(
            &[&set[..], b"touch k 100\r\nget k\r\n"].concat(),
            [b"STORED\r\nTOUCHED\r\n", &shown[..]].concat(),
        );
        client.ask_much(&[&set[..], b"gat 100 k\r\n"].concat(), [b"STORED\r\n", &shown[..]].concat());
        client.ask_much(
            &[&set[..], b"md k I E7\r\nmg k f s\r\n"].concat(),
            format!("STORED\r\nHD\r\nHD f{flags} s{length} X W\r\n"),
        );
    }
}

#[test]
fn a_long_number_takes_fields_or_is_none() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for length in LENGTHS {
        let value = format!("{:<length$}", 10);
        client.set("k", &value);
        let is_number = match client.ask_line("incr k 5\r\n").as_str() {
            "15" => true,
            line => {
                assert!(line == "CLIENT_ERROR cannot increment or decrement non-numeric value", "{length}: {line}");
                false
            }
        };
        let (changed, left) = if is_number {
            ("HD c77", 20)
        } else {
            ("CLIENT_ERROR cannot increment or decrement non-numeric value", 10)
        };
        let line = client.ask_line("ma k D5 T100 E77 c\r\n");
        assert!(line == changed, "{length}: {line}");
        client.expect_value("k", format!("{left:<length$}"));
    }
}

#[test]
fn a_full_server_that_evicts_nothing_refuses_no_field() {
    for length in [10, 100, 5000, 16_350, 40_000] {
        let server = Server::start(&["-M", "-m", "8", "-I", "512k"]);
        let mut client = server.client();
        let value = vec![b'v'; length];
        // Near the end some of a batch are refused and later ones stored: keys are not used twice.
        let mut stored: Vec<usize> = Vec::new();
        for first in (0..).step_by(64) {
            let numbers = first..first + 64;
            let batch: Vec<u8> = numbers.clone().flat_map(|number| set_bytes(&format!("k{number}"), &value)).collect();
            client.send(batch);
            let before = stored.len();
            stored.extend(numbers.filter(|_| client.line() == "STORED"));
            if stored.len() == before {
                break;
            }
        }
        let count = stored.len();
        assert!(count * length > 2 << 20, "{length}: full at {count}");
        let shown = "v".repeat(length);
        for number in stored.into_iter().step_by((count / 300).max(1)) {
            let get = format!("VALUE k{number} 0 {length}\r\n{shown}\r\nEND\r\n");
            client.ask(format!("touch k{number} 1000\r\n"), "TOUCHED\r\n");
            client.ask_much(format!("gat 0 k{number}\r\n").as_bytes(), &get);
            client.ask_much(format!("mg k{number} T9 R50 v\r\n").as_bytes(), format!("VA {length} W\r\n{shown}\r\n"));
            client.ask(format!("md k{number} I T2000\r\nmg k{number} s\r\n"), format!("HD\r\nHD s{length} X W\r\n"));
            client.ask_much(format!("gats 900 k{number}\r\nget k{number}\r\n").as_bytes(), {
                let cas = server.client().cas(&format!("k{number}"));
                format!("VALUE k{number} 0 {length} {cas}\r\n{shown}\r\nEND\r\n{get}")
            });
        }
        client.expect_stats(&[("evictions", 0), ("curr_items", u64::try_from(count).expect("a count"))]);
    }
}
