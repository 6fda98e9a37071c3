//! `lru_crawler metadump`, `mgdump`, `stats cachedump`: items, listed.

use std::collections::BTreeSet;

use crate::client::Client;
use crate::server::{Server, is_foreign};

/// The lines of a list up to its end, `OK` left out.
#[track_caller]
fn list(client: &mut Client, request: &str, end: &str) -> Vec<String> {
    client.send(format!("{request}\r\n"));
    assert_eq!(client.line(), "OK");
    lines_until(client, end)
}

#[track_caller]
fn lines_until(client: &mut Client, end: &str) -> Vec<String> {
    let lines = std::iter::from_fn(|| Some(client.line()).filter(|line| line != end));
    lines.collect()
}

/// A field of a metadump's line.
fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let found = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    assert!(found.is_some(), "no {name} in {line}");
    found.unwrap_or_default()
}

#[test]
fn a_metadump_says_everything_of_every_item() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set foo 5 0 3\r\nbar\r\nset k%20~-_.\x01/:a 0 100 3\r\nbar\r\n", "STORED\r\nSTORED\r\n");
    client.ask("get foo\r\n", "VALUE foo 5 3\r\nbar\r\nEND\r\n");
    let cas = client.ask_line("mg foo c\r\n");
    for all in ["all", "hash"] {
        let mut lines = list(&mut client, &format!("lru_crawler metadump {all}"), "END");
        lines.sort();
        let [foo, other] = &lines[..] else { panic!("{lines:?}") };
        assert!(foo.starts_with("key=foo exp=-1 la=1") && foo.ends_with(" flags=5 "), "{foo:?}");
        assert_eq!(field(foo, "fetch"), "yes");
        assert_eq!(format!("HD c{}", field(foo, "cas")), cas);
        assert!(other.starts_with("key=k%2520~-_.%01%2F%3Aa exp=1"), "{other}");
        assert_eq!((field(other, "fetch"), field(other, "flags")), ("no", "0"));
        let number = |name| field(other, name).parse::<u64>().expect("a time");
        assert!((99..=101).contains(&(number("exp") - number("la"))), "{other}");
        let inspected = client.ask_line("me k%20~-_.\x01/:a\r\n");
        assert!(inspected.contains(&format!(" cls={} ", field(other, "cls"))), "{inspected}");
        assert!(inspected.ends_with(&format!(" size={}", field(other, "size"))), "{inspected}");
    }
}

#[test]
fn an_mgdump_is_a_list_of_requests() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("foo", b"bar");
    client.ask("ms YWJj 2 b\r\nhi\r\n", "HD\r\n");
    let mut lines = list(&mut client, "lru_crawler mgdump hash", "EN");
    lines.sort();
    assert_eq!(lines, ["mg YWJj b", "mg foo"]);
}

#[test]
fn a_list_of_classes_shows_their_items_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("small", b"1");
    client.set("large", [b'v'; 3000]);
    let lines = list(&mut client, "lru_crawler metadump all", "END");
    for line in &lines {
        let class = field(line, "cls");
        for classes in [class.to_owned(), format!("{class},,{class}")] {
            assert_eq!(
                list(&mut client, &format!("lru_crawler metadump {classes}"), "END"),
                std::slice::from_ref(line)
            );
        }
    }
    for nothing in ["62", "63"] {
        assert!(list(&mut client, &format!("lru_crawler metadump {nothing}"), "END").is_empty());
    }
    for wrong in ["0", "64", "x", "1,x", "1x", "all,1", "ALL"] {
        client.ask(format!("lru_crawler metadump {wrong}\r\n"), "BADCLASS invalid class id\r\n");
        client.ask(format!("lru_crawler mgdump {wrong}\r\n"), "BADCLASS invalid class id\r\n");
    }
    client.ask("lru_crawler metadump ,\r\n", "NOTSTARTED no items to crawl\r\n");
}

#[test]
fn what_is_gone_is_not_listed() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set dead 0 -1 1\r\n1\r\nset gone 0 0 1\r\n1\r\n", "STORED\r\nSTORED\r\n");
    client.ask("delete gone\r\n", "DELETED\r\n");
    assert_eq!(list(&mut client, "lru_crawler mgdump all", "EN"), [""; 0]);
    client.set("a", b"1");
    client.ask("flush_all\r\n", "OK\r\n");
    client.set("b", b"1");
    assert_eq!(list(&mut client, "lru_crawler mgdump all", "EN"), ["mg b"]);
}

#[test]
fn a_dump_wants_no_replies_before_it_and_lets_requests_follow() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("get a\r\nlru_crawler metadump all\r\nget a\r\nlru_crawler mgdump all\r\n");
    client.expect("END\r\nERROR cannot pipeline other commands before metadump\r\n");
    client.expect("END\r\nERROR cannot pipeline other commands before mgdump\r\n");
    client.ask("lru_crawler metadump all\r\nget a\r\n", "OK\r\nEND\r\nEND\r\n");
}

#[test]
fn a_dump_of_many_items_shows_each_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let keys: BTreeSet<String> = (0..30_000).map(|number| format!("mg key-{number}")).collect();
    let sets: String = (0..30_000).map(|number| format!("set key-{number} 0 0 1 noreply\r\nv\r\n")).collect();
    client.ask_much((sets + "mn\r\n").as_bytes(), "MN\r\n");
    let lines = list(&mut client, "lru_crawler mgdump all", "EN");
    assert_eq!(lines.len(), keys.len());
    assert!(lines.into_iter().collect::<BTreeSet<_>>() == keys, "a key is missing");
}

#[test]
fn many_dumps_at_once_all_come_to_their_end_and_a_get_among_them() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    let sets: String = (0..3000).map(|number| format!("set key-{number} 0 0 1 noreply\r\nv\r\n")).collect();
    client.ask_much((sets + "mn\r\n").as_bytes(), "MN\r\n");
    let mut others: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for other in &mut others {
        other.send("lru_crawler mgdump all\r\nget key-1\r\n");
    }
    client.expect_value("key-1", "v");
    for other in &mut others {
        assert_eq!(other.line(), "OK");
        assert_eq!(lines_until(other, "EN").len(), 3000);
        other.expect("VALUE key-1 0 1\r\nv\r\nEND\r\n");
    }
}

#[test]
fn a_client_that_leaves_in_a_dump_disturbs_nobody() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    let sets: String = (0..30_000).map(|number| format!("set key-{number} 0 0 1 noreply\r\nv\r\n")).collect();
    client.ask_much((sets + "mn\r\n").as_bytes(), "MN\r\n");
    for _ in 0..5 {
        let mut other = server.client();
        other.ask("lru_crawler metadump all\r\n", "OK\r\n");
        drop(other);
        client.expect_value("key-1", "v");
    }
}

#[test]
fn a_cachedump_shows_some_items_of_a_class() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set foo 0 0 3\r\nbar\r\nset k%20 0 100 2\r\nhi\r\n", "STORED\r\nSTORED\r\n");
    let dumped = list(&mut client, "lru_crawler metadump all", "END");
    let mut shown = Vec::new();
    for class in dumped.iter().map(|line| field(line, "cls")).collect::<BTreeSet<_>>() {
        client.send(format!("stats cachedump {class} 0\r\n"));
        shown.extend(lines_until(&mut client, "END"));
        client.send(format!("stats cachedump {class} 1\r\n"));
        assert_eq!(lines_until(&mut client, "END").len(), 1);
    }
    shown.sort();
    assert_eq!(shown[0], "ITEM foo [3 b; 0 s]");
    assert!(shown[1].starts_with("ITEM k%20 [2 b; 1") && shown[1].ends_with(" s]"), "{shown:?}");
    client.ask("stats cachedump 0 0\r\n", "END\r\n");
    for line in ["", " 1"] {
        client.ask(format!("stats cachedump{line}\r\n"), "CLIENT_ERROR bad command line\r\n");
    }
    for line in ["x 0", "1 x", "-1 0", "1 -1", "4294967296 0"] {
        client.ask(format!("stats cachedump {line}\r\n"), "CLIENT_ERROR bad command line format\r\n");
    }
    client.ask("stats cachedump 63 0\r\n", "END\r\n");
    client.ask("stats cachedump 64 0\r\n", "CLIENT_ERROR Illegal slab id\r\n");
}

/// libmemcached's memcdump and PHP's getAllKeys list what these show, and stop at an error.
#[test]
fn cachedumps_of_all_numbers_up_to_63_show_every_key() {
    if is_foreign() {
        // memcached's lists begin with the maintainer's second round.
        return;
    }
    for options in [&["-m", "64"], &["-m", "1024"]] {
        let server = Server::start(options);
        let mut client = server.client();
        let mut keys: Vec<String> = (0..200).map(|number| format!("k{number}")).collect();
        for (key, bytes) in keys.iter().zip([1, 40, 150, 400, 900, 2000, 4100, 9000, 16_000, 120_000].repeat(20)) {
            client.ask_much(&crate::client::set_bytes(key, &vec![b'v'; bytes]), "STORED\r\n");
        }
        let mut shown = Vec::new();
        for class in 0..64 {
            client.send(format!("stats cachedump {class} 0\r\n"));
            let lines = lines_until(&mut client, "END");
            shown.extend(lines.iter().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned));
        }
        keys.sort();
        shown.sort();
        assert_eq!(shown, keys, "{options:?}");
    }
}

#[test]
fn a_cachedump_ends_at_two_megabytes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let keys = (0..12_000).map(|number| format!("{number:0>240}"));
    let sets: String = keys.map(|key| format!("set {key} 0 0 1 noreply\r\nv\r\n")).collect();
    client.ask_much((sets + "mn\r\n").as_bytes(), "MN\r\n");
    let inspected = client.ask_line(format!("me {:0>240}\r\n", 1));
    let class = field(&inspected, "cls").to_owned();
    client.send(format!("stats cachedump {class} 0\r\n"));
    let bytes: usize = lines_until(&mut client, "END").iter().map(|line| line.len() + 2).sum();
    assert!((2_000_000..=2 << 20).contains(&bytes), "{bytes} bytes");
}

#[test]
fn lists_are_refused_where_dumping_is() {
    let server = Server::start(&["-X", "-F"]);
    let mut client = server.client();
    client.ask("lru_crawler metadump x\r\n", "ERROR metadump not allowed\r\n");
    client.ask("lru_crawler mgdump all\r\n", "ERROR key dump not allowed\r\n");
    for words in ["", " x y", " 1 0"] {
        client.ask(format!("stats cachedump{words}\r\n"), "CLIENT_ERROR stats cachedump not allowed\r\n");
    }
    client.ask("lru_crawler crawl all\r\n", "OK\r\n");
    client.ask("flush_all\r\n", "CLIENT_ERROR flush_all not allowed\r\n");
}
