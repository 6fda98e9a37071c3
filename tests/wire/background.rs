//! `lru_crawler enable`, `disable`, `sleep`, `tocrawl`, `crawl`; `slabs`; `lru`: what they answer, do, and show.

use crate::client::Client;
use crate::server::{Server, wait_for};

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";

#[track_caller]
fn expect_setting(client: &mut Client, name: &str, value: &str) {
    let lines = client.stats("settings");
    let found = lines.iter().find(|(line, _)| line == name).map(|(_, value)| value.as_str());
    assert!(found == Some(value), "{name} is {found:?}, not {value:?}");
}

fn stat(client: &mut Client, report: &str, name: &str) -> u64 {
    let lines = client.stats(report);
    lines.iter().find(|(line, _)| line == name).map_or(0, |(_, value)| value.parse().expect("a number"))
}

#[test]
fn the_crawler_is_switched_off_and_on() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("lru_crawler enable\r\n", "ERROR failed to start lru crawler thread\r\n");
    expect_setting(&mut client, "lru_crawler", "yes");
    client.ask("lru_crawler disable\r\n", "OK\r\n");
    client.ask("lru_crawler disable\r\n", "OK\r\n");
    expect_setting(&mut client, "lru_crawler", "no");
    for refused in ["crawl all", "metadump all", "mgdump x"] {
        client.ask(format!("lru_crawler {refused}\r\n"), "CLIENT_ERROR lru crawler disabled\r\n");
    }
    client.ask("lru_crawler enable\r\n", "OK\r\n");
    client.ask("lru_crawler enable\r\n", "ERROR failed to start lru crawler thread\r\n");
}

#[test]
fn the_crawlers_words_are_counted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for line in ["", " x", " enable x", " crawl", " crawl 1 2", " metadump", " metadump all x", " sleep", " sleep 1 2"]
    {
        client.ask(format!("lru_crawler{line}\r\n"), "ERROR\r\n");
    }
    for line in ["disable", "crawl all", "sleep x", "metadump all"] {
        client.send(format!("lru_crawler {line} noreply\r\n"));
    }
    client.expect_silence();
    expect_setting(&mut client, "lru_crawler", "yes");
}

#[test]
fn the_crawlers_numbers_are_checked_and_shown() {
    let server = Server::start(&["-o", "lru_crawler_sleep=500,lru_crawler_tocrawl=7"]);
    let mut client = server.client();
    expect_setting(&mut client, "lru_crawler_sleep", "500");
    expect_setting(&mut client, "lru_crawler_tocrawl", "7");
    client.ask("lru_crawler sleep 1000000\r\n", "OK\r\n");
    client.ask("lru_crawler sleep 1000001\r\n", "CLIENT_ERROR sleep must be one second or less\r\n");
    client.ask("lru_crawler tocrawl 4294967295\r\n", "OK\r\n");
    for wrong in ["sleep x", "sleep -1", "sleep 5x", "tocrawl x", "tocrawl 4294967296"] {
        client.ask(format!("lru_crawler {wrong}\r\n"), BAD_FORMAT);
    }
    expect_setting(&mut client, "lru_crawler_sleep", "1000000");
    expect_setting(&mut client, "lru_crawler_tocrawl", "4294967295");
}

#[test]
fn a_crawl_names_classes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("a", b"1");
    for good in ["all", "1", "1,2", "1,,2", "63"] {
        client.ask(format!("lru_crawler crawl {good}\r\n"), "OK\r\n");
    }
    for wrong in ["0", "64", "x", "1,x", "-1", "allx"] {
        client.ask(format!("lru_crawler crawl {wrong}\r\n"), "BADCLASS invalid class id\r\n");
    }
    client.ask("lru_crawler crawl ,\r\n", "NOTSTARTED no items to crawl\r\n");
    client.ask("lru_crawler crawl hash\r\n", "ERROR an unknown error happened\r\n");
}

/// Items that nobody asks for are found by a crawl only: the sweep passes over pages in which nothing expires.
#[test]
fn a_crawl_looks_at_the_items_of_its_classes() {
    let server = Server::start(&["-o", "lru_crawler_sleep=0"]);
    let mut client = server.client();
    for number in 0..1000 {
        client.set(&format!("key-{number}"), b"value");
    }
    let before = stat(&mut client, "", "crawler_items_checked");
    client.ask("lru_crawler crawl all\r\n", "OK\r\n");
    wait_for("all items to be looked at", || {
        (stat(&mut client, "", "crawler_items_checked") >= before + 1000).then_some(())
    });
}

/// Who waits until no crawl is running finds what it was to do done.
#[test]
fn a_crawl_is_running_until_it_has_looked_at_its_items() {
    let server = Server::start(&["-o", "lru_crawler_sleep=1000000"]);
    let mut client = server.client();
    for number in 0..1000 {
        client.set(&format!("key-{number}"), b"value");
    }
    let before = stat(&mut client, "", "crawler_items_checked");
    client.ask("lru_crawler crawl all\r\n", "OK\r\n");
    let mut is_over = || {
        let is_running = stat(&mut client, "", "lru_crawler_running") == 1;
        let checked = stat(&mut client, "", "crawler_items_checked") - before;
        assert!(is_running || checked >= 1000, "it is over with {checked} items checked");
        client.ask("lru_crawler sleep 0\r\n", "OK\r\n");
        (!is_running).then_some(())
    };
    wait_for("the crawl to be over", &mut is_over);
}

#[test]
fn a_crawl_that_is_switched_off_is_over() {
    let server = Server::start(&["-o", "lru_crawler_sleep=1000000"]);
    let mut client = server.client();
    for number in 0..1000 {
        client.set(&format!("key-{number}"), b"value");
    }
    client.ask("lru_crawler crawl all\r\nlru_crawler disable\r\n", "OK\r\nOK\r\n");
    wait_for("the crawl to be over", || (stat(&mut client, "", "lru_crawler_running") == 0).then_some(()));
}

#[test]
fn pages_move_by_name() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    client.ask("slabs reassign 1 1\r\n", "SAME src and dst class are identical\r\n");
    client.ask("slabs reassign 1 2\r\n", "NOSPARE source class has no spare pages\r\n");
    for wrong in ["64 1", "1 64", "-2 1", "1 -1", "-1 1"] {
        client.ask(format!("slabs reassign {wrong}\r\n"), "BADCLASS invalid src or dst class id\r\n");
    }
    client.ask("slabs reassign x 1\r\n", BAD_FORMAT);
    for wrong in ["", " x", " reassign", " reassign 1", " reassign 1 2 3"] {
        client.ask(format!("slabs{wrong}\r\n"), "ERROR\r\n");
    }
    client.send("slabs reassign 1 2 3 noreply\r\nslabs reassign x 1 noreply\r\n");
    client.expect_silence();
}

#[test]
fn a_page_leaves_its_class_for_the_pool() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    let value = vec![b'v'; 1000];
    for number in 0..3000 {
        client.set(&format!("key-{number}"), &value);
    }
    let lines = client.stats("items");
    let (name, _) = lines.iter().find(|(name, _)| name.ends_with(":number")).expect("a class has items");
    let class = name.split(':').nth(1).expect("items:CLASS:name").to_owned();
    wait_for("the mover to be free", || {
        (client.ask_line(format!("slabs reassign {class} 0\r\n")) == "OK").then_some(())
    });
    wait_for("the page to move", || (stat(&mut client, "", "slabs_moved") >= 1).then_some(()));
    wait_for("the mover to be free", || (client.ask_line("slabs reassign -1 0\r\n") == "OK").then_some(()));
    wait_for("the page to move", || (stat(&mut client, "", "slabs_moved") >= 2).then_some(()));
    client.expect_value("key-2999", std::str::from_utf8(&value).expect("text"));
}

#[test]
fn pages_that_may_not_move_are_not_moved() {
    let server = Server::start(&["-o", "no_slab_reassign,no_slab_automove"]);
    let mut client = server.client();
    for words in ["1 2", "x y", "1 1"] {
        client.ask(format!("slabs reassign {words}\r\n"), "CLIENT_ERROR slab reassignment disabled\r\n");
    }
    expect_setting(&mut client, "slab_reassign", "no");
    expect_setting(&mut client, "slab_automove", "0");
}

#[test]
fn the_automovers_knobs_are_checked_and_shown() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for good in ["0", "2", "1 2", "ratio 0.5", "ratio -1", "freeratio 0.05", "window 3", "window 1800"] {
        client.ask(format!("slabs automove {good}\r\n"), "OK\r\n");
    }
    for wrong in ["", " 3", " ratio", " ratio x", " ratio 0.8x", " freeratio x"] {
        client.ask(format!("slabs automove{wrong}\r\n"), "ERROR\r\n");
    }
    for wrong in ["x", "-1", "1x", "window x", "window"] {
        client.ask(format!("slabs automove {wrong}\r\n"), BAD_FORMAT);
    }
    for wrong in ["window 2", "window 1801"] {
        client.ask(format!("slabs automove {wrong}\r\n"), "CLIENT_ERROR automove window too low or too high\r\n");
    }
    client.send("slabs automove 0 noreply\r\nslabs automove ratio 0.25 noreply\r\n");
    client.expect_silence();
    for (name, value) in [
        ("slab_automove", "0"),
        ("slab_automove_ratio", "0.25"),
        ("slab_automove_freeratio", "0.050"),
        ("slab_automove_window", "1800"),
    ] {
        expect_setting(&mut client, name, value);
    }
}

#[test]
fn the_queues_knobs_are_checked_and_shown() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for good in ["tune 50 30 0.1 0.5", "tune 10 20 0.1 2.5 6", "mode flat", "temp_ttl 50", "temp_ttl -1 x"] {
        client.ask(format!("lru {good}\r\n"), "OK\r\n");
    }
    for wrong in ["", " x", " tune", " tune 10 20 0.1", " tune x 20 0.1 1", " mode x", " temp_ttl", " temp_ttl 5x"] {
        client.ask(format!("lru{wrong}\r\n"), "ERROR\r\n");
    }
    client.ask("lru tune 50 31 0.1 0.5\r\n", "ERROR hot and warm pcts must not exceed 80\r\n");
    client.ask("lru tune 10 20 0 0.5\r\n", "ERROR hot/warm age factors must be greater than 0\r\n");
    client.send("lru mode flat noreply\r\nlru x noreply\r\n");
    client.expect_silence();
    for (name, value) in [
        ("hot_lru_pct", "10"),
        ("warm_lru_pct", "20"),
        ("hot_max_factor", "0.10"),
        ("warm_max_factor", "2.50"),
        ("lru_segmented", "no"),
        ("temp_lru", "no"),
        ("temporary_ttl", "50"),
    ] {
        expect_setting(&mut client, name, value);
    }
}

#[test]
fn without_a_maintainer_the_queues_have_no_mode() {
    let server = Server::start(&["-o", "no_lru_maintainer"]);
    let mut client = server.client();
    client.ask("lru mode segmented\r\n", "ERROR\r\n");
    client.ask("lru temp_ttl 5\r\n", "ERROR\r\n");
    client.ask("lru tune 10 20 0.1 0.2\r\n", "OK\r\n");
    expect_setting(&mut client, "lru_segmented", "no");
}
