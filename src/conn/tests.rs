//! Whole conversations, without sockets.

use super::testing::Client;
use super::{Connection, Next};
use crate::command::testing::{NOW, commands_with};
use crate::command::{Commands, Options};
use crate::limits::{OUTPUT_HIGH_WATER_BYTES, WHOLE_VALUE_BYTES_MAX};
use crate::protocol::Delete;
use crate::store;

/// A value too long to be taken whole, and the request that sets it.
fn large(key: &str, len: usize) -> (Vec<u8>, Vec<u8>) {
    assert!(len > WHOLE_VALUE_BYTES_MAX);
    let value: Vec<u8> = (0..len).map(|n| b'a' + u8::try_from(n % 26).expect("a letter")).collect();
    let request = [format!("set {key} 0 0 {len}\r\n").as_bytes(), &value, b"\r\n"].concat();
    (value, request)
}

#[test]
fn a_set_is_read_back() {
    let mut client = Client::new();
    assert_eq!(client.ask(b"set k 5 0 5\r\nhello\r\nget k\r\n"), "STORED\r\nVALUE k 5 5\r\nhello\r\nEND\r\n");
    assert_eq!(client.ask(b"get nothing\r\n"), "END\r\n");
}

#[test]
fn every_data_command_is_answered_in_order() {
    let mut client = Client::new();
    let requests = b"add n 0 0 2\r\n10\r\nadd n 0 0 1\r\n1\r\nreplace m 0 0 1\r\n1\r\nincr n 5\r\ndecr n 100\r\n\
        append n 9 9 1\r\n7\r\nprepend n 0 0 1\r\n1\r\ntouch n 100\r\ntouch m 100\r\ngat 0 n m\r\nincr m 1\r\n\
        cas n 0 0 1 0\r\nx\r\ncas m 0 0 1 1\r\nx\r\ndelete n\r\ndelete n\r\nset n 0 0 1\r\nx\r\nincr n 1\r\n";
    let replies = "STORED\r\nNOT_STORED\r\nNOT_STORED\r\n15\r\n0\r\nSTORED\r\nSTORED\r\nTOUCHED\r\nNOT_FOUND\r\n\
        VALUE n 0 4\r\n10 7\r\nEND\r\nNOT_FOUND\r\nEXISTS\r\nNOT_FOUND\r\nDELETED\r\nNOT_FOUND\r\nSTORED\r\n\
        CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    assert_eq!(client.ask(requests), replies);
}

#[test]
fn noreply_silences_a_command_and_its_errors() {
    let mut client = Client::new();
    let requests = b"set k 0 0 1 noreply\r\nx\r\nset k x 0 1 noreply\r\nx\r\nset k 0 0 1 noreply\r\nxyz\
        delete m noreply\r\nincr k 1 noreply\r\ntouch m 0 noreply\r\nflush_all x noreply\r\nfoo noreply\r\nget k\r\n";
    assert_eq!(client.ask(requests), "VALUE k 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn a_bad_data_chunk_takes_just_its_length() {
    let mut client = Client::new();
    let bad = "CLIENT_ERROR bad data chunk\r\n";
    let rest = "CLIENT_ERROR bad command line format\r\n";
    assert_eq!(client.ask(b"set k 0 0 1\r\nabc\r\n"), format!("{bad}{rest}"));
    let (_, mut request) = large("L", 20_000);
    request.truncate(request.len() - 2);
    request.extend_from_slice(b"xyz\r\n");
    assert_eq!(client.ask(&request), format!("{bad}{rest}"), "the z is a line of its own");
    assert_eq!(client.ask(b"get k L\r\n"), "END\r\n");
}

#[test]
fn a_store_line_nobody_understands_swallows_its_data() {
    let mut client = Client::new();
    let requests = b"set k x 0 9\r\nversion\r\nxxset k 0 0 1\r\ny\r\n";
    assert_eq!(client.ask(requests), "CLIENT_ERROR bad command line format\r\nSTORED\r\n");
}

#[test]
fn a_bad_key_ends_a_get_line_behind_the_values_before_it() {
    let mut client = Client::new();
    client.ask(b"set k 0 0 1\r\nx\r\n");
    let bad = "k".repeat(20_000);
    let expected = "VALUE k 0 1\r\nx\r\nCLIENT_ERROR bad command line format\r\nVALUE k 0 1\r\nx\r\nEND\r\n";
    assert_eq!(client.ask(format!("get k {bad} k\r\nget k\r\n").as_bytes()), expected);
    assert_eq!(client.ask(format!("get {bad}\r\n").as_bytes()), "CLIENT_ERROR bad command line format\r\n");
}

#[test]
fn a_get_line_may_never_end() {
    let mut client = Client::new();
    client.ask(b"set k 0 0 1\r\nx\r\n");
    let mut hits = client.ask(b"get ").matches("VALUE").count();
    for _ in 0..1000 {
        hits += client.ask(b"k miss k k").matches("VALUE").count();
        assert!(client.connection.kept().len() <= 2100, "no more than a line's bound is kept");
    }
    let last = client.ask(b"\r\n");
    hits += last.matches("VALUE").count();
    assert!(last.ends_with("END\r\n"));
    // Between two pieces `k` and `k` join to `kk`.
    assert_eq!(hits, 1000 + 2);
}

#[test]
fn a_line_that_is_too_long_closes() {
    let mut client = Client::new();
    assert_eq!(client.send(&[b'x'; 2048]).1, Next::Read);
    assert_eq!(client.send(b"x"), (Vec::new(), Next::Close));
    let mut whole = Client::new();
    assert_eq!(whole.ask(&[&[b'x'; 5000][..], b"\r\n"].concat()), "ERROR\r\n");
}

#[test]
fn what_is_no_text_protocol_closes() {
    let mut browser = Client::new();
    assert_eq!(browser.send(b"GET / HTTP/1.1\r\nHost: x\r\n"), (Vec::new(), Next::Close));
    let mut later = Client::new();
    assert_eq!(later.ask(b"version x\r\n\x80foo\r\n").lines().last(), Some("ERROR"));
}

#[test]
fn quit_sends_what_was_answered_and_hears_no_more() {
    let mut client = Client::new();
    let (replies, next) = client.send(b"set k 0 0 1\r\nx\r\nquit\r\nget k\r\n");
    assert_eq!((&replies[..], next), (&b"STORED\r\n"[..], Next::Close));
    assert_eq!(client.send(b"get k\r\n"), (Vec::new(), Next::Close));
}

#[test]
fn shutdown_needs_its_option() {
    assert_eq!(Client::new().ask(b"shutdown\r\n"), "SERVER_ERROR: shutdown not enabled\r\n");
    let allowed = || {
        let options = Options { shutdown: true, ..Options::default() };
        Client::with(commands_with(options, store::Options::default()))
    };
    assert_eq!(allowed().send(b"shutdown\r\n"), (Vec::new(), Next::Shutdown));
    assert_eq!(allowed().send(b"shutdown graceful\r\n"), (Vec::new(), Next::GracefulShutdown));
    assert_eq!(allowed().ask(b"shutdown foo\r\n"), "CLIENT_ERROR invalid shutdown mode\r\n");
}

#[test]
fn a_large_value_streams_in_and_out() {
    let mut client = Client::new();
    let (value, request) = large("L", 300_000);
    for piece in request.chunks(7001) {
        assert!(client.connection.kept().len() < 20, "its bytes are not kept");
        client.turn(piece);
    }
    assert_eq!(client.written(), b"STORED\r\n");
    let expected = [b"VALUE L 0 300000\r\n", &value[..], b"\r\nEND\r\n"].concat();
    assert!(client.send(b"get L\r\n").0 == expected);
}

#[test]
fn too_large_a_value_is_swallowed_and_takes_the_old_one_with_it() {
    let mut client = Client::new();
    let error = "SERVER_ERROR object too large for cache\r\n";
    let body = "x".repeat(1_048_576);
    for (command, old) in [("set", "END\r\n"), ("add", "VALUE k 0 1\r\nx\r\nEND\r\n")] {
        client.ask(b"set k 0 0 1\r\nx\r\n");
        let request = format!("{command} k 0 0 {}\r\n{body}zzget k\r\n", body.len());
        assert_eq!(client.ask(request.as_bytes()), format!("{error}{old}"), "{command}");
    }
}

#[test]
fn a_small_value_may_be_too_large_too() {
    let store = store::Options { item_bytes_max: 1024, ..store::Options::default() };
    let mut client = Client::with(commands_with(Options::default(), store));
    client.ask(b"set k 0 0 1\r\nx\r\n");
    let request = format!("set k 0 0 2048\r\n{}\r\nget k\r\n", "x".repeat(2048));
    assert_eq!(client.ask(request.as_bytes()), "SERVER_ERROR object too large for cache\r\nEND\r\n");
}

#[test]
fn a_budget_ends_a_turn_and_loses_nothing() {
    let mut client = Client::new();
    client.budget = 2;
    assert_eq!(client.turn(&b"get k\r\n".repeat(5)), Next::Yield);
    assert_eq!(client.written(), b"END\r\n".repeat(2));
    assert_eq!(client.turn(b""), Next::Yield);
    assert_eq!(client.turn(b""), Next::Read);
    assert_eq!(client.written(), b"END\r\n".repeat(3));
}

#[test]
fn a_client_that_does_not_read_is_not_served_further() {
    let mut client = Client::new();
    let value = "x".repeat(10_000);
    client.ask(format!("set k 0 0 10000\r\n{value}\r\n").as_bytes());
    let keys = [&b"get"[..], &b" k".repeat(1000), b"\r\nversion\r\n"].concat();
    assert_eq!(client.turn(&keys), Next::Write);
    assert!(client.output.unsent_len() < OUTPUT_HIGH_WATER_BYTES + 20_000);
    let (replies, next) = client.send(b"");
    let replies = String::from_utf8(replies).expect("text");
    assert_eq!(next, Next::Read);
    assert_eq!(replies.matches("VALUE").count(), 1000);
    assert!(replies.contains("END\r\nVERSION "), "what came behind was kept");
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection>() <= 120, "{} bytes", size_of::<Connection>());
    let mut client = Client::new();
    client.ask(b"set k 0 0 5\r\nhe");
    assert_eq!(client.connection.kept(), b"set k 0 0 5\r\nhe");
    assert_eq!(client.send(b"llo\r\n").1, Next::Read);
    assert!(client.connection.kept().is_empty());
}

#[test]
fn who_leaves_in_a_large_value_gives_its_room_back() {
    let mut client = Client::new();
    let (_, request) = large("L", 300_000);
    client.turn(&request[..100_000]);
    client.connection.close(&mut client.commands);
    assert_eq!(client.ask(b"get L\r\n"), "");
}

#[test]
fn a_planned_flush_comes_with_its_second() {
    let mut client = Client::new();
    let at = |client: &mut Client, seconds: u32, request: &[u8]| {
        let mut now = NOW;
        now.seconds.0 += seconds;
        client.commands.begin_turn(now, || 0);
        client.ask(request)
    };
    at(&mut client, 0, b"set k 0 0 1\r\nx\r\nflush_all 10\r\n");
    assert_eq!(at(&mut client, 8, b"get k\r\n"), "VALUE k 0 1\r\nx\r\nEND\r\n");
    assert_eq!(at(&mut client, 9, b"get k\r\nset k 0 0 1\r\nx\r\n"), "END\r\nSTORED\r\n", "a second early");
    assert_eq!(at(&mut client, 10, b"get k\r\n"), "END\r\n", "and what is stored in that second goes, too");
    assert_eq!(at(&mut client, 10, b"set k 0 0 1\r\ny\r\nget k\r\n"), "STORED\r\nVALUE k 0 1\r\ny\r\nEND\r\n");
    assert_eq!(at(&mut client, 11, b"flush_all 2592001\r\nget k\r\n"), "OK\r\nVALUE k 0 1\r\ny\r\nEND\r\n");
    assert_eq!(at(&mut client, 11, b"flush_all\r\nget k\r\n"), "OK\r\nEND\r\n");
}

#[test]
fn a_flush_of_this_second_or_an_earlier_one_comes_at_once() {
    let mut client = Client::new();
    for exptime in [NOW.unix() - 50, NOW.unix() - 1, NOW.unix(), NOW.unix() + 1, 1] {
        let request = format!("set k 0 0 1\r\nx\r\nflush_all {exptime}\r\nget k\r\nset k 0 0 1\r\ny\r\nget k\r\n");
        let replies = "STORED\r\nOK\r\nEND\r\nSTORED\r\nVALUE k 0 1\r\ny\r\nEND\r\n";
        assert_eq!(client.ask(request.as_bytes()), replies, "{exptime}");
    }
    let mut later = NOW;
    later.seconds.0 += 1;
    client.commands.begin_turn(later, || 0);
    assert_eq!(client.ask(b"get k\r\n"), "END\r\n", "the last one spares what comes after its second");
}

#[test]
fn commands_are_counted_as_memcached_counts_them() {
    let mut client = Client::new();
    client.ask(b"set k 0 0 1\r\nabcadd k 0 0 1\r\nx\r\ngat 0 k m\r\nget k m m\r\ntouch k 0\r\n");
    client.ask(b"set e 0 -1 1\r\nx\r\nget e\r\nincr k 1\r\nincr m 1\r\nset k 0 0 1048576\r\n");
    let sums = totals(&client.commands);
    assert_eq!(sums.cmd_set, 3);
    assert_eq!((sums.cmd_touch, sums.touch_hits, sums.touch_misses), (3, 2, 1));
    assert_eq!((sums.cmd_get, sums.get_hits, sums.get_misses), (4, 1, 3));
    assert_eq!(client.commands.shared().store().totals().found_expired, 1);
    assert_eq!((sums.incr_hits, sums.incr_misses), (0, 1));
    assert_eq!(sums.store_too_large, 1);
}

fn totals(commands: &Commands) -> crate::telemetry::CommandTotals {
    let mut totals = crate::telemetry::CommandTotals::default();
    totals.add(commands.counters());
    totals
}

/// One of everything, with a large value, a large refused one, bad lines and lines of many keys.
fn conversation() -> Vec<u8> {
    let (_, large) = large("L", WHOLE_VALUE_BYTES_MAX + 1);
    let many = [&b"get"[..], &b" a".repeat(20), b" L\r\n"].concat();
    let bad_key = [&b"gets a "[..], &[b'k'; 251], b" a\r\nversion\r\n"].concat();
    [
        &b"set a 1 0 3\r\nabc\r\nget a\r\ngets a b\r\nset b 0 0 2\r\nb\n\r\nadd b 0 0 0\r\n\r\nget  a  b \n"[..],
        &large,
        b"get L\r\ndelete a 0\r\nincr b 1\r\nset n 0 0 1\r\n9\r\nincr n 1\r\n",
        b"decr n 3 noreply\r\ngat 0 n\r\ntouch n 0\r\n",
        b"set a x 0 3\r\nabc\r\nset a 0 0 3\r\nabcdeset a 0 0 3 noreply\r\nabc\r\nmn\n\r\n foo\r\nfoo noreply\r\n",
        &many,
        &bad_key,
        b"ms a 3 c Oq\r\nabc\r\nmg a v s k q\r\n",
        b"md a I q\r\nmg a v\r\nma n v N0\r\nms a 2 Z\r\nxy\r\nmg x v q\r\nmn\r\n",
        b"ms YQ== 20000 b k S\r\n",
        &[b'y'; 20_002],
        b"ms YQ== 16385 b k s MA\r\n",
        &[b'y'; WHOLE_VALUE_BYTES_MAX + 1],
        b"\r\nmg a s k\r\nme a\r\nmg a v C1\r\n",
        b"cas a 0 0 1 0\r\nx\r\nappend a 0 0 1\r\nd\r\nget a\r\nstats settings\r\nverbosity\r\nget\r\nget L a\r\n",
    ]
    .concat()
}

#[test]
fn any_split_of_the_bytes_gives_the_same_replies() {
    let conversation = conversation();
    let whole = Client::new().send(&conversation).0;
    let body = conversation.windows(8).position(|bytes| bytes == b"abcdefgh").expect("a large value");
    // Inside the large value one place is like another.
    let dull = |cut: usize| !cut.is_multiple_of(997) && conversation[cut - 100.min(cut)..].starts_with(&[b'y'; 200]);
    let dull_body = body + 100..body + WHOLE_VALUE_BYTES_MAX - 100;
    let cuts = (1..conversation.len()).filter(|&cut| !dull(cut) && (cut % 997 == 0 || !dull_body.contains(&cut)));
    for cut in cuts {
        let mut client = Client::new();
        let mut replies = client.send(&conversation[..cut]).0;
        replies.extend(client.send(&conversation[cut..]).0);
        assert!(replies == whole, "cut at {cut}: {}", String::from_utf8_lossy(&replies));
    }
}

#[test]
fn bytes_that_come_one_by_one_give_the_same_replies() {
    let conversation = conversation();
    let whole = Client::new().send(&conversation).0;
    let mut client = Client::new();
    let mut replies = Vec::new();
    for byte in &conversation {
        replies.extend(client.send(&[*byte]).0);
    }
    assert!(replies == whole, "{}", String::from_utf8_lossy(&replies));
}

#[test]
fn who_watches_is_not_read_any_more_and_gets_lines_instead() {
    let mut client = Client::new();
    let (replies, next) = client.send(b"watch\r\nget k\r\nquit\r\n");
    assert_eq!((replies.as_slice(), next), (&b"OK\r\n"[..], Next::Watch));
    client.commands.begin_turn(NOW, || 7_000_009);
    client.commands.delete(&Delete { key: b"k", extras: None });
    client.commands.shared().watch().drain();
    let (replies, next) = client.send(b"");
    let line = "ts=7.9 gid=2 type=item_get key=k status=not_found clsid=0 cfd=0 size=0\n";
    assert_eq!((String::from_utf8_lossy(&replies).as_ref(), next), (line, Next::Watch));
    client.connection.close(&mut client.commands);
    assert_eq!(client.commands.shared().watch().watchers(), 0);
}

#[test]
fn a_watch_behind_other_commands_is_refused_even_if_those_were_silent() {
    let mut client = Client::new();
    let refused = "ERROR cannot pipeline other commands before watch\r\n";
    for before in ["get k\r\n", "delete k noreply\r\n", "mg k q\r\n"] {
        let said = client.ask(format!("{before}watch\r\n").as_bytes());
        assert!(said.ends_with(refused), "{before}: {said}");
    }
    // Half of it came before: that is no other command.
    assert_eq!(client.ask(b"watch fetch"), "");
    assert_eq!(client.ask(b"ers\r\n"), "OK\r\n");
}
