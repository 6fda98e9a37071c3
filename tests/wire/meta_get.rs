//! mg, mn and me: what a meta fetch shows, in the order it was asked for.

use crate::client::pattern;
use crate::server::Server;

#[test]
fn a_hit_shows_what_is_asked_for_in_that_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set k 7 0 5\r\nhello\r\n", "STORED\r\n");
    client.ask("mg k\r\n", "HD\r\n");
    client.ask("mg k v\r\n", "VA 5\r\nhello\r\n");
    let cas = client.cas("k");
    client.ask("mg k s v f t k Oabc c h\r\n", format!("VA 5 s5 f7 t-1 kk Oabc c{cas} h1\r\nhello\r\n"));
    client.ask("mg k c Oabc k t f s Lpath Ppath\r\n", format!("HD c{cas} Oabc kk t-1 f7 s5\r\n"));
}

#[test]
fn a_miss_gives_back_key_and_opaque_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("mg none s v k t O123\r\n", "EN knone O123\r\n");
    client.ask("mg none v\r\n", "EN\r\n");
    client.ask("mg none v q O1 k\r\nmn\r\n", "MN\r\n");
}

#[test]
fn q_hides_misses_and_mn_ends_the_pipeline() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("b", "2");
    client.ask("mg a v q k\r\nmg b v q k\r\nmg c v q k\r\nmn\r\n", "VA 1 kb\r\n2\r\nMN\r\n");
    client.ask("mn and more words\r\n", "MN\r\n");
}

#[test]
fn h_and_l_tell_of_before_and_u_leaves_no_trace() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("k", "v");
    client.ask("mg k h u\r\n", "HD h0\r\n");
    // The server's second may turn between the set and this.
    let reply = client.ask_line("mg k h l u\r\n");
    assert!(matches!(reply.as_str(), "HD h0 l0" | "HD h0 l1"), "{reply}");
    client.ask("mg k h\r\n", "HD h0\r\n");
    client.ask("mg k h\r\n", "HD h1\r\n");
    client.set("k", "w");
    client.ask("mg k h\r\n", "HD h0\r\n");
}

#[test]
fn t_before_the_touch_is_the_old_time_and_after_it_the_new() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("k", "v");
    client.ask("mg k t T300 q\r\n", "HD t-1\r\n");
    client.ask("mg k T0 t\r\n", "HD t-1\r\n");
    client.ask("mg k T-1\r\n", "HD\r\n");
    client.ask("mg k v\r\n", "EN\r\n");
}

#[test]
fn the_value_is_left_out_for_the_cas_the_client_has() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("k", "v");
    let cas = client.cas("k");
    client.ask(format!("mg k v s C{cas}\r\n"), "HD s1\r\n");
    client.ask(format!("mg k v s C{}\r\n", cas + 1), "VA 1 s1\r\nv\r\n");
}

#[test]
fn large_values_are_fetched_whole() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for bytes in [16 * 1024, 16 * 1024 + 1, 300_000] {
        let value = pattern(7, bytes);
        client.set("L", &value);
        let head = format!("VA {bytes} kL s{bytes} f0\r\n");
        client.ask("mg L v k s f\r\n", [head.as_bytes(), &value, b"\r\n"].concat());
        client.ask("mg L s q\r\n", format!("HD s{bytes}\r\n"));
    }
}

#[test]
fn me_tells_about_an_item_without_using_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("me k\r\n", "EN\r\n");
    client.set("k", "v");
    for _ in 0..2 {
        let line = client.ask_line("me k\r\n");
        let (before, after) = line.split_once(" cas=").expect("there is a cas");
        assert_eq!(before, "ME k exp=-1 la=0");
        assert!(after.contains(" fetch=no cls=") && after.contains(" size="), "{line}");
    }
    client.ask("mg k T300 v\r\n", "VA 1\r\nv\r\n");
    let line = client.ask_line("me k\r\n");
    assert!(line.starts_with("ME k exp=") && !line.contains("exp=-1") && line.contains("fetch=yes"), "{line}");
    client.expect_stats(&[("cmd_meta", 4), ("cmd_get", 0), ("cmd_touch", 1)]);
}

#[test]
fn hits_and_misses_are_counted_as_gets_and_touched_hits_as_touches() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.set("k", "v");
    client.ask("mg k v\r\nmg k T100\r\nmg none\r\nmg none T100\r\n", "VA 1\r\nv\r\nHD\r\nEN\r\nEN\r\n");
    client.ask("mg made N30 s\r\n", "HD s0 W\r\n");
    client.expect_stats(&[("cmd_get", 4), ("get_hits", 2), ("get_misses", 2), ("cmd_touch", 1), ("touch_hits", 1)]);
}
