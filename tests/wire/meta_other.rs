//! md and ma; base64 keys; what cannot be read.

use crate::server::Server;

#[test]
fn a_delete_takes_the_item_or_says_why_not() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("md k\r\n", "NF\r\n");
    client.ask("md k q k O1\r\n", "NF kk O1\r\n");
    client.set("k", "v");
    let cas = client.cas("k");
    client.ask(format!("md k C{} k O1\r\n", cas + 1), "EX kk O1\r\n");
    client.ask(format!("md k C{cas} k O1\r\n"), "HD kk O1\r\n");
    client.expect_missing("k");
    client.set("k", "v");
    client.ask("md k q\r\nmn\r\n", "MN\r\n");
    client.expect_missing("k");
    client.expect_stats(&[("delete_hits", 2), ("delete_misses", 3)]);
}

#[test]
fn a_delete_may_leave_the_item_without_its_value() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ms k 5 F7 T100\r\nhello\r\n", "HD\r\n");
    let cas = client.cas("k");
    client.ask("md k x\r\n", "HD\r\n");
    client.ask("mg k s v f t c\r\n", format!("VA 0 s0 f0 t-1 c{cas}\r\n\r\n"));
    client.ask("md k x F3 E99\r\n", "HD\r\n");
    client.ask("mg k s f c\r\n", "HD s0 f3 c99\r\n");
    client.ask("ms k 1\r\n1\r\nmd k x I\r\n", "HD\r\nHD\r\n");
    client.ask("mg k v\r\nmg k v\r\n", "VA 0 X W\r\n\r\nVA 0 Z X\r\n\r\n");
    client.ask("md none x\r\n", "NF\r\n");
}

#[test]
fn numbers_go_up_and_down() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ma n\r\n", "NF\r\n");
    client.ask("ma n k O1 q\r\n", "NF kn O1\r\n");
    client.set("n", "10");
    client.ask("ma n\r\n", "HD\r\n");
    client.ask("ma n v\r\n", "VA 2\r\n12\r\n");
    client.ask("ma n v D30 MI k O1\r\n", "VA 2 kn O1\r\n42\r\n");
    client.ask("ma n v D2 M+\r\nma n v D4 MD\r\nma n v D5 M-\r\n", "VA 2\r\n44\r\nVA 2\r\n40\r\nVA 2\r\n35\r\n");
    client.ask("ma n v MD D99\r\n", "VA 1\r\n0\r\n");
    client.ask("ma n v q\r\nmn\r\n", "MN\r\n");
    client.set("n", "text");
    client.ask("ma n q\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
    client.expect_stats(&[("incr_hits", 5), ("decr_hits", 3), ("incr_misses", 2)]);
}

#[test]
fn a_missing_number_may_begin_somewhere() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("ma n N0 J13 v t\r\n", "VA 2 t-1\r\n13\r\n");
    client.ask("ma n N0 J13 v t\r\n", "VA 2 t-1\r\n14\r\n");
    client.ask("ma m N100 q\r\nma m v\r\n", "VA 1\r\n1\r\n");
    let line = client.ask_line("mg m t\r\n");
    assert!(line == "HD t100" || line == "HD t99", "{line}");
    client.ask("ma m T0 t\r\n", "HD t-1\r\n");
    client.ask("ma e N0 J5 E66 c\r\n", "HD c66\r\n");
    client.ask("mg e c v\r\n", "VA 1 c66\r\n5\r\n");
}

#[test]
fn a_number_changes_for_its_version_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("n", "1");
    let cas = client.cas("n");
    client.ask(format!("ma n C{} v k\r\n", cas + 1), "EX kn\r\n");
    client.ask(format!("ma n C{cas} v\r\n"), "VA 1\r\n2\r\n");
    client.ask("ma n C0 v\r\n", "VA 1\r\n3\r\n");
    let line = client.ask_line("ma n c\r\n");
    assert_eq!(line, format!("HD c{}", client.cas("n")));
}

#[test]
fn base64_keys_are_kept_decoded_and_shown_encoded() {
    let server = Server::start(&[]);
    let mut client = server.client();
    // "a b\n": no text command could name it.
    client.ask("ms YSBiCg== 2 b k\r\nhi\r\n", "HD kYSBiCg== b\r\n");
    client.ask("mg YSBiCg== b k v\r\n", "VA 2 kYSBiCg== b\r\nhi\r\n");
    client.ask("md YSBiCg== b k\r\n", "HD kYSBiCg== b\r\n");
    client.ask("mg YSBiCg== b k\r\n", "EN kYSBiCg== b\r\n");
    client.ask("ms Zm9v 1 b\r\n1\r\n", "HD\r\n");
    client.expect_value("foo", "1");
    client.ask("mg foo k v\r\n", "VA 1 kZm9v b\r\n1\r\n");
    client.ask("ma Zm9v b v k\r\n", "VA 1 kZm9v b\r\n2\r\n");
    client.set("foo", "3");
    client.ask("mg Zm9v b k v\r\n", "VA 1 kfoo\r\n3\r\n");
    assert!(client.ask_line("me Zm9v b x\r\n").starts_with("ME foo exp="));
    for key in ["!", "Zm9", "===="] {
        client.ask(format!("mg {key} b\r\n"), "CLIENT_ERROR error decoding key\r\n");
    }
}

#[test]
fn what_cannot_be_read_is_told_quiet_or_not() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let long = "k".repeat(251);
    let table = [
        ("", "bad command line format"),
        (&long, "bad command line format"),
        ("k Z", "invalid flag"),
        ("k S5", "invalid flag"),
        ("k noreply", "invalid flag"),
        ("k {", "bad command line format"),
        ("k v v", "duplicate flag"),
        ("k q v q", "duplicate flag"),
        ("k T", "bad token in command line format"),
        ("k Tx", "bad token in command line format"),
        ("k T2147483648", "bad token in command line format"),
        ("k N", "bad token in command line format"),
        ("k R1x", "bad token in command line format"),
        ("k C-1", "bad token in command line format"),
        ("k E18446744073709551616", "bad token in command line format"),
        ("k F4294967296", "bad command line format"),
        ("k Jx", "invalid numeric initial value"),
        ("k Dx", "invalid numeric delta value"),
        ("k k s t c f h l v u q O1 x I P L N0 T0 R0 C1", "options flags are too long"),
        ("k q O12345678901234567890123456789012", "opaque token too long"),
    ];
    for (line, error) in table {
        client.ask(format!("mg {line}\r\n"), format!("CLIENT_ERROR {error}\r\n"));
        client.ask(format!("md {line}\r\n"), format!("CLIENT_ERROR {error}\r\n"));
    }
    client.ask("mg k O1234567890123456789012345678901\r\n", "EN O1234567890123456789012345678901\r\n");
    for line in ["k Z", "k v v", "k Tx", "k F-1", "k Dx", &long] {
        client.ask(format!("ma {line}\r\n"), "CLIENT_ERROR invalid or duplicate flag\r\n");
    }
    client.ask("ma k Mx\r\nma k M\r\n", "CLIENT_ERROR invalid mode for ma M token\r\n".repeat(2));
}

#[test]
fn an_ms_that_cannot_be_read_swallows_its_value_once_its_length_is_known() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for length in ["", "x", "-1", "2147483646"] {
        client.ask(format!("ms k {length}\r\n"), "CLIENT_ERROR bad command line format\r\n");
    }
    for (flags, error) in
        [("Z", "invalid flag"), ("q Mx", "invalid mode for ms M token"), ("F-1", "bad command line format")]
    {
        client.ask(format!("ms k 2 {flags}\r\nmn\r\n"), format!("CLIENT_ERROR {error}\r\n"));
    }
    client.ask(format!("ms {} 2\r\nmn\r\n", "k".repeat(251)), "CLIENT_ERROR bad command line format\r\n");
    client.expect_silence();
}

#[test]
fn a_number_that_is_not_longer_stays_the_item_that_was_fetched() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("n", "12");
    client.expect_value("n", "12");
    // One by one: to memcached an item is new, too, while a reply that holds the old one is still to be sent.
    client.ask("decr n 9\r\n", "3\r\n");
    client.ask("ma n MD T100\r\n", "HD\r\n");
    client.ask("mg n h u\r\n", "HD h1\r\n");
    client.ask("incr n 900\r\n", "902\r\n");
    client.ask("mg n h u\r\n", "HD h0\r\n");
}
