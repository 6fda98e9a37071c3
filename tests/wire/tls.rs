//! `-Z`: what is asked and answered is the same behind TLS, and who does not speak it disturbs nobody.

use crate::certificates::{Authority, Encrypted, VERSIONS};
use crate::client::{Client, pattern, value_bytes};
use crate::commandline::expect_refusal;
use crate::server::{Directory, Server, wait_for};
use std::fs;

#[test]
fn both_versions_are_spoken_with_every_kind_of_key() {
    for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let authority = Authority::new("authority");
        let pair = authority.sign_with(kind, |_| {});
        let encrypted = Encrypted::start_with(&pair, authority, &["-l", "127.0.0.1", "-p", "-1"]);
        for version in VERSIONS {
            let config = encrypted.authority.config(&[version], None);
            let mut client = Client::connect_tls(encrypted.server.address(), &config);
            client.set("a", "hello");
            client.expect_value("a", "hello");
            client.expect_silence();
        }
    }
}

#[test]
fn pipelines_and_large_values_go_both_ways() {
    let encrypted = Encrypted::start(&[]);
    for version in VERSIONS {
        let config = encrypted.authority.config(&[version], None);
        let mut client = Client::connect_tls(encrypted.server.address(), &config);
        for bytes in [0, 1, 16_000, 16_384, 16_385, 100_000, 1_000_000] {
            let value = pattern(bytes as u64, bytes);
            client.set("L", &value);
            client.expect_value("L", &value);
        }
        client.set("a", "1");
        client.ask("get a\r\n".repeat(1000), [&value_bytes("a", b"1")[..], b"END\r\n"].concat().repeat(1000));
        let value = pattern(7, 20_000);
        client.set("m", &value);
        let hit = [&value_bytes("m", &value)[..], &value_bytes("a", b"1")].concat();
        client.ask("get m a m a m a\r\n", [&hit.repeat(3)[..], b"END\r\n"].concat());
    }
}

#[test]
fn the_first_request_behind_a_handshake_does_not_wait_for_an_acknowledgement() {
    let encrypted = Encrypted::start(&[]);
    let config = encrypted.authority.config(&[VERSIONS[1]], None);
    let mut watch = encrypted.client();
    let before = watch.stat("uptime");
    for _ in 0..200 {
        let mut client = Client::connect_tls_with_delay(encrypted.server.address(), &config);
        client.expect_missing("a");
    }
    // The kernel would wait 40 ms with each.
    assert!(watch.stat("uptime") - before < 7, "a first request waits");
}

#[test]
fn tokens_are_shown_behind_tls() {
    let directory = Directory::new();
    fs::write(directory.join("tokens"), "user:pass\n").expect("the file can be written");
    let encrypted = Encrypted::start(&["-Y", &directory.text("tokens")]);
    let mut client = encrypted.client();
    client.ask("get a\r\n", "CLIENT_ERROR unauthenticated\r\n");
    client.ask("set x 0 0 9\r\nuser pass\r\n", "STORED\r\n");
    client.expect_missing("a");
}

#[test]
fn who_does_not_read_holds_little_memory_of_the_server() {
    let encrypted = Encrypted::start(&[]);
    let mut client = encrypted.client();
    let value = pattern(3, 1_000_000);
    client.set("L", &value);
    let before = encrypted.server.peak_bytes();
    let config = encrypted.authority.config(&VERSIONS, None);
    let mut slow: Vec<Client> = (0..40).map(|_| Client::connect_tls(encrypted.server.address(), &config)).collect();
    slow.iter_mut().for_each(|client| client.send("get L\r\n".repeat(20)));
    client.expect_value("L", &value);
    let grown = encrypted.server.peak_bytes() - before;
    assert!(grown < 40 * 100_000, "{grown} bytes for 40 clients");
    let reply = [&value_bytes("L", &value)[..], b"END\r\n"].concat().repeat(20);
    slow[0].expect(reply);
}

#[test]
fn who_speaks_no_tls_is_closed_counted_and_told_of() {
    let encrypted = Encrypted::start(&[]);
    let mut watcher = encrypted.client();
    watcher.ask("watch connevents\r\n", "OK\r\n");
    let mut plain = Client::connect(encrypted.server.address());
    plain.send("get a\r\nget b\r\n");
    plain.read_to_end();
    let mut garbage = Client::connect(encrypted.server.address());
    garbage.send(pattern(1, 5000));
    garbage.read_to_end();
    let line = wait_for("the event", || Some(watcher.line()).filter(|line| line.contains("conntlserr")));
    assert!(line.contains(" type=conntlserr fd=") && line.contains(" msg="), "{line}");
    encrypted.client().expect_stats(&[("ssl_handshake_errors", 2), ("ssl_proto_errors", 0)]);
}

#[test]
fn a_port_scan_logs_a_line_a_second_at_most() {
    let encrypted = Encrypted::start(&[]);
    let start = encrypted.client().stat("uptime");
    for _ in 0..300 {
        drop(Client::connect(encrypted.server.address()));
    }
    let mut client = encrypted.client();
    wait_for("they are counted", || (client.stat("ssl_handshake_errors") == 300).then_some(()));
    let (lines, seconds) =
        (encrypted.server.log().matches("its TLS handshake failed").count(), client.stat("uptime") - start);
    assert!(lines >= 1 && lines as u64 <= seconds + 2, "{lines} lines in {seconds} s");
}

#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let encrypted = Encrypted::start(&[]);
    let mut client = encrypted.client();
    let mut silent = Client::connect(encrypted.server.address());
    let mut slow = Client::connect(encrypted.server.address());
    slow.send(b"\x16\x03\x01\x01\x00\x01");
    client.expect_missing("a");
    silent.expect_closed();
    slow.expect_closed();
    assert_eq!(client.stat("ssl_handshake_errors"), 2);
    client.expect_silence();
}

#[test]
fn a_listener_says_whether_it_speaks_tls() {
    let list = "notls:127.0.0.1:0,127.0.0.1:0,btls:127.0.0.1:0,mtls:127.0.0.1:0";
    let encrypted = Encrypted::start_listening(&["-l", list]);
    let address = |n: usize| ([127, 0, 0, 1], encrypted.server.ports()[n].1).into();
    let (authority, stranger) = (&encrypted.authority, encrypted.authority.config(&VERSIONS, None));
    let friend = authority.config(&VERSIONS, Some(&authority.sign()));
    Client::connect(address(0)).set("a", "1");
    for (listener, config) in [(1, &stranger), (2, &stranger), (2, &friend), (3, &friend)] {
        Client::connect_tls(address(listener), config).expect_value("a", "1");
    }
    let mut refused = Client::connect_tls(address(3), &authority.config(&[VERSIONS[1]], None));
    refused.try_send("get a\r\n");
    refused.expect_closed();
    assert!(Client::try_connect_tls(address(3), &authority.config(&[VERSIONS[0]], None)).is_none());
    let mut conns = Client::connect(address(0));
    let lines = conns.stats("conns");
    assert!(lines.iter().filter(|(name, _)| name.ends_with(":addr")).count() >= 5, "{lines:?}");
}

#[test]
fn settings_and_counters_have_memcacheds_names() {
    let encrypted = Encrypted::start(&["-o", "ssl_wbuf_size=64,ssl_session_cache,ssl_min_version=1,ssl_verify_mode=1"]);
    let mut client = encrypted.client();
    let settings = client.stats("settings");
    let start = settings.iter().position(|(name, _)| name == "ssl_enabled").expect("it is there");
    let shown = settings[start..start + 11].iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>();
    let path = |name| encrypted.directory.text(name);
    let expected = [
        "ssl_enabled yes".to_owned(),
        format!("ssl_chain_cert {}", path("chain")),
        format!("ssl_key {}", path("key")),
        "ssl_verify_mode 1".to_owned(),
        "ssl_keyformat 1".to_owned(),
        "ssl_ciphers NULL".to_owned(),
        format!("ssl_ca_cert {}", path("ca")),
        "ssl_wbuf_size 65536".to_owned(),
        "ssl_session_cache yes".to_owned(),
        "ssl_kernel_tls no".to_owned(),
        "ssl_min_version tlsv1.1".to_owned(),
    ];
    assert_eq!(shown, expected);
    let names: Vec<String> = client.stats("").into_iter().map(|(name, _)| name).collect();
    let after = names.iter().position(|name| name == "log_watchers").expect("it is there");
    let ours = ["ssl_new_sessions", "ssl_handshake_errors", "ssl_proto_errors", "time_since_server_cert_refresh"];
    assert_eq!(names[after + 1..after + 5], ours);
    assert!(encrypted.server.log().contains("TLS 1.2 is the least that is spoken"), "{}", encrypted.server.log());
}

#[test]
fn versions_and_ciphers_are_what_the_options_say() {
    let encrypted = Encrypted::start(&["-o", "ssl_min_version=3,ssl_ciphers=TLS_AES_128_GCM_SHA256"]);
    let config = |version| encrypted.authority.config(&[version], None);
    assert!(Client::try_connect_tls(encrypted.server.address(), &config(VERSIONS[0])).is_none());
    let mut client = Client::connect_tls(encrypted.server.address(), &config(VERSIONS[1]));
    client.expect_missing("a");
    let suite = client.session().negotiated_cipher_suite().expect("they agreed").suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
}

#[test]
fn what_cannot_be_is_refused_at_the_start() {
    let (directory, authority) = (Directory::new(), Authority::new("authority"));
    let (pair, other) = (authority.sign(), authority.sign());
    for (name, text) in [("chain", &pair.chain), ("key", &pair.key), ("other", &other.key)] {
        fs::write(directory.join(name), text).expect("the file can be written");
    }
    let [chain, key, other, none] = ["chain", "key", "other", "none"].map(|name| directory.text(name));
    let good = format!("ssl_chain_cert={chain},ssl_key={key}");
    for (list, words) in [
        (String::new(), "Error loading the certificate chain: (null)"),
        (format!("ssl_chain_cert={chain}"), "Error loading the key: (null)"),
        (format!("ssl_chain_cert={none},ssl_key={key}"), "Error loading the certificate chain: "),
        (format!("ssl_chain_cert={chain},ssl_key={none}"), "Error loading the key: "),
        (format!("ssl_chain_cert={key},ssl_key={key}"), "there is no certificate in it"),
        (format!("ssl_chain_cert={chain},ssl_key={chain}"), "there is no private key in it"),
        (format!("ssl_chain_cert={chain},ssl_key={other}"), "Error validating the certificate: "),
        (format!("{good},ssl_ca_cert={none}"), "Error loading the CA certificate: "),
        (format!("{good},ssl_ciphers=RC4-MD5"), "TLS_AES_256_GCM_SHA384:"),
        (format!("{good},ssl_kernel_tls"), "ssl_kernel_tls is not supported"),
        (format!("{good},ssl_keyformat=2"), "ssl_keyformat"),
    ] {
        expect_refusal(&["-Z", "-o", &list], 64, words);
    }
    expect_refusal(&["-Z", "-o", &good, "-p", "0"], 64, "You cannot enable SSL without a TCP port.");
    expect_refusal(&["-l", "notls:127.0.0.1"], 64, "'notls' option is valid only when SSL is enabled");
    expect_refusal(&["-o", "ssl_verify_mode=4"], 1, "Invalid ssl_verify_mode.");
}

#[test]
fn a_server_takes_over_listeners_that_speak_tls() {
    let doors = Directory::new();
    let door = doors.text("door");
    let own = ["-l", "127.0.0.1,notls:127.0.0.1:0", "-p", "-1", "-m", "64", "--takeover", &door];
    let mut old = Encrypted::start_listening(&own);
    let mut client = old.client();
    client.set("a", "hello");
    let files = ["chain", "key"].map(|name| old.directory.text(name));
    let list = format!("ssl_chain_cert={},ssl_key={}", files[0], files[1]);
    let new = Server::start_listening(&[&["-Z", "-o", &list, "-t", "2"], &own[..]].concat());
    assert!(old.server.wait_exit().success());
    client.expect_closed();
    assert_eq!(new.ports(), old.server.ports());
    Client::connect_tls(new.address(), &old.authority.config(&VERSIONS, None)).expect_value("a", "hello");
    let plain = new.ports()[1].1;
    Client::connect(([127, 0, 0, 1], plain).into()).expect_value("a", "hello");
}
