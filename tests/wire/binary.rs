//! The binary protocol's commands, each with its quiet form: see `packets`.

use crate::client::pattern;
use crate::packets::{
    ADD, ADDQ, APPEND, APPENDQ, AUTH_FAILURE, Answer, DECREMENT, DECREMENTQ, DELETE, DELETEQ, EXISTS, FLUSH, FLUSHQ,
    GAT, GATK, GATKQ, GATQ, GET, GETK, GETKQ, GETQ, INCREMENT, INCREMENTQ, NON_NUMERIC, NOOP, NOT_FOUND, NOT_STORED,
    PREPEND, PREPENDQ, Packet, QUIT, QUITQ, REPLACE, REPLACEQ, SET, SETQ, TOO_LARGE, TOUCH, VERSION, bare, count, join,
    keyed, store, timed,
};
use crate::server::Server;

/// Exptime with which counts make no item.
const NO_ITEM: u32 = u32::MAX;

#[test]
fn a_get_shows_flags_value_and_version() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_error(&keyed(GET, "k"), NOT_FOUND);
    let cas = client.call_ok(&store(SET, "k", 0xdead_beef, 0, "value"));
    assert_ne!(cas, 0);
    let hit = client.call(&keyed(GET, "k"));
    assert_eq!((hit.status, hit.flags(), hit.text(), hit.cas), (0, 0xdead_beef, "value".to_owned(), cas));
    assert!(hit.key.is_empty());
}

#[test]
fn a_get_with_key_shows_the_key_of_a_hit_and_of_a_miss() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let cas = client.call_ok(&store(SET, "k", 7, 0, "value"));
    let hit = client.call(&keyed(GETK, "k"));
    assert_eq!(
        (hit.status, hit.flags(), &hit.key[..], hit.text(), hit.cas),
        (0, 7, &b"k"[..], "value".to_owned(), cas)
    );
    let miss = client.call(&keyed(GETK, "missing"));
    let as_asked =
        Answer { opcode: GETK, opaque: miss.opaque, status: 1, key: b"missing".to_vec(), ..Answer::default() };
    assert_eq!(miss, as_asked);
}

#[test]
fn quiet_gets_say_nothing_of_a_miss() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_ok(&store(SET, "k", 0, 0, "value"));
    for opcode in [GETQ, GETKQ] {
        assert_eq!(client.call(&keyed(opcode, "k")).text(), "value");
        client.send(keyed(opcode, "missing").bytes());
        client.expect_quiet();
    }
    for opcode in [GATQ, GATKQ] {
        assert_eq!(client.call(&timed(opcode, "k", 0)).text(), "value");
        client.send(timed(opcode, "missing", 0).bytes());
        client.expect_quiet();
    }
}

#[test]
fn a_quiet_multi_get_is_answered_in_order_and_ended_by_noop() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for n in (0..50).step_by(2) {
        client.call_ok(&store(SET, format!("key{n}"), n, 0, n.to_string()));
    }
    let gets: Vec<u8> = (0..50).flat_map(|n| Packet { opaque: n, ..keyed(GETKQ, format!("key{n}")) }.bytes()).collect();
    client.send([gets, bare(NOOP).bytes()].concat());
    for n in (0..50).step_by(2) {
        let hit = client.answer();
        assert_eq!((hit.opaque, hit.flags(), hit.text()), (n, n, n.to_string()));
        assert_eq!(hit.key, format!("key{n}").into_bytes());
    }
    assert_eq!(client.answer().opcode, NOOP);
    client.expect_quiet();
}

#[test]
fn stores_have_their_conditions() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_error(&store(REPLACE, "k", 0, 0, "x"), NOT_FOUND);
    client.call_ok(&store(ADD, "k", 1, 0, "added"));
    client.call_error(&store(ADD, "k", 2, 0, "x"), EXISTS);
    client.call_ok(&store(REPLACE, "k", 3, 0, "replaced"));
    let hit = client.call(&keyed(GET, "k"));
    assert_eq!((hit.flags(), hit.text()), (3, "replaced".to_owned()));
}

#[test]
fn a_version_makes_a_compare_of_every_store() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for opcode in [SET, ADD, REPLACE] {
        client.call_error(&store(opcode, "missing", 0, 0, "x").with_cas(1), NOT_FOUND);
        let cas = client.call_ok(&store(SET, "k", 0, 0, "first"));
        client.call_error(&store(opcode, "k", 0, 0, "x").with_cas(cas + 1), EXISTS);
        let next = client.call_ok(&store(opcode, "k", 0, 0, "second").with_cas(cas));
        assert_ne!(next, cas);
        assert_eq!(client.call(&keyed(GET, "k")).cas, next);
        client.call_error(&store(opcode, "k", 0, 0, "x").with_cas(cas), EXISTS);
    }
    for quiet in [SETQ, ADDQ, REPLACEQ] {
        client.call_error(&store(quiet, "k", 0, 0, "x").with_cas(1), EXISTS);
    }
    let stats = client.figures("");
    let count = |name: &str| stats.iter().find(|(other, _)| other == name).expect("it is there").1.clone();
    assert_eq!([count("cas_misses"), count("cas_hits"), count("cas_badval")], ["3", "3", "9"]);
}

#[test]
fn quiet_stores_say_errors_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_error(&store(REPLACEQ, "k", 0, 0, "x"), NOT_FOUND);
    client.send(store(ADDQ, "k", 0, 0, "added").bytes());
    client.expect_quiet();
    client.call_error(&store(ADDQ, "k", 0, 0, "x"), EXISTS);
    client.send(store(REPLACEQ, "k", 0, 0, "replaced").bytes());
    client.send(join(APPENDQ, "k", ">").bytes());
    client.send(join(PREPENDQ, "k", "<").bytes());
    client.expect_quiet();
    assert_eq!(client.value_of("k").expect("there"), b"<replaced>");
    client.send(store(SETQ, "k", 0, 0, "set").bytes());
    client.expect_quiet();
    assert_eq!(client.value_of("k").expect("there"), b"set");
}

#[test]
fn append_and_prepend_join_values_and_keep_flags() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for opcode in [APPEND, APPENDQ, PREPEND, PREPENDQ] {
        client.call_error(&join(opcode, "missing", "x"), NOT_STORED);
    }
    let cas = client.call_ok(&store(SET, "k", 9, 0, "b"));
    let cas = client.call_ok(&join(APPEND, "k", "c").with_cas(cas));
    client.call_error(&join(PREPEND, "k", "x").with_cas(cas + 1), EXISTS);
    client.call_error(&join(APPENDQ, "k", "x").with_cas(cas + 1), EXISTS);
    let cas = client.call_ok(&join(PREPEND, "k", "a").with_cas(cas));
    let hit = client.call(&keyed(GET, "k"));
    assert_eq!((hit.flags(), hit.text(), hit.cas), (9, "abc".to_owned(), cas));
}

#[test]
fn a_delete_compares_the_version_it_names() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_error(&keyed(DELETE, "k"), NOT_FOUND);
    client.call_error(&keyed(DELETEQ, "k"), NOT_FOUND);
    let cas = client.call_ok(&store(SET, "k", 0, 0, "x"));
    client.call_error(&keyed(DELETE, "k").with_cas(cas + 1), EXISTS);
    client.call_error(&keyed(DELETEQ, "k").with_cas(cas + 1), EXISTS);
    assert_eq!(client.call_ok(&keyed(DELETE, "k").with_cas(cas)), 0);
    client.send([store(SETQ, "k", 0, 0, "x").bytes(), keyed(DELETEQ, "k").bytes()].concat());
    client.expect_quiet();
    assert_eq!(client.value_of("k"), None);
}

#[test]
fn counts_begin_at_their_initial_value_if_they_may() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for opcode in [INCREMENT, INCREMENTQ, DECREMENT, DECREMENTQ] {
        client.call_error(&count(opcode, "k", 1, 5, NO_ITEM), NOT_FOUND);
    }
    let first = client.call(&count(INCREMENT, "k", 1, 5, 0));
    assert_eq!(first.number(), 5);
    assert_ne!(first.cas, 0);
    let second = client.call(&count(INCREMENT, "k", 10, 5, 0));
    assert_eq!(second.number(), 15);
    assert_ne!(second.cas, first.cas);
    assert_eq!(client.call(&count(DECREMENT, "k", 100, 0, 0)).number(), 0);
    assert_eq!(client.call(&count(DECREMENT, "other", 1, u64::MAX, 0)).number(), u64::MAX);
    assert_eq!(client.call(&count(INCREMENT, "other", 1, 0, 0)).number(), 0);
    client.send([count(INCREMENTQ, "k", 7, 0, 0).bytes(), count(DECREMENTQ, "k", 2, 0, 0).bytes()].concat());
    client.expect_quiet();
    // Of two digits before: what is left of them are spaces.
    assert_eq!(client.value_of("k").expect("there"), b"5 ");
}

#[test]
fn counts_compare_and_want_numbers() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let cas = client.call_ok(&store(SET, "k", 4, 0, "41"));
    client.call_error(&count(INCREMENT, "k", 1, 0, 0).with_cas(cas + 1), EXISTS);
    client.call_error(&count(DECREMENTQ, "k", 1, 0, 0).with_cas(cas + 1), EXISTS);
    assert_eq!(client.call(&count(INCREMENT, "k", 1, 0, 0).with_cas(cas)).number(), 42);
    assert_eq!(client.call(&keyed(GET, "k")).flags(), 4);
    client.call_ok(&store(SET, "k", 0, 0, "x"));
    for opcode in [INCREMENT, INCREMENTQ, DECREMENT, DECREMENTQ] {
        client.call_error(&count(opcode, "k", 1, 0, 0), NON_NUMERIC);
    }
}

#[test]
fn a_touch_shows_flags_and_version_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_error(&timed(TOUCH, "k", 10), NOT_FOUND);
    let cas = client.call_ok(&store(SET, "k", 3, 0, "value"));
    let touched = client.call(&timed(TOUCH, "k", 10));
    assert_eq!((touched.status, touched.flags(), touched.text(), touched.cas), (0, 3, String::new(), cas));
    let text = server.client().ask_line("mg k t\r\n");
    assert!(["HD t10", "HD t9", "HD t8"].contains(&text.as_str()), "{text}");
}

#[test]
fn a_get_and_touch_shows_the_value_and_sets_the_exptime() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_error(&timed(GAT, "missing", 10), NOT_FOUND);
    assert_eq!(client.call(&timed(GATK, "missing", 10)).key, b"missing");
    let cas = client.call_ok(&store(SET, "k", 3, 0, "value"));
    let hit = client.call(&timed(GAT, "k", 100));
    assert_eq!((hit.flags(), &hit.key[..], hit.text(), hit.cas), (3, &b""[..], "value".to_owned(), cas));
    let hit = client.call(&timed(GATK, "k", 100));
    assert_eq!((hit.flags(), &hit.key[..], hit.text(), hit.cas), (3, &b"k"[..], "value".to_owned(), cas));
    // Long past.
    assert_eq!(client.call(&timed(GAT, "k", 2_592_001)).text(), "value");
    client.call_error(&keyed(GET, "k"), NOT_FOUND);
}

#[test]
fn exptimes_are_unsigned() {
    let server = Server::start(&[]);
    let mut client = server.client();
    // -1, as signed numbers go, and years behind 2038: none of them is in the past.
    for exptime in [u32::MAX, 1 << 31, 2_147_483_647] {
        client.call_ok(&store(SET, "k", 0, exptime, "x"));
        assert_eq!(client.value_of("k").expect("there"), b"x", "{exptime}");
    }
    client.call_ok(&store(SET, "k", 0, u32::MAX, "x"));
    let years = server.client().ask_line("mg k t\r\n")[4..].parse::<u64>().expect("seconds") / (365 * 86_400);
    assert!(years > 70, "{years}");
    client.call_ok(&store(SET, "k", 0, 2_592_001, "x"));
    assert_eq!(client.value_of("k"), None);
}

#[test]
fn a_flush_forgets_all_now_or_later() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let set = store(SET, "k", 0, 0, "x");
    let later = |opcode, exptime: u32| Packet { extras: exptime.to_be_bytes().to_vec(), ..bare(opcode) };
    for flush in [bare(FLUSH), later(FLUSH, 0)] {
        client.call_ok(&set);
        assert_eq!(client.call_ok(&flush), 0);
        assert_eq!(client.value_of("k"), None);
    }
    client.call_ok(&set);
    client.call_ok(&later(FLUSH, 1000));
    assert!(client.value_of("k").is_some());
    client.send(bare(FLUSHQ).bytes());
    client.expect_quiet();
    assert_eq!(client.value_of("k"), None);
}

#[test]
fn a_flush_may_be_forbidden() {
    let server = Server::start(&["-F"]);
    let mut client = server.client();
    client.call_error(&bare(FLUSH), AUTH_FAILURE);
    client.call_error(&bare(FLUSHQ), AUTH_FAILURE);
    client.expect_quiet();
}

#[test]
fn noop_version_and_quit_have_no_arguments() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.call_ok(&bare(NOOP));
    let version = client.call(&bare(VERSION)).text();
    assert_eq!(version, server.client().ask_line("version\r\n").replace("VERSION ", ""));
    client.call_ok(&bare(QUIT));
    client.expect_closed();
    let mut client = server.client();
    client.send([keyed(GET, "k").bytes(), bare(QUITQ).bytes(), bare(NOOP).bytes()].concat());
    assert_eq!(client.answer().error(), (NOT_FOUND.0, NOT_FOUND.1.to_owned()));
    client.expect_closed();
}

#[test]
fn keys_are_any_bytes_up_to_250() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for key in [&b" "[..], b"a\r\nb", b"\0", b"\x80\xff", &[b'k'; 250]] {
        client.call_ok(&store(SET, key, 0, 0, key));
        assert_eq!(client.value_of(key).expect("there"), key);
        assert_eq!(client.call(&keyed(GETK, key)).key, key);
    }
}

#[test]
fn values_of_all_lengths_come_back_as_they_went() {
    let server = Server::start(&["-I", "4m", "-m", "256"]);
    let mut client = server.client();
    for len in [0, 1, 2, 16_383, 16_384, 16_385, 70_000, 1_000_000, 4_000_000] {
        let value = pattern(1, len);
        client.call_ok(&store(SET, "k", 0, 0, &value));
        assert!(client.value_of("k").expect("there") == value, "{len} bytes");
        let hit = client.call(&keyed(GETK, "k"));
        assert!(hit.value == value && hit.key == b"k", "{len} bytes with the key");
        client.call_ok(&join(APPEND, "k", "tail"));
        client.call_ok(&join(PREPEND, "k", pattern(2, 20_000)));
        let joined = [&pattern(2, 20_000)[..], &value, b"tail"].concat();
        assert!(client.value_of("k").expect("there") == joined, "{len} bytes, joined");
        client.expect_quiet();
    }
}

#[test]
fn large_values_go_between_small_packets_in_one_pipeline() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let value = pattern(3, 300_000);
    let mut pipeline = Vec::new();
    for n in 0..5 {
        pipeline.extend(store(SETQ, format!("large{n}"), n, 0, &value).bytes());
        pipeline.extend(store(SET, format!("small{n}"), n, 0, "s").bytes());
        pipeline.extend(keyed(GETKQ, format!("large{n}")).bytes());
        pipeline.extend(keyed(GETQ, "missing").bytes());
    }
    pipeline.extend(bare(NOOP).bytes());
    let mut writer = client.twin();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.send(pipeline));
        for n in 0..5 {
            assert_eq!(client.answer().opcode, SET);
            let hit = client.answer();
            assert_eq!((hit.opcode, hit.flags(), &hit.key[..]), (GETKQ, n, format!("large{n}").as_bytes()));
            assert!(hit.value == value);
        }
        assert_eq!(client.answer().opcode, NOOP);
    });
}

#[test]
fn a_value_too_large_is_swallowed_and_takes_the_old_one_of_a_set_with_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let value = pattern(1, 1_048_577);
    for (opcode, is_deleted) in
        [(SET, true), (SETQ, true), (ADD, false), (ADDQ, false), (REPLACE, false), (REPLACEQ, false)]
    {
        client.call_ok(&store(SET, "k", 0, 0, "old"));
        client.call_error(&store(opcode, "k", 0, 0, &value), TOO_LARGE);
        assert_eq!(client.value_of("k").is_none(), is_deleted, "opcode {opcode}");
    }
    client.call_ok(&store(SET, "k", 0, 0, "old"));
    for opcode in [APPEND, APPENDQ, PREPEND, PREPENDQ] {
        client.call_error(&join(opcode, "k", &value), TOO_LARGE);
    }
    assert_eq!(client.value_of("k").expect("kept"), b"old");
    // What both come to is too much: memcached has another word for that.
    client.call_ok(&store(SET, "k", 0, 0, &value[..900_000]));
    for opcode in [APPEND, APPENDQ, PREPEND, PREPENDQ] {
        client.call_error(&join(opcode, "k", &value[..200_000]), NOT_STORED);
    }
    assert!(client.value_of("k").expect("kept") == value[..900_000]);
}

#[test]
fn without_versions_none_is_shown() {
    let server = Server::start(&["-C"]);
    let mut client = server.client();
    assert_eq!(client.call_ok(&store(SET, "k", 0, 0, "5")), 0);
    assert_eq!(client.call(&keyed(GET, "k")).cas, 0);
    assert_eq!(client.call(&count(INCREMENT, "k", 1, 0, 0)).cas, 0);
}

#[test]
fn full_memory_that_may_not_evict_is_said() {
    let server = Server::start(&["-M", "-m", "8"]);
    let mut client = server.client();
    let value = pattern(1, 15_000);
    let refused = (0..2000).find_map(|n| {
        let answer = client.call(&store(SET, format!("key{n}"), 0, 0, &value));
        (answer.status != 0).then_some(answer)
    });
    assert_eq!(refused.expect("8 MB are full").error(), (0x82, "Out of memory allocating item".to_owned()));
    client.expect_quiet();
}
